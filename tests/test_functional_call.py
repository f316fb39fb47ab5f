"""`functional_call`: a module as a function of its parameters; gradients of a model as a vector."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from arrays import np

import microgrud as mg
from microgrud import Value, compile, grad, hessian, vmap
from microgrud.nn import MLP, Module, functional_call

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 2)), RNG.normal(size=8)


def model() -> MLP:
    return MLP(2, [3, 1], activation="tanh", rng=1)


def energy(network: Module, parameters: Any) -> Any:
    return mg.mean([(functional_call(network, parameters, x) - y) ** 2 for x, y in zip(X.tolist(), Y.tolist())])


def test_derivatives_by_the_parameters_are_those_of_the_model() -> None:
    network = model()
    state = network.state_dict()
    loss = compile(lambda x, y: (network(x) - y) ** 2, batched=("x", "y"))
    slopes = grad(lambda p: energy(network, p))(state)
    assert list(slopes) == list(state)
    vector = network.get_vector()
    assert list(slopes.values()) == pytest.approx(loss.value_and_grad_flat(vector, X, Y)[1], rel=1e-12)
    second = hessian(lambda p: energy(network, p))(state)
    found = np.array([list(row.values()) for row in second.values()])
    assert found == pytest.approx(loss.hessian_flat(vector, X, Y), rel=1e-10, abs=1e-14)
    assert (network.state_dict(), network.get_gradient_vector().tolist()) == (state, [0.0] * len(state))


def test_it_is_recorded_and_mapped_over_an_ensemble() -> None:
    network = model()
    f = compile(lambda p, x: functional_call(network, p, x))
    names = list(network.state_dict())
    stacked = {name: RNG.normal(size=4) for name in names}
    expected = []
    for k in range(4):
        other = model()
        other.set_vector([stacked[name][k] for name in names])
        expected.append(other(X[0].tolist()).data)
        assert f({name: stacked[name][k] for name in names}, X[0].tolist()) == pytest.approx(expected[-1], rel=1e-14)
    assert vmap(f, in_axes=(0, None))(stacked, X[0].tolist()) == pytest.approx(np.array(expected), rel=1e-14)


def test_other_parameters_are_those_of_the_module() -> None:
    class Line(Module):
        def __init__(self) -> None:
            self.slope, self.offset, self.scale = Value(2.0), Value(1.0), 3.0
            self.again = [self.slope]

        def __call__(self, x: float) -> Any:
            return (self.slope + self.again[0]) * x + self.offset * self.scale

    line = Line()
    offset = Value(5.0)
    functional_call(line, {"offset": offset}, 10.0).backward()
    assert (line.slope.grad, line.offset.grad, offset.grad) == (20.0, 0.0, 3.0)
    assert functional_call(line, {"slope": 1.0}, 10.0).data == 23.0  # both places of a shared parameter
    with pytest.raises(ValueError, match=r"expected names of parameters \(slope, offset\), got 'height'"):
        functional_call(line, {"height": 1.0}, 10.0)
    with pytest.raises(TypeError, match="slope"):
        functional_call(line, {"slope": "a"}, 10.0)


# --- vectors ---


def test_gradients_of_parts_of_a_batch_add_up_to_that_of_the_batch() -> None:
    network = model()
    loss = compile(lambda x, y: (network(x) - y) ** 2, batched=("x", "y"), reduction="sum")
    parts = []
    for part in (slice(0, 3), slice(3, 8)):
        network.zero_grad()
        loss.backward(X[part], Y[part])
        parts.append(network.get_gradient_vector())
    assert parts[0].dtype == np.float64
    assert parts[0].flags.c_contiguous
    total = sum(parts)
    network.set_gradient_vector(total)
    assert [p.grad for p in network.parameters()] == total.tolist()
    assert total == pytest.approx(loss.value_and_grad_flat(network.get_vector(), X, Y)[1], rel=1e-12)
    with pytest.raises(ValueError, match="MLP.set_gradient_vector: expected 13 numbers, one for each parameter, got 1"):
        network.set_gradient_vector([1.0])
    assert [p.grad for p in network.parameters()] == total.tolist()


def _slopes_of_part(task: tuple[bytes, Any, Any, Any]) -> Any:
    network, loss = pickle.loads(task[0])
    return loss.value_and_grad_flat(task[1], task[2], task[3], parameters=network)[1]


def test_workers_in_other_processes_have_the_gradients_of_their_parts() -> None:
    network = model()
    loss = compile(lambda x, y: (network(x) - y) ** 2, batched=("x", "y"), reduction="sum")
    vector = network.get_vector() + 0.25
    expected = loss.value_and_grad_flat(vector, X, Y)[1]
    sent = pickle.dumps((network, loss))
    tasks = [(sent, vector, X[part], Y[part]) for part in (slice(0, 3), slice(3, 8))]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        assert sum(workers.map(_slopes_of_part, tasks)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh", lambda v: v.relu() * 2])
def test_numbers_alone_give_the_number_of_the_model(activation: Any) -> None:
    model = MLP(2, [3, 1], activation=activation, rng=0)
    found = functional_call(model, model.state_dict(), [0.5, -2.0])
    assert type(found) is float
    assert found == model([0.5, -2.0]).data
