"""`compile`: record a function once, and replay it."""

from __future__ import annotations

import copy
import functools
import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff import transforms
from ..autodiff.transforms import positions_of
from ..autodiff.trees import Structure, as_array, flatten
from ..common.display import ShownInNotebooks
from ..common.numbers import as_sequence
from ..engine import Value, tracing
from ..engine.copying import _transforms, is_differentiating
from ..engine.tracing import _tracers
from ..engine.vectors import Vector, add_to_gradients
from . import derivatives
from .absent import AbsentFunction, refuse_if_absent
from .flat import Flat, parameters_of
from .listing import listing
from .nodes import result_as_nodes, rows_of_function
from .recorder import CompileError
from .recordings import Recordings, refuse_integers
from .results import with_samples_first
from .saving import copy_with_leaves, copy_without_leaves, pack_recordings, unpack_recordings
from .settings import CHECKS, Settings
from .sparse import csr_of, entries, refused

if TYPE_CHECKING:
    from ..nn.module import Module


def _setting(name: str, doc: str) -> Any:
    """Return a property for a setting of a compiled function: setting it keeps the recordings."""

    def get(compiled: Compiled) -> Any:
        return getattr(compiled._recordings.settings, name)

    def put(compiled: Compiled, x: Any) -> None:
        checked = CHECKS[name](f"compile: {name}", x)
        compiled._recordings.change(name, checked)
        for gradient in list(compiled._gradients.values()):
            gradient._recordings.change(name, checked)

    return property(get, put, doc=doc)


