"""A 2-16-16-1 tanh network: the mean squared error over a batch, and its gradient (337 parameters)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_SHAPES = ((16, 3), (16, 17), (1, 17))


@dataclass(frozen=True)
class Data:
    """Samples, and parameters in the order of microgrud (a neuron's weights, then its bias)."""

    parameters: Any
    inputs: Any
    targets: Any

    def matrices(self) -> list[Any]:
        """Return a matrix for each layer, with a row for each neuron that ends with its bias."""
        return _matrices(self.parameters)

    def weights_and_biases(self) -> list[Any]:
        """Return W1, b1, W2, b2, W3, b3."""
        return [np.ascontiguousarray(part) for m in self.matrices() for part in (m[:, :-1], m[:, -1])]


def _matrices(parameters: Any) -> list[Any]:
    ends = np.cumsum([rows * columns for rows, columns in _SHAPES])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(parameters, ends), _SHAPES)]


def data(case: str) -> Data:
    """Draw parameters and samples."""
    rng = np.random.default_rng(0)
    count = int(case.replace(",", ""))
    inputs = rng.normal(size=(count, 2))
    return Data(rng.normal(0.0, 0.4, 337), inputs, np.sin(inputs[:, 0]) * inputs[:, 1])


def _read(result: Any) -> Any:
    """Arrange a loss and the gradients of W1, b1, W2, b2, W3, b3 in the order of the parameters."""
    loss, gradients = result
    arrays = [np.asarray(g) for g in gradients]
    pairs = zip(arrays[::2], arrays[1::2])
    return flat(loss, *(np.column_stack([w.reshape(len(b.reshape(-1)), -1), b.reshape(-1)]) for w, b in pairs))


# --- by hand ---


def by_numpy(data: Data) -> Step:
    """Write both passes by hand."""
    W1, b1, W2, b2, W3, b3 = data.weights_and_biases()
    X, t, n, w3 = data.inputs, data.targets, len(data.inputs), W3[0]

    def run() -> Any:
        h1 = np.tanh(X @ W1.T + b1)
        h2 = np.tanh(h1 @ W2.T + b2)
        error = h2 @ w3 + b3 - t
        slope = error * (2.0 / n)
        g2 = np.multiply.outer(slope, w3) * (1.0 - h2 * h2)
        g1 = (g2 @ W2) * (1.0 - h1 * h1)
        gradients = (g1.T @ X, g1.sum(0), g2.T @ h1, g2.sum(0), slope @ h2, slope.sum())
        return error @ error / n, gradients

    return Step(run, _read)


def by_c(data: Data) -> Step:
    """Write both passes by hand in C."""
    from .handwritten import steps

    function, gradient = steps(), np.empty(337)
    kept = [np.ascontiguousarray(x) for x in (data.parameters, data.inputs, data.targets)]
    parameters, inputs, targets = (x.ctypes.data for x in kept)
    count, out = len(kept[2]), gradient.ctypes.data

    def times(n: int) -> Any:
        return function(n, parameters, inputs, targets, count, out)

    return Step(lambda: times(1), lambda loss: (kept, flat(loss, gradient))[1], times)


# --- microgrud ---


def _model(data: Data) -> Any:
    from microgrud.nn import MLP

    model = MLP(2, [16, 16, 1], activation="tanh", rng=random.Random(0))
    for parameter, number in zip(model.parameters(), data.parameters.tolist()):
        parameter.data = number
    return model


def _read_model(model: Any) -> Any:
    return lambda loss: flat(loss, [parameter.grad for parameter in model.parameters()])


def _recorded(threads: int) -> Any:
    def make(data: Data) -> Step:
        from microgrud import compile
        from microgrud.losses import squared_error
        from microgrud.optim import SGD

        model = _model(data)
        optimizer = SGD(model.parameters(), lr=0.1)
        loss = compile(lambda x, t: squared_error(model(x), t), batched=("x", "t"), threads=threads)
        X, t = data.inputs, data.targets

        def run() -> Any:
            optimizer.zero_grad()
            return loss.backward(X, t)

        return Step(run, _read_model(model))

    return make


