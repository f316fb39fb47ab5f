"""The gradients that `fit` leaves, and their norm, to the bit those of a loop by hand over the same recording."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from microgrud import Value, compile
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.optim import SGD, Adam, Optimizer
from microgrud.train import TrainingDivergedError, fit

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=24)


class Model(MLP):
    """A network with a leaf that is none of its parameters, and one that is, and that nothing depends on."""

    def __init__(self) -> None:
        super().__init__(3, [5, 1], rng=random.Random(0))
        self.unused = Value(0.5)
        self.outside: Callable[[], Value] = (lambda leaf: lambda: leaf)(Value(2.0, label="outside"))

    def __call__(self, x: Any) -> Any:
        return super().__call__(x) * self.outside()

    def parameters(self) -> list[Value]:
        return [*self.layers[1].parameters(), self.unused, *self.layers[0].parameters()]


class Careless(SGD):
    """It clears no gradient."""

    def zero_grad(self) -> None:
        pass


OPTIMIZERS: dict[str, Callable[[list[Value]], Optimizer]] = {
    "all": lambda ps: SGD(ps, lr=0.05),
    "Adam": lambda ps: Adam(ps, lr=0.05),
    "in another order": lambda ps: SGD(ps[::-1], lr=0.05, momentum=0.9),
    "some": lambda ps: SGD(ps[::2], lr=0.05),
    "groups": lambda ps: SGD([{"params": ps[:3]}, {"params": ps[3:], "lr": 0.01}], lr=0.05),
    "another leaf": lambda ps: SGD([*ps, Value(3.0)], lr=0.05, weight_decay=0.1),
    "no zero_grad": lambda ps: Careless(ps, lr=0.01),
}


def state_of(model: Model, optimizer: Optimizer) -> list[str]:
    leaves = [*model.parameters(), *optimizer.parameters(), model.outside()]
    return [repr((p.data, p.grad)) for p in leaves]  # the sign of 0.0 too


def by_hand(optimizer_of: Callable[[list[Value]], Optimizer], epochs: int = 3) -> tuple[list[float], list[str]]:
    model = Model()
    optimizer, norms = optimizer_of(model.parameters()), []
    loss = compile(lambda x, y: squared_error(model(x), y), batched=("x", "y"))
    for _ in range(epochs):
        for k in range(0, 24, 8):
            optimizer.zero_grad()
            loss.backward(X[k : k + 8], Y[k : k + 8])
            norms.append(math.hypot(*[p.grad for p in optimizer.parameters()]))
            optimizer.step()
    return norms, state_of(model, optimizer)


@pytest.mark.filterwarnings("ignore:.*outside")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_leaves_the_gradients_of_a_loop_by_hand(name: str) -> None:
    model = Model()
    optimizer = OPTIMIZERS[name](model.parameters())
    history = fit(model, X, Y, loss=squared_error, optimizer=optimizer, epochs=3, batch_size=8, shuffle=False,
                  compile=True, progress=False)  # fmt: skip
    assert history.engine == "tape"
    assert (history.gradient_norm, state_of(model, optimizer)) == by_hand(OPTIMIZERS[name])


@pytest.mark.filterwarnings("ignore:.*outside")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_that_diverges_keeps_the_parameters_before_its_last_good_step(name: str) -> None:
    model = Model()
    optimizer, seen = OPTIMIZERS[name](model.parameters()), []

    def spoil(event: Any) -> None:
        seen.append([p.data for p in model.parameters()])
        if event.step == 3:
            for group in optimizer.param_groups:
                group["lr"] = math.inf

    with pytest.raises(TrainingDivergedError):
        fit(model, X, Y, loss=squared_error, optimizer=optimizer, batch_size=8, shuffle=False, compile=True,
            progress=False, callbacks=spoil)  # fmt: skip
    assert [p.data for p in model.parameters()] == seen[2]
