"""Workloads of the first suite: scalar programs, with the same code for every engine.

Each workload takes an engine and returns two things: a function that computes a root, and the number of its operations.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from .rivals import Engine

Program = tuple[Callable[[], Any], int]
Matrix = list[list[Any]]


def _matrix(engine: Engine, rng: random.Random, rows: int, columns: int) -> Matrix:
    return [[engine.number(rng.gauss(0.0, 0.3)) for _ in range(columns)] for _ in range(rows)]


def _times(matrix: Matrix, xs: Sequence[Any]) -> list[Any]:
    return [sum((w * x for w, x in zip(row, xs)), row[0]) for row in matrix]


def _mlp(engine: Engine, times: Callable[[Matrix, Sequence[Any]], list[Any]], operations: int) -> Program:
    """Build the squared error of a 2-16-16-1 tanh network over 50 points."""
    rng = random.Random(0)
    layers = [_matrix(engine, rng, 16, 2), _matrix(engine, rng, 16, 16), _matrix(engine, rng, 1, 16)]
    points = [[rng.gauss(0.0, 1.0), rng.gauss(0.0, 1.0)] for _ in range(50)]
    tanh = engine.tanh

    def loss() -> Any:
        total = engine.number(0.0)
        for point in points:
            hidden: list[Any] = [tanh(x) for x in times(layers[0], point)]
            hidden = [tanh(x) for x in times(layers[1], hidden)]
            (y,) = times(layers[2], hidden)
            total = total + (y - 1.0) * (y - 1.0)
        return total

    return loss, 50 * operations


def mlp(engine: Engine) -> Program:
    """Build the network from scalar operations."""
    return _mlp(engine, _times, 32 * 2 + 256 * 2 + 16 * 2 + 32 + 4)


def mlp_with_dot(engine: Engine) -> Program | None:
    """Build the network with each sum of products as one operation."""
    dot = engine.dot
    if dot is None:
        return None

    def times(matrix: Matrix, xs: Sequence[Any]) -> list[Any]:
        return [dot(row, xs, row[0]) for row in matrix]

    return _mlp(engine, times, 32 * 2 + 256 * 2 + 16 * 2 + 32 + 4)


def inference(engine: Engine) -> Program | None:
    """Build the network from scalar operations, without recording a graph."""
    if engine.no_grad is None and engine.backward is not None:
        return None
    loss, operations = mlp(engine)
    no_grad = engine.no_grad

    def run() -> Any:
        if no_grad is None:
            return loss()
        with no_grad():
            return loss()

    return run, operations


def chain(engine: Engine) -> Program:
    """Build a hundred thousand consecutive products."""
    start = engine.number(1.0)

    def run() -> Any:
        y = start
        for _ in range(100_000):
            y = y * 1.0000001
        return y

    return run, 100_000


def ladder(engine: Engine) -> Program:
    """Build repeated reflections: two nodes, each used twice by the next two."""
    left, right = engine.number(0.3), engine.number(0.4)

    def run() -> Any:
        x, y = left, right
        for _ in range(10_000):
            x, y = x * 0.6 + y * 0.8, x * 0.8 - y * 0.6
        return x + y

    return run, 60_001


def transformer(engine: Engine) -> Program:
    """Build a character transformer's loss on a word of eight letters: 16 wide, 4 heads, one layer, 27 letters."""
    rng = random.Random(0)
    width, heads, letters = 16, 4, 27
    embedding, position = _matrix(engine, rng, letters, width), _matrix(engine, rng, 9, width)
    queries, keys, values, out = (_matrix(engine, rng, width, width) for _ in range(4))
    up, down = _matrix(engine, rng, 4 * width, width), _matrix(engine, rng, width, 4 * width)
    unembedding = _matrix(engine, rng, letters, width)
    word = [0, 5, 13, 13, 1, 20, 8, 15, 0]
    exp, log, relu = engine.exp, engine.log, engine.relu

    def softmax(xs: list[Any]) -> list[Any]:
        exponentials = [exp(x) for x in xs]
        whole = sum(exponentials[1:], exponentials[0])
        return [e / whole for e in exponentials]

    def normalised(xs: list[Any]) -> list[Any]:
        scale = (sum((x * x for x in xs[1:]), xs[0] * xs[0]) * (1.0 / len(xs)) + 1e-5) ** -0.5
        return [x * scale for x in xs]

    def run() -> Any:
        seen_keys: list[list[Any]] = []
        seen_values: list[list[Any]] = []
        total = engine.number(0.0)
        for place, (letter, following) in enumerate(itertools.pairwise(word)):
            x = normalised([a + b for a, b in zip(embedding[letter], position[place])])
            query = _times(queries, x)
            seen_keys.append(_times(keys, x))
            seen_values.append(_times(values, x))
            attended = []
            for head in range(heads):
                part = slice(head * width // heads, (head + 1) * width // heads)
                scores = [
                    sum((a * b for a, b in zip(query[part], key[part])), query[part][0] * 0.0) * 0.5
                    for key in seen_keys
                ]
                shares = softmax(scores)
                columns = zip(*(value[part] for value in seen_values))
                attended += [sum((a * b for a, b in zip(shares, c)), c[0] * 0.0) for c in columns]
            x = [a + b for a, b in zip(x, _times(out, attended))]
            hidden = [relu(h) for h in _times(up, normalised(x))]
            x = [a + b for a, b in zip(x, _times(down, hidden))]
            total = total - log(softmax(_times(unembedding, x))[following])
        return total * (1.0 / 8.0)

    return run, 8 * 2 * (4 * width * width + 8 * width * width + letters * width)


WORKLOADS: dict[str, Callable[[Engine], Program | None]] = {
    "mlp": mlp,
    "mlp with dot": mlp_with_dot,
    "inference": inference,
    "chain": chain,
    "ladder": ladder,
    "transformer": transformer,
}
