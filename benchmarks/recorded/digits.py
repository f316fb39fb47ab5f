"""A step of gradient descent of a 784-128-10 network (101,770 parameters) with cross-entropy, by the size of a batch.

A step sets the gradients to zero, computes the loss of the batch with its gradient, and updates the parameters. An
epoch takes a step for each batch of 60,000 rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_INPUTS, _HIDDEN, _CLASSES, _ROWS, _RATE = 784, 128, 10, 60_000, 0.01


@dataclass(frozen=True)
class Data:
    """Rows of inputs with the index of their class, the size of a batch, and the parameters: W1, b1, W2, b2."""

    inputs: Any
    targets: Any
    batch: int
    parameters: list[Any]

    def batches(self, array: Callable[[Any], Any] = np.asarray) -> list[Any]:
        """Return the inputs and the targets of each batch, as the given kind of array."""
        starts = range(0, len(self.targets), self.batch)
        return [[array(rows[k : k + self.batch]) for rows in (self.inputs, self.targets)] for k in starts]


def data(case: str) -> Data:
    """Draw rows and parameters; after the batch, a case may name fewer inputs, hidden neurons and rows of an epoch."""
    given = [int(word) for word in case.replace(",", "").split() if word.isdecimal()]
    batch, inputs, hidden, rows = given + [_INPUTS, _HIDDEN, _ROWS][len(given) - 1 :]
    rows = rows if case.startswith("epoch") else batch
    rng = np.random.default_rng(0)
    shapes = (hidden, inputs), (hidden,), (_CLASSES, hidden), (_CLASSES,)
    parameters = [rng.normal(0.0, shape[-1] ** -0.5, size=shape) for shape in shapes]
    return Data(rng.random((rows, inputs)), rng.integers(0, _CLASSES, rows), batch, parameters)


def by_numpy(data: Data) -> Step:
    """Write both passes and the update by hand."""
    parameters = W1, b1, W2, b2 = [p.copy() for p in data.parameters]
    rows, batches = np.arange(data.batch), data.batches()

    def step(X: Any, t: Any) -> Any:
        n = len(t)
        h = X @ W1.T + b1
        a = np.maximum(h, 0.0)
        logits = a @ W2.T + b2
        logits -= logits.max(1, keepdims=True)
        slope = np.exp(logits)
        totals = slope.sum(1, keepdims=True)
        loss = (np.log(totals[:, 0]) - logits[rows[:n], t]).mean()
        slope /= totals
        slope[rows[:n], t] -= 1.0
        slope /= n
        back = (slope @ W2) * (h > 0.0)
        gradients = back.T @ X, back.sum(0), slope.T @ a, slope.sum(0)
        for p, g in zip(parameters, gradients):
            p -= _RATE * g
        return loss, gradients

    return Step(lambda: _last(step, batches), lambda result: _in_order(result[0], result[1], parameters))


def _last(step: Callable[[Any, Any], Any], batches: list[Any]) -> Any:
    """Take a step for each batch, and return the result of the last one."""
    for X, t in batches:
        result = step(X, t)
    return result


def _in_order(loss: Any, *parts: Any) -> Any:
    """Arrange the loss, gradients and parameters (W1, b1, W2, b2) by neuron: weights, then the bias."""
    found = [loss]
    for W1, b1, W2, b2 in (map(np.asarray, part) for part in parts):
        found += [np.column_stack([W1, b1]), np.column_stack([W2, b2])]
    return flat(*found)


# --- microgrud ---


def _model(data: Data) -> Any:
    from microgrud.nn import MLP

    hidden, inputs = data.parameters[0].shape
    model = MLP(inputs, [hidden, _CLASSES], activation="relu", rng=random.Random(0))
    for parameter, number in zip(model.parameters(), _in_order(0.0, data.parameters)[1:].tolist()):
        parameter.data = number
    return model


def recorded(data: Data) -> Step:
    """Record the loss of a row, and take a step of SGD."""
    from microgrud import compile
    from microgrud.losses import cross_entropy
    from microgrud.optim import SGD

    model = _model(data)
    parameters = model.parameters()
    optimizer = SGD(parameters, lr=_RATE)
    loss = compile(lambda x, t: cross_entropy(model(x), t), batched=("x", "t"), threads=1)
    batches = data.batches()

    def step(X: Any, t: Any) -> Any:
        optimizer.zero_grad()
        value = loss.backward(X, t)
        optimizer.step()
        return value

    return Step(
        lambda: _last(step, batches),
        lambda value: flat(value, [p.grad for p in parameters], [p.data for p in parameters]),
    )


def by_vector(data: Data) -> Step:
    """Keep the parameters in a vector of NumPy, which the recording reads in place of its own; update it in NumPy."""
    from microgrud import compile
    from microgrud.losses import cross_entropy

    model = _model(data)
    loss = compile(lambda x, t: cross_entropy(model(x), t), batched=("x", "t"), threads=1)
    vector, batches = model.get_vector(), data.batches()

    def step(X: Any, t: Any) -> Any:
        value, gradient = loss.value_and_grad_flat(vector, X, t, parameters=model)
        vector[:] -= _RATE * gradient
        return value, gradient

    return Step(lambda: _last(step, batches), lambda result: flat(*result, vector))


def by_fit(data: Data) -> Step:
    """Let `fit` take the steps; the first three of a batch, which record and verify, are not part of its time."""
    from microgrud.losses import cross_entropy
    from microgrud.optim import SGD
    from microgrud.train import fit

    model = _model(data)
    parameters = model.parameters()
    optimizer = SGD(parameters, lr=_RATE)

    def epoch(X: Any, t: Any, callbacks: Any = ()) -> Any:
        return fit(model, X, t, loss=cross_entropy, optimizer=optimizer, epochs=1, batch_size=data.batch,
                   shuffle=False, callbacks=callbacks, progress=False)  # fmt: skip

    def seconds(count: int, clock: Callable[[], float]) -> float:
        marks: list[float] = []

        def mark(event: Any) -> None:
            if event.kind == "step":
                marks.append(clock())

        count = max(count, 8) + 4
        epoch(np.tile(data.inputs, (count, 1)), np.tile(data.targets, count), mark)
        return (marks[-1] - marks[3]) / (len(marks) - 4)

    def read(history: Any) -> Any:
        return flat(history.loss[-1], [p.grad for p in parameters], [p.data for p in parameters])

    one_batch = len(data.targets) == data.batch
    return Step(lambda: epoch(data.inputs, data.targets), read, seconds=seconds if one_batch else None)


# --- arrays ---


def by_torch(data: Data) -> Step:
    """Use PyTorch's own layers' functions, loss and optimizer."""
    import torch

    parameters = W1, b1, W2, b2 = [torch.tensor(p, requires_grad=True) for p in data.parameters]
    batches = data.batches(torch.tensor)
    optimizer, functional = torch.optim.SGD(parameters, lr=_RATE), torch.nn.functional

    def step(X: Any, t: Any) -> Any:
        optimizer.zero_grad()
        hidden = torch.relu(functional.linear(X, W1, b1))
        loss = functional.cross_entropy(functional.linear(hidden, W2, b2), t)
        loss.backward()
        optimizer.step()
        return loss

    def read(loss: Any) -> Any:
        return _in_order(loss.detach(), [p.grad for p in parameters], [p.detach() for p in parameters])

    return Step(lambda: _last(step, batches), read)


def by_jax(data: Data) -> Step:
    """Compile the step as a whole."""
    import jax
    import jax.numpy as jnp

    def loss(parameters: Any, X: Any, t: Any) -> Any:
        W1, b1, W2, b2 = parameters
        logits = jax.nn.relu(X @ W1.T + b1) @ W2.T + b2
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(t)), t])

    def step(parameters: Any, X: Any, t: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters, X, t)
        return value, gradients, [p - _RATE * g for p, g in zip(parameters, gradients)]

    compiled = jax.jit(step)
    state = [[jnp.asarray(p) for p in data.parameters]]
    batches = data.batches(jnp.asarray)

    def taken(X: Any, t: Any) -> Any:
        value, gradients, state[0] = jax.block_until_ready(compiled(state[0], X, t))
        return value, gradients, state[0]

    return Step(lambda: _last(taken, batches), lambda result: _in_order(*result))


_STEPS = ("64", "128", "256", "512", "1,024")

DIGITS = Workload(
    title="784-128-10 network with cross-entropy, a step of SGD, by batch",
    cases=(*_STEPS, "epoch at 64", "epoch at 512"),
    data=data,
    programs={
        "microgrud": recorded,
        "microgrud vector": by_vector,
        "microgrud fit": by_fit,
        "numpy": by_numpy,
        "jax jit": by_jax,
        "torch": by_torch,
    },
    only={"microgrud vector": _STEPS},
)
