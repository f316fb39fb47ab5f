"""A little of everything that the C engine does, for valgrind, under which Python is fifty times slower."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
from typing import Any

import numpy as np

import microgrud as mg
from microgrud import Value
from microgrud.losses import squared_error
from microgrud.nn import MLP, Module, Neuron
from microgrud.train import fit

assert mg.backend == "c"
x, y = Value(0.5, label="x"), Value(-2.0)
for _ in range(3):
    z = mg.dot([x, y, 3.0], [y, 2.0, x], bias=y) * mg.tanh(x) + mg.logsumexp([x, y, 1.0]) - x / y + (x * 3) ** 2
    z = (
        z
        + mg.sum([x, y, 1.0])
        + mg.max([x, y])
        + mg.softmax([x, y, 0.5])[1]
        + mg.clip(x, 0.0, 1.0)
        + abs(-y)
        + mg.erf(x)
    )
    z.backward()
    z.zero_grad()
    copies = copy.deepcopy([z, x]), copy.copy(z), pickle.loads(pickle.dumps([z, x]))
    mg.engine.topological_order(z)
    repr((z, z._operands, z._prev, z._op, z.detach(), z > 1, z < y, bool(z), hash(z)))
for wrong in (lambda: mg.log(x * 0.0), lambda: x + "a", lambda: Value(), lambda: x / 0.0, lambda: mg.dot([x], [])):
    with contextlib.suppress(TypeError, ValueError, ArithmeticError):
        wrong()
with mg.no_grad():
    mg.exp(x * y)
chain = x
for _ in range(5_000):
    chain = chain * 1.0001
chain.backward()
bump = mg.custom_op("bump", lambda x: x * x, lambda z, x: 2.0 * x)


def by_hand() -> Value:
    """Build a node as in micrograd, a cycle with its closure."""
    node = Value(1.0, (x, y), "hand")

    def backward() -> None:
        x.grad += node.grad

    node._backward = backward
    return node


with mg.detect_anomaly():
    (bump(x) * by_hand()).backward()
(bump(x) * by_hand()).backward()
(bump(x) * Value(1.0, (x, y), (y, 2.0))).backward()
for wrong in (
    lambda: Value(1.0, (x, y), (y,)),
    lambda: Value(1.0, (x, y), "hand").backward(),
    lambda: setattr(x, "m", 1),
):
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        wrong()

w = Value(2.0)


def compiled(a: Any, k: Any) -> Any:
    """Sums, a matrix, a table, a softmax and a branch, for the builders of programs."""
    rows = [mg.dot([a, a * a, 1.0], [w, 0.5 * i, 3.0]) + w * a for i in range(3)]
    lifted = mg.where(a + w * 0.1, mg.tanh(a), a) if a > -5.0 else a
    return mg.take(mg.log_softmax(rows), k) + lifted + mg.relu(a).detach()


both = mg.compile(compiled, batched=("a", "k"))
both.backward([0.1, 0.2, 0.3], [0, 1, 2])
both.map([0.1, 0.2, 0.3], [0, 1, 2])
mg.compile(lambda a: bump(a) * w + a)(1.0)
del chain

# Recordings: a batch whose size is not that of a block, branches, an index out of range, and many similar operations.
rows, names = np.linspace(-1.0, 1.0, 300).reshape(100, 3), np.arange(100) % 3
batch = mg.compile(
    lambda r, k: mg.tanh(x * r[0] + y * r[1]) * mg.take(list(r), k) if r[2] > 0 else mg.exp(-r[0]), batched=("r", "k")
)
wide = mg.compile(lambda r: sum((mg.sin(x * a) * a**2 for a in r), mg.dot(list(r), [x, y] * 20)))
for _ in range(3):
    batch.backward(rows, names)
    batch.value_and_grad(rows[60:].copy(), names[60:].copy())
    wide.value_and_grad(np.linspace(-1.0, 1.0, 40))
    wide.hvp(np.linspace(-1.0, 1.0, 40), np.ones(40))
    with contextlib.suppress(IndexError):
        batch(rows, names + 1)
pickle.loads(pickle.dumps(batch)).map(rows, names)
gc.collect()


class Mixed(Module):
    """Holds a container that Python has to search, a module that overrides `parameters()`, and one module twice."""

    def __init__(self) -> None:
        self.inner = [MLP(2, [3, 1]), {"a": Neuron(1)}]
        self.others = Own(), self.inner[0], np.array([x, None], dtype=object)


class Own(Module):
    """A module that overrides `parameters()`."""

    def parameters(self) -> list[Value]:
        """Return the two leaves, one of them twice."""
        return [x, y, x]


assert len(Mixed().parameters()) == 13 + 2 + 2
Mixed().zero_grad()
fit(Mixed().inner[0], [[0.1, 0.2]] * 300, [0.3] * 300, loss=squared_error, epochs=2, progress=False)
print("done")
