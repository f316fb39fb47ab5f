"""`compile`: record a function once, and replay it."""

from __future__ import annotations

import functools
import inspect
import operator
import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff import transforms
from ..autodiff.trees import Structure, as_array, check_unmasked, flatten
from ..common.checks import one_of, optional, whole
from ..common.display import ShownInNotebooks
from ..common.forking import Lock
from ..common.numbers import as_sequence
from ..engine import Value, tracing
from ..engine.copying import _in_progress_anywhere as _transforms, is_differentiating
from ..engine.tracing import _watched
from ..engine.vectors import Vector, add_to_gradients
from .absent import refuse_if_absent
from .arguments import Arguments, read_arguments
from .copies import copied, deep_copied, name_of, packed, unpack_into
from .evaluation import Evaluation, evaluate
from .executors import total_of
from .family import Family, Path
from .figures import figures
from .formulas import counted
from .inside import result_as_nodes, rows_of_function, slopes_function
from .listing import listing
from .numpy_executor import Executor
from .recorder import CompileError
from .replays import replay_of, tree_of
from .states import Same

if TYPE_CHECKING:
    from ..nn.module import Module

__all__ = ["Compiled", "compile"]

#: Of argument structures, so many are kept; the least recently used goes.
_MOST_FAMILIES = 64
#: Of replays likewise; looking whether one is right for a call takes 0.1 microseconds.
_MOST_REPLAYS = 64


