"""Compiled functions: calls, derivatives of one number, copies and pickles."""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, overload

import numpy as np

from ..common.display import ShownInNotebooks
from ..engine import Value
from ..engine.copying import _transforms
from ..engine.tracing import _tracers
from ..engine.vectors import add_to_gradients
from ..typing import FloatsT, P, Q, R, Values
from . import derivatives, vmapped
from .absent import AbsentFunction, refuse_if_absent
from .differentiable import is_inside
from .flat import Flat
from .listing import listing
from .mapping import mapped
from .nodes import Given, result_as_nodes
from .parametric import Parametric
from .recorder import CompileError
from .recordings import Recordings
from .saving import copy_with_leaves, copy_without_leaves, pack_recordings, unpack_recordings
from .settings import CHECKS, Settings, parameter_names
from .weights import weighted

if TYPE_CHECKING:
    from ..autodiff.trees import Structure
    from ..autodiff.vmap import Batches, Block
    from ..nn.module import Module


def _setting(name: str, doc: str) -> Any:
    """Return a property for a setting of a compiled function: setting it keeps the recordings."""

    def get(compiled: Compiled[..., Any]) -> Any:
        return getattr(compiled._recordings.settings, name)

    def put(compiled: Compiled[..., Any], x: Any) -> None:
        checked = CHECKS[name](f"compile: {name}", x)
        compiled._recordings.change(name, checked)
        for gradient in list(compiled._gradients.values()):
            setattr(gradient, name, checked)

    return property(get, put, doc=doc)


