"""The data of a training run: the checked arguments of `fit`, and the progress of the run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from ..engine import Value
from ..nn.module import Module, leaves_of
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule
from .batches import Samples
from .divergence import DivergenceGuard
from .evaluation import Loss, Metric
from .events import Callback
from .history import History, RunningMeans
from .objective import Objective
from .remote import Cluster, RemoteObjective
from .stopping import EarlyStopping
from .streams import Stream
from .untrained import Untrained


@dataclass(eq=False)
class RunState:
    """The arguments of a run, and its progress."""

    model: Any
    parameters: list[Value]
    samples: Samples
    held_out: Samples | None
    loss: Loss
    metric: Metric | None
    optimizer: Optimizer
    schedule: Schedule | None
    stopping: EarlyStopping | None
    epochs: int
    batch_size: int
    shuffle: bool
    clip_norm: float | None
    callbacks: list[Callback]
    seed: int
    checkpoint_every: int
    compile: bool | Literal["auto"]
    stream: Stream | None = None  # of which `samples` are the present batch
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        self.batches = -(-len(self.samples) // self.batch_size) if self.stream is None else self.stream.length
        self.epoch = 0  # completed epochs
        self.batch = 0  # completed batches of the present epoch
        self.means = RunningMeans()
        self.rng = random.Random(self.seed)
        self.random_state = self.rng.getstate()  # at the start of the present epoch
        self.history = History()
        self.guard = DivergenceGuard(self.parameters, self.optimizer)
        kind = Objective if self.cluster is None else partial(RemoteObjective, self.cluster)
        self.objective: Objective | RemoteObjective = kind(
            self.model, self.loss, self.samples, self.batch_size, self.optimizer.zero_grad, self.metric is not None,
            self.compile, self.history, self.parameters,
        )  # fmt: skip
        held = leaves_of(self.model) if isinstance(self.model, Module) else []
        self.objective.untrained = Untrained([*self.parameters, *held])
