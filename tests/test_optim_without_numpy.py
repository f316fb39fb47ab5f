"""Optimizers take the same steps to the last bit with NumPy and without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("numpy")

PROGRAM = """
import random, sys
if "without" in sys.argv:
    sys.modules["numpy"] = None
from itertools import pairwise
from microgrud import Value, optim

def walk(kind, count):
    rng = random.Random(count)
    parameters = [Value(rng.gauss(0.0, 1.0)) for _ in range(count)]
    optimizer = kind(parameters, lr=1.0 if kind is optim.LBFGS else 1e-4)
    def closure():
        optimizer.zero_grad()
        loss = sum((100.0 * (y - x * x) ** 2 + (1.0 - x) ** 2 for x, y in pairwise(parameters)), Value(0.0))
        loss.backward()
        return loss
    for _ in range(3):
        if optimizer.needs_closure:
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
    return [x.data.hex() for x in parameters]

kinds = [getattr(optim, name) for name in sorted(optim.__all__) if isinstance(getattr(optim, name), type)]
for kind in kinds:
    if issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer:
        for count in (2, 3, 7, 131):  # of more than 64 numbers, NumPy adds the halves
            print(kind.__name__, count, *walk(kind, count))
"""


def test_every_optimizer_takes_the_same_steps() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout
        for how in ("with", "without")
    ]
    assert runs[0].splitlines() == runs[1].splitlines()
    assert "LBFGS 131 " in runs[0]
