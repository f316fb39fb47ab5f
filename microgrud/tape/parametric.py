"""Derivatives of a compiled function with respect to the parameters of a model, and of each sample, as methods."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff.calls import one_number, positions_of
from ..autodiff.gradients import as_value, gradient
from ..autodiff.subgraph import Subgraph
from ..autodiff.trees import flatten
from ..common.numbers import Number
from ..engine import Value
from ..engine.grad_mode import enable_grad, is_recording
from ..engine.vectors import Vector
from ..typing import P, R
from .absent import refuse_if_absent
from .differentiable import Differentiable
from .flat import Flat, Owner
from .mapping import mapped
from .recordings import Recordings
from .states import Same

if TYPE_CHECKING:
    from ..nn.module import Module


class Parametric(Differentiable[P, R]):
    """A function whose derivatives with respect to parameters can be computed at any vector of these."""

    def hvp_flat(
        self, vector: Any, direction: Any, *args: Any, parameters: Module | Sequence[Value] | None = None
    ) -> Vector:
        """Return the product of the Hessian with respect to the parameters with a direction, at a vector of them.

        H v, with H_ij = d2 f / (d w_i d w_j): the gradient of the derivative of f in the direction v, of which the
        first call makes a recording. Parameters and arguments are those of `value_and_grad_flat`; nothing changes. For
        `scipy.optimize.minimize(..., method="trust-ncg")` this is `hessp`.

        Raises:
            TypeError, ValueError: as for `value_and_grad_flat`, and unless the direction has a number for each
                parameter.

        >>> from microgrud import Value, compile
        >>> a, b = Value(1.0), Value(2.0)
        >>> f = compile(lambda x: a * a * b * x)
        >>> f.hvp_flat([1.0, 2.0], [1.0, 10.0], 0.5, parameters=[a, b])
        array([12.,  1.])
        """
        flat, owner = self._flat_for(parameters, "hvp_flat")
        numbers = flat.numbers("hvp_flat: vector", vector)
        return self._product(flat, numbers, flat.numbers("hvp_flat: direction", direction), args, owner)

    def hessian_flat(self, vector: Any, *args: Any, parameters: Module | Sequence[Value] | None = None) -> np.ndarray:
        """Return all second derivatives with respect to the parameters, at a vector of them.

        H_ij = d2 f / (d w_i d w_j), a column for each replay of the recording of `hvp_flat`. Parameters and arguments
        are those of `value_and_grad_flat`; nothing changes. Where f is a negative log-likelihood, the square roots of
        the diagonal of the inverse of H at the minimum are the standard errors of the parameters.

        Raises:
            TypeError, ValueError: as for `value_and_grad_flat`.

        >>> from microgrud import Value, compile
        >>> a, b = Value(1.0), Value(2.0)
        >>> f = compile(lambda x: a * a * b * x)
        >>> f.hessian_flat([1.0, 2.0], 0.5, parameters=[a, b])
        array([[2., 1.],
               [1., 0.]])
        """
        flat, owner = self._flat_for(parameters, "hessian_flat")
        numbers = flat.numbers("hessian_flat: vector", vector)
        return np.array([self._product(flat, numbers, unit, args, owner) for unit in np.eye(len(numbers))])

    def jacobian_flat(self, vector: Any, *args: Any, parameters: Module | Sequence[Value] | None = None) -> np.ndarray:
        """Return the derivatives of the results of all samples with respect to the parameters, at a vector of them.

        J_kj = d f_k / d w_j: a row for each number of a result. The results of the samples follow each other; there is
        no mean. One recording computes the rows of a sample, in a single replay for all samples. Parameters and
        arguments are those of `value_and_grad_flat`; nothing changes. For `scipy.optimize.least_squares` this is `jac`,
        if `f.map` gives the residuals.

        Raises:
            TypeError: if the function uses no Module, or several.
            ValueError: as for `value_and_grad_flat`.

        >>> from microgrud import Value, compile
        >>> a, b = Value(1.0), Value(2.0)
        >>> line = compile(lambda x: a * x + b, batched="x")
        >>> line.jacobian_flat([1.0, 2.0], [3.0, 4.0, 5.0], parameters=[a, b])
        array([[3., 1.],
               [4., 1.],
               [5., 1.]])
        """
        flat, owner = self._flat_for(parameters, "jacobian_flat")
        numbers = flat.numbers("jacobian_flat: vector", vector)
        outputs = flat.outputs(self.unweighted()._by_parameters(flat.listed, False), numbers, args, owner)
        return np.ascontiguousarray(outputs.T).reshape(-1, len(numbers))

    def per_sample_gradients(
        self,
        *args: Any,
        argnums: int | tuple[int, ...] | None = None,
        parameters: Module | Sequence[Value] | None = None,
    ) -> Any:
        """Return the gradient of each sample of a batch, in one replay.

        G_ij = d f(sample i) / d w_j, neither averaged nor weighted: the mean over i is the gradient of the mean. It is
        what a loop computes that calls the function, and `gradient`, for each sample.

        Args:
            args: the arguments of the function.
            argnums: the position of the argument to differentiate with respect to, or a tuple of positions; None for
                the parameters.
            parameters: the parameters, or a Module that has them; by default those of the only Module that the function
                uses.

        Returns:
            An array with a row for each sample and a column for each parameter. With `argnums`, the gradients in the
            structure of the argument, samples first, as `map` arranges them; a tuple of them for a tuple of positions.

        Raises:
            TypeError: if the result is not one number, and as for `value_and_grad` and `value_and_grad_flat`.
            ValueError: if both argnums and parameters are given, or there is no argument at a position.

        >>> from microgrud import Value, compile
        >>> a, b = Value(1.0), Value(2.0)
        >>> loss = compile(lambda x, y: (a * x + b - y) ** 2, batched=("x", "y"))
        >>> loss.per_sample_gradients([1.0, 2.0], [0.0, 3.0], parameters=[a, b])
        array([[6., 6.],
               [4., 2.]])
        >>> loss.per_sample_gradients([1.0, 2.0], [0.0, 3.0], argnums=0)
        array([6., 2.])
        """
        if argnums is not None:
            if parameters is not None:
                raise ValueError("per_sample_gradients: expected argnums or parameters, got both: call it for each")
            positions, single = positions_of(argnums, len(args), "per_sample_gradients")
            self._recordings.refuse_other_than_floats(args, positions)
            found = mapped(self.unweighted().derived("gradients by position", positions)._recordings, args, {})
            return found["0"] if single else tuple(found.values())
        flat, _ = self._flat_for(parameters, "per_sample_gradients")
        return mapped(self.unweighted()._by_parameters(flat.listed, True), args, {})

    def _product(
        self, flat: Flat, numbers: Vector, along: Vector, args: tuple[Any, ...], owner: Owner | None
    ) -> Vector:
        """Return the product of the Hessian with a direction.

        Where a direction of 0 meets an infinite slope, the product is NaN. There the gradient is differentiated, with
        the numbers of the direction as weights: a weight of 0 passes nothing on.
        """
        recordings = self._recordings
        refuse_if_absent(recordings.function, "of the derivatives with respect to parameters")
        slope = recordings.of_slopes(
            ("slope", *map(Same, flat.listed)),
            lambda: _slope_of(recordings.function, recordings.name, flat.listed),
            ["direction of the parameters"],
        )
        product = flat.product(slope, numbers, (along, *args), owner, np.ones(1))
        if np.isfinite(product).all():
            return product
        return flat.product(self._by_parameters(flat.listed, True), numbers, args, owner, along)

    def _by_parameters(self, parameters: Sequence[Value], scalar: bool) -> Recordings:
        """Return the recordings of the derivatives of a sample with respect to parameters, one row after the other.

        Args:
            parameters: the parameters.
            scalar: whether the result has to be one number.
        """
        recordings = self._recordings
        refuse_if_absent(recordings.function, "of the derivatives with respect to parameters")
        key = ("parameters", scalar, *map(Same, parameters))
        return recordings.of_slopes(key, lambda: _rows_of(recordings.function, recordings.name, parameters, scalar))


def _rows_of(f: Callable[..., Any], name: str, parameters: Sequence[Value], scalar: bool) -> Callable[..., list[Any]]:
    """Return a function that computes the derivatives of all numbers of the result with respect to parameters.

    Called under `no_grad`, as a part of no graph, it returns floats.
    """

    @functools.wraps(f)
    def rows(*args: Any, **kwargs: Any) -> list[Any]:
        connected = is_recording()
        with enable_grad():
            numbers, _ = flatten(one_number(f(*args, **kwargs), name, scalar), f"the result of {name}")
            slopes = [slope for x in numbers for slope in gradient(as_value(x), parameters)]
        return slopes if connected else [x.data for x in slopes]

    return rows


def _slope_of(f: Callable[..., Any], name: str, parameters: Sequence[Value]) -> Callable[..., Number]:
    """Return a function that computes the derivative of the result in a direction of the parameters."""

    def slope(direction: Any, *args: Any, **kwargs: Any) -> Number:
        output = as_value(one_number(f(*args, **kwargs), name, True))
        return Subgraph([output], list(parameters), True).push_forward(list(direction), False)[0]

    return slope
