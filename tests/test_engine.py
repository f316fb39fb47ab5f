"""The Value class: its arguments, the operands that it remembers, and the gradients of the backward pass."""

from __future__ import annotations

import asyncio
import math
import threading
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from arrays import np

from microgrud import Value, custom_op, enable_grad, maximum, no_grad, tanh
from microgrud.engine import topological_order

# --- construction --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [3, True, 2.5, np.float32(0.5), np.float64(1.5), np.int8(-3), np.bool_(True), Fraction(1, 3), Decimal("0.25")],
)
def test_any_real_scalar_becomes_a_float(engine: type[Value], number: Any) -> None:
    value = engine(number)
    assert type(value.data) is float
    assert value.data == float(number)
    assert type(value.grad) is float
    assert value.grad == 0.0


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ("1.0", "convert it with float"),
        (None, "None; give a number"),
        (1j, "complex number"),
        (np.complex64(1), "complex number"),
        ([1.0], "each of its elements"),
        (np.array([1.0]), "each of its elements"),
        (Value(1.0), r"its \.data"),
        (object(), "object of type object"),
    ],
)
def test_anything_else_is_refused_with_advice(engine: type[Value], wrong: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=f"^data: expected a real number, got .*{advice}"):
        engine(wrong)


def test_an_integer_beyond_the_range_of_a_float_is_refused(engine: type[Value]) -> None:
    with pytest.raises(OverflowError):
        engine(10**400)


def test_data_grad_and_label_can_be_set_and_stay_floats(engine: type[Value]) -> None:
    value = engine(1.0, label="x")
    value.data, value.grad = 2, np.float32(3)
    value.label = "y"
    assert (value.data, value.grad, value.label) == (2.0, 3.0, "y")
    assert type(value.data) is type(value.grad) is float
    with pytest.raises(TypeError, match="^data: expected a real number"):
        value.data = "2"  # type: ignore[assignment]
    with pytest.raises(TypeError, match="^grad: expected a real number"):
        value.grad = None  # type: ignore[assignment]
    assert (value.data, value.grad) == (2.0, 3.0)


def test_a_misspelt_attribute_is_an_error(engine: type[Value]) -> None:
    with pytest.raises(AttributeError):
        engine(1.0).gard = 1.0  # type: ignore[attr-defined]


def test_repr_and_format(engine: type[Value]) -> None:
    assert repr(engine(2)) == "Value(data=2.0, grad=0.0)"
    assert f"{engine(2.0):.3f}" == "2.000"
    assert f"{engine(2.0)}" == "Value(data=2.0, grad=0.0)"
    assert f"{engine(1234.5):>10,.1f}" == "   1,234.5"


# --- the memory of a node ------------------------------------------------------------------------------------------


def test_a_node_remembers_its_parents_in_order_and_its_operation(engine: type[Value]) -> None:
    a, b = engine(2.0), engine(3.0)
    product = b * a
    assert product._prev == (b, a)
    assert product._op == "*"
    assert not product.is_leaf
    assert a.is_leaf
    assert (a._prev, a._op) == ((), "")
    assert (a * a)._prev == (a, a)
    assert (a + 1.0)._prev == (a,)


@pytest.mark.parametrize(
    "equal", [1, 1.0, True, np.float64(1.0), np.int64(1), Fraction(1), Decimal(1), Value(1.0), Value(1.0) + 0.0]
)
def test_equality_compares_numbers(engine: type[Value], equal: Any) -> None:
    a = engine(1.0)
    assert a == equal
    assert equal == a
    assert a in [2.0, equal]
    assert (a != equal, equal != a) == (False, False)
    assert engine(2.0) != equal
    assert bool(engine(2.0) == equal) is False


def test_nothing_equals_nan_and_zeros_of_both_signs_are_equal(engine: type[Value]) -> None:
    nan = engine(math.nan)
    assert nan != engine(math.nan)
    assert (nan == nan) is False
    assert engine(0.0) == -0.0


@pytest.mark.parametrize("other", ["1", None, [1.0], object(), 1j])
def test_a_value_is_equal_to_nothing_but_real_numbers(engine: type[Value], other: Any) -> None:
    assert engine(1.0).__eq__(other) is NotImplemented
    assert engine(1.0).__ne__(other) is NotImplemented
    assert engine(1.0) != other
    assert (engine(1.0) == other) is False


def test_arrays_compare_each_of_their_elements(engine: type[Value]) -> None:
    x = engine(0.0)
    for array in (np.array([0.0, 1.0]), np.array([engine(0.0), engine(1.0)])):
        assert (array == x).tolist() == (x == array).tolist() == [True, False]
        assert np.where(array != 0, 1.0, 2.0).tolist() == [2.0, 1.0]


def test_sets_and_dicts_tell_nodes_apart(engine: type[Value]) -> None:
    a, b = engine(1.0), engine(1.0)
    assert len({a, b, a}) == 2
    assert {a: "a", b: "b"}[b] == "b"
    assert a not in {1.0}
    assert a in [b]
    assert a is not b


