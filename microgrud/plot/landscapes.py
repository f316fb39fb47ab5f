"""Landscapes to test optimizers on: functions of two numbers with known minima.

Each function takes two Values, floats or NumPy arrays, so that an optimizer and a picture use the same function.
`quadratic` makes such a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..common.checks import real
from ..common.numbers import Interval

__all__ = ["beale", "himmelblau", "quadratic", "ravine", "rosenbrock", "saddle"]


def rosenbrock(x: Any, y: Any) -> Any:
    """Compute `(1 - x)**2 + 100 (y - x**2)**2`, a narrow valley in the form of a banana.

    The minimum is 0 at (1, 1). The valley is soon found; along its floor the slope is small and its direction turns.
    Walks usually start at (-1.2, 1).

    Source: Rosenbrock, "An automatic method for finding the greatest or least value of a function", 1960.

    >>> rosenbrock(1.0, 1.0), rosenbrock(-1.0, 1.0)
    (0.0, 4.0)
    """
    return (1.0 - x) ** 2 + 100.0 * (y - x**2) ** 2


def himmelblau(x: Any, y: Any) -> Any:
    """Compute `(x**2 + y - 11)**2 + (x + y**2 - 7)**2`, a landscape with four valleys.

    The minima are 0 at (3, 2), and near (-2.805118, 3.131313), (-3.779310, -3.283186) and (3.584428, -1.848127);
    between them stands a hill, near (-0.270845, -0.923039), of height 181.617.

    Source: Himmelblau, "Applied nonlinear programming", 1972.

    >>> himmelblau(3.0, 2.0), himmelblau(0.0, 0.0)
    (0.0, 170.0)
    """
    return (x**2 + y - 11.0) ** 2 + (x + y**2 - 7.0) ** 2


def beale(x: Any, y: Any) -> Any:
    """Compute `(1.5 - x + x y)**2 + (2.25 - x + x y**2)**2 + (2.625 - x + x y**3)**2`: a plateau among steep walls.

    The minimum is 0 at (3, 0.5). Walks usually start at (1, 1); the domain that is drawn is -4.5 to 4.5.

    Source: Beale, "On an iterative method for finding a local minimum of a function of more than one variable", 1958.

    >>> beale(3.0, 0.5), beale(1.0, 1.0)
    (0.0, 14.203125)
    """
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def saddle(x: Any, y: Any) -> Any:
    """Compute `x**2 - y**2`, a pass between two mountains.

    It has no minimum: the gradient is zero at (0, 0), where the loss falls along y and rises along x. A walk that
    starts on the line y = 0 goes to that point and stays there.

    Source: the standard example of an indefinite quadratic form, as in Dauphin et al., "Identifying and attacking the
    saddle point problem in high-dimensional non-convex optimization", NeurIPS 2014.

    >>> saddle(2.0, 0.0), saddle(0.0, 2.0)
    (4.0, -4.0)
    """
    return x**2 - y**2


def ravine(x: Any, y: Any) -> Any:
    """Compute `(x**2 + 50 y**2) / 2`, a long valley with steep sides: `quadratic(50)`.

    The minimum is 0 at (0, 0). Gradient descent with a rate just below `2/50` leaps from side to side; momentum damps
    these leaps.

    Source: the figure in Sutton, "Two problems with backpropagation and other steepest-descent learning procedures
    for networks", 1986.

    >>> ravine(0.0, 0.0), ravine(2.0, 1.0)
    (0.0, 27.0)
    """
    return _RAVINE(x, y)


def quadratic(condition_number: float = 10.0) -> Callable[[Any, Any], Any]:
    """Make the function `(x**2 + condition_number * y**2) / 2`, a bowl that is longer than it is wide.

    The minimum is 0 at (0, 0); the Hessian has the eigenvalues 1 and `condition_number`. Gradient descent converges
    for rates below `2 / condition_number`, and at best by the factor `(k - 1)/(k + 1)` a step.

    Source: Nocedal & Wright, "Numerical optimization", 2006, section 3.3.

    Args:
        condition_number: the largest eigenvalue of the Hessian over the smallest, at least 1.

    Returns:
        A function of x and y: Values, floats or NumPy arrays.

    Raises:
        TypeError, ValueError: for anything but a finite number of at least 1.

    >>> quadratic(4.0)(2.0, 1.0)
    4.0
    """
    steepness = real(Interval(1.0, float("inf"), high_open=True))("quadratic: condition_number", condition_number)

    def bowl(x: Any, y: Any) -> Any:
        return 0.5 * (x**2 + steepness * y**2)

    bowl.__name__ = bowl.__qualname__ = f"quadratic_{steepness:g}"
    return bowl


_RAVINE = quadratic(50.0)
