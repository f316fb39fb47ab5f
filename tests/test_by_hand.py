"""Nodes built by hand: with local gradients, with a `_backward`, or with neither, under every way to differentiate."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st

import microgrud
from microgrud import (
    AnomalyError,
    CompileError,
    Value,
    compile,
    detect_anomaly,
    exp,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    sin,
    value_and_grad,
)
from microgrud.autodiff.gradients import gradient, pushforward
from microgrud.draw import draw, explain
from microgrud.nn import Module
from microgrud.testing import GradientError, check_gradients
from microgrud.train import fit

numbers = st.floats(-8.0, 8.0)


def ruleless(x: Value) -> Value:
    return Value(x.item() * 3.0, (x,), "triple")


def stopped(x: Value) -> Value:
    out = Value(x.item() * 3.0, (x,), "triple")
    out._backward = lambda: None
    return out


def squared(x: Value) -> Value:
    return Value(x.data**2, (x,), (2 * x.data,))


def squared_again(x: Value) -> Value:
    """The square, with a local gradient that can be differentiated any number of times."""
    return Value(x.data**2, (x,), (2 * x,))


def multiplied(x: Value, y: Value) -> Value:
    return Value(x.data * y.data, children=(x, y), local_grads=(y, x))


# --- without a rule ---------------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[Callable[[Value], Value]], Any]] = {
    "backward": lambda f: (f(Value(2.0)) * 2.0).backward(),
    "grad": lambda f: grad(lambda x: f(x) * 2.0)(2.0),
    "value_and_grad": lambda f: value_and_grad(f)(2.0),
    "jacobian": lambda f: jacobian(lambda x: [x, f(x)])(2.0),
    "hessian": lambda f: hessian(lambda x: f(x) * x)(2.0),
    "jvp": lambda f: jvp(f, 2.0, 1.0),
    "hvp": lambda f: hvp(lambda x: f(x) * x, 2.0, 1.0),
    "grad of grad": lambda f: grad(grad(lambda x: f(x) * x))(2.0),
    "gradient": lambda f: (lambda x: gradient(f(x), x))(Value(2.0)),
    "pushforward": lambda f: (lambda x: pushforward([f(x)], {x: 1.0}))(Value(2.0)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("op", ["triple", ""])
def test_a_gradient_that_would_be_lost_is_an_error(way: str, op: str) -> None:
    with pytest.raises(TypeError) as error:
        WAYS[way](lambda x: Value(6.0, (x,), op))
    assert f"({op or 'without an _op'}) has children, but no rule" in str(error.value)
    assert "_backward, or give its local_grads" in str(error.value)
    assert "set _backward = lambda: None" in str(error.value)


def test_leaves_keep_their_gradients_when_one_would_be_lost() -> None:
    x, y = Value(2.0), Value(3.0)
    x.grad = 5.0
    with pytest.raises(TypeError, match="triple"):
        (ruleless(x) + x * y).backward()
    assert (x.grad, y.grad) == (5.0, 0.0)


def test_a_zero_adjoint_raises_nothing() -> None:
    x = Value(2.0)
    (ruleless(x) * 0.0 + x).backward()
    assert x.grad == 1.0
    assert grad(lambda x: ruleless(x) * 0.0 + x)(2.0) == 1.0
    with pytest.raises(TypeError, match="triple"):  # forward mode knows no adjoints
        jvp(lambda x: ruleless(x) * 0.0 + x, 2.0, 1.0)
    node = ruleless(x)
    node._backward()  # no gradient reaches it
    node.grad = 1.0
    with pytest.raises(TypeError, match="triple"):
        node._backward()


def test_a_backward_that_does_nothing_stops_the_gradient() -> None:
    x = Value(2.0)
    (stopped(x) + x).backward()
    assert x.grad == 1.0


@pytest.mark.parametrize("way", [way for way in WAYS if way != "backward"])
@pytest.mark.parametrize("make", [stopped, lambda x: with_backward(x * 3.0)])
def test_a_backward_is_for_numbers_alone_and_never_passed_over(way: str, make: Callable[[Value], Value]) -> None:
    with pytest.raises(TypeError, match=r"has a _backward, which yields numbers.*local_grads.*custom_op.*detach\(\)"):
        WAYS[way](make)


def with_backward(node: Value) -> Value:
    node._backward = lambda: None
    return node


@pytest.mark.parametrize("way", ["one sample", "a batch", "a gradient"])
def test_a_recording_refuses_nodes_built_by_hand(way: str) -> None:
    calls: dict[str, Callable[[Any], Any]] = {
        "one sample": lambda f: compile(f)(2.0),
        "a batch": lambda f: compile(f, batched="x")([2.0, 3.0]),
        "a gradient": lambda f: compile(f).value_and_grad(2.0),
    }
    for op in ("triple", "", (3.0,), [Value(3.0)]):
        with pytest.raises(
            CompileError, match=r"built by hand \(.*\) has a number that a recording cannot compute again"
        ):
            calls[way](lambda x, op=op: Value(6.0, (x,), op) * x)
    for f in (squared, squared_again):  # a replay would not recompute this local gradient
        with pytest.raises(CompileError, match=r"\.data of"):
            calls[way](f)


class Scaled(Module):
    """A model with one parameter, whose output passes through a function."""

    def __init__(self, through: Callable[[Value], Value]) -> None:
        self.w = Value(0.5)
        self.through = through

    def __call__(self, x: list[float]) -> Value:
        return self.through(self.w * x[0])


def squares(p: Value, t: float) -> Value:
    return (p - t) ** 2


@pytest.mark.parametrize("way", ["auto", False])
def test_fit_raises_instead_of_training_nothing(way: Any) -> None:
    with pytest.raises(TypeError, match=r"built by hand \(triple\) has children, but no rule"):
        fit(Scaled(ruleless), [[1.0], [2.0]], [3.0, 6.0], loss=squares, epochs=2, compile=way)


@pytest.mark.parametrize("way", ["auto", False])
def test_fit_trains_through_local_gradients(way: Any) -> None:
    found = []
    for through in (squared, squared_again, lambda x: x**2):
        model = Scaled(through)
        fit(model, [[1.0], [2.0]], [2.0, 8.0], loss=squares, epochs=5, compile=way)
        found.append(model.w.data)
    assert found[0] == found[1] == pytest.approx(found[2], rel=1e-12)
    assert found[0] != 0.5


# --- local gradients --------------------------------------------------------------------------------------------------


@given(x=numbers, y=numbers)
def test_the_first_derivatives_are_those_of_the_operation(x: float, y: float) -> None:
    for by_hand, operation in (
        (lambda a, b: squared(a) * b, lambda a, b: a * a * b),
        (lambda a, b: squared_again(a) * b, lambda a, b: a * a * b),
        (lambda a, b: multiplied(a, b) + multiplied(a, a), lambda a, b: a * b + a * a),
        (lambda a, b: Value(math.exp(b.data), (b,), [math.exp(b.data)]) * a, lambda a, b: exp(b) * a),
    ):
        a, b = Value(x), Value(y)
        by_hand(a, b).backward()
        wanted = grad(operation, argnums=(0, 1))(x, y)
        assert (a.grad, b.grad) == pytest.approx(wanted, rel=1e-14)
        assert grad(by_hand, argnums=(0, 1))(x, y) == pytest.approx(wanted, rel=1e-14)
        assert jacobian(by_hand, argnums=(0, 1))(x, y) == pytest.approx(wanted, rel=1e-14)
        assert jvp(by_hand, (x, y), (2.0, -1.0)) == pytest.approx(jvp(operation, (x, y), (2.0, -1.0)), rel=1e-13)


@given(x=numbers, y=numbers)
def test_values_among_the_local_gradients_can_be_differentiated_again(x: float, y: float) -> None:
    def by_hand(v: list[Value]) -> Value:
        return sin(multiplied(squared_again(v[0]), v[1]))

    def operation(v: list[Value]) -> Value:
        return sin(v[0] * v[0] * v[1])

    def third(f: Callable[..., Any]) -> Any:
        return grad(grad(grad(lambda t: f([t, 0.5 * t + y]))))(x)

    for transform in (hessian, lambda f: lambda at: hvp(f, at, [1.0, -2.0])):
        found, wanted = (np.array(transform(f)([x, y])) for f in (by_hand, operation))
        assert found == pytest.approx(wanted, rel=1e-11, abs=1e-11 * (1.0 + np.abs(wanted).max()))
    assert third(by_hand) == pytest.approx(third(operation), rel=1e-9, abs=1e-6)


SECOND: dict[str, Callable[[Callable[[Value], Value]], Any]] = {
    "hessian": lambda f: hessian(f)(3.0),
    "hvp": lambda f: hvp(f, 3.0, 1.0),
    "grad of grad": lambda f: grad(grad(f))(3.0),
    "jvp of grad": lambda f: jvp(grad(f), 3.0, 1.0)[1],
    "grad of jvp": lambda f: grad(lambda x: jvp(f, x, 1.0)[1])(3.0),
    "gradient of gradient": lambda f: (lambda x: gradient(gradient(f(x), x), x).data)(Value(3.0)),
}


@pytest.mark.parametrize("way", SECOND)
def test_a_plain_number_has_no_second_derivative_and_says_so(way: str) -> None:
    with pytest.raises(TypeError, match=r"the number 6\.0 among its local_grads.*2 \* a.*custom_op"):
        SECOND[way](squared)
    assert SECOND[way](squared_again) == 2.0
    # Only Value(1.0) is known to be constant; a plain 1 may be 2 * a at a = 0.5.
    with pytest.raises(TypeError, match="the number 3 among|the number 3.0 among"):
        SECOND[way](lambda x: Value(3 * x.data, (x,), (3,)))


def test_backward_through_a_derivative_by_a_plain_number_says_so() -> None:
    x = Value(3.0)
    slope = gradient(squared(x), x)
    assert slope.data == 6.0
    with pytest.raises(TypeError, match=r"the number 6\.0 among its local_grads"):
        slope.backward()
    slope = gradient(squared_again(x), x)
    slope.backward()
    assert x.grad == 2.0


def test_derivatives_that_do_not_go_through_a_plain_number_are_right() -> None:
    w = Value(4.0)
    slope = grad(lambda x: w * squared(x))(3.0)  # 6 w; backward() needs its derivative with respect to x too
    with pytest.raises(TypeError, match="the number 6.0 among its local_grads"):
        slope.backward()
    assert (slope.data, gradient(slope, w).data, w.grad) == (24.0, 6.0, 0.0)
    grad(lambda x: w * squared_again(x))(3.0).backward()
    assert w.grad == 6.0
    assert hessian(lambda v: squared(v[0]).detach() * v[1] ** 2)([3.0, 2.0]) == [[0.0, 0.0], [0.0, 18.0]]


def test_a_local_gradient_that_is_reached_from_outside_connects_the_derivative() -> None:
    w = Value(4.0)
    force = grad(lambda x: Value(w.data * x.data, (x,), (w,)))(2.0)
    ((force - 1.0) ** 2).backward()
    assert (force.data, w.grad) == (4.0, 6.0)


def test_a_zero_adjoint_passes_nothing_on_through_an_infinite_local_gradient() -> None:
    x = Value(0.0)
    (Value(0.0, (x,), (math.inf,)) * 0.0 + x).backward()
    assert x.grad == 1.0


@pytest.mark.parametrize(
    "slope", [True, 2, 2.5, np.float32(2.5), np.int64(2), np.bool_(True), np.array(2.5)[()], Fraction(5, 2)]
)
def test_a_local_gradient_may_be_any_real_number(slope: Any) -> None:
    x = Value(3.0)
    for given_as in ((slope,), [slope], iter([slope])):
        x.zero_grad()
        Value(1.0, (x,), given_as).backward()
        assert x.grad == float(slope)
        assert type(x.grad) is float


def test_an_array_of_local_gradients_is_a_sequence() -> None:
    x, y = Value(1.0), Value(2.0)
    Value(0.0, [x, y], np.array([3.0, 4.0])).backward()
    assert (x.grad, y.grad) == (3.0, 4.0)


a, b = Value(1.0), Value(2.0)
REFUSED: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ((1.0, (a,), 5), {}, TypeError, "third argument _op, a string, or local_grads.*an object of type int"),
    ((1.0, (a,), None), {}, TypeError, "third argument.*an object of type NoneType"),
    ((1.0, (a,), a), {}, TypeError, "third argument"),
    ((1.0, (a,), (1.0,)), {"local_grads": (1.0,)}, TypeError, "local_grads twice"),
    ((1.0, (a,), ("x",)), {}, TypeError, r"local_grads\[0\]: expected a real number, got the string 'x'"),
    ((1.0, (a, b), (1.0, None)), {}, TypeError, r"local_grads\[1\]: expected a real number, got None"),
    ((1.0, (a,), (1j,)), {}, TypeError, r"local_grads\[0\]"),
    ((1.0, (a,), ([1.0],)), {}, TypeError, r"local_grads\[0\]"),
    ((1.0, (a,)), {"local_grads": 2.0}, TypeError, "local_grads: expected a sequence"),
    ((1.0, (a,)), {"local_grads": "2"}, TypeError, "local_grads: expected a sequence"),
    ((1.0, (a,), ()), {}, ValueError, "local_grads: expected one for each child, got 0 for 1 children"),
    ((1.0, (a, b), (1.0,)), {}, ValueError, "got 1 for 2 children"),
    ((1.0, (), (1.0,)), {}, ValueError, "got 1 for 0 children"),
    ((1.0,), {"children": (a,), "local_grads": (1.0, 2.0)}, ValueError, "got 2 for 1 children"),
    ((1.0, (a,)), {"children": (a,)}, TypeError, "either _children or children, got both"),
    ((1.0,), {"children": (1.0,)}, TypeError, "_children: expected Values, got an object of type float"),
    ((1.0, (), (), "label", ()), {}, TypeError, "positional arguments"),
]


@pytest.mark.parametrize(("args", "kwargs", "error", "text"), REFUSED)
def test_other_arguments_are_refused_by_the_constructor(
    args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Value(*args, **kwargs)


def test_a_leaf_may_be_written_in_full() -> None:
    for leaf in (Value(2.0, (), ()), Value(2.0, children=(), local_grads=()), Value(2.0, (), "name")):
        assert leaf.is_leaf
        assert leaf._prev == ()
        leaf.backward()
        assert leaf.grad == 1.0


# --- the attributes of a node with local gradients --------------------------------------------------------------------


def test_children_are_the_parents_and_local_gradients_are_not() -> None:
    x = Value(3.0)
    node = squared_again(x)
    assert (node._prev, node._op, node.is_leaf) == ((x,), "", False)
    named = Value(9.0, (x,), "square", label="s", local_grads=(2 * x,))
    assert (named._prev, named._op, named.label) == ((x,), "square", "s")
    assert repr(named) == "Value(data=9.0, grad=0.0)"


@pytest.mark.parametrize("make", [squared, squared_again])
def test_pictures_and_explanations_show_the_node(make: Callable[[Value], Value]) -> None:
    x = Value(3.0, label="x")
    root = make(x) * 2.0
    assert "by hand" in draw(root).source
    assert str(explain(root, x)).startswith("gradient 12 over 1 path")


@pytest.mark.parametrize("op", ["dot", "tanh", "+"])
def test_a_name_that_an_operation_has_too_changes_nothing(op: str) -> None:
    x = Value(3.0, label="x")
    node = Value(9.0, (x,), op, local_grads=(2 * x,))
    assert draw(node).source.count(" -> ") == 6  # two into 2 * x, and that one and x into the node
    for twin in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert (twin._op, gradient(gradient(twin, twin._prev[0]), twin._prev[0]).data) == (op, 2.0)


def test_anomalies_name_the_node() -> None:
    x = Value(3.0, label="x")
    node = Value(9.0, (x,), "square", local_grads=(math.inf,))
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"square\(x=3\.0.*local derivative inf.*square <- x"):
        (node * 2.0).backward()


@pytest.mark.parametrize("make", [squared, squared_again])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node)), lambda node: node]
)
def test_copies_differentiate_as_the_node_does(
    make: Callable[[Value], Value], copied: Callable[[Value], Value]
) -> None:
    node = copied(make(Value(3.0)))
    (x,) = node._prev
    node.backward()
    assert (node.data, x.grad) == (9.0, 6.0)
    slope = gradient(node, x)
    if make is squared_again:
        assert gradient(slope, x).data == 2.0
    else:
        with pytest.raises(TypeError, match="among its local_grads"):
            gradient(slope, x)


def test_a_copy_inside_a_transform_keeps_its_derivatives() -> None:
    assert grad(grad(lambda x: copy.deepcopy(squared_again(x))))(3.0) == 2.0
    assert grad(lambda x: grad(lambda w: copy.deepcopy(Value(w.data * x.data, (w,), (x,))))(2.0))(3.0) == 1.0


def test_a_long_chain_is_differentiated_copied_and_freed() -> None:
    x = Value(1.0)
    node = x
    for _ in range(50_000):
        node = Value(node.data, (node,), (1.0,))
    node.backward()
    assert x.grad == 1.0
    twin = copy.deepcopy(node)
    del node
    twin.backward()


def test_nodes_built_by_hand_are_freed() -> None:
    x = Value(1.0)
    node = squared_again(x)
    gone = weakref.ref(node)
    del node
    gc.collect()
    assert gone() is None


def test_given_gradients_are_checked() -> None:
    check_gradients(lambda x: squared(x) * 3.0, 0.7)
    with pytest.raises(GradientError):
        check_gradients(lambda x: Value(x.data**2, (x,), (2.001 * x.data,)) * 3.0, 0.7)
    check_gradients(lambda x: squared_again(x) * 3.0, 0.7)


# --- subclasses -------------------------------------------------------------------------------------------------------


def test_an_added_attribute_needs_a_subclass() -> None:
    p: Any = Value(1.0)
    with pytest.raises(AttributeError, match="'Value' object has no attribute 'm'") as error:
        p.m = 0.0
    if microgrud.backend == "c":  # a __setattr__ in Python would cost a call at each assignment
        assert "class Value(microgrud.Value): pass" in str(error.value)
    with pytest.raises(AttributeError, match=r"^'Value' object has no attribute 'm'$"):
        del p.m
    with pytest.raises(AttributeError, match="read-only"):
        p.tanh = 0.0


class Parameter(microgrud.Value):
    pass


def test_the_class_that_takes_attributes_works_like_value() -> None:
    p: Any = Parameter(0.5)
    p.m = p.v = 0.0
    for _ in range(50):  # Adam, with its moments on the parameter
        p.grad = 0.0
        ((p * 2.0 - 3.0) ** 2).backward()
        p.m, p.v = 0.9 * p.m + 0.1 * p.grad, 0.99 * p.v + 0.01 * p.grad**2
        p.data -= 0.1 * p.m / (p.v**0.5 + 1e-8)
    assert p.data == pytest.approx(1.5, abs=0.2)
    for twin in (copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert (type(twin), twin.m, twin.data) == (Parameter, p.m, p.data)
    node = Parameter(p.data**2, (p,), (2 * p,))
    assert gradient(gradient(node, p), p).data == 2.0
    with pytest.raises(TypeError, match="no rule"):
        Parameter(1.0, (p,), "mine").backward()


class Counted(microgrud.Value):
    """A class that overrides operators; the inherited operators do not use them."""

    def __add__(self, other: Any) -> Value:
        return Counted((Value.__add__(self, other)).data, (self,), (1.0,))

    def __mul__(self, other: Any) -> Value:
        return Counted(Value.__mul__(self, other).data, (self,), (other,))


def test_inherited_operators_give_plain_values() -> None:
    x = Counted(2.0)
    assert [type(y) for y in (x + 1.0, x * 3.0)] == [Counted, Counted]
    inherited = (1.0 + x, 3.0 * x, x - 1.0, 1.0 - x, -x, x / 2.0, x**2, x.tanh(), abs(x))
    assert {type(y) for y in inherited} == {Value}
    assert "plain Values" in (Value.__doc__ or "")
    for y, slope in ((x * 3.0 - 1.0, 3.0), (1.0 - (x + 1.0), -1.0)):
        x.grad = 0.0
        y.backward()
        assert x.grad == slope


def test_no_grad_keeps_no_children_of_a_node_with_local_gradients() -> None:
    x = Value(3.0)
    with microgrud.no_grad():
        y = Value(x.data**2, (x,), (2 * x.data,))
    assert y.is_leaf
    (y * 1.0).backward()
    assert x.grad == 0.0


@pytest.mark.parametrize(
    ("children", "local_grads", "what"),
    [
        ({Value(1.0), Value(2.0)}, (5.0, 7.0), "children"),
        ((Value(1.0), Value(2.0)), {5.0, 7.0}, "local_grads"),
        ((Value(1.0), Value(2.0)), {0: 5.0, 1: 7.0}, "local_grads"),
    ],
)
def test_local_gradients_come_in_an_order(children: Any, local_grads: Any, what: str) -> None:
    with pytest.raises(TypeError, match=f"Value: {what}: expected a list or a tuple, since the order counts"):
        Value(3.0, children, local_grads)