def test_item_and_detach(engine: type[Value]) -> None:
    x = engine(3.0, label="x")
    y = x * x
    assert y.item() == 9.0
    detached = x.detach()
    assert (detached.data, detached.label, detached.is_leaf) == (3.0, "x", True)
    (y * detached).backward()
    assert x.grad == 18.0


# --- the backward pass ---------------------------------------------------------------------------------------------


def test_the_gradient_adds_up_over_all_paths(engine: type[Value]) -> None:
    a, b = engine(-2.0), engine(3.0)
    d, e = a * b, a + b
    f = d * e
    f.backward()
    assert (a.grad, b.grad, d.grad, e.grad, f.grad) == (-3.0, -8.0, 1.0, -6.0, 1.0)


def test_a_node_used_twice_by_one_operation_counts_twice(engine: type[Value]) -> None:
    a = engine(3.0)
    (a + a).backward()
    assert a.grad == 2.0


def test_backward_twice_doubles_the_leaves_and_nothing_else(engine: type[Value]) -> None:
    x, y = engine(0.1), engine(0.7)
    inner = x * y + x.sin()
    root = inner * inner + inner
    root.backward()
    once = [x.grad, y.grad]
    inner_once = inner.grad
    root.backward()
    assert [x.grad, y.grad] == [2 * g for g in once]
    assert inner.grad == inner_once
    assert root.grad == 1.0


def test_zero_grad_clears_the_whole_graph(engine: type[Value]) -> None:
    x = engine(2.0)
    y = x * x
    z = y + x
    z.backward()
    z.zero_grad()
    assert [node.grad for node in (x, y, z)] == [0.0, 0.0, 0.0]


def test_a_leaf_is_its_own_root(engine: type[Value]) -> None:
    x = engine(2.0)
    x.backward()
    x.backward()
    assert x.grad == 2.0


def test_gradients_add_up_over_several_roots(engine: type[Value]) -> None:
    x = engine(2.0)
    (x * 3.0).backward()
    (x * x).backward()
    assert x.grad == 3.0 + 4.0


def test_topological_order_puts_parents_first_and_names_each_node_once(engine: type[Value]) -> None:
    x = engine(1.0)
    y = x + 1.0
    z = y * x + y
    order = topological_order(z)
    assert len(order) == len(set(order)) == 4
    position = {node: i for i, node in enumerate(order)}
    assert all(position[parent] < position[node] for node in order for parent in node._prev)
    assert order == topological_order(z)


def test_an_error_in_the_backward_pass_leaves_the_leaves_as_they_were(engine: type[Value]) -> None:
    x, y = engine(1.0), engine(2.0)
    x.grad, y.grad = 5.0, 7.0
    node = engine(2.0, (x,), "broken")

    def fail() -> None:
        raise RuntimeError("no rule")

    node._backward = fail
    with pytest.raises(RuntimeError, match="no rule"):
        (y * 3.0 + node).backward()
    assert (x.grad, y.grad) == (5.0, 7.0)


# --- nodes built by hand -------------------------------------------------------------------------------------------


def hand_built_tanh(x: Value) -> Value:
    t = math.tanh(x.data)
    out = Value(t, (x,), "tanh")

    def backward() -> None:
        x.grad += (1 - t**2) * out.grad

    out._backward = backward
    return out


def test_a_node_built_by_hand_takes_part_in_the_backward_pass(engine: type[Value]) -> None:
    x = engine(0.5)
    y = hand_built_tanh(x * 2.0) * 3.0
    y.backward()
    assert x.grad == pytest.approx(6.0 * (1 - math.tanh(1.0) ** 2), rel=1e-15, abs=0.0)
    assert (y._prev[0]._op, y._prev[0]._prev[0]._op) == ("tanh", "*")


def test_the_backward_of_a_node_with_zero_adjoint_is_not_called(engine: type[Value]) -> None:
    x = engine(1.0)
    node = engine(5.0, (x,), "poison")
    node._backward = lambda: pytest.fail("a zero adjoint passes nothing on")
    (node * 0.0 + x).backward()
    assert x.grad == 1.0


def test_a_node_built_by_hand_keeps_its_arguments(engine: type[Value]) -> None:
    x = engine(1.0)
    node = engine(5.0, [x], "opaque")
    assert (node._prev, node._op, node.data, node.grad) == ((x,), "opaque", 5.0, 0.0)


def test_children_must_be_values(engine: type[Value]) -> None:
    with pytest.raises(TypeError, match="^_children: expected Values, got an object of type float"):
        engine(1.0, (2.0,))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^_children: expected a sequence of Values, got an object of type float"):
        engine(1.0, 2.0)  # type: ignore[arg-type]


def test_backward_can_be_run_node_by_node(engine: type[Value]) -> None:
    x = engine(3.0)
    y = x * x
    z = y.exp()
    z.grad = 1.0
    for node in reversed(topological_order(z)):
        node._backward()
    assert x.grad == pytest.approx(6.0 * math.exp(9.0))


