"""Training: `fit` walks a model down the surface of its loss; `evaluate` measures it."""

from __future__ import annotations

from ..common import needs_numpy as needs_numpy
from .checkpoint import CheckpointError
from .divergence import TrainingDivergedError
from .evaluation import evaluate
from .events import TrainingEvent
from .history import EpochRecord, History
from .loggers import CSVLogger, MLflowLogger, TensorBoardLogger
from .loop import fit
from .stopping import EarlyStopping

__all__ = [
    "CSVLogger",
    "CheckpointError",
    "EarlyStopping",
    "EpochRecord",
    "History",
    "MLflowLogger",
    "TensorBoardLogger",
    "TrainingDivergedError",
    "TrainingEvent",
    "evaluate",
    "fit",
]