class Compiled(Parametric[P, R], ShownInNotebooks):
    """A function that is recorded at its first call and replayed from then on; see `compile`.

    A pickle holds the recordings, and the leaves that they read, but not the function. Unpickled, in another process
    too, it replays them; on the same machine the results are bit-identical. A call that it has no recording for is a
    CompileError. A model that is pickled along, as in `pickle.dumps((model, loss))`, shares its parameters with the
    recordings.

    `copy.deepcopy` keeps the function. Where the deep copy of the function is another function (a method of an object
    that is copied, a Module), the copy records it again; a plain function still reads the leaves that it closes over.

    For type checkers it is a `Compiled[P, R]`, where P are the parameters of the function and R is its result. A call
    returns an R, but a float where the function returns a Value since it closes over one: of its first two parameters
    neither is of Values. `backward` returns a float. With batches, the parameters are `...`, and calls return floats.

    >>> from microgrud import compile
    >>> import pickle
    >>> f = compile(lambda x: x * x if x > 0.0 else -x)
    >>> f(3.0)
    9.0
    >>> twin = pickle.loads(pickle.dumps(f))
    >>> twin.value_and_grad(4.0)
    (16.0, 8.0)
    """

    if TYPE_CHECKING:
        __name__: str

        @property
        def __wrapped__(self) -> Callable[P, R]:
            """The function, as `inspect` and type checkers find it."""

    def __init__(self, f: Callable[..., Any], batched: Sequence[str], *settings: Any, **named: Any) -> None:
        functools.update_wrapper(self, f)
        own = Settings(tuple(batched), *settings, **named)
        names = parameter_names(f, own.batched)
        self._begin(Recordings(weighted(f, own, names), own, names))

    def _begin(self, recordings: Recordings) -> None:
        """Set the state that no two compiled functions share."""
        self._recordings = recordings
        self._gradients: dict[Any, Compiled[..., Any]] = {}
        self._flat: Flat | None = None
        #: Maps id(instance) to a weak reference, which removes the entry when the instance dies, and to the compiled
        #: method.
        self._methods: dict[int, tuple[weakref.ref[Any], Compiled[..., Any]]] = {}
        #: For a method of an instance: the compiled function of the class, and the instance.
        self._bound: tuple[Compiled[..., Any], weakref.ref[Any]] | None = None

    @overload
    def __call__(self: Compiled[P, NoReturn], *args: P.args, **kwargs: P.kwargs) -> Any: ...  # where R is Any
    @overload
    def __call__(self: Compiled[Concatenate[Values, Q], R], x: Values, /, *args: Q.args, **kwargs: Q.kwargs) -> R: ...
    @overload
    def __call__(
        self: Compiled[Concatenate[FloatsT, Values, Q], R], x: FloatsT, y: Values, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> R: ...
    @overload
    def __call__(self: Compiled[P, Value], *args: P.args, **kwargs: P.kwargs) -> float: ...
    @overload
    def __call__(self: Compiled[P, list[Value]], *args: P.args, **kwargs: P.kwargs) -> list[float]: ...
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # mypy does not see P behind FloatsT and Q
        """Return the result of the function as floats; for a batch, its mean (or sum) over the samples.

        With Values among the arguments, and inside a transform such as `grad`, the numbers of the result are Values:
        nodes of the graph, connected with the arguments and with the leaves that the function closes over.
        """
        recordings = self._recordings
        inside = (_tracers or _transforms) and is_inside()
        if not inside and not kwargs:
            found = recordings.replayed("values", args)
            if found is not None:
                return found[0]
        given = Given(recordings, args, kwargs)
        if inside or given.values:
            return result_as_nodes(given)
        result = recordings.evaluate(given.arguments, None)
        return result.structure.rebuild(recordings.totals(result))

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Compiled[P, R]: ...
    @overload
    def __get__(
        self: Compiled[Concatenate[Any, Q], R], instance: object, owner: type | None = None
    ) -> Compiled[Q, R]: ...
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
            made: Compiled[..., Any] = Compiled(
                partial(self._recordings.given_function, weakref.proxy(instance)), *self._recordings.settings
            )
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

        >>> from microgrud import compile
        >>> f = compile(lambda x: [x, 10.0 * x], batched="x")
        >>> f.map([1.0, 2.0, 3.0])
        array([[ 1., 10.],
               [ 2., 20.],
               [ 3., 30.]])
        """
        return mapped(self.unweighted()._recordings, args, kwargs)

    def backward(self, *args: P.args, **kwargs: P.kwargs) -> float:
        """Return the result, and add its derivatives to the `grad` of every Value that it depends on.

        These are the leaves that the function closes over, such as the parameters of a model, and the Values among the
        arguments.

        Raises:
            TypeError: if the result is not one number.
        """
        recordings = self._recordings
        if (_tracers or _transforms) and is_inside():
            raise CompileError(
                f".backward of {self!r} inside a transform or another compiled function: call it as a function, and "
                "differentiate the result with microgrud.grad or another transform"
            )
        if not kwargs:
            found = recordings.replayed("backward", args)
            if found is not None:
                replayed: float = found[0]
                return replayed
        arguments = recordings.read(args, kwargs)
        scale = arguments.numbers[-1] if recordings.settings.weights else None
        if isinstance(scale, Value):
            raise TypeError(
                f".backward of {self!r}: expected numbers as weights, got Values; call it as a function, and call "
                ".backward() of the result"
            )
        for x in arguments.numbers:
            if isinstance(x, Value) and not x.is_leaf:
                raise ValueError(f"backward: expected leaves as arguments, got the result of an operation ({x._op!r})")
        result = recordings.with_gradient(arguments)
        for leaves, slopes in result.leaves:
            add_to_gradients(leaves, slopes)
        own = [(x, slope) for x, slope in zip(arguments.numbers, result.gradients) if isinstance(x, Value)]
        add_to_gradients([x for x, _ in own], np.array([slope for _, slope in own], dtype=np.float64))
        number: float = result.structure.rebuild(recordings.totals(result))
        return number

    @property
    def function(self) -> Callable[P, R]:
        """The function."""
        return self._recordings.given_function

    @property
    def batched(self) -> tuple[str, ...]:
        """The names of arguments whose first axis is that of samples."""
        return self._recordings.settings.batched

    @property
    def weights(self) -> str | None:
        """The name of the argument with the weights of the samples."""
        return self._recordings.settings.weights or None

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

        >>> from microgrud import compile
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

        >>> from microgrud import compile, tanh
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

    def __copy__(self) -> Compiled[P, R]:
        """Return another compiled function of the same function, with the recordings that there are by now."""
        made = self._with_recordings(copy_without_leaves(self._recordings))
        made._bound = self._bound
        if isinstance(self, CompiledMethod) and isinstance(made, CompiledMethod):
            made.instance = self.instance
        made._gradients = {argnums: copy.copy(gradient) for argnums, gradient in list(self._gradients.items())}
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled[P, R]:
        """Return a compiled function of a deep copy of the function."""
        if self._bound is not None:  # a method of an instance
            method: Any = self._bound[0].__get__(copy.deepcopy(self._bound[1](), memo))
            return method  # type: ignore[no-any-return]
        if isinstance(self.function, AbsentFunction):
            made = memo[id(self)] = self._with_recordings(copy_with_leaves(self._recordings, memo))
            made._gradients = {argnums: copy.deepcopy(x, memo) for argnums, x in list(self._gradients.items())}
            return made
        function = copy.deepcopy(self._recordings.function, memo)
        if id(self) in memo:  # the function refers to this object
            known: Compiled[P, R] = memo[id(self)]
            return known
        if function is self._recordings.function:
            return self.__copy__()
        return self._with_recordings(Recordings(function, self._recordings.settings, self._recordings.names))

    def _with_recordings(self, recordings: Recordings) -> Compiled[P, R]:
        """Return a compiled function with the attributes of this one, and other recordings."""
        made = type(self).__new__(type(self))
        vars(made).update(vars(self))
        made._begin(recordings)
        if "__wrapped__" in vars(made):
            vars(made)["__wrapped__"] = made.function
        return made

    def __repr__(self) -> str:
        return repr(self._recordings)

    # --- helpers ---

    def derived(self, name: str, argnums: int | tuple[int, ...]) -> Compiled[..., Any]:
        """Return the compiled function of derivatives with a name in `DERIVED`."""
        found = self._gradients.get((name, argnums))
        if found is None:
            refuse_if_absent(self.function, f"of the derivatives with respect to argument {argnums} ({name})")
            settings = self._recordings.settings
            if ", one of " in name:
                settings = settings._replace(batched=("direction",))
            if name == "jvp":
                own = self._recordings
                tangents = [derivatives.tangent_name(k) for k in argnums if own.is_batch(k)]  # type: ignore[union-attr]
                settings = settings._replace(batched=(*tangents, *settings.batched))
            function = derivatives.DERIVED[name](self._recordings.function, argnums)
            made: Compiled[..., Any] = Compiled(function, *settings._replace(weights=""))
            if settings.weights:  # by which the function multiplies already
                made._begin(Recordings(function, settings, made._recordings.names))
            found = self._gradients.setdefault((name, argnums), made)
        return found

    def _over_batches(self, batches: Batches) -> tuple[Structure, Block] | None:
        """Return the results of a call of `vmap` by replays; None if each sample is to be a call of its own."""
        if self.batched or is_inside():
            return None
        key = "vmap", vmapped.key_of(batches.tree)
        if key not in self._gradients:
            refuse_if_absent(self.function, "of a batch for vmap")
            names = [name for name in vmapped.names_of(batches) if name.startswith("batch")]
            f = vmapped.function_of_leaves(self.function, batches)
            self._gradients.setdefault(key, Compiled(f, *self._recordings.settings._replace(batched=tuple(names))))
        return vmapped.replayed(self._gradients[key]._recordings, batches)

    def unweighted(self) -> Compiled[..., Any]:
        """Return the compiled function for single samples, which have no weights."""
        if not self._recordings.settings.weights:
            return self
        found = self._gradients.get(("unweighted", ()))
        if found is None:
            refuse_if_absent(self.function, "of single samples without their weights")
            made: Compiled[..., Any] = Compiled(self.function, *self._recordings.settings._replace(weights=""))
            found = self._gradients.setdefault(("unweighted", ()), made)
        return found


class CompiledMethod(Compiled[P, R]):
    """A compiled method with its instance, which it keeps alive as bound methods do; the recordings do not."""

    __slots__ = ("instance",)

    def __init__(self, method: Compiled[P, R], instance: Any) -> None:
        self.__dict__ = method.__dict__  # all accesses to the method share its state
        self.instance = instance

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled.__new__, (Compiled,), self.__getstate__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompiledMethod) and self.__dict__ is other.__dict__

    def __hash__(self) -> int:
        return id(self.__dict__)
