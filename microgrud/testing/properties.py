"""A property test of a gradient in one line, and the profiles it may run under."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import assume, given, settings, strategies as st

from .check import check_gradients
from .numbers import Domain, reals

#: `pytest --hypothesis-profile=microgrud-ci`: the same examples every time; `microgrud-nightly`: new ones, and many.
PROFILES = {
    "microgrud-ci": settings(derandomize=True, deadline=None, max_examples=100, database=None, print_blob=True),
    "microgrud-nightly": settings(deadline=None, max_examples=5_000, print_blob=True),
}
for name, profile in PROFILES.items():
    settings.register_profile(name, profile)


def given_gradients(
    f: Callable[..., Any], *domains: Domain | st.SearchStrategy[Any], **options: Any
) -> Callable[[], None]:
    """Make a property test: the gradient of a function is right wherever its arguments are drawn from.

    Args:
        f: the function, as for `check_gradients`.
        domains: for each argument an interval, a pair of ends, None for all reals, or a strategy that draws it.
        options: `grad`, `order`, `rtol` and the others of `check_gradients`.

    Returns:
        A test without arguments, for pytest to find under the name it is given. Points where the truth cannot be told
        are passed over, as those that Hypothesis' `assume` refuses; so are those where the function is not defined.

    Raises:
        ValueError: if no domain is given.

    >>> from microgrud import softplus
    >>> test_softplus = given_gradients(softplus, (-700.0, 700.0))
    >>> test_softplus()
    """
    if not domains:
        raise ValueError("given_gradients: expected a domain for each argument of the function, got none")
    strategies = [x if isinstance(x, st.SearchStrategy) else reals(x) for x in domains]

    @given(st.tuples(*strategies))
    def gradients_are_right(point: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        try:
            report = check_gradients(f, *point, **options)
        except (ArithmeticError, ValueError) as error:
            if _is_of_the_point(error):
                assume(False)
            raise
        assume(report.decided)

    gradients_are_right.__name__ = f"gradients_of_{getattr(f, '__name__', type(f).__name__)}_are_right"
    return gradients_are_right


def _is_of_the_point(error: Exception) -> bool:
    """Tell an error of the function at a point, such as an overflow, from one of the call of `check_gradients`."""
    return not str(error).startswith("check_gradients:")
