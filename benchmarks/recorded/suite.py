"""The workloads of the second suite."""

from __future__ import annotations

from .mlp import MLP
from .workload import Workload

WORKLOADS: dict[str, Workload] = {
    "mlp": MLP,
}
