"""Gradients, Jacobians and Hessians of a compiled function, as methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, Generic, Literal, NoReturn, TypeVar, overload

import numpy as np

from ..autodiff import transforms
from ..autodiff.calls import positions_of
from ..autodiff.trees import numbers_in
from ..engine import Value, tracing
from ..engine.copying import _transforms, is_differentiating
from ..engine.grad_mode import no_grad
from ..engine.tracing import _tracers
from ..engine.vectors import Vector
from ..nn.module import Module
from ..typing import FloatsT, P, Q, R, ValueOrFloat, Values
from . import derivatives
from .flat import Flat, Owner, parameters_of
from .recorder import CompileError
from .recordings import Recordings
from .sparse import csr_of, entries, refused

_T = TypeVar("_T")


class Differentiable(Generic[P, R]):
    """A function with recordings, and with recordings of its derivatives.

    Attributes:
        _recordings: the recordings.
        _gradients: the compiled functions of derivatives, by their names in `DERIVED` and positions of arguments.
        _flat: the places of the parameters that were last a vector.
    """

    _recordings: Recordings
    __call__: Callable[..., Any]
    derived: Callable[..., Any]
    unweighted: Callable[[], Any]
    _gradients: dict[Any, Any]
    _flat: Flat | None

    @overload
    def value_and_grad(self: Differentiable[P, NoReturn], *args: P.args, **kwargs: P.kwargs) -> tuple[Any, Any]: ...
    @overload
    def value_and_grad(
        self: Differentiable[Concatenate[Values, Q], R], x: Values, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> tuple[R, Values]: ...
    @overload
    def value_and_grad(
        self: Differentiable[Concatenate[FloatsT, Q], Value], x: FloatsT, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> tuple[float, FloatsT]: ...
    @overload
    def value_and_grad(
        self: Differentiable[Concatenate[FloatsT, Q], R], x: FloatsT, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> tuple[R, FloatsT]: ...
    @overload
    def value_and_grad(self: Differentiable[P, Value], *args: P.args, **kwargs: P.kwargs) -> tuple[float, Any]: ...
    @overload
    def value_and_grad(self, *args: P.args, **kwargs: P.kwargs) -> tuple[R, Any]: ...
    @overload
    def value_and_grad(self, *args: Any, argnums: int | tuple[int, ...], **kwargs: Any) -> tuple[R, Any]: ...
    def value_and_grad(  # type: ignore[misc]  # mypy does not see P behind FloatsT and Q
        self, *args: Any, argnums: int | tuple[int, ...] = 0, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Return the result and its gradient with respect to an argument, or several, as `microgrud.value_and_grad`.

        Raises:
            TypeError: if the result is not one number.
            ValueError: if there is no argument at a position.
        """
        recordings = self._recordings
        positions, single = positions_of(argnums, len(args), "value_and_grad", distinct=False)
        inside = (_tracers or _transforms) and is_inside()
        weighs = recordings.settings.weights and recordings.weighs(positions)
        if not (kwargs or inside or weighs):
            found = recordings.replayed("gradients", args, positions, None)
            if found is not None:
                value, gradients = found[0]
                return value, gradients[0] if single else gradients
        if weighs:
            given = recordings.with_arrays(args)
            connected = inside or recordings.read(args, kwargs).has_values
            return _of_graph(connected, lambda: transforms.value_and_grad(self, argnums)(*given, **kwargs))
        recordings.refuse_other_than_floats(args, positions)
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
        expect: `scipy.optimize.minimize(f.value_and_grad_flat, model.get_vector(), args=(x, y), jac=True)`. (While a
        call is recorded, or evaluated by the function itself, the parameters have the numbers of the vector: another
        thread must not compute with them then.)

        Args:
            vector: a number for each parameter.
            args: the arguments of the function: numbers.
            parameters: the parameters, in the order of the vector, or a Module that has them; by default those of the
                only Module that the function uses.

        Raises:
            TypeError: if the result is not one number, or the function uses no Module, or several.
            ValueError: if the vector does not fit the parameters; and, without `parameters`, if the function depends on
                other Values too.

        >>> from microgrud import compile
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
        flat, owner = self._flat_for(parameters, "value_and_grad_flat")
        return flat.evaluate(self._recordings, vector, args, owner)

    def _flat_for(self, parameters: Module | Sequence[Value] | None, method: str) -> tuple[Flat, Owner | None]:
        """Return the places of parameters in a vector, and the Module if they were found in one."""
        if (_tracers or _transforms) and is_inside() and method.endswith("_flat"):
            raise CompileError(
                f".{method} of {self!r} inside a transform or another compiled function: call it outside"
            )
        flat = self._flat  # another thread may replace it
        listed, owner = parameters_of(
            self._recordings.given_function, getattr(self, "instance", None), parameters, flat, method
        )
        if flat is None or not flat.is_for(listed):
            self._flat = flat = Flat(listed)
        return flat, owner

    @overload
    def hvp(
        self: Differentiable[Q, ValueOrFloat],
        primals: FloatsT | tuple[FloatsT],
        tangents: Any,
        *further: Any,
        argnums: Literal[0] = 0,
    ) -> FloatsT: ...
    @overload
    def hvp(self, primals: Any, tangents: Any, *further: Any, argnums: int | tuple[int, ...] = 0) -> Any: ...
    def hvp(self, primals: Any, tangents: Any, *further: Any, argnums: int | tuple[int, ...] = 0) -> Any:
        """Return the product of the Hessian with a direction; arguments and result are those of `microgrud.hvp`.

        Args:
            primals: the arguments of the function as a tuple, or the first of them.
            tangents: the direction, of the shape of the arguments at `argnums`.
            further: the other arguments, if `primals` is the first: SciPy calls `hessp(x, p, *args)`. After a tuple of
                all arguments, `argnums` may stand here, as in `microgrud.hvp`.
            argnums: the argument to differentiate with respect to, or a tuple of several.

        Raises:
            TypeError, ValueError: if the tangents do not fit the primals, or the result is not one number.

        >>> from microgrud import compile
        >>> f = compile(lambda x, scale: scale * x[0] ** 2 * x[1])
        >>> f.hvp([1.0, 2.0], [1.0, 0.0], 3.0)
        [12.0, 6.0]
        """
        if further and isinstance(primals, tuple):
            if len(further) > 1:
                raise TypeError(f"hvp: expected the positions `argnums` after the tangents, got {further}")
            (argnums,) = further
        args = primals if isinstance(primals, tuple) else (primals, *further)
        weighs = self._weighs(argnums)
        args = tuple(self._recordings.with_arrays(args)) if weighs else args
        if not weighs and not ((_tracers or _transforms) and is_inside()):
            found = derivatives.replayed_hvp(self, args, tangents, argnums)
            if found is not None:
                return found
        connected = self._is_connected(args) or _has_values(tangents)
        if weighs or connected:
            return _of_graph(connected, lambda: transforms.hvp(self, args, tangents, argnums))
        return derivatives.hvp(self, args, tangents, argnums)

    @overload
    def jvp(
        self: Differentiable[Q, ValueOrFloat], primals: FloatsT | tuple[FloatsT], tangents: Any
    ) -> tuple[float, float]: ...
    @overload
    def jvp(self, primals: Any, tangents: Any, argnums: int | tuple[int, ...] | None = None) -> tuple[Any, Any]: ...
    def jvp(self, primals: Any, tangents: Any, argnums: int | tuple[int, ...] | None = None) -> tuple[Any, Any]:
        """Return the result and its derivative in a direction, J v; arguments and results are those of `microgrud.jvp`.

        For a batch both are means (or sums) over the samples, and the direction of a batch has its shape.

        Raises:
            TypeError, ValueError: if the tangents do not fit the primals.

        >>> from microgrud import compile
        >>> f = compile(lambda x, y: x * y)
        >>> f.jvp((2.0, 3.0), (1.0, 10.0))
        (6.0, 23.0)
        """
        args = primals if isinstance(primals, tuple) else (primals,)
        positions, _ = positions_of(tuple(range(len(args))) if argnums is None else argnums, len(args), "jvp")
        weighs = self._recordings.weighs(positions)
        if not weighs and not ((_tracers or _transforms) and is_inside()):
            found = derivatives.replayed_jvp(self, args, tangents, positions)
            if found is not None:
                return found
        connected = self._is_connected(args) or _has_values(tangents)
        if not (weighs or connected):
            found = derivatives.jvp(self, args, tangents, positions)
            if found is not None:
                return found
        return _of_graph(connected, lambda: transforms.jvp(self, args, tangents, positions))

    @overload
    def jacobian(
        self: Differentiable[Concatenate[float, Q], ValueOrFloat], x: float, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> float: ...
    @overload
    def jacobian(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def jacobian(self, *args: Any, argnums: int | tuple[int, ...], sparse: bool = False) -> Any: ...
    @overload
    def jacobian(self, *args: Any, sparse: bool) -> Any: ...
    def jacobian(  # type: ignore[misc]  # see value_and_grad
        self, *args: Any, argnums: int | tuple[int, ...] = 0, sparse: bool = False
    ) -> Any:
        """Return the derivatives of all numbers of the result, as `microgrud.jacobian`.

        Forward mode serves a function with fewer inputs than outputs, reverse mode any other. For a batch, these are
        derivatives of the mean (or sum) over the samples; those with respect to a batch are arrays, as it is.

        Args:
            args: the arguments of the function.
            argnums: the position of the argument to differentiate with respect to, or a tuple of positions.
            sparse: True for a CSR matrix of SciPy with the entries of `jacobian_entries`.

        Raises:
            TypeError: if there is an integer or a bool among the numbers to differentiate with respect to.
            ValueError: if there is no argument at a position.
            ImportError: if SciPy is needed and not installed.

        >>> from microgrud import compile
        >>> f = compile(lambda x: [x[0] * x[1], x[0] + x[1], x[0] ** 2])
        >>> f.jacobian([2.0, 3.0])
        [[3.0, 2.0], [1.0, 1.0], [4.0, 0.0]]
        """
        return csr_of(*self._entries(args, argnums)) if sparse else self._matrix(args, argnums, "jacobian")

    def jacobian_entries(self, *args: Any, argnums: int | tuple[int, ...] = 0) -> tuple[np.ndarray, np.ndarray, Vector]:
        """Return the derivatives of the results of all samples that are not always 0: rows, columns and numbers.

        A row is a number of a result; the results of the samples follow each other, and there is no mean. A column is a
        number of the arguments at `argnums`, which follow each other; a batch has columns for each of its samples. An
        entry is left out if no operation connects its row with its column in any recording of such calls; so a path
        that is recorded later may add entries, which are 0 on the others. Derivatives that do not meet share a sweep: a
        tridiagonal Jacobian of any size takes three.

        Where samples look up their arguments in tables, `table_columns[columns]` are the columns of the tables:

        >>> from microgrud import compile
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
        if is_inside():
            raise refused("a call inside a transform or another compiled function")
        return entries(self.unweighted(), args, argnums)

    @overload
    def hessian(
        self: Differentiable[Concatenate[float, Q], ValueOrFloat], x: float, /, *args: Q.args, **kwargs: Q.kwargs
    ) -> float: ...
    @overload
    def hessian(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def hessian(self, *args: Any, argnums: int | tuple[int, ...]) -> Any: ...
    def hessian(  # type: ignore[misc]  # see value_and_grad
        self, *args: Any, argnums: int | tuple[int, ...] = 0
    ) -> Any:
        """Return all second derivatives with respect to an argument, or several, as `microgrud.hessian`.

        Raises:
            TypeError: if the result is not one number.
            ValueError: if there is no argument at a position, or it is a batch.
        """
        return self._matrix(args, argnums, "hessian")

    def _matrix(self, args: tuple[Any, ...], argnums: int | tuple[int, ...], kind: str) -> Any:
        weighs = self._weighs(argnums)
        args = tuple(self._recordings.with_arrays(args)) if weighs else args
        if not weighs and not ((_tracers or _transforms) and is_inside()):
            found = derivatives.replayed_matrix(self, args, argnums, kind)
            if found is not None:
                return found
        connected = self._is_connected(args)
        if weighs or connected:
            transform = transforms.jacobian if kind == "jacobian" else transforms.hessian
            return _of_graph(connected, lambda: transform(self, argnums)(*args))
        return derivatives.matrix(self, args, argnums, kind)

    # --- helpers ---

    def _is_connected(self, args: Sequence[Any]) -> bool:
        """Return whether a call is part of a graph: inside a transform or a recording, or with Values among args."""
        return is_inside() or (not all(map(_is_plain, args)) and self._recordings.read(args, {}).has_values)

    def _weighs(self, argnums: int | tuple[int, ...]) -> bool:
        """Return whether one of the arguments to differentiate with respect to has the weights of the samples."""
        recordings = self._recordings
        if not recordings.settings.weights:
            return False
        return recordings.weighs(positions_of(argnums, len(recordings.names), "argnums", distinct=False)[0])

    def has_derived(self, name: str, argnums: int | tuple[int, ...]) -> bool:
        """Return whether there is a compiled function of derivatives, by its name in `DERIVED`."""
        return (name, argnums) in self._gradients


def _of_graph(connected: bool, compute: Callable[[], _T]) -> _T:
    """Return what a transform computes: floats, unless the call is connected with Values from outside."""
    if connected:
        return compute()
    with no_grad():
        return compute()


def is_inside() -> bool:
    """Return whether a call is part of a transform or a recording in progress."""
    return tracing.current() is not None or is_differentiating()


def _is_plain(x: Any) -> bool:
    """Return whether a number or an array holds no Values, as its type shows."""
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype != object)


def _has_values(tree: Any) -> bool:
    """Return whether there are Values in a structure of numbers."""
    return not _is_plain(tree) and any(isinstance(x, Value) for x in numbers_in(tree, "tangents"))
