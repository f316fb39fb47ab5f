"""Parameters as a vector: `get_vector`, `set_vector` and `value_and_grad_flat`, against the way by hand."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import microgrud as mg
from microgrud import CompileError, Value, compile, grad
from microgrud.losses import cross_entropy
from microgrud.nn import MLP, Module, Neuron

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 2)), RNG.integers(0, 3, size=20)


class Line(Module):
    """The smallest model; `loss` is a compiled method."""

    def __init__(self, slope: float = 2.0, offset: float = 1.0) -> None:
        self.slope, self.offset, self.unused = Value(slope), Value(offset), Value(7.0)

    def __call__(self, x: Any) -> Any:
        return self.slope * x + self.offset

    @compile(batched=("x", "y"))
    def loss(self, x: Any, y: Any) -> Any:
        return (self(x) - y) ** 2


def by_hand(f: Any, parameters: Sequence[Value], vector: Any, *args: Any) -> tuple[float, list[float]]:
    """Return value and gradient as a program without vectors computes them; restore parameters and gradients."""
    before = [(p.data, p.grad) for p in parameters]
    for p, number in zip(parameters, vector):
        p.data, p.grad = float(number), 0.0
    value = f.backward(*args)
    gradient = [p.grad for p in parameters]
    for p, (data, slope) in zip(parameters, before):
        p.data, p.grad = data, slope
    return value, gradient


def check(f: Any, parameters: Sequence[Value], args: tuple[Any, ...], /, **given: Any) -> None:
    """Compare several calls, of which the first records, at several vectors; nothing else may change."""
    for k, p in enumerate(parameters):
        p.grad = k + 0.5
    for seed in range(4):
        vector = np.random.default_rng(seed).normal(size=len(parameters))
        before = [(p.data, p.grad) for p in parameters]
        value, gradient = f.value_and_grad_flat(vector, *args, **given)
        assert [(p.data, p.grad) for p in parameters] == before
        assert type(value) is float
        assert (value, gradient.tolist()) == by_hand(f, parameters, vector, *args)


# --- the same bits as by hand ---


@pytest.mark.parametrize("lists", [False, True])
def test_a_network_has_the_value_and_the_gradient_of_the_way_by_hand(lists: bool) -> None:
    model = MLP(2, [5, 3], activation="tanh", rng=1)
    loss = compile(lambda x, y: cross_entropy(model(x), y), batched=("x", "y"))
    check(loss, model.parameters(), (X.tolist(), Y.tolist()) if lists else (X, Y))


def test_samples_that_branch_add_their_parts_in_the_same_order() -> None:
    line = Line()

    @compile(batched=("x",))
    def loss(x: Value) -> Value:
        y = line(x)
        return y * y if y > 0.0 else (mg.tanh(y) if y > -1.0 else line.offset * 3.0)

    check(loss, line.parameters(), (np.linspace(-3.0, 3.0, 40),))


def test_a_call_without_a_batch_and_a_method_are_served_too() -> None:
    line = Line()
    check(line.loss, line.parameters(), (np.array([1.0, 2.0]), np.array([0.5, -0.5])))
    single = compile(lambda x: (line(x) - 1.0) ** 2)
    check(single, line.parameters(), (3.0,))


def test_a_module_can_be_the_function_itself() -> None:
    neuron = Neuron(2, rng=0)
    check(compile(neuron), neuron.parameters(), ([1.0, 2.0],))


def test_given_parameters_have_any_order_and_the_others_keep_their_numbers() -> None:
    line, factor = Line(), Value(1.5)
    f = compile(lambda x: mg.exp(line(x)) * factor)
    for parameters in ([line.offset, factor, line.slope], [factor], [line.unused, line.slope]):
        check(f, parameters, (0.25,), parameters=parameters)
    check(f, line.parameters(), (0.25,), parameters=line)
    line.slope.data = 0.125  # a leaf that is not in the vector is read anew
    check(f, [factor], (0.25,), parameters=[factor])


def test_a_list_of_parameters_that_changes_in_place_is_seen() -> None:
    a, b = Value(3.0), Value(3.0)
    f = compile(lambda x: a * x + b * b)
    parameters = [a, b]
    assert f.value_and_grad_flat([1.0, 2.0], 5.0, parameters=parameters)[1].tolist() == [5.0, 4.0]
    parameters.reverse()
    assert f.value_and_grad_flat([1.0, 2.0], 5.0, parameters=parameters)[1].tolist() == [2.0, 5.0]


class Nested(Module):
    """Leaves before and after a module, in a list and in a dict, one of them shared."""

    def __init__(self) -> None:
        self.first, self.inner, self.last = Value(0.5), Neuron(2, rng=0), [Value(-1.0), Value(2.0)]
        self.named = {"a": Value(0.25)}


def reorder(model: Any, _: Value) -> None:
    inner = model.inner
    del model.inner
    model.inner = inner


CHANGES: dict[str, Callable[[Any, Value], Any]] = {
    "replace": lambda model, spare: setattr(model, "first", spare),
    "replace in a list": lambda model, spare: model.last.__setitem__(0, spare),
    "replace in a module": lambda model, spare: model.inner.w.__setitem__(1, spare),
    "add": lambda model, spare: model.named.update(b=spare),
    "add one twice": lambda model, spare: model.named.update(b=model.first),
    "remove": lambda model, spare: model.last.pop(),
    "swap": lambda model, spare: model.last.reverse(),
    "put a module last": reorder,
    "put a result in its place": lambda model, spare: model.last.__setitem__(0, model.last[0] * 2.0),
    "declare others": lambda model, spare: setattr(model, "parameters", lambda: [spare, model.first]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("last", [True, False], ids=["leaves follow the module", "leaves precede the module"])
def test_parameters_that_a_module_exchanges_between_calls_are_seen(change: str, last: bool) -> None:
    model, spare = Nested(), Value(-2.0)
    if not last:
        reorder(model, spare)
    leaves = [*model.parameters(), spare]
    f = compile(lambda x: mg.sum([(k + 1.0) * p * x for k, p in enumerate(leaves)]) ** 2)
    for _ in range(2):
        check(f, model.parameters(), (1.5,), parameters=model)
    before = model.parameters()
    CHANGES[change](model, spare)
    after = model.parameters()
    for _ in range(2):
        check(f, after, (1.5,), parameters=model)
        check(f, before, (1.5,), parameters=before)


def test_parameters_found_and_given_take_turns() -> None:
    line = Line()
    f = compile(lambda x: line(x) ** 2)
    for _ in range(3):
        assert f.value_and_grad_flat([1.0, 2.0, 0.0], 3.0)[1].tolist() == [30.0, 10.0, 0.0]
        assert f.value_and_grad_flat([2.0, 1.0], 3.0, parameters=[line.offset, line.slope])[1].tolist() == [10.0, 30.0]
        assert f.value_and_grad_flat([2.0], 3.0, parameters=(line.offset,))[1].tolist() == [16.0]
    other = Value(1.0)
    g = compile(lambda x: line(x) * other)
    for _ in range(2):
        assert g.value_and_grad_flat([1.0, 2.0, 0.0], 3.0, parameters=line)[0] == 5.0
        with pytest.raises(ValueError, match="expected a function of the parameters of line, got one that also"):
            g.value_and_grad_flat([1.0, 2.0, 0.0], 3.0)


def test_a_sample_that_only_the_function_can_evaluate_has_its_part() -> None:
    w = Value(1.0)
    f = compile(lambda x: mg.where(x > 0.0, w * x, w * mg.sqrt(mg.abs(x))), batched=("x",))
    check(f, [w], (np.array([0.0, 1.0, -4.0]),), parameters=[w])


def test_an_error_of_the_function_is_raised_and_leaves_the_parameters_alone() -> None:
    w = Value(2.0)
    f = compile(lambda x: mg.log(w) * x)
    assert f.value_and_grad_flat([math.e], 3.0, parameters=[w]) == (3.0, pytest.approx(3.0 / math.e))
    for _ in range(2):
        with pytest.raises(ValueError, match="log"):
            f.value_and_grad_flat([-1.0], 3.0, parameters=[w])
        assert (w.data, w.grad) == (2.0, 0.0)


def test_a_pickled_function_takes_the_parameters_that_it_was_pickled_with() -> None:
    model = MLP(2, [3, 3], rng=2)
    loss = compile(lambda x, y: cross_entropy(model(x), y), batched=("x", "y"))
    loss(X, Y)
    other, twin = pickle.loads(pickle.dumps((model, loss)))
    check(twin, other.parameters(), (X, Y), parameters=other)


def test_threads_do_not_see_each_others_vectors() -> None:
    neuron, entered, done = Neuron(1, nonlin=False, init="zeros"), threading.Event(), threading.Event()

    def f(x: Any) -> Any:
        entered.set()
        done.wait(0.1)  # the first call is not done before the second one has begun
        return neuron([x]) ** 2

    compiled, found = compile(f), {}

    def call(slope: float) -> None:
        found[slope] = compiled.value_and_grad_flat([slope, 0.0], 1.0, parameters=neuron)[0]

    first = threading.Thread(target=call, args=(2.0,))
    first.start()
    assert entered.wait(10.0)
    call(3.0)
    done.set()
    first.join()
    assert found == {2.0: 4.0, 3.0: 9.0}
    assert neuron.get_vector().tolist() == [0.0, 0.0]


def test_an_optimizer_of_scipy_finds_the_bottom() -> None:
    minimize = pytest.importorskip("scipy.optimize").minimize
    line = Line()
    x = np.linspace(-1.0, 1.0, 9)
    found = minimize(line.loss.value_and_grad_flat, line.get_vector(), args=(x, 3.0 * x - 0.5), jac=True)
    assert found.x == pytest.approx([3.0, -0.5, 7.0], abs=1e-5)
    assert line.get_vector().tolist() == [2.0, 1.0, 7.0]
    line.set_vector(found.x)
    assert line.loss(x, 3.0 * x - 0.5) == found.fun


# --- what cannot be a vector of parameters ---


def loss_of_two(first: Module, second: Module) -> Any:
    return compile(lambda x: first(x) * second(x))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: compile(lambda x: x).value_and_grad_flat([], 1.0), TypeError, "uses one Module, got none"),
        (lambda: loss_of_two(Line(), Line()).value_and_grad_flat([], 1.0), TypeError, "got first, second"),
        (lambda: Line().loss.value_and_grad_flat([1.0], X[:, 0], X[:, 1]), ValueError, "expected 3 numbers.*got 1"),
        (lambda: Line().loss.value_and_grad_flat("abc", X[:, 0], X[:, 1]), TypeError, "vector: expected a sequence"),
        (lambda: Line().loss.value_and_grad_flat(["a"] * 3, 1.0, 1.0), TypeError, "vector: number 0"),
        (lambda: Line().loss.value_and_grad_flat([Value(1.0)] * 3, 1.0, 1.0), TypeError, "number 0"),
        (lambda: Line().loss.value_and_grad_flat(np.ma.masked_array([1.0], [True]), 1.0, 1.0), TypeError, "mask"),
        (lambda: compile(lambda x: [x, x]).value_and_grad_flat([1.0], 1.0, parameters=[Value(1.0)]), TypeError, "one"),
        (lambda: compile(Line()).value_and_grad_flat([1.0] * 3, Value(1.0)), TypeError, "pass its .data"),
        (lambda: compile(Line()).value_and_grad_flat([1.0], 1.0, parameters=[3.0]), TypeError, "expected Values"),
        (lambda: compile(Line()).value_and_grad_flat([1.0], 1.0, parameters=[Value(1.0) * 2]), ValueError, "leaves"),
    ],
)
def test_a_wrong_call_is_refused(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_function_of_other_values_needs_its_parameters_named() -> None:
    line, other = Line(), Value(1.0, label="other")
    f = compile(lambda x: line(x) * other)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"parameters of line, got one that also depends on 'other'; give"):
            f.value_and_grad_flat(line.get_vector(), 1.0)


def test_frozen_parameters_of_the_model_are_constants() -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    f = compile(lambda x: model(x) ** 2, batched="x")
    whole = f.value_and_grad_flat(model.get_vector(), X)[1]
    model.layers[0].freeze()
    vector = model.get_vector()
    for _ in range(2):
        value, slopes = f.value_and_grad_flat(vector, X)
        assert value == f(X)
        assert slopes == pytest.approx(whole[9:], rel=1e-12)
    expected = f.hessian_flat(vector, X, parameters=model)
    assert f.hessian_flat(vector, X).tolist() == expected.tolist()
    model.layers[0].unfreeze()
    assert f.value_and_grad_flat(model.get_vector(), X)[1] == pytest.approx(whole, rel=1e-12)


def test_it_belongs_outside_of_transforms_and_recordings() -> None:
    line = Line()
    f = compile(line)
    for way in (grad, compile):
        with pytest.raises(CompileError, match="value_and_grad_flat"):
            way(lambda x: f.value_and_grad_flat([1.0] * 3, 1.0)[0] * x)(2.0)


# --- the vector of a Module ---


@given(st.lists(st.floats(), min_size=3, max_size=3))
def test_a_vector_that_was_set_is_the_vector_that_is_got(numbers: list[float]) -> None:
    line = Line()
    line.slope.grad = 5.0
    line.set_vector(numbers)
    assert repr(line.get_vector().tolist()) == repr(numbers)
    assert repr([p.data for p in line.parameters()]) == repr(numbers)
    assert line.slope.grad == 5.0


def test_a_shared_parameter_is_in_the_vector_once_and_the_vector_is_a_copy() -> None:
    line = Line()
    line.again = [line.slope, Line(5.0)]
    vector = line.get_vector()
    assert vector.tolist() == [2.0, 1.0, 7.0, 5.0, 1.0, 7.0]
    vector[0] = 0.0
    assert line.slope.data == 2.0


@pytest.mark.parametrize("wrong", [[1.0], [1.0] * 4, "123", [1.0, None, 2.0], np.zeros((3, 1)), np.zeros(3) * 1j, 3.0])
def test_a_vector_that_does_not_fit_changes_nothing(wrong: Any) -> None:
    line = Line()
    with pytest.raises((TypeError, ValueError), match="Line.set_vector: "):
        line.set_vector(wrong)
    assert line.get_vector().tolist() == [2.0, 1.0, 7.0]


def test_a_recording_refuses_vectors() -> None:
    line = Line()
    for f in (lambda x: x * line.get_vector()[0], lambda x: (line.set_vector([1.0] * 3), x)[1]):
        with pytest.raises(CompileError):
            compile(f)(1.0)
    assert line.get_vector().tolist() == [2.0, 1.0, 7.0]
