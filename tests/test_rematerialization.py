"""`checkpoint`: the function itself, to any order, with less memory."""

from __future__ import annotations

import copy
import dataclasses
import gc
import math
import pickle
import random
import threading
import weakref
from typing import Any

import pytest
from arrays import np

import microgrud as mg
from microgrud import (
    Value,
    checkpoint,
    exp,
    grad,
    gradient,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jvp,
    no_grad,
    sin,
    tanh,
    value_and_grad,
    vjp,
)
from microgrud.nn import MLP, BatchNorm1d, Module


def close(got: Any, want: Any) -> bool:
    return bool(np.allclose(np.array(got, float), np.array(want, float), rtol=1e-13, atol=1e-15))


def curve(x: Any, y: Any) -> Any:
    return sin(x * y) * exp(x) + tanh(y) * x


def test_it_is_the_function_in_every_mode_and_order() -> None:
    kept, at = checkpoint(curve), (0.7, -0.4)
    assert kept(*at) == curve(*at)
    assert type(kept(*at)) is float
    for argnums in (0, 1, (0, 1)):
        for transform in (grad, jacobian, jacfwd, hessian, value_and_grad):
            assert close(_flat(transform(kept, argnums)(*at)), _flat(transform(curve, argnums)(*at)))
    for transform in (jvp, hvp):
        assert close(_flat(transform(kept, at, (1.0, 2.0), (0, 1))), _flat(transform(curve, at, (1.0, 2.0), (0, 1))))
    assert close(vjp(kept, *at)[1](3.0), vjp(curve, *at)[1](3.0))
    assert close(grad(grad(grad(kept)))(*at), grad(grad(grad(curve)))(*at))
    assert close(grad(lambda x: grad(kept)(x, x * 2.0))(0.3), grad(lambda x: grad(curve)(x, x * 2.0))(0.3))
    assert kept.__name__ == "curve"


def _flat(tree: Any) -> list[Any]:
    return [x for item in tree for x in _flat(item)] if isinstance(tree, (list, tuple)) else [tree]


def test_the_graph_of_a_call_is_not_kept() -> None:
    made: list[Any] = []

    @checkpoint
    def f(x: Any) -> Any:
        for _ in range(100):
            x = sin(x)
        made.append(weakref.ref(x))
        return x * 2.0

    x = Value(0.5)
    y = f(x)
    assert made[0]() is None
    assert y._prev == (x,)
    y.backward()
    assert [ref() for ref in made] == [None, None]  # it was evaluated once more, and dropped
    first = x.grad
    y.backward()
    assert (len(made), x.grad) == (3, 2.0 * first)


def test_one_evaluation_serves_all_results_of_a_backward_pass() -> None:
    calls: list[float] = []

    @checkpoint
    def f(x: Any) -> Any:
        calls.append(1.0)
        return {"rows": np.array([x * x, x**3], dtype=object), "other": [sin(x), 4.0]}

    x = Value(2.0)
    found = f(x)
    (found["rows"][0] + found["rows"][1] * 10.0 + found["other"][0] * 100.0 + found["other"][1]).backward()
    assert close(x.grad, 4.0 + 120.0 + 100.0 * math.cos(2.0))
    assert (len(calls), found["other"][1]) == (2, 4.0)


def test_closed_over_values_and_parameters_receive_gradients() -> None:
    model, twin = MLP(2, [3, 2], activation="tanh", rng=0), MLP(2, [3, 2], activation="tanh", rng=0)
    rows = [[0.5, -1.0], [0.2, 0.3]]
    block, scale, other = checkpoint(model), Value(1.5), Value(1.5)
    half = scale * 0.5  # a result that the function closes over
    loss = mg.sum([checkpoint(lambda row: half * mg.sum(block(row)) ** 2)(row) for row in rows])
    want = mg.sum([other * 0.5 * mg.sum(twin(row)) ** 2 for row in rows])
    loss.backward()
    want.backward()
    assert close(loss.data, want.data)
    assert close([x.grad for x in model.parameters()], [x.grad for x in twin.parameters()])
    assert close(scale.grad, other.grad)


