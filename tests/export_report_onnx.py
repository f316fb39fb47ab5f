"""Random networks of every activation in onnxruntime: the largest errors, by activation.

    python tests/export_report_onnx.py [COUNT]

COUNT networks (1,000 by default) are written by `to_onnx` and run on 50 rows of normal numbers and 50 rows of edges:
kinks, numbers up to 1e300, infinities and NaN. An error is |a - b|/max(1, |a|). Rows for which microgrud raises an
error, as for exp(1000), must have NaN; a row is wrong if only one of the two is finite, or that NaN is missing.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
import tempfile
from typing import Any, NamedTuple

import numpy as np
from random_networks import inputs_of, random_network

from microgrud import no_grad
from microgrud.export import to_onnx
from microgrud.export.onnx_check import distances
from microgrud.nn import ACTIVATIONS

EDGES = (0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 40.0, -40.0, 700.0, -700.0, 1e9, -1e9, 1e300, -1e300, math.inf, math.nan)


class Errors(NamedTuple):
    """The largest errors for ordinary rows and for edges, and the numbers of wrong rows and of all."""

    ordinary: float
    edges: float
    wrong: int
    rows: int


def onnx_errors(seed: int, activation: str) -> Errors:
    """Export a random network, and compare the file with it."""
    from onnxruntime import InferenceSession

    model, rng = random_network(seed, activation).eval(), random.Random(-seed)
    width = inputs_of(model)
    rows = [[rng.gauss(0.0, 1.0) for _ in range(width)] for _ in range(50)]
    edges = [
        [rng.choice(EDGES) if rng.random() < 0.5 else rng.gauss(0.0, 1.0) for _ in range(width)] for _ in range(50)
    ]
    with tempfile.TemporaryDirectory() as folder:
        to_onnx(model, f"{folder}/model.onnx")
        session = InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
        found = session.run(None, {"input": np.array(rows + edges)})[0].reshape(100, -1)
    far, wrong = np.zeros(100), 0
    for k, row in enumerate(rows + edges):
        wanted = answer(model, row)
        if wanted is None:
            wrong += not np.isnan(found[k]).any()
            continue
        distance = distances(found[k], np.array(wanted))
        wrong += bool(np.isinf(distance).any())
        far[k] = distance[np.isfinite(distance)].max(initial=0.0)
    return Errors(far[:50].max(), far[50:].max(), wrong, 100)


def answer(model: Any, row: list[float]) -> list[float] | None:
    """Return the outputs of a model for a row, None where it raises an error."""
    try:
        with no_grad():
            output = model(row)
    except (ArithmeticError, ValueError):
        return None
    return [y.data for y in (output if isinstance(output, list) else [output])]


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    found: dict[str, list[Errors]] = {}
    for seed, activation in zip(range(count), itertools.cycle(sorted(ACTIVATIONS))):
        found.setdefault(activation, []).append(onnx_errors(seed, activation))
    print("activation    networks  normal rows   edges  wrong rows")
    for name, each in sorted(found.items()):
        ordinary, edges = max(x.ordinary for x in each), max(x.edges for x in each)
        wrong = f"{sum(x.wrong for x in each)} of {sum(x.rows for x in each)}"
        print(f"{name:12}  {len(each):8}  {ordinary:11.1e} {edges:7.0e}  {wrong}")


if __name__ == "__main__":
    main()