class Compiled(ShownInNotebooks):
    """A function that is recorded at its first call and replayed from then on; see `compile`.

    A pickle of it holds the recordings, and the leaves that they read, but not the function: what comes out replays
    them in another process too, to the same bits on the same machine. What it has no recording for is a CompileError. A
    model that is pickled along, as in `pickle.dumps((model, loss))`, shares its parameters with them.

    `copy.deepcopy` keeps the function. Where a deep copy of that is another function (a method of an object that is
    copied, a Module), the copy records it anew; a plain function goes on reading the leaves that it closes over.

    >>> import pickle
    >>> f = compile(lambda x: x * x if x > 0.0 else -x)
    >>> f(3.0)
    9.0
    >>> twin = pickle.loads(pickle.dumps(f))
    >>> twin.value_and_grad(4.0)
    (16.0, 8.0)
    """

    def __init__(
        self, f: Callable[..., Any], batched: Sequence[str], reduction: str, threads: int, errors: str, max_paths: int
    ) -> None:
        functools.update_wrapper(self, f)
        self.function = f
        self.batched = tuple(batched)
        self.reduction = reduction
        self.threads = threads
        self.errors = errors
        self.max_paths = max_paths
        self._names = _parameter_names(f, self.batched)
        self._families: OrderedDict[Hashable, Family] = OrderedDict()
        self._batched_places = tuple([k for k, name in enumerate(self._names) if name in self.batched])
        self._replays: list[tuple[Any, tuple[Path, ...]]] = []  # the last used first
        #: Those of batches in lists, by the positions of these: the function is given lists then, and not arrays.
        self._replays_of_lists: dict[tuple[int, ...], list[tuple[Any, tuple[Path, ...]]]] = {}
        self._lock = Lock()
        self._gradients: dict[Any, Compiled] = {}
        self._slopes: dict[Any, Compiled] = {}
        #: By the id of an instance: what keeps the entry as long as the instance, and the method.
        self._methods: dict[int, tuple[weakref.ref[Any], Compiled]] = {}
        #: Of a method of an instance: that of the class, and the instance.
        self._bound: tuple[Compiled, weakref.ref[Any]] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function as floats; of a batch, its mean (or sum) over the samples.

        With Values among the arguments, and inside a transform such as `grad`, the numbers of the result are Values:
        nodes of the graph, connected with the arguments and with what the function closes over.
        """
        connected = (_watched or _transforms) and self._is_inside()
        if not connected and not kwargs:
            given, listed = self._as_arrays(args)
            found = self._replayed(lambda replay: replay.values(given), listed)
            if found is not None:
                outputs, paths = found
                return paths[0].structure.rebuild(outputs)
        arguments = self._read(args, kwargs)
        if connected or arguments.has_values:
            return result_as_nodes(self, arguments)
        result = self._evaluate(arguments, None)
        return _structure_of(result).rebuild(self._totals(result))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the method of an instance, compiled on its own and kept as long as the instance."""
        if instance is None:
            return self
        entry = self._methods.get(id(instance))
        if entry is None:
            try:
                reference = weakref.ref(instance, partial(self._forget_method, id(instance)))
            except TypeError:
                raise TypeError(
                    f"compile: a method of {type(instance).__name__} cannot be kept with its instance, which takes no "
                    "weak reference: add '__weakref__' to its __slots__, or compile that of one: f = compile(x.method)"
                ) from None
            made = Compiled(
                partial(self.function, weakref.proxy(instance)), self.batched, self.reduction, self.threads,
                self.errors, self.max_paths,
            )  # fmt: skip
            made._bound = self, reference
            entry = self._methods.setdefault(id(instance), (reference, made))  # that of the thread that was first
        return CompiledMethod(entry[1], instance)

    def _forget_method(self, key: int, reference: weakref.ref[Any]) -> None:
        entry = self._methods.get(key)
        if entry is not None and entry[0] is reference:
            del self._methods[key]

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function for each sample: an array with one number a sample for each number."""
        arguments = self._read(args, kwargs)
        if self._is_inside() or arguments.has_values:
            rows, structure = rows_of_function(self, arguments)
            outputs = [as_array([row[k] for row in rows], (len(rows),)) for k in range(structure.size)]
        else:
            result = self._evaluate(arguments, None)
            outputs, structure = list(result.outputs), _structure_of(result)
        return structure.assemble(
            [
                own[0] if shape is None else np.array(own).T.reshape(-1, *shape)
                for own, shape in zip(structure.split(outputs), structure.shapes)
            ]
        )

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result, and add its derivatives to the `grad` of every Value that it depends on.

        These are the leaves that the function closes over, such as the parameters of a model, and the Values among the
        arguments.

        Raises:
            TypeError: if the result is not one number.
        """
        if (_watched or _transforms) and self._is_inside():
            raise CompileError(
                f".backward of {self!r} inside a transform or another compiled function: call it as a function, and "
                "differentiate the result with microgrud.grad and its kin"
            )
        if not kwargs:
            given, listed = self._as_arrays(args)
            for k, (replay, paths) in enumerate(self._replays_of_lists.get(listed, ()) if listed else self._replays):
                loss = replay.backward(given)
                if loss is not NotImplemented:
                    self._used_replay(k, paths, listed)
                    return loss
        arguments = self._read(args, kwargs)
        for x in arguments.numbers:
            if isinstance(x, Value) and not x.is_leaf:
                raise ValueError(f"backward: expected leaves as arguments, got the result of an operation ({x._op!r})")
        result = self._with_gradient(arguments)
        for leaves, slopes in result.leaves:
            add_to_gradients(leaves, slopes)
        own = [(x, slope) for x, slope in zip(arguments.numbers, result.gradients) if isinstance(x, Value)]
        add_to_gradients([x for x, _ in own], np.array([slope for _, slope in own], dtype=np.float64))
        return _structure_of(result).rebuild(self._totals(result))

    def value_and_grad(self, *args: Any, argnums: int | tuple[int, ...] = 0, **kwargs: Any) -> tuple[Any, Any]:
        """Return the result and its gradient by an argument, or by several, as `microgrud.value_and_grad` does.

        Raises:
            TypeError: if the result is not one number.
            ValueError: if there is no argument at a position.
        """
        positions, single = _positions(argnums, len(args))
        connected = (_watched or _transforms) and self._is_inside()
        if not kwargs and not connected:
            found = self._replayed(lambda replay: replay.gradients(args, positions, None))
            if found is not None:
                value, gradients = found[0]
                return value, gradients[0] if single else gradients
        _refuse_integers(args, positions)
        arguments = self._read(args, kwargs)
        if connected or arguments.has_values:
            return transforms.value_and_grad(self, argnums)(*args, **kwargs)
        result = self._with_gradient(arguments)
        rebuilt, _ = arguments.rebuild(result.gradients, [0] * len(arguments.integers))
        gradients = tuple(_as_floats(rebuilt[position]) for position in positions)
        return _structure_of(result).rebuild(self._totals(result)), gradients[0] if single else gradients

    def hvp(self, primals: Any, tangents: Any, argnums: int | tuple[int, ...] = 0) -> Any:
        """Return the product of the Hessian with a direction; arguments and result as those of `microgrud.hvp`.

        Raises:
            TypeError, ValueError: if the tangents do not fit the primals, or the result is not one number.
        """
        args = primals if isinstance(primals, tuple) else (primals,)
        if self._is_connected(args) or _has_values(tangents):
            return transforms.hvp(self, primals, tangents, argnums)
        directions = tangents if isinstance(tangents, tuple) else (tangents,)
        positions, single = _positions(argnums, len(args))
        if len(directions) != len(positions):
            raise ValueError(
                f"tangents: expected {len(positions)}, one for each argument to differentiate by, got {len(directions)}"
            )
        compiled = self._gradient_of(positions[0] if single else positions)
        pairs = list(zip(positions, directions))
        if any(self._is_batch(position) for position in positions):
            seeds = [
                seed
                for position, direction in pairs
                for seed in (_directions if self._is_batch(position) else _direction)(args[position], direction)
            ]
            products = compiled._products_of_samples(args, positions, seeds)
        else:
            numbers = np.concatenate([_direction(args[position], direction) for position, direction in pairs])
            products = compiled._products(args, positions, numbers)
        return products[0] if single else products

    def hessian(self, *args: Any) -> Any:
        """Return all second derivatives by the first argument, as `microgrud.hessian` does; it may be no batch."""
        if self._is_connected(args):
            return transforms.hessian(self)(*args)
        if self._is_batch(0):
            raise ValueError(
                f"hessian: {self._names[0]}: expected an argument that is the same for all samples, got a batch; "
                "compile the function without batched, and call it for each sample"
            )
        compiled = self._gradient_of(0)
        numbers, structure = flatten(args[0], "hessian: the argument")
        rows = []
        for seeds in np.eye(len(numbers)):
            products = compiled._products(args, (0,), seeds)
            rows.append([float(x) for x in flatten(products[0], "hessian")[0]])
        parts = zip(structure.split(rows), structure.shapes)
        return structure.assemble(
            [structure.rebuild(own[0]) if shape is None else structure.rebuild_rows(own, shape) for own, shape in parts]
        )

    @property
    def stats(self) -> dict[str, int]:
        """Return figures of the recordings.

        `signatures`: structures of arguments; `paths`: recordings, one for each way through the branches; `nodes` that
        the function recorded, `instructions` that these became, and `slots` for their numbers; `bytes`: of the code and
        the constants, and the working memory of each executor, which are the numbers of all slots and their adjoints,
        for a block of samples; `block_size`: how many samples that is, or 0 without the interpreter in C, where the
        working memory is that of one sample.

        >>> f = compile(lambda x: x * x + 1.0)
        >>> f(3.0)
        10.0
        >>> f.stats["paths"], f.stats["nodes"], f.stats["instructions"]
        (1, 3, 1)
        """
        return figures(self)

    def listing(
        self,
        path: int | None = None,
        limit: int | None = 40,
        *,
        model: Module | None = None,
        names: Mapping[Value, str] | None = None,
    ) -> str:
        """Return the recordings as text: what goes in, each instruction as a formula, branches, and what comes out.

        Args:
            path: the number of one recording, from 1; by default all of them, or the first eight.
            limit: how many lines the instructions of a recording may have; the middle of more is left out. None for
                all of them.
            model: a Module, whose parameters then have their names.
            names: names for other Values; those with a label have that.

        Raises:
            TypeError, ValueError: for other arguments.

        >>> from microgrud import tanh
        >>> w, b = Value(0.5, label="w"), Value(0.25, label="b")
        >>> f = compile(lambda x: tanh(w * x + b) if x > 0.0 else 2.0 * b)
        >>> f(1.0), f(-1.0)
        (0.6351489523872873, 0.5)
        >>> print(f.listing())
        <lambda>, recording 1 of 2: 6 nodes in 2 instructions
          inputs      x
          parameters  b = 0.25, w = 0.5
          constants   0.0
          requires x > 0.0
          v1 = b + w*x
          v2 = tanh(v1)
          returns v2
        <lambda>, recording 2 of 2: 3 nodes in 1 instruction
          inputs      x
          parameters  b = 0.25
          constants   2.0, 0.0
          requires not x > 0.0
          v1 = 2.0*b
          returns v1
        """
        return listing(self, path, limit, model, names)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: the recordings and the leaves that they read, and not the function."""
        return packed(self)

    def __setstate__(self, state: Any) -> None:
        unpack_into(self, state)

    def __copy__(self) -> Compiled:
        return copied(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        return deep_copied(self, memo)

    def __repr__(self) -> str:
        name, figures = name_of(self.function), self.stats
        return (
            f"<compiled {name}: {counted(figures['paths'], 'recording')}, {counted(figures['nodes'], 'node')} in "
            f"{counted(figures['instructions'], 'instruction')}>"
        )

    # --- inside ---

    def _recordings(self) -> list[tuple[Hashable, Path]]:
        """Return the recordings that there are by now, each with the signature of its arguments."""
        with self._lock:
            return [(signature, path) for signature, family in self._families.items() for path in family.paths]

    def _read(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Arguments:
        if not args and not kwargs and self.batched:
            raise TypeError(f"{self!r}: expected a batch as {' and '.join(self.batched)}, got no arguments")
        names = self._names + [f"argument {i}" for i in range(len(self._names), len(args))]
        return read_arguments(names, args, kwargs, self.batched)

    def _evaluate(self, arguments: Arguments, seeds: Sequence[Any] | None) -> Evaluation:
        with self._lock:
            family = self._families.get(arguments.signature)
            if family is None:
                refuse_if_absent(self.function, "for arguments of this structure")
                lenient = self.errors == "ignore"
                family = Family(self.function, self.max_paths, self.threads, lenient=lenient)
                self._families[arguments.signature] = family
                while len(self._families) > _MOST_FAMILIES:
                    self._families.popitem(last=False)
            self._families.move_to_end(arguments.signature)
        result = evaluate(family, arguments, seeds, self.errors)
        if result.by_recordings:
            self._keep_replay(result.served, arguments)
        return result

    def _as_arrays(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[int, ...]]:
        """Return the arguments with batches in lists as arrays, if there are replays for that, and which these are.

        The long way takes 80 microseconds more. What makes no array of floats goes it.
        """
        listed = tuple([k for k in self._batched_places if k < len(args) and type(args[k]) is list])
        if listed not in self._replays_of_lists:
            return args, listed
        given = list(args)
        try:
            for k in listed:
                check_unmasked(args[k], f"compile: {self._names[k]}")
                given[k] = np.array(args[k])
        except ValueError:
            return args, listed
        return tuple(given), listed

    def _replayed(
        self, call: Callable[[Any], Any], listed: tuple[int, ...] = ()
    ) -> tuple[Any, tuple[Path, ...]] | None:
        """Return what a replay gives that is right for the arguments, and its recordings; None if there is none."""
        for k, (replay, paths) in enumerate(self._replays_of_lists.get(listed, ()) if listed else self._replays):
            result = call(replay)
            if result is not NotImplemented:
                self._used_replay(k, paths, listed)
                return result, paths
        return None

    def _put_replays(self, listed: tuple[int, ...], replays: list[tuple[Any, tuple[Path, ...]]]) -> None:
        """Keep a new list, as another thread may be going through the one that there was."""
        if listed:
            self._replays_of_lists[listed] = replays
        else:
            self._replays = replays

    def _used_replay(self, k: int, paths: tuple[Path, ...], listed: tuple[int, ...]) -> None:
        """Note when recordings were used, and have their replay tried first the next time."""
        now = time.monotonic()
        for path in paths:
            path.used = now
        if k:
            replays = self._replays_of_lists[listed] if listed else self._replays
            self._put_replays(listed, sorted(replays, key=lambda entry: entry[1] is not paths))

    def _keep_replay(self, served: dict[Path, Executor], arguments: Arguments) -> None:
        """Keep the replay of recordings that served a whole call, if there can be one.

        Those that served the samples of a batch together stay together.
        """
        together, listed = dict(served), arguments.listed
        replays = self._replays_of_lists.get(listed, []) if listed else self._replays
        for _, paths in replays:
            if len(paths) > 1 and not served.keys().isdisjoint(paths):
                if served.keys() <= set(paths):
                    return
                together |= {path: next(iter(path.executors.values())) for path in paths if path not in together}
        mean, ignore = self.reduction == "mean", self.errors == "ignore"
        for executor in together.values():
            if executor.replay is None:
                executor.replay = replay_of(executor, arguments.parts, mean, ignore, self.threads)
        if not together or any(executor.replay is None for executor in together.values()):
            return
        paths = tuple(sorted(together, key=lambda path: -len(path.outcomes)))
        replay = tree_of([together[path].replay for path in paths]) if len(paths) > 1 else together[paths[0]].replay
        if replay is not None and all(replay is not other for other, _ in replays):
            others = [entry for entry in replays if len(paths) == 1 or together.keys().isdisjoint(entry[1])]
            self._put_replays(listed, [(replay, paths), *others][:_MOST_REPLAYS])

    def _weight(self, arguments: Arguments) -> float:
        """Return what a sample counts for."""
        return 1.0 / (arguments.samples or 1) if self.reduction == "mean" else 1.0

    def _with_gradient(self, arguments: Arguments) -> Evaluation:
        result = self._evaluate(arguments, [self._weight(arguments)])
        size = _structure_of(result).size
        if size != 1:
            raise TypeError(f"{self!r}: expected a function of one result to differentiate, got {size} results")
        return result

    def _products(self, args: Sequence[Any], positions: tuple[int, ...], seeds: Vector) -> tuple[Any, ...]:
        """Return the derivatives of the sum of all results, each times its seed, by the arguments at some positions."""
        found = self._replayed(lambda replay: replay.gradients(tuple(args), positions, seeds))
        if found is not None:
            products: tuple[Any, ...] = found[0][1]
            return products
        return self._products_of_samples(args, positions, list(seeds))

    def _products_of_samples(
        self, args: Sequence[Any], positions: tuple[int, ...], seeds: Sequence[Any]
    ) -> tuple[Any, ...]:
        """Do what `_products` does, where a seed may be an array with one number a sample."""
        _refuse_integers(args, positions)
        arguments = self._read(args, {})
        result = self._evaluate(arguments, [seed * self._weight(arguments) for seed in seeds])
        rebuilt, _ = arguments.rebuild(result.gradients, [0] * len(arguments.integers))
        return tuple(_as_floats(rebuilt[position]) for position in positions)

    def _totals(self, result: Evaluation) -> list[float]:
        """Return the mean (or sum) over the samples of each number of the result."""
        totals = [total_of(row) for row in result.outputs]
        if self.reduction == "mean":
            return [total / result.outputs.shape[1] for total in totals]
        return totals

    def _is_inside(self) -> bool:
        """Tell whether a call is part of a transform or a recording in progress."""
        return tracing.current() is not None or is_differentiating()

    def _is_connected(self, args: Sequence[Any]) -> bool:
        """Tell whether a call is part of a graph: inside of a transform or a recording, or with Values among these."""
        return self._is_inside() or (not all(map(_is_plain, args)) and self._read(args, {}).has_values)

    def _slopes_of(self, k: int, places: Sequence[int], leaves: Sequence[Value]) -> Compiled:
        """Return the derivatives of a number of the result with respect to numbers of the arguments and leaves."""
        key = k, tuple(places), tuple(map(Same, leaves))
        found = self._slopes.get(key)
        if found is None:
            slopes = slopes_function(self.function, k, places, leaves)
            made = Compiled(slopes, self.batched, self.reduction, self.threads, self.errors, self.max_paths)
            with self._lock:
                while len(self._slopes) >= _MOST_FAMILIES:
                    del self._slopes[next(iter(self._slopes))]
                found = self._slopes.setdefault(key, made)
        return found

    def _is_batch(self, position: int) -> bool:
        """Tell whether an argument has one number a sample."""
        return position < len(self._names) and self._names[position] in self.batched

    def _gradient_of(self, argnums: Any) -> Compiled:
        found = self._gradients.get(argnums)
        if found is None:
            refuse_if_absent(self.function, f"of the derivatives of .hvp or .hessian by argument {argnums}")
            found = Compiled(
                transforms.grad(self.function, argnums),
                self.batched,
                self.reduction,
                self.threads,
                self.errors,
                self.max_paths,
            )
            found = self._gradients.setdefault(argnums, found)
        return found


class CompiledMethod(Compiled):
    """A compiled method and its instance, which it keeps alive, as bound methods do; the recordings keep it not."""

    __slots__ = ("instance",)

    def __init__(self, method: Compiled, instance: Any) -> None:
        self.__dict__ = method.__dict__  # all that it is: what one access records, the next one has
        self.instance = instance

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled.__new__, (Compiled,), self.__getstate__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompiledMethod) and self.__dict__ is other.__dict__

    def __hash__(self) -> int:
        return id(self.__dict__)


def compile(
    f: Callable[..., Any] | None = None,
    *,
    batched: str | Sequence[str] = (),
    reduction: str = "mean",
    threads: int | None = None,
    errors: str = "raise",
    max_paths: int = 64,
) -> Any:
    """Record a function at its first call, and replay it from then on, right also where it branches.

    What is recorded are operations on numbers: floats met on the way are constants; leaves that the function closes
    over, such as the parameters of a model, are read anew at every call. A branch (`if x > 0`, `max`, sorting) is part
    of the recording; a call, or a sample of a batch, that takes another branch is recorded on its own. Integers belong
    to the recording too, but for those that `take(table, index)` looks up by.

    What a recording cannot know is as it was then: a plain number, a list or a parameter of a model that has been put
    in the place of another since (inside a transform too: give such a parameter as an argument, or compile the function
    inside the transform, for the derivative with respect to it). An object among the arguments is recorded anew when
    its numbers have changed.

    A call with floats returns floats. With Values among the arguments, and inside a transform such as `grad`, the
    result is a node of the graph, connected with the arguments and with the leaves that the function closes over, to
    any order. (This is the one difference from the function itself, which gives a Value wherever it closes over one;
    `.backward` is there for what it closes over.)

    Results are those of the function to rounding: a single call, a batch and the interpreter in NumPy take sums in
    different orders. What a sample gives does not depend on the batch that it is in, and nothing depends on the number
    of threads. The variants of the interpreter in C for AVX-512 and AVX2 give the same bits; on a processor without
    fused multiply-adds sums of products differ in their last digits, in batches and in single calls.

    Args:
        f: the function: of numbers, lists, tuples, dicts and arrays of them, with results likewise.
        batched: the names of arguments whose first axis is that of samples: the function sees one sample.
        reduction: `"mean"` or `"sum"` over the samples.
        threads: how many may work on a batch at once, of 4,096 samples each; as many as there are processors if None.
            The result is the same to the bit.
        errors: what to do where numbers are not finite: `"raise"` evaluates the call or the sample by the function
            itself, which gives its own answer or error; `"ignore"` computes in IEEE arithmetic, in which no operation
            raises: `log(-1.0)` is NaN and `1 / 0.0` infinity. (Where a product overflows within a sum, a batch may give
            an infinity and a single call NaN.)
        max_paths: how many ways through the branches there may be for arguments of one structure.

    Returns:
        An object that is called like `f`, and gives floats; see `Compiled`. Without `f` a decorator.

    Raises:
        CompileError: (from the object returned) if the function reads `.data`, changes its arguments, keeps a number
            that it computed, closes over the result of an operation, or is not the same when it is recorded again, as
            with random numbers.

    >>> from microgrud import Value, tanh
    >>> w = Value(0.5)
    >>> @compile(batched=("x", "y"))
    ... def loss(x, y):
    ...     return (tanh(w * x) - y) ** 2
    >>> value = loss.backward([1.0, 2.0, 3.0], [0.2, 0.4, 0.6])
    >>> print(f"{value:.6f} {w.grad:.6f}")
    0.097524 0.450193
    """
    names = (batched,) if isinstance(batched, str) else as_sequence(batched, "compile: batched", "names")
    one_of("mean", "sum")("compile: reduction", reduction)
    one_of("raise", "ignore")("compile: errors", errors)
    most = whole(1)("compile: max_paths", max_paths)
    workers = optional(whole(1))("compile: threads", threads) or os.cpu_count() or 1
    if f is None:
        return lambda function: Compiled(function, names, reduction, workers, errors, most)
    if not callable(f):
        raise TypeError(f"compile: expected a function, got an object of type {type(f).__name__}")
    return Compiled(f, names, reduction, workers, errors, most)


def _parameter_names(f: Callable[..., Any], batched: Sequence[str]) -> list[str]:
    """Return what the positional arguments are called; those that take a batch have to be among them."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    known = [p.name for p in parameters]
    for name in batched:
        if name not in known:
            raise ValueError(f"compile: batched: expected names of arguments ({', '.join(known)}), got {name!r}")
    return names