def test_a_closure_that_is_false_is_a_closure(engine: type[Value]) -> None:
    class Silent:
        calls = 0

        def __call__(self) -> None:
            self.calls += 1

        def __bool__(self) -> bool:
            return False

    x, closure = engine(3.0), Silent()
    node = engine(9.0, (x,), "square")
    node._backward = closure
    assert node._backward is closure
    (node * 2.0).backward()
    assert closure.calls == 1


def test_a_rule_that_raises_passes_on_what_those_before_it_gave(engine: type[Value]) -> None:
    def slope_by_y(z: float, x: float, y: float) -> float:
        raise ArithmeticError("not today")

    product = custom_op("product", lambda x, y: x * y, [lambda z, x, y: y, slope_by_y])
    x, y = engine(2.0), engine(3.0)
    inner = x * 1.0
    node = product(inner, y)
    with pytest.raises(ArithmeticError):
        node.backward()
    assert (inner.grad, x.grad, y.grad) == (3.0, 0.0, 0.0)  # leaves keep their gradients


# --- no_grad -------------------------------------------------------------------------------------------------------


def test_no_grad_records_nothing_and_ends_with_its_block(engine: type[Value]) -> None:
    x = engine(2.0)
    with no_grad():
        assert (x * x).is_leaf
        with enable_grad():
            assert not (x * x).is_leaf
        assert (x * x)._op == ""
    assert not (x * x).is_leaf


def test_no_grad_is_a_decorator_and_survives_exceptions(engine: type[Value]) -> None:
    x = engine(2.0)

    @no_grad()
    def predict(fail: bool) -> Value:
        if fail:
            raise KeyError("stop")
        return x * x

    assert predict(False).is_leaf
    with pytest.raises(KeyError):
        predict(True)
    assert predict(False).is_leaf
    assert not (x * x).is_leaf


def test_no_grad_decorates_coroutines_and_refuses_generators() -> None:
    x = Value(3.0)

    @no_grad()
    async def square() -> Value:
        await asyncio.sleep(0)
        return x * x

    assert asyncio.run(square()).is_leaf
    with pytest.raises(TypeError, match=r"a generator runs after the call.*write `with no_grad\(\):` inside squares"):

        @no_grad()
        def squares() -> Any:
            yield x * x


def test_no_grad_may_be_kept_and_entered_again_also_inside_itself() -> None:
    x, off = Value(3.0), no_grad()
    with off, off:
        assert (x * x).is_leaf
    assert not (x * x).is_leaf
    with off:
        assert (x * x).is_leaf


def test_one_no_grad_serves_two_threads_at_once(engine: type[Value]) -> None:
    x, off = engine(2.0), no_grad()
    inside, outside = threading.Barrier(2), threading.Barrier(2)
    seen: list[tuple[bool, bool]] = []

    def work() -> None:
        with off:
            inside.wait(10)
            first = (x * x).is_leaf
            outside.wait(10)
        seen.append((first, (x * x).is_leaf))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [(True, False)] * 2


def test_no_grad_without_parentheses_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"no_grad: expected no arguments; write @no_grad\(\) above a function"):

        @no_grad  # type: ignore[arg-type]
        def predict() -> None: ...


def test_no_grad_applies_to_its_own_thread_alone(engine: type[Value]) -> None:
    x = engine(2.0)
    results: list[bool] = []
    with no_grad():
        thread = threading.Thread(target=lambda: results.append((x * x).is_leaf))
        thread.start()
        thread.join()
    assert results == [False]


def test_a_subclass_works_as_a_leaf(engine: type[Value]) -> None:
    class Parameter(engine):  # type: ignore[valid-type, misc]
        """A leaf with an attribute of its own."""

    weight = Parameter(2.0)
    weight.trainable = True
    (weight * 3.0).backward()
    assert weight.grad == 3.0
    assert repr(weight) == "Parameter(data=2.0, grad=3.0)"


def test_a_subclass_can_record_and_pass_on_in_its_own_way(engine: type[Value]) -> None:
    class Own(engine):  # type: ignore[misc, valid-type]
        passed: list[float]

        @classmethod
        def _record(cls, operation: Any, *operands: Any) -> Own:
            plain = engine._record(operation, *operands)
            node = cls(plain.data, plain._prev)
            node._operation, node._operands = operation, plain._operands
            return node

        def _pass_on(self) -> None:
            self.passed = [*getattr(self, "passed", []), self.grad]
            super()._pass_on()

    x, y = Own(0.5), engine(2.0)
    for node in (x * y, x + 1, 1.0 - x, x**2, -x, abs(x), x.exp(), x.atan2(1.0), tanh(x), maximum(x, y)):
        assert type(node) is Own
        assert not node.is_leaf
    for node in (y * x, y * y, maximum(y, x)):  # the first Value among the operands decides
        assert type(node) is engine
    z = x * y + x.exp()
    z.backward()
    assert (x.grad, y.grad) == (2.0 + math.exp(0.5), 0.5)
    assert z.passed == [1.0]
    assert x.passed == [x.grad]
