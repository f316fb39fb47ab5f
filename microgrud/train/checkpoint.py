"""Checkpoints: a training run in a file, from which it continues, to the bit on one machine, as if never stopped.

A checkpoint is a journal (see `journal.py`). Its header describes the run and the state at its start; each record adds
the steps since the one before and the newest state: parameters, the place in the epoch, the random numbers of the
shuffling, and the nodes of `attributes.py` that have changed (the state of model, loss, optimizer, schedule and early
stopping, and of the global generators of random numbers). So a file grows only with what is new; once it is more than
twice as large as a new one would be, it is rewritten. Nothing is ever unpickled from it.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..common.checks import brief, numbers, whole
from ..common.jsonfile import ModelFileError
from ..engine.vectors import read_data, read_gradients, write_data, write_gradients
from ..optim.optimizer import plain
from .attributes import Attributes, pack
from .batches import Rows, Samples
from .divergence import DivergenceGuard
from .history import History, RunningMeans
from .journal import Journal, check_target, read_journal
from .remote import RemoteRows
from .restoring import plan, unpack
from .state import RunState

FORMAT = "microgrud checkpoint"
VERSION = 2

#: The pause after a save, in multiples of its duration: saving takes at most 3% of the time, whatever the model, the
#: state and the disk. Epochs that end during a pause are not saved.
_PAUSE = 30
#: Bytes that a file may have above twice its live size: rewriting takes two flushes to the disk, appending one.
_SLACK = 1 << 20


class CheckpointError(OSError):
    """A checkpoint could not be written during the run; its file, if there was one, still holds the previous state.

    The model has the parameters of the last step.

    Attributes:
        history: the history of the run so far.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.history)