def eagerly(data: Data) -> Step:
    """Evaluate sample by sample, with only one graph in memory at a time."""
    from microgrud.losses import squared_error
    from microgrud.optim import SGD

    model = _model(data)
    optimizer = SGD(model.parameters(), lr=0.1)
    samples = list(zip(data.inputs.tolist(), data.targets.tolist()))
    weight = 1.0 / len(samples)

    def run() -> Any:
        optimizer.zero_grad()
        total = 0.0
        for x, t in samples:
            loss = squared_error(model(x), t) * weight
            loss.backward()
            total += loss.data
        return total

    return Step(run, _read_model(model))


# --- arrays ---


def _loss(xp: Any) -> Any:
    """Return the loss for all rivals with arrays like NumPy's."""

    def loss(parameters: Any, X: Any, t: Any) -> Any:
        W1, b1, W2, b2, W3, b3 = parameters
        h = xp.tanh(xp.tanh(X @ W1.T + b1) @ W2.T + b2)
        return xp.mean(((h @ W3.T + b3)[..., 0] - t) ** 2)

    return loss


def _torch(compiled: bool) -> Any:
    def make(data: Data) -> Step:
        import torch

        function = _loss(torch)
        if compiled:
            function = torch.compile(function, dynamic=False)
        parameters = [torch.tensor(x, requires_grad=True) for x in data.weights_and_biases()]
        X, t = torch.tensor(data.inputs), torch.tensor(data.targets)

        def run() -> Any:
            loss = function(parameters, X, t)
            return loss, torch.autograd.grad(loss, parameters)

        return Step(run, lambda result: _read((result[0].detach(), result[1])))

    return make


def _jax(mapped: bool) -> Any:
    def make(data: Data) -> Step:
        import jax
        import jax.numpy as jnp

        function = _loss(jnp)
        if mapped:
            one = jax.vmap(function, (None, 0, 0))
            function = lambda parameters, X, t: jnp.mean(one(parameters, X, t))  # noqa: E731
        step = jax.jit(jax.value_and_grad(function))
        parameters = [jnp.asarray(x) for x in data.weights_and_biases()]
        X, t = jnp.asarray(data.inputs), jnp.asarray(data.targets)
        return Step(lambda: jax.block_until_ready(step(parameters, X, t)), _read)

    return make


def by_autograd(data: Data) -> Step:
    """Differentiate the loss in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    step = value_and_grad(_loss(anp))
    parameters, X, t = data.weights_and_biases(), data.inputs, data.targets
    return Step(lambda: step(parameters, X, t), _read)


def by_casadi(data: Data) -> Step:
    """Build value and gradient of a sample from scalar expressions, map them over the samples and add them up."""
    import casadi

    from .symbolic import called

    w, x, t = casadi.SX.sym("w", 337), casadi.SX.sym("x", 2), casadi.SX.sym("t")
    ends = np.cumsum([0, *(rows * columns for rows, columns in _SHAPES)])
    h = x
    for k, (rows, columns) in enumerate(_SHAPES):
        m = casadi.reshape(w[int(ends[k]) : int(ends[k + 1])], columns, rows).T
        h = m[:, :-1] @ h + m[:, -1]
        h = casadi.tanh(h) if k < 2 else h
    n = len(data.inputs)
    loss = (h - t) ** 2 / n
    sample = casadi.Function("sample", [w, x, t], [loss, casadi.gradient(loss, w)])
    whole = sample.map("whole", "serial", n, [0], [0, 1])
    return called(whole, [data.parameters, data.inputs, data.targets])


MLP = Workload(
    title="tanh network 2-16-16-1, gradient",
    cases=("1", "10", "100", "1,000", "100,000"),
    data=data,
    programs={
        "microgrud": _recorded(1),
        "microgrud, 2 threads": _recorded(2),
        "microgrud eager": eagerly,
        "numpy": by_numpy,
        "c": by_c,
        "casadi": by_casadi,
        "jax jit": _jax(mapped=False),
        "jax jit vmap": _jax(mapped=True),
        "torch compile": _torch(compiled=True),
        "torch": _torch(compiled=False),
        "hips autograd": by_autograd,
    },
    only={"microgrud, 2 threads": ("100,000",)},
)