def _positions(argnums: Any, count: int) -> tuple[tuple[int, ...], bool]:
    """Return positions from 0 on, and whether `argnums` was one and no tuple."""
    single = not isinstance(argnums, (tuple, list))
    try:
        given = tuple(map(operator.index, (argnums,) if single else argnums))
    except TypeError:
        raise TypeError(f"argnums: expected an integer or a tuple of integers, got {argnums!r}") from None
    for position in given:
        if not -count <= position < count:
            raise ValueError(f"argnums: expected positions of the {count} arguments, got {position}")
    return tuple(position % count for position in given), single


def _structure_of(result: Evaluation) -> Structure:
    assert result.structure is not None  # there is at least one sample
    return result.structure


def _is_plain(x: Any) -> bool:
    """Tell whether a number, or an array, can be seen at once to hold no Values: a look at each takes longer."""
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype != object)


def _has_values(tree: Any) -> bool:
    """Tell whether there are Values in a structure of numbers."""
    return not _is_plain(tree) and any(isinstance(x, Value) for x in flatten(tree, "tangents")[0])


def _direction(primal: Any, tangent: Any) -> Vector:
    """Return the numbers of a direction, of which there have to be as many as in the argument."""
    check_unmasked(tangent, "tangents")
    if isinstance(tangent, np.ndarray) and isinstance(primal, np.ndarray) and tangent.shape == primal.shape:
        return np.asarray(tangent, dtype=np.float64).ravel()
    own, _ = flatten(tangent, "tangents")
    wanted, _ = flatten(primal, "primals")
    if len(own) != len(wanted):
        raise ValueError(f"tangents: expected {len(wanted)} numbers, as in the argument, got {len(own)}")
    return np.array([float(x) for x in own])