class Checkpoint:
    """The file in which a run is saved.

    Args:
        path: the file.
        training: a run that has not begun.

    Raises:
        OSError: if the file cannot be written.
        TypeError: if the model, say, keeps an object that a file cannot hold.
    """

    def __init__(self, path: str | os.PathLike[str], training: RunState) -> None:
        self.path, self.training = path, training
        roots = {
            "model": training.model,
            "loss": training.loss,
            "metric": training.metric,
            "optimizer": training.optimizer,
            "schedule": training.schedule,
            "early stopping": training.stopping,
            "random": random.getstate.__self__,  # type: ignore[attr-defined]
            "numpy.random": np.random.get_state.__self__,  # type: ignore[attr-defined]
        }
        # The additional attributes of a subclass of Value, such as moments.
        roots["parameters"] = {i: vars(p) for i, p in enumerate(training.parameters) if hasattr(p, "__dict__")}
        self._attributes = Attributes(roots, training.parameters)
        self._pause_until = 0.0
        self._run = _description(training, roots)
        self._begin(self._attributes.read())
        check_target(path, len(self._journal.header) + len(json.dumps(self._record({}, 0, 0))))

    def resume(self) -> None:
        """Restore the state of the run from the file; on an error nothing is changed.

        Raises:
            ModelFileError: if the file is damaged, of another kind or version, or is the checkpoint of another run.
            OSError: if it cannot be read.
        """
        header, records = read_journal(self.path, FORMAT, VERSION)
        try:
            self._restore(header, records)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ModelFileError(f"{self.path}: cannot resume from this checkpoint: {error}") from error
        self._begin(header["first"])

    def save(self, at_once: bool) -> None:
        """Add the present state to the file, or do nothing if the last save was too recent.

        Args:
            at_once: whether to write in any case.

        Raises:
            CheckpointError: if the file cannot be written.
        """
        start = time.perf_counter()
        if not at_once and start < self._pause_until:
            return
        try:
            self._save()
        except (OSError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"fit: checkpoint: could not write {os.fspath(self.path)!r} at step {len(self.training.history)}: "
                f"{error}. The model keeps its parameters, `error.history` is the history so far, and the file, if "
                "there was one, keeps the state of the last save",
                self.training.history,
            ) from error
        end = time.perf_counter()
        self._pause_until = end + _PAUSE * (end - start)

    # --- writing ---

    def _begin(self, first: dict[str, Any]) -> None:
        """Set the state at the start of the run; the next save writes a new file."""
        header = {"format": FORMAT, "format_version": VERSION, "run": self._run, "first": first}
        self._journal = Journal(self.path, header)
        self._first = {path: marshal.dumps(node, 2) for path, node in first.items()}
        self._last = self._first
        self._live = 0  # approximate size in bytes of a new file
        self._steps = self._epochs = 0  # the part of the history in the file

    def _save(self) -> None:
        nodes = self._attributes.read()
        texts = {path: marshal.dumps(node, 2) for path, node in nodes.items()}  # for an exact comparison
        changed = {path: nodes[path] for path, text in texts.items() if text != self._last.get(path)}
        if self._journal.size <= 2 * self._live + _SLACK:
            record = self._record(changed, self._steps, self._epochs)
            if self._journal.append(record):
                self._remember(texts, len(json.dumps(record["history"])))
                return
        new = {path: nodes[path] for path, text in texts.items() if text != self._first.get(path)}
        self._live = 0
        self._journal.rewrite(self._record(new, 0, 0))
        self._remember(texts, self._journal.size)

    def _remember(self, texts: dict[str, bytes], grown: int) -> None:
        self._last, self._live = texts, self._live + grown
        self._steps, self._epochs = len(self.training.history), len(self.training.history.epochs)

    def _record(self, nodes: Mapping[str, Any], steps: int, epochs: int) -> dict[str, Any]:
        training = self.training
        version, words, gauss = training.random_state
        return {
            **({} if training.stream is None else {"batches": training.stream.state()}),
            "epoch": training.epoch,
            "batch": training.batch,
            "means": training.means.sums,
            "shuffling": [version, pack(words, "<u4"), gauss],
            "history": training.history.to_dict(steps, epochs),
            "parameters": pack(read_data(training.parameters)),
            "gradients": pack(read_gradients(training.parameters)),
            "state": nodes,
        }

    # --- reading ---

    def _restore(self, header: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> None:
        training, last = self.training, records[-1]
        for name, value in self._run.items():
            before = header["run"].get(name)
            if before != value:
                raise ValueError(f"it belongs to a run with {name} {brief(before)}, and this one has {brief(value)}")
        first = header["first"]
        saved = dict(first)
        for record in records:
            saved.update(record["state"])
        parameters, gradients = unpack(last["parameters"]), unpack(last["gradients"])
        if not len(parameters) == len(gradients) == len(training.parameters):
            raise ValueError(f"parameters: expected {len(training.parameters)} numbers, got {len(parameters)}")
        epoch, batch = whole(0)("epoch", last["epoch"]), whole(0)("batch", last["batch"])
        means = RunningMeans(numbers(4)("means", last["means"]))
        history = History.from_dict(*(record["history"] for record in records))
        if len(history) != (history.epochs[-1].step if history.epochs else 0) + batch or len(history.epochs) != epoch:
            raise ValueError(f"history: expected {epoch} epochs and {batch} batches, got {len(history)} steps")
        version, words, gauss = last["shuffling"]
        random_state = version, tuple(unpack(words, "<u4").tolist()), gauss
        random.Random().setstate(random_state)  # raises if it is damaged
        actions = plan(self._attributes, saved, first)
        for act in actions:
            act()
        write_data(training.parameters, parameters)
        write_gradients(training.parameters, gradients)
        training.rng.setstate(random_state)
        training.epoch, training.batch, training.means = epoch, batch, means
        training.random_state, training.history = random_state, history
        training.objective.history = history
        if training.stream is not None:
            training.stream.restore(last["batches"])
        if history.stopped_by != "early stopping":
            history.stopped_by = None
        training.guard = DivergenceGuard(training.parameters, training.optimizer)


def _description(training: RunState, roots: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description that a run and the run that resumes it must share, in addition to their nodes."""

    def name(x: Any) -> str | None:
        return None if x is None else getattr(x, "__qualname__", type(x).__qualname__)

    kind: list[Any] = [] if training.stream is None else [("batches",)]  # of which the samples are but the first
    return {
        "parameters": len(training.parameters),
        "samples": len(training.samples),
        "validation samples": len(training.held_out or ()),
        "data": _digest(*map(_plain, (training.samples, training.held_out)), *kind),
        **{setting: getattr(training, setting) for setting in ("batch_size", "shuffle", "seed", "clip_norm")},
        **{role: name(roots[role]) for role in ("loss", "metric", "optimizer")},
        **{f"{setting} of the optimizer": plain(x) for setting, x in training.optimizer.defaults.items()},
        **{role: name(roots[role]) for role in ("schedule", "early stopping")},
    }


def _plain(samples: Samples | None) -> tuple[Any, ...] | None:
    """Return the rows as floats, the targets, and the weights if there are any."""
    if samples is None:
        return None
    weights = [] if samples.weights is None else [Rows(samples.weights)]
    shards = samples.rows.cluster.digests if isinstance(samples.rows, RemoteRows) else []
    return Rows(samples.rows.array), samples.targets, *weights, *shards


def _digest(*given: tuple[Any, ...] | None) -> str:
    """Return the SHA-256 of the JSON of data, made row by row: as one text it would take many times their memory."""

    def parts(x: Any, depth: int) -> Iterator[str]:
        if depth == 0 or x is None:
            yield json.dumps(x, default=lambda item: type(item).__name__)
            return
        for i, item in enumerate(x):
            yield ", " if i else "["
            yield from parts(item, depth - 1)
        yield "]"

    digest = hashlib.sha256()
    for part in parts(given, 3):
        digest.update(part.encode())
    return digest.hexdigest()
