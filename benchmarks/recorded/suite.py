"""The workloads of the second suite, and of the third."""

from __future__ import annotations

from ..transforms.layers import LAYERS
from ..transforms.nested import NESTED
from ..transforms.ring import RING
from ..transforms.second import SECOND
from ..transforms.training import TRAINING
from .barrier import BARRIER
from .bounce import BOUNCE
from .bundle import BUNDLE
from .digits import DIGITS
from .elementary import ELEMENTARY
from .elementwise import ELEMENTWISE
from .kmeans import KMEANS
from .logsumexp import LOGSUMEXP
from .lorenz import LORENZ
from .mixture import MIXTURE
from .mlp import MLP
from .outputs import OUTPUTS
from .recording import RECORDING
from .residuals import RESIDUALS
from .rosenbrock import ROSENBROCK
from .transformer import TRANSFORMER
from .workload import Workload

RECORDED: dict[str, Workload] = {
    "mlp": MLP,
    "transformer": TRANSFORMER,
    "rosenbrock": ROSENBROCK,
    "lorenz": LORENZ,
    "barrier": BARRIER,
    "digits": DIGITS,
    "mixture": MIXTURE,
    "kmeans": KMEANS,
    "logsumexp": LOGSUMEXP,
    "elementwise": ELEMENTWISE,
    "residuals": RESIDUALS,
    "bundle": BUNDLE,
    "bounce": BOUNCE,
    "outputs": OUTPUTS,
    "elementary": ELEMENTARY,
    "recording": RECORDING,
}

TRANSFORMS: dict[str, Workload] = {
    "ring": RING,
    "layers": LAYERS,
    "second": SECOND,
    "training": TRAINING,
    "nested": NESTED,
}

SUITES = {"recorded": RECORDED, "transforms": TRANSFORMS}
WORKLOADS = RECORDED | TRANSFORMS