def test_structures_keywords_and_values_given_twice() -> None:
    @checkpoint
    def f(p: Any, x: Any, *, power: Any, kind: str) -> Any:
        assert kind == "text"
        return p["w"][0] * x[0] * x[1] ** 2 + power * p["w"][1]

    w, x = Value(3.0), Value(2.0)
    f({"w": [w, w]}, np.array([x, 5.0], dtype=object), power=x, kind="text").backward()
    assert (w.grad, x.grad) == (2.0 * 25.0 + 2.0, 3.0 * 25.0 + 3.0)


@dataclasses.dataclass
class Settings:
    """An argument without Values, with an attribute that is no field."""

    power: int
    weight: Any = None


def test_arguments_without_values_are_passed_as_they_are() -> None:
    settings, seen = Settings(2), []
    settings.cache = {}  # type: ignore[attr-defined]

    @checkpoint
    def f(x: Any, given: Any, rows: Any) -> Any:
        seen.append(given is settings)
        rows.append(len(rows))
        return x**given.power * (1.0 if given.weight is None else given.weight)

    x, rows = Value(3.0), []  # type: ignore[var-annotated]
    y = f(x, settings, rows)
    assert (seen, rows) == ([True], [0])
    y.backward()
    w = Value(5.0)
    f(2.0, Settings(3, w), rows).backward()
    assert (x.grad, w.grad) == (6.0, 8.0)


def test_it_nests_in_itself() -> None:
    @checkpoint
    def inner(x: Any) -> Any:
        return sin(x) * w

    @checkpoint
    def outer(x: Any) -> Any:
        return inner(inner(x)) * x

    w = Value(0.8)
    x = Value(0.3)
    outer(x).backward()
    u, v = Value(0.3), Value(0.8)
    (sin(sin(u) * v) * v * u).backward()
    assert close([x.grad, w.grad], [u.grad, v.grad])
    slope = grad(outer)(0.3)
    slope.backward()
    assert close(slope.data, u.grad)


def test_its_derivatives_are_nodes_that_can_be_differentiated() -> None:
    x, y = Value(0.7), Value(-0.4)
    first = gradient(checkpoint(curve)(x, y), [x, y])
    want = hessian(curve, (0, 1))(0.7, -0.4)
    assert close([g.data for g in gradient(first[0], [x, y])], want[0])
    (first[0] * 3.0 + first[1]).backward()
    assert close([x.grad, y.grad], [3.0 * want[0][0] + want[1][0], 3.0 * want[0][1] + want[1][1]])


def test_in_a_recording_it_is_the_function() -> None:
    plain, kept = mg.compile(curve), mg.compile(checkpoint(curve))
    assert kept(0.7, -0.4) == plain(0.7, -0.4)
    assert kept.stats["nodes"] == plain.stats["nodes"]
    assert kept.value_and_grad(0.7, -0.4, argnums=(0, 1)) == plain.value_and_grad(0.7, -0.4, argnums=(0, 1))
    assert close(hessian(checkpoint(mg.compile(curve)))(0.7, -0.4), hessian(curve)(0.7, -0.4))
    assert close(mg.compile(grad(checkpoint(curve)))(0.7, -0.4), grad(curve)(0.7, -0.4))


def test_under_no_grad_nothing_is_recorded() -> None:
    x = Value(2.0)
    with no_grad():
        assert checkpoint(lambda x: x * x)(x).is_leaf
    y = checkpoint(lambda x: x * x)(x)
    with no_grad():
        y.backward()
    assert x.grad == 4.0


def test_a_compiled_function_inside_is_connected_as_it_was_in_the_call() -> None:
    w = Value(3.0)
    inner = mg.compile(lambda t: w * t)

    @checkpoint
    def f(x: Any) -> Any:
        return x * inner(2.0)  # outside of a transform a float, inside a node

    slope = grad(f)(5.0)
    slope.backward()
    assert (slope.data, w.grad) == (6.0, 2.0)
    x = Value(5.0)
    f(x).backward()
    assert (x.grad, w.grad) == (6.0, 2.0)