class Compiled(ShownInNotebooks):
    """A function that is recorded at its first call and replayed from then on; see `compile`.

    A pickle holds the recordings, and the leaves that they read, but not the function. Unpickled, in another process
    too, it replays them; on the same machine the results are bit-identical. A call that it has no recording for is a
    CompileError. A model that is pickled along, as in `pickle.dumps((model, loss))`, shares its parameters with the
    recordings.

    `copy.deepcopy` keeps the function. Where the deep copy of the function is another function (a method of an object
    that is copied, a Module), the copy records it again; a plain function still reads the leaves that it closes over.

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
        settings = Settings(tuple(batched), reduction, threads, errors, max_paths)
        self._begin(Recordings(f, settings, _parameter_names(f, settings.batched)))

    def _begin(self, recordings: Recordings) -> None:
        """Set the state that no two compiled functions share."""
        self._recordings = recordings
        self._gradients: dict[Any, Compiled] = {}
        self._flat: Flat | None = None
        #: Maps id(instance) to a weak reference, which removes the entry when the instance dies, and to the compiled
        #: method.
        self._methods: dict[int, tuple[weakref.ref[Any], Compiled]] = {}
        #: For a method of an instance: the compiled function of the class, and the instance.
        self._bound: tuple[Compiled, weakref.ref[Any]] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of the function as floats; for a batch, its mean (or sum) over the samples.

        With Values among the arguments, and inside a transform such as `grad`, the numbers of the result are Values:
        nodes of the graph, connected with the arguments and with the leaves that the function closes over.
        """
        recordings = self._recordings
        inside = (_tracers or _transforms) and _is_inside()
        if not inside and not kwargs:
            found = recordings.replayed("values", args)
            if found is not None:
                return found[0]
        arguments = recordings.read(args, kwargs)
        if inside or arguments.has_values:
            return result_as_nodes(recordings, arguments)
        result = recordings.evaluate(arguments, None)
        return result.structure.rebuild(recordings.totals(result))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the method of an instance, compiled by itself and kept as long as the instance."""
        if instance is None:
            return self
        entry = self._methods.get(id(instance))
        if entry is None:
            try:
                reference = weakref.ref(instance, partial(self._forget_method, id(instance)))
            except TypeError:
                raise TypeError(
                    f"compile: a method of {type(instance).__name__} cannot be kept with its instance, which takes no "
                    "weak reference: add '__weakref__' to its __slots__, or compile the method of one instance: "
                    "f = compile(x.method)"
                ) from None
            made = Compiled(partial(self.function, weakref.proxy(instance)), *self._recordings.settings)
            made._bound = self, reference
            entry = self._methods.setdefault(id(instance), (reference, made))  # the first thread's
        return CompiledMethod(entry[1], instance)

    def _forget_method(self, key: int, reference: weakref.ref[Any]) -> None:
        entry = self._methods.get(key)
        if entry is not None and entry[0] is reference:
            del self._methods[key]

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Return the results of the function for all samples, as arrays whose first axis is that of the samples.

        A number, or an array, gives one array; so does a list or a tuple, if its items have one shape: the results of a
        function that returns two numbers have the shape (samples, 2). Dicts and named tuples keep their fields, each
        with samples first, and so do lists and tuples of items that differ in shape.

        >>> f = compile(lambda x: [x, 10.0 * x], batched="x")
        >>> f.map([1.0, 2.0, 3.0])
        array([[ 1., 10.],
               [ 2., 20.],
               [ 3., 30.]])
        """
        recordings = self._recordings
        inside = (_tracers or _transforms) and _is_inside()
        found = None if inside or kwargs else recordings.replayed("map", args)
        if found is not None:
            return _by_sample(found[0], found[1][0].structure)
        arguments = recordings.read(args, kwargs)
        if inside or arguments.has_values:
            rows, structure = rows_of_function(recordings, arguments)
            return with_samples_first(
                structure,
                lambda start, end, shape: as_array([x for row in rows for x in row[start:end]], (len(rows), *shape)),
            )
        result = recordings.evaluate(arguments, None)
        return _by_sample(result.outputs, result.structure)

    def backward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result, and add its derivatives to the `grad` of every Value that it depends on.

        These are the leaves that the function closes over, such as the parameters of a model, and the Values among the
        arguments.

        Raises:
            TypeError: if the result is not one number.
        """
        recordings = self._recordings
        if (_tracers or _transforms) and _is_inside():
            raise CompileError(
                f".backward of {self!r} inside a transform or another compiled function: call it as a function, and "
                "differentiate the result with microgrud.grad or another transform"
            )
        if not kwargs:
            found = recordings.replayed("backward", args)
            if found is not None:
                return found[0]
        arguments = recordings.read(args, kwargs)
        for x in arguments.numbers:
            if isinstance(x, Value) and not x.is_leaf:
                raise ValueError(f"backward: expected leaves as arguments, got the result of an operation ({x._op!r})")
        result = recordings.with_gradient(arguments)
        for leaves, slopes in result.leaves:
            add_to_gradients(leaves, slopes)
        own = [(x, slope) for x, slope in zip(arguments.numbers, result.gradients) if isinstance(x, Value)]
        add_to_gradients([x for x, _ in own], np.array([slope for _, slope in own], dtype=np.float64))
        return result.structure.rebuild(recordings.totals(result))

    def value_and_grad(self, *args: Any, argnums: int | tuple[int, ...] = 0, **kwargs: Any) -> tuple[Any, Any]:
        """Return the result and its gradient with respect to an argument, or several, as `microgrud.value_and_grad`.

        Raises:
            TypeError: if the result is not one number.
            ValueError: if there is no argument at a position.
        """
        recordings = self._recordings
        positions, single = positions_of(argnums, len(args), "value_and_grad", distinct=False)
        inside = (_tracers or _transforms) and _is_inside()
        if not kwargs and not inside:
            found = recordings.replayed("gradients", args, positions, None)
            if found is not None:
                value, gradients = found[0]
                return value, gradients[0] if single else gradients
        refuse_integers(args, positions)
        arguments = recordings.read(args, kwargs)
        if inside or arguments.has_values:
            return transforms.value_and_grad(self, argnums)(*args, **kwargs)
        result = recordings.with_gradient(arguments)
        gradients = recordings.gradients(arguments, result, positions)
        return result.structure.rebuild(recordings.totals(result)), gradients[0] if single else gradients

    def value_and_grad_flat(
        self, vector: Any, *args: Any, parameters: Module | Sequence[Value] | None = None
    ) -> tuple[float, Vector]:
        """Return the result with the numbers of a vector as parameters, and its gradient with respect to the vector.

        Both have the bits of the way by hand: `model.set_vector(vector)`, `model.zero_grad()`, `f.backward(*args)`, and
        each parameter's `grad`. But the parameters and all `grad` stay as they are, which optimizers of other libraries
        expect: `scipy.optimize.minimize(f.value_and_grad_flat, model.get_vector(), args=(x, y), jac=True)`.

        Args:
            vector: a number for each parameter.
            args: the arguments of the function: numbers.
            parameters: the parameters, in the order of the vector, or a Module that has them; by default those of the
                only Module that the function uses.

        Raises:
            TypeError: if the result is not one number, or the function uses no Module, or several.
            ValueError: if the vector does not fit the parameters; and, without `parameters`, if the function depends on
                other Values too.

        >>> from microgrud.nn import Neuron
        >>> neuron = Neuron(1, nonlin=False, init="zeros")
        >>> @compile(batched=("x", "y"))
        ... def loss(x, y):
        ...     return (neuron([x]) - y) ** 2
        >>> loss.value_and_grad_flat([2.0, 0.5], [1.0, 2.0], [2.0, 4.0])
        (0.25, array([1.5, 1. ]))
        >>> neuron.get_vector()
        array([0., 0.])
        """
        if (_tracers or _transforms) and _is_inside():
            raise CompileError(
                f".value_and_grad_flat of {self!r} inside a transform or another compiled function: call it outside"
            )
        listed, name = parameters_of(self.function, getattr(self, "instance", None), parameters)
        if self._flat is None or not self._flat.is_for(listed, name):
            self._flat = Flat(listed, name)
        return self._flat.evaluate(self._recordings, vector, args)

    def hvp(self, primals: Any, tangents: Any, argnums: int | tuple[int, ...] = 0) -> Any:
        """Return the product of the Hessian with a direction; arguments and result are those of `microgrud.hvp`.

        Raises:
            TypeError, ValueError: if the tangents do not fit the primals, or the result is not one number.
        """
        args = primals if isinstance(primals, tuple) else (primals,)
        if self._is_connected(args) or _has_values(tangents):
            return transforms.hvp(self, primals, tangents, argnums)
        return derivatives.hvp(self, args, tangents, argnums)

    def jacobian(self, *args: Any, argnums: int | tuple[int, ...] = 0, sparse: bool = False) -> Any:
        """Return the derivatives of all numbers of the result, as `microgrud.jacobian`.

        Forward mode serves a function with fewer inputs than outputs, reverse mode any other. For a batch, these are
        derivatives of the mean (or sum) over the samples, with respect to arguments that all samples share.

        Args:
            args: the arguments of the function.
            argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
            sparse: True for a CSR matrix of SciPy with the entries of `jacobian_entries`.

        Raises:
            ValueError: if there is no argument at a position, or it is a batch and the result is not sparse.
            ImportError: if SciPy is needed and not installed.

        >>> f = compile(lambda x: [x[0] * x[1], x[0] + x[1], x[0] ** 2])
        >>> f.jacobian([2.0, 3.0])
        [[3.0, 2.0], [1.0, 1.0], [4.0, 0.0]]
        """
        return csr_of(*self._entries(args, argnums)) if sparse else self._matrix(args, argnums, "jacobian")

    def jacobian_entries(self, *args: Any, argnums: int | tuple[int, ...] = 0) -> tuple[np.ndarray, np.ndarray, Vector]:
        """Return the derivatives of the results of all samples that are not always 0: rows, columns and numbers.

        A row is a number of a result; the results of the samples follow each other, and there is no mean. A column is a
        number of the arguments at `argnums`, which follow each other; a batch has columns for each of its samples. An
        entry is left out if no operation connects its row with its column, in any recording that serves the call.
        Derivatives that do not meet share a sweep: a tridiagonal Jacobian of any size takes three, in one replay.

        Where samples look up their arguments in tables, `table_columns[columns]` are the columns of the tables:

        >>> bend = compile(lambda x, y: [x * y, x + 1.0], batched=("x", "y"))
        >>> table, x = np.array([2.0, 5.0]), np.array([0, 1, 0])
        >>> rows, columns, numbers = bend.jacobian_entries(table[x], np.array([1.0, 3.0, 4.0]))
        >>> list(zip(rows.tolist(), x[columns].tolist(), numbers.tolist()))
        [(0, 0, 1.0), (1, 0, 1.0), (2, 1, 3.0), (3, 1, 1.0), (4, 0, 4.0), (5, 0, 1.0)]

        Raises:
            TypeError: for Values among the arguments, inside a transform, and for integers at `argnums`.
            ValueError: if there is no argument at a position.
        """
        rows, columns, numbers, _ = self._entries(args, argnums)
        return rows, columns, numbers

    def _entries(self, args: tuple[Any, ...], argnums: int | tuple[int, ...]) -> Any:
        if _is_inside():
            raise refused("a call inside a transform or another compiled function")
        return entries(self, args, argnums)

    def hessian(self, *args: Any, argnums: int | tuple[int, ...] = 0) -> Any:
        """Return all second derivatives with respect to an argument, or several, as `microgrud.hessian`.

        Raises:
            TypeError: if the result is not one number.
            ValueError: if there is no argument at a position, or it is a batch.
        """
        return self._matrix(args, argnums, "hessian")

    def _matrix(self, args: tuple[Any, ...], argnums: int | tuple[int, ...], kind: str) -> Any:
        if not ((_tracers or _transforms) and _is_inside()):
            found = derivatives.replayed_matrix(self, args, argnums, kind)
            if found is not None:
                return found
        if self._is_connected(args):
            return (transforms.jacobian if kind == "jacobian" else transforms.hessian)(self, argnums)(*args)
        return derivatives.matrix(self, args, argnums, kind)

    @property
    def function(self) -> Callable[..., Any]:
        """The function."""
        return self._recordings.function

    @property
    def batched(self) -> tuple[str, ...]:
        """The names of arguments whose first axis is that of samples."""
        return self._recordings.settings.batched

    reduction: str = _setting("reduction", '`"mean"` or `"sum"` over the samples.')
    threads: int = _setting("threads", "The number of threads that may work on a batch at once.")
    errors: str = _setting("errors", '`"raise"` or `"ignore"`.')
    max_paths: int = _setting(
        "max_paths", "The largest number of paths through the branches that are recorded for one signature."
    )

    @property
    def stats(self) -> dict[str, int]:
        """Return figures of the recordings.

        `signatures` of arguments; `paths`: recordings, one for each path through the branches; `nodes` that were
        recorded, `instructions` that these became, and `slots` for their numbers; `eager`: the calls, or samples of
        batches, that the function itself has evaluated; `bytes`: the size of code and
        constants, and the working memory of each executor, which holds the numbers of all slots and their adjoints for
        a block of samples; `block_size`: the number of samples in a block, or 0 without the interpreter in C, where the
        working memory is that of one sample.

        >>> f = compile(lambda x: x * x + 1.0)
        >>> f(3.0)
        10.0
        >>> f.stats["paths"], f.stats["nodes"], f.stats["instructions"]
        (1, 3, 1)
        """
        return self._recordings.figures()

    def listing(
        self,
        path: int | None = None,
        limit: int | None = 40,
        *,
        model: Module | None = None,
        names: Mapping[Value, str] | None = None,
    ) -> str:
        """Return the recordings as text: inputs, each instruction as a formula, branches, and results.

        Args:
            path: the number of one recording, from 1; by default all of them, or the first eight.
            limit: how many lines the instructions of a recording may have; the middle of a longer one is left out. None
                shows all of them.
            model: a Module that names its parameters.
            names: names for other Values; a label of a Value takes precedence.

        Raises:
            TypeError, ValueError: if an argument is not one of these.

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
        return listing(self._recordings, path, limit, model, names)

    # --- pickles and copies ---

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that a pickle holds: the recordings and the leaves that they read, but not the function."""
        return pack_recordings(self._recordings, vars(self), dict(self._gradients))

    def __setstate__(self, state: Any) -> None:
        recordings, attributes, gradients = unpack_recordings(state, Compiled)
        vars(self).update(attributes)
        self._begin(recordings)
        self._gradients.update(gradients)

    def __copy__(self) -> Compiled:
        """Return another compiled function of the same function, with the recordings that there are by now."""
        made = self._with_recordings(copy_without_leaves(self._recordings))
        made._bound = self._bound
        if isinstance(self, CompiledMethod) and isinstance(made, CompiledMethod):
            made.instance = self.instance
        made._gradients = {argnums: copy.copy(gradient) for argnums, gradient in list(self._gradients.items())}
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Return a compiled function of a deep copy of the function."""
        if self._bound is not None:  # a method of an instance
            method: Compiled = self._bound[0].__get__(copy.deepcopy(self._bound[1](), memo))
            return method
        if isinstance(self.function, AbsentFunction):
            made = memo[id(self)] = self._with_recordings(copy_with_leaves(self._recordings, memo))
            made._gradients = {argnums: copy.deepcopy(x, memo) for argnums, x in list(self._gradients.items())}
            return made
        function = copy.deepcopy(self.function, memo)
        if id(self) in memo:  # the function refers to this object
            known: Compiled = memo[id(self)]
            return known
        if function is self.function:
            return self.__copy__()
        return self._with_recordings(Recordings(function, self._recordings.settings, self._recordings.names))

    def _with_recordings(self, recordings: Recordings) -> Compiled:
        """Return a compiled function with the attributes of this one, and other recordings."""
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        made._begin(recordings)
        if "__wrapped__" in vars(made):
            vars(made)["__wrapped__"] = recordings.function
        return made

    def __repr__(self) -> str:
        return repr(self._recordings)

    # --- helpers ---

    def _is_connected(self, args: Sequence[Any]) -> bool:
        """Return whether a call is part of a graph: inside a transform or a recording, or with Values among args."""
        return _is_inside() or (not all(map(_is_plain, args)) and self._recordings.read(args, {}).has_values)

    def has_derived(self, name: str, argnums: int | tuple[int, ...]) -> bool:
        """Return whether there is a compiled function of derivatives, by its name in `DERIVED`."""
        return (name, argnums) in self._gradients

    def derived(self, name: str, argnums: int | tuple[int, ...]) -> Compiled:
        """Return the compiled function of derivatives with a name in `DERIVED`."""
        found = self._gradients.get((name, argnums))
        if found is None:
            refuse_if_absent(self.function, f"of the derivatives with respect to argument {argnums} ({name})")
            made = derivatives.DERIVED[name](self.function, argnums)
            settings = self._recordings.settings
            if ", one of " in name:
                settings = settings._replace(batched=("direction",))
            found = self._gradients.setdefault((name, argnums), Compiled(made, *settings))
        return found


