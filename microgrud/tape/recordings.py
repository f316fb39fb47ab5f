"""All recordings of a compiled function, by the signatures of arguments, and replays for calls like earlier ones.

A call runs as a replay if it can: a whole call in C, from the arguments to the result. Otherwise the arguments are read
(signature.py), each sample is evaluated by the recording of its path (evaluation.py), and the replay of these
recordings is kept for the next call.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..autodiff.trees import check_unmasked, even_array, flatten, leaves_of, map_leaves
from ..common.forking import Lock
from ..common.numbers import is_real_scalar
from ..common.words import counted, name_of
from ..engine import Value
from ..engine.vectors import Vector
from .absent import refuse_if_absent
from .branches import Branches, Recording
from .evaluation import Evaluation, evaluate
from .executors import total_of
from .native import native_tape
from .numpy_executor import Executor
from .replays import replay_of, tree_of
from .settings import Settings
from .signature import Arguments, read_arguments
from .weights import Weighted, with_scale

#: The numbers of signatures and of replays that are kept; the least recently used goes. Trying a replay that does not
#: fit takes 0.1 microseconds.
MOST_SIGNATURES = 64
_MOST_REPLAYS = 64

#: A replay, and the recordings that it is made of.
Replayed: TypeAlias = tuple[Any, tuple[Recording, ...]]


class Recordings:
    """The recordings of a compiled function.

    Args:
        function: the function.
        settings: the settings of `compile`.
        names: the names of the positional arguments.

    Attributes:
        branches: the recordings for each signature, the last used last.
        replays: the replays, the last used first; by the positions of the batches in lists, since the function is
            given lists there, and arrays elsewhere.
        slopes: the recordings of derivatives of the function; see nodes.py.
    """

    def __init__(self, function: Callable[..., Any], settings: Settings, names: Sequence[str]) -> None:
        self.function, self.settings, self.names = function, settings, list(names)
        self.branches: OrderedDict[Hashable, Branches] = OrderedDict()
        self.replays: dict[tuple[int, ...], list[Replayed]] = {}
        self.slopes: dict[Any, Recordings] = {}
        self.lock = Lock()
        self._batched_places = tuple([k for k, name in enumerate(names) if name in settings.batched])

    @property
    def name(self) -> str:
        """Return the name of the function in messages."""
        return name_of(self.function)

    @property
    def given_function(self) -> Callable[..., Any]:
        """Return the function without the weights of samples, by which it is multiplied."""
        return self.function.f if isinstance(self.function, Weighted) else self.function

    def __repr__(self) -> str:
        figures = self.figures()
        return (
            f"<compiled {self.name}: {counted(figures['paths'], 'recording')}, {counted(figures['nodes'], 'node')} in "
            f"{counted(figures['instructions'], 'instruction')}>"
        )

    def all(self) -> list[tuple[Hashable, Recording]]:
        """Return the recordings that there are by now, each with the signature of its arguments."""
        with self.lock:
            return [(signature, own) for signature, branches in self.branches.items() for own in branches.recordings]

    def figures(self) -> dict[str, int]:
        """Return the figures of the recordings; see `Compiled.stats`."""
        recordings = [recording for _, recording in self.all()]
        return {
            "signatures": len(self.branches),
            "paths": len(recordings),
            "nodes": sum(recording.program.nodes for recording in recordings),
            "instructions": sum(len(recording.program.instructions) for recording in recordings),
            "eager": sum(branches.eager for branches in list(self.branches.values())),
            "slots": sum(recording.program.slots for recording in recordings),
            "bytes": sum(map(_bytes_of, recordings)),
            "block_size": 0 if native_tape is None else int(native_tape.BLOCK),
        }

    def change(self, name: str, setting: Any) -> None:
        """Change a setting: the recordings stay, and run with it from the next call on."""
        with self.lock:
            self.settings = self.settings._replace(**{name: setting})
            for branches in self.branches.values():
                branches.settings = self.settings
                for recording in branches.recordings:
                    recording.executors = {}
            self.replays = {}
            slopes = list(self.slopes.values())
        for recordings in slopes:
            recordings.change(name, setting)

    def is_batch(self, position: int) -> bool:
        """Return whether an argument has one number per sample."""
        return position in self._batched_places

    def with_arrays(self, args: Sequence[Any]) -> list[Any]:
        """Return positional arguments with arrays in place of batches in lists."""
        return [
            even_array(x, f"compile: {self.names[k]}") if self.is_batch(k) and type(x) is list else x
            for k, x in enumerate(args)
        ]

    def weighs(self, positions: Sequence[int]) -> bool:
        """Return whether the weights of the samples are among the arguments at these positions."""
        return any(k < len(self.names) and self.names[k] == self.settings.weights for k in positions)

    def samples_in(self, args: Sequence[Any]) -> int:
        """Return the number of samples of positional arguments; 1 without a batch."""
        return next((len(args[k]) for k in self._batched_places if k < len(args)), 1)

    def of_slopes(
        self, key: Hashable, function: Callable[[], Callable[..., Any]], first: Sequence[str] = ()
    ) -> Recordings:
        """Return the recordings of derivatives with a key.

        Args:
            key: the key.
            function: makes their function if there are none.
            first: the names of its arguments before those of the function.
        """
        with self.lock:
            while key not in self.slopes and len(self.slopes) >= MOST_SIGNATURES:
                del self.slopes[next(iter(self.slopes))]
            if key not in self.slopes:
                self.slopes[key] = Recordings(function(), self.settings, [*first, *self.names])
            return self.slopes[key]

    # --- evaluating a call ---

    def read(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Arguments:
        """Return the arguments of a call, taken apart."""
        if not args and not kwargs and self.settings.batched:
            raise TypeError(f"{self!r}: expected a batch as {' and '.join(self.settings.batched)}, got no arguments")
        names = self.names + [f"argument {i}" for i in range(len(self.names), len(args))]
        if self.settings.weights:
            args, kwargs = with_scale(self.settings, self.names, args, kwargs)
            names = [*names[: len(args) - 1], "the scale of the weights"]
        return read_arguments(names, args, kwargs, self.settings.batched)

    def branches_for(self, signature: Hashable) -> Branches:
        """Return the recordings for a signature, an empty collection if there are none yet."""
        with self.lock:
            branches = self.branches.get(signature)
            if branches is None:
                refuse_if_absent(self.function, "for arguments of this structure")
                branches = self.branches[signature] = Branches(self.function, self.settings)
                while len(self.branches) > MOST_SIGNATURES:
                    self.branches.popitem(last=False)
            self.branches.move_to_end(signature)
        return branches

    def evaluate(self, arguments: Arguments, seeds: Sequence[Any] | None) -> Evaluation:
        """Evaluate a call; with seeds, the derivatives of the weighted sum of its results too.

        Args:
            arguments: the arguments.
            seeds: a weight for each number of the result, or an array with one per sample; None for no derivatives.
        """
        if seeds is not None and self.settings.divides:
            weight = 1.0 / (arguments.samples or 1)
            seeds = [seed * weight for seed in seeds]
        result = evaluate(self.branches_for(arguments.signature), arguments, seeds)
        if result.by_recordings:
            self.keep_replay(result.served, arguments)
        return result

    def with_gradient(self, arguments: Arguments) -> Evaluation:
        """Evaluate a call whose result is one number, and its derivatives."""
        result = self.evaluate(arguments, [1.0])
        size = result.structure.size
        if size != 1:
            raise TypeError(f"{self!r}: expected a function of one result to differentiate, got {size} results")
        return result

    def totals(self, result: Evaluation) -> list[float]:
        """Return the mean (or sum) over the samples of each number of the result."""
        totals = [total_of(row) for row in result.outputs]
        if self.settings.divides:
            return [total / result.outputs.shape[1] for total in totals]
        return totals

    def products(self, args: Sequence[Any], positions: tuple[int, ...], seeds: Vector | list[Any]) -> tuple[Any, ...]:
        """Return derivatives of the weighted sum of the results with respect to arguments.

        Args:
            args: the arguments.
            positions: the positions of the arguments to differentiate with respect to.
            seeds: a vector of weights, one for each number of the result; or a list whose items may be arrays
                with one weight per sample.
        """
        if isinstance(seeds, np.ndarray):
            found = self.replayed("gradients", tuple(args), positions, seeds)
            if found is not None:
                products: tuple[Any, ...] = found[0][1]
                return products
        self.refuse_other_than_floats(args, positions)
        arguments = self.read(args, {})
        return self.gradients(arguments, self.evaluate(arguments, list(seeds)), positions)

    def gradients(self, arguments: Arguments, result: Evaluation, positions: Sequence[int]) -> tuple[Any, ...]:
        """Return the derivatives with respect to arguments, in their structure; those of a batch in an array."""
        rebuilt, _ = arguments.rebuild(result.gradients, [0] * len(arguments.integers), None)
        return tuple(
            _samples_first(rebuilt[k]) if self.is_batch(k) else map_leaves(_as_floats, rebuilt[k]) for k in positions
        )

    def refuse_other_than_floats(self, args: Sequence[Any], positions: Sequence[int]) -> None:
        """Raise a TypeError unless arguments to differentiate with respect to are made of floats (or Values).

        For anything but numbers it is the error that a transform of the function raises. Batches are read as arrays.
        """
        for position in positions:
            given = args[position]
            if isinstance(given, np.ndarray) and given.dtype == np.float64:
                continue
            given = list(given) if isinstance(given, range) else given
            leaves = leaves_of(given)
            if not self.is_batch(position) and not all(map(_is_number_or_array, leaves)):
                flatten(given, f"argument {position} of {self.name}")
            integers = read_arguments(["x"], [given], {}, ()).integers
            bools = [x for x in leaves if type(x) is bool]
            bools += [x for own in leaves if _has_bools(own) for x in np.asarray(own).ravel()[:1]]
            for kind, found in (("integer", integers), ("bool", bools)):
                if found:
                    raise TypeError(
                        f"expected floats to differentiate with respect to, got the {kind} {found[0]} in argument "
                        f"{position}: {kind}s belong to the recording; write {float(found[0])}"
                    )

    # --- replays ---

    def replayed(
        self, method: str | Callable[..., Any], args: tuple[Any, ...], *others: Any
    ) -> tuple[Any, tuple[Recording, ...]] | None:
        """Return the result of a call by a replay that fits it, and the recordings of it; None if no replay fits.

        Args:
            method: the method of replays to call, or a function of a replay, its recordings and the arguments.
            args: the arguments of the call.
            others: the other arguments of the method.
        """
        listed: tuple[int, ...] = ()
        if self.settings.weights:
            if self.settings.weights not in self.names[: len(args)]:
                return None
            args, _ = with_scale(self.settings, self.names, args, {})
        if self._batched_places and method != "gradients":  # an integer in a list is to be refused
            listed = tuple([k for k in self._batched_places if k < len(args) and type(args[k]) is list])
            if listed and listed in self.replays:
                args = self._with_arrays(args, listed)
        for k, (replay, recordings) in enumerate(self.replays.get(listed, ())):
            if isinstance(method, str):
                result = getattr(replay, method)(args, *others)
            else:
                result = method(replay, recordings, args)
            if result is not NotImplemented:
                now = time.monotonic()
                for recording in recordings:
                    recording.used = now
                if k:  # a new list, as another thread may be going through this one
                    self.replays[listed] = sorted(self.replays[listed], key=lambda entry: entry[1] is not recordings)
                return result, recordings
        return None

    def _with_arrays(self, args: tuple[Any, ...], listed: tuple[int, ...]) -> tuple[Any, ...]:
        """Return arguments with arrays in place of the lists at some positions; the same if they make no arrays.

        Reading them otherwise takes 80 microseconds more.
        """
        given = list(args)
        try:
            for k in listed:
                check_unmasked(args[k], f"compile: {self.names[k]}")
                given[k] = np.array(args[k])
        except ValueError:
            return args
        return tuple(given)

    def keep_replay(self, served: dict[Recording, Executor], arguments: Arguments) -> None:
        """Keep the replay of recordings that served a whole call, if there can be one.

        Recordings that served the samples of a batch together stay together.
        """
        together = dict(served)
        replays = self.replays.get(arguments.listed, [])
        for _, recordings in replays:
            if len(recordings) > 1 and not served.keys().isdisjoint(recordings):
                if served.keys() <= set(recordings):
                    return
                together |= {own: next(iter(own.executors.values())) for own in recordings if own not in together}
        for own, executor in together.items():
            if executor.replay is None:
                executor.replay = replay_of(executor, arguments.parts, own.structure, self.settings)
        if not together or any(executor.replay is None for executor in together.values()):
            return
        recordings = tuple(sorted(together, key=lambda own: -len(own.outcomes)))
        made = [together[own].replay for own in recordings]
        replay = tree_of(made) if len(made) > 1 else made[0]
        if replay is not None and all(replay is not other for other, _ in replays):
            others = [entry for entry in replays if len(made) == 1 or together.keys().isdisjoint(entry[1])]
            self.replays[arguments.listed] = [(replay, recordings), *others][:_MOST_REPLAYS]


def _has_bools(x: Any) -> bool:
    return getattr(getattr(x, "dtype", None), "kind", "") == "b"


def _is_number_or_array(x: Any) -> bool:
    return isinstance(x, (Value, np.ndarray)) or is_real_scalar(x) or hasattr(x, "to_numpy")


def _as_floats(x: Any, _: str) -> Any:
    """Return an array of numbers in place of an object array, and a float in place of a number."""
    return x.astype(np.float64) if isinstance(x, np.ndarray) else float(x)


def _samples_first(x: Any) -> Any:
    """Return numbers that are arrays with one number per sample as one array; samples come first, in memory too."""
    rows = x.tolist() if isinstance(x, np.ndarray) and x.dtype == object else x
    return np.moveaxis(np.array(rows), -1, 0).copy(order="C")


def _bytes_of(recording: Recording) -> int:
    """Return the size of the code, of the constants (eight bytes each), and of the working memory of the executors."""
    program = recording.program
    code = sum(3 + len(instruction.operands) for instruction in program.instructions) + 4 * len(program.guards)
    working = sum(executor.working_bytes for executor in list(recording.executors.values()))
    return 4 * code + 8 * len(program.constants) + working
