"""The second panel of the playground: trains a small network on points in the plane.

It runs in the browser, on the Python engine; the page speaks JSON with it, and draws the regions and the loss surface
from the parameters that it gets.
"""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

from microgrud.losses import binary_cross_entropy_with_logits
from microgrud.nn import MLP
from microgrud.optim import SGD, Adam, Optimizer


class Training:
    """A network, its optimizer and the points it is trained on.

    Args:
        hidden: the number of neurons in each hidden layer.
        activation: the activation of the hidden layers.
        seed: the seed of the first parameters, and of the mini-batches.
    """

    def __init__(self, hidden: list[int], activation: str, seed: int) -> None:
        self.model = MLP(2, [*hidden, 1], activation=activation, rng=random.Random(seed))
        self.rng = random.Random(seed)
        self.optimizer: Optimizer | None = None
        self.chosen = ""
        self.bad_loss: float | None = None  # the loss that ended the training, since it is not finite
        self.waiting: list[int] = []  # the points of the present epoch that no mini-batch has had yet

    def choose(self, optimizer: str, rate: float) -> None:
        """Set the learning rate; begin with a new optimizer if another one is chosen."""
        if optimizer != self.chosen:
            parameters = self.model.parameters()
            made = {
                "sgd": lambda: SGD(parameters, lr=rate),
                "momentum": lambda: SGD(parameters, lr=rate, momentum=0.9),
                "adam": lambda: Adam(parameters, lr=rate),
            }
            self.optimizer, self.chosen = made[optimizer](), optimizer
        assert self.optimizer is not None
        self.optimizer.param_groups[0]["lr"] = rate

    def train(self, points: list[list[float]], batch: int, most: int, seconds: float) -> list[float]:
        """Take steps until their number or the time is up; return the loss of each mini-batch before its step.

        From a loss that is not finite, no step is taken.

        Args:
            points: rows of x, y and the class, which is 0 or 1.
            batch: the number of points in a mini-batch; 0 for all points.
            most: the most steps to take.
            seconds: the time after which no further step begins.
        """
        assert self.optimizer is not None
        losses: list[float] = []
        self.bad_loss = None
        end = time.perf_counter() + seconds
        while points and len(losses) < most and (not losses or time.perf_counter() < end):
            rows = [points[k] for k in self.next_batch(len(points), batch)]
            loss = binary_cross_entropy_with_logits(
                [self.model([x, y]) for x, y, _ in rows], [float(label) for _, _, label in rows]
            )
            if not math.isfinite(loss.data):
                self.bad_loss = loss.data
                break
            losses.append(loss.data)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return losses

    def next_batch(self, count: int, batch: int) -> list[int]:
        """Return the positions of the next points; those of an epoch are in random order, each once."""
        if not 0 < batch < count:
            return list(range(count))
        self.waiting = [k for k in self.waiting if k < count]
        if not self.waiting:
            self.waiting = self.rng.sample(range(count), count)
        chosen, self.waiting = self.waiting[:batch], self.waiting[batch:]
        return chosen

    def layers(self) -> list[list[list[float]]]:
        """Return for each layer and each of its neurons the weights, followed by the bias."""
        return [[[p.data for p in [*neuron.w, neuron.b]] for neuron in layer.neurons] for layer in self.model.layers]


_current: Training | None = None


def handle(request: str) -> str:
    """Answer a request of the page: `new` makes a network, `train` trains it; both return its parameters."""
    global _current
    asked: dict[str, Any] = json.loads(request)
    if _current is None or asked["do"] == "new":
        _current = Training(asked["hidden"], asked["activation"], asked["seed"])
    _current.choose(asked["optimizer"], asked["rate"])
    began = time.perf_counter()
    losses = _current.train(asked["points"], asked["batch"], asked["most"], asked["seconds"])
    answer = {
        "layers": [[[repr(x) for x in neuron] for neuron in layer] for layer in _current.layers()],
        "losses": [repr(x) for x in losses],
        "bad_loss": None if _current.bad_loss is None else repr(_current.bad_loss),
        "seconds": time.perf_counter() - began,
    }
    return json.dumps(answer)