class CompiledMethod(Compiled):
    """A compiled method with its instance, which it keeps alive as bound methods do; the recordings do not."""

    __slots__ = ("instance",)

    def __init__(self, method: Compiled, instance: Any) -> None:
        self.__dict__ = method.__dict__  # all accesses to the method share its state
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
    """Record a function at its first call and replay it from then on; branches are handled correctly.

    The recording holds the operations on numbers. Floats in the function are constants; leaves that it closes over,
    such as the parameters of a model, are read again at every call. A branch (`if x > 0`, sorting, `max` of Python) is
    part of the recording; a call, or a sample of a batch, that takes another branch gets its own recording. A
    comparison alone is no branch: `where(x > 0, x, 0.0)` and `(x > 0) * x` are operations. Integers belong to the
    recording too, except those that `take(table, index)` looks up by.

    Everything else stays as it was at the recording: a plain number, a list, or a parameter of a model even if another
    one has replaced it since. (Inside a transform too: for the derivative with respect to such a parameter, pass it as
    an argument, or compile the function inside the transform.) An object among the arguments is recorded again when its
    numbers have changed.

    A call with floats returns floats. With Values among the arguments, and inside a transform such as `grad`, the
    result is a node of the graph, connected with the arguments and with the leaves that the function closes over, to
    any order. (This is the one difference from the function itself, which returns a Value whenever it closes over one;
    `.backward` gives the derivatives with respect to those.)

    Results equal those of the function up to rounding: a single call, a batch and the executor in NumPy take sums in
    different orders. The result of a sample does not depend on the batch that it is in, and nothing depends on the
    number of threads. The variants of the interpreter in C for AVX-512 and AVX2 give the same bits; on a processor
    without fused multiply-adds sums of products differ in their last digits, in batches and in single calls.

    Args:
        f: a function of numbers, and lists, tuples, dicts and arrays of them; it returns numbers, or the same
            containers of them.
        batched: the names of arguments whose first axis is that of samples; the function is given one sample.
        reduction: `"mean"` or `"sum"` over the samples.
        threads: how many threads may work on a batch at once, on 4,096 samples each; None for as many as there are
            processors. The result is the same to the bit.
        errors: the treatment of numbers that are not finite: `"raise"` evaluates the call or the sample by the function
            itself, which returns its own result or raises its own error; `"ignore"` computes in IEEE arithmetic, in
            which no operation raises: `log(-1.0)` is NaN and `1 / 0.0` infinity. (Where a product overflows within a
            sum, a batch may give an infinity and a single call NaN.)
        max_paths: how many paths through the branches are recorded for arguments of one signature. Samples that take
            others are evaluated by the function itself, with one warning; `stats["eager"]` counts them.

    Returns:
        An object that is called like `f`, and returns floats; see `Compiled`. Without `f`, a decorator.

    Raises:
        CompileError: (from the object returned) if the function reads `.data`, changes its arguments, keeps a number
            that it computed, closes over the result of an operation, or differs when it is recorded again, as with
            random numbers.

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
    given = {"reduction": reduction, "threads": threads, "errors": errors, "max_paths": max_paths}
    settings = {name: check(f"compile: {name}", given[name]) for name, check in CHECKS.items()}
    if f is None:
        return lambda function: Compiled(function, names, **settings)
    if not callable(f):
        raise TypeError(f"compile: expected a function, got an object of type {type(f).__name__}")
    return Compiled(f, names, **settings)


def _parameter_names(f: Callable[..., Any], batched: Sequence[str]) -> list[str]:
    """Return the names of the positional arguments; raise a ValueError unless the batched arguments exist."""
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


def _is_inside() -> bool:
    """Return whether a call is part of a transform or a recording in progress."""
    return tracing.current() is not None or is_differentiating()


def _by_sample(outputs: Vector, structure: Structure) -> Any:
    """Arrange the results of all samples, given as an array with a row for each output."""
    return with_samples_first(
        structure,
        lambda start, end, shape: np.ascontiguousarray(outputs[start:end].T).reshape(outputs.shape[1], *shape),
    )


def _is_plain(x: Any) -> bool:
    """Return whether a number or an array holds no Values, as its type shows."""
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype != object)


def _has_values(tree: Any) -> bool:
    """Return whether there are Values in a structure of numbers."""
    return not _is_plain(tree) and any(isinstance(x, Value) for x in flatten(tree, "tangents")[0])
