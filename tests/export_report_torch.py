"""Random networks of every activation in torch and back: the largest errors, by activation.

    python tests/export_report_torch.py [COUNT]

COUNT networks (1,000 by default) are converted by `to_torch`, compared with the originals in 5 rows of normal numbers,
and converted back. An error is |a - b|/max(1, |a|); for gradients it is relative to the largest gradient.
"""

from __future__ import annotations

import itertools
import random
import sys
from typing import Any, NamedTuple

from random_networks import inputs_of, random_network

from microgrud import sum as total
from microgrud.export import from_torch, to_torch
from microgrud.nn import ACTIVATIONS, MLP, Sequential

Network = MLP | Sequential


class Errors(NamedTuple):
    """The largest errors of values and of gradients, and whether the parameters come back bit for bit."""

    values: float
    gradients: float
    same_bits: bool


def torch_errors(model: Network, rows: list[list[float]]) -> Errors:
    """Convert a network to torch and back, and compare values, gradients and parameters."""
    import torch

    module = to_torch(model)
    outputs = [y if isinstance(y, list) else [y] for y in (model(row) for row in rows)]
    found = module(torch.tensor(rows, dtype=torch.float64))
    values = max(
        abs(a.data - b) / max(1.0, abs(a.data))
        for ours, theirs in zip(outputs, found.tolist(), strict=True)
        for a, b in zip(ours, theirs, strict=True)
    )
    back = from_torch(module)
    same_bits = [x.hex() for x in back.state_dict().values()] == [x.hex() for x in model.state_dict().values()]
    model.zero_grad()
    total([y for output in outputs for y in output]).backward()
    if found.requires_grad:  # not if all modules are frozen
        found.sum().backward()
    for parameter in module.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    theirs = from_torch(module).get_vector()
    ours = model.get_gradient_vector()
    gradients = abs(ours - theirs).max(initial=0.0) / max(1.0, abs(ours).max(initial=0.0))
    return Errors(values, float(gradients), same_bits)


def largest_errors(count: int, errors: Any = torch_errors) -> dict[str, tuple[int, Errors]]:
    """Return for each activation the number of its networks, and their largest errors."""
    found: dict[str, list[Errors]] = {}
    for seed, activation in zip(range(count), itertools.cycle(sorted(ACTIVATIONS))):
        model = random_network(seed, activation)
        rng = random.Random(-seed)
        rows = [[rng.gauss(0.0, 1.0) for _ in range(inputs_of(model))] for _ in range(5)]
        found.setdefault(activation, []).append(errors(model, rows))
    return {
        name: (len(each), Errors(max(x[0] for x in each), max(x[1] for x in each), all(x[2] for x in each)))
        for name, each in sorted(found.items())
    }


def main() -> None:
    """Print the table."""
    print("activation    networks   values  gradients  parameters bit for bit")
    for name, (count, errors) in largest_errors(int(sys.argv[1]) if len(sys.argv) > 1 else 1000).items():
        print(
            f"{name:12}  {count:8}  {errors.values:.1e}  {errors.gradients:9.1e}  {'yes' if errors.same_bits else 'NO'}"
        )


if __name__ == "__main__":
    main()
