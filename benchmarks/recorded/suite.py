"""The workloads of the second suite."""

from __future__ import annotations

from .barrier import BARRIER
from .lorenz import LORENZ
from .mlp import MLP
from .recording import RECORDING
from .rosenbrock import ROSENBROCK
from .transformer import TRANSFORMER
from .workload import Workload

WORKLOADS: dict[str, Workload] = {
    "mlp": MLP,
    "transformer": TRANSFORMER,
    "rosenbrock": ROSENBROCK,
    "lorenz": LORENZ,
    "barrier": BARRIER,
    "recording": RECORDING,
}