def _directions(primal: Any, tangent: Any) -> list[Vector]:
    """Return the numbers of a direction for each sample of a batch: an array with one number a sample for each."""
    check_unmasked(tangent, "tangents")
    wanted = np.shape(primal.to_numpy() if hasattr(primal, "to_numpy") else primal)
    array = np.asarray(tangent.to_numpy() if hasattr(tangent, "to_numpy") else tangent, dtype=np.float64)
    if array.shape != wanted:
        raise ValueError(f"tangents: expected an array of shape {wanted}, as the argument has, got {array.shape}")
    return list(array.reshape(len(array), -1).T)


def _refuse_integers(args: Sequence[Any], positions: Sequence[int]) -> None:
    """Raise a TypeError for an integer among the arguments to differentiate by."""
    for position in positions:
        integers = read_arguments(["x"], [args[position]], {}, ()).integers
        if integers:
            raise TypeError(
                f"expected floats to differentiate by, got the integer {integers[0]} in argument {position}: integers "
                f"belong to the recording; write {float(integers[0])}"
            )


def _as_floats(tree: Any) -> Any:
    """Make arrays of numbers of object arrays, in a structure; with the samples first, in memory too, as replays do."""
    if isinstance(tree, np.ndarray) and tree.dtype == object:
        if tree.size and isinstance(tree.flat[0], np.ndarray):  # one number a sample
            return np.moveaxis(np.array(tree.ravel().tolist()).reshape(*tree.shape, -1), -1, 0).copy(order="C")
        return tree.astype(np.float64)
    if isinstance(tree, dict):
        return {key: _as_floats(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_make"):
        items = [_as_floats(item) for item in tree]
        if items and all(isinstance(item, np.ndarray) for item in items) and type(tree) is list:
            return np.stack(items, axis=1) if _per_sample(tree) else items
        return type(tree)(items)
    return tree


def _per_sample(tree: Any) -> bool:
    """Tell whether the numbers of nested lists are arrays with one number a sample."""
    while isinstance(tree, list):
        tree = tree[0]
    return isinstance(tree, np.ndarray) and tree.dtype != object and tree.ndim == 1