def test_a_function_that_keeps_a_value_is_refused() -> None:
    kept: list[Any] = []

    @checkpoint
    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        return x * 3.0

    with pytest.raises(RuntimeError, match=r"checkpoint: f keeps an argument, or a Value that it computed from one"):
        f(Value(1.0))


def test_a_reference_cycle_inside_keeps_all_derivatives() -> None:
    w, x = Value(0.8), Value(0.3)

    @checkpoint
    def f(x: Any) -> Any:
        cycle: list[Any] = [w * 2.0, x]
        cycle.append(cycle)
        return cycle[0] * cycle[1]

    gc.disable()
    try:
        f(x).backward()
    finally:
        gc.enable()
    assert close([x.grad, w.grad], [1.6, 0.6])


@pytest.mark.parametrize("change", ["random", "parameter"])
def test_another_number_in_the_second_evaluation_is_an_error(change: str) -> None:
    w, generator = Value(2.0), random.Random(0)

    @checkpoint
    def f(x: Any) -> Any:
        return x * w * (generator.random() if change == "random" else 1.0)

    x = Value(1.0)
    y = f(x)
    if change == "parameter":
        w.data = 3.0
    with pytest.raises(RuntimeError, match=r"checkpoint: f gave \[.*\] in its call, and gives \[.*\] when"):
        y.backward()
    assert (x.grad, w.grad) == (0.0, 0.0)


def test_not_a_number_is_no_change() -> None:
    x = Value(math.inf)
    y = checkpoint(lambda x: (x - x) * 2.0)(x)
    y.backward()
    assert math.isnan(y.data)
    assert x.grad == 0.0


def test_copies_and_pickles_hold_the_graph() -> None:
    w, x = Value(0.5), Value(0.7)
    y = checkpoint(lambda x: sin(w * x))(x)
    for twin in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        twin.backward()
        leaves = [node for node in mg.engine.topological_order(twin) if node.is_leaf]
        assert sorted(leaf.grad for leaf in leaves) == sorted([0.5 * math.cos(0.35), 0.7 * math.cos(0.35)])
    assert (w.grad, x.grad) == (0.0, 0.0)


class Net(Module):
    """A network with a block that keeps no graph."""

    def __init__(self) -> None:
        self.net = MLP(1, [2, 1], activation="tanh", rng=0)
        self.block = checkpoint(self.net)
        self.scale = Value(2.0)

    @checkpoint
    def __call__(self, row: Any) -> Any:
        return self.block(row) * self.scale


@checkpoint
def cube(x: Any) -> Any:
    """Return the cube."""
    return x**3


def test_models_with_checkpointed_parts_can_be_copied_and_pickled() -> None:
    model = Net()
    want = model([0.5]).data
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for x in model.parameters():
            x.data = 0.0
        y = twin([0.5])
        assert y.data == want
        y.backward()
        assert all(x.grad == 0.0 for x in model.parameters())
        assert any(x.grad != 0.0 for x in twin.net.parameters())
        assert twin.scale.grad == want / 2.0
        model.load_state_dict(twin.state_dict())
    assert pickle.loads(pickle.dumps(cube)) is cube
    assert copy.deepcopy(cube) is cube
    assert cube.__doc__ == "Return the cube."
    assert repr(cube).startswith("<checkpoint of <function cube")


def test_threads_differentiate_one_graph() -> None:
    x = Value(0.5)
    y = checkpoint(lambda x: [sin(x), x * x * x])(x)
    found: list[float] = []

    def work() -> None:
        found.extend(gradient(y, x, [1.0, 2.0]).data for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200
    assert close(found, [math.cos(0.5) + 6.0 * 0.25] * 200)


def test_something_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="checkpoint: expected a function, got an object of type float"):
        checkpoint(3.0)  # type: ignore[type-var]


def test_running_statistics_move_once_for_a_call_and_its_derivatives() -> None:
    rows = [[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]]
    norm, plain = BatchNorm1d(2), BatchNorm1d(2)
    energy = checkpoint(lambda rows: mg.sum([y**3 for row in norm(rows) for y in row]))
    energy(rows).backward()
    grad(lambda scale: energy([[scale * x for x in row] for row in rows]))(1.0)
    plain(rows), plain(rows)
    assert norm.state_dict() == plain.state_dict()
