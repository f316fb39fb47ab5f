"""A property test of a gradient in one line, and profiles of Hypothesis for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import Phase, assume, given, settings, strategies as st

from ..common.words import name_of
from .check import Options, call_function, run_check
from .numbers import Domain, reals
from .report import GradientError

_default_settings = settings

#: `pytest --hypothesis-profile=microgrud-ci`: the same examples every time; `microgrud-nightly`: new ones, and many.
PROFILES = {
    "microgrud-ci": settings(derandomize=True, deadline=None, max_examples=100, database=None, print_blob=True),
    "microgrud-nightly": settings(deadline=None, max_examples=5_000, print_blob=True),
}
for name, profile in PROFILES.items():
    settings.register_profile(name, profile)


def _without_explaining(chosen: settings) -> settings:
    """Leave out the phase in which Hypothesis varies parts of a failing example: the report explains it better.

    To explain a failure, Hypothesis traces each line of the test (`sys.settrace` before Python 3.12) and calls it some
    hundred times: 86,587 calls and 14 s, while shrinking alone takes 9,768 calls and 0.4 s.
    """
    return settings(chosen, phases=[phase for phase in chosen.phases if phase is not Phase.explain])


#: The number of points at which the function may raise, if it accepts none, before the test fails.
_MOST_REFUSED = 40


def given_gradients(
    f: Callable[..., Any],
    *domains: Domain | st.SearchStrategy[Any],
    settings: settings | None = None,
    **options: Any,
) -> Callable[[], None]:
    """Make a property test: the gradient of a function is right at all points that are drawn from the domains.

    Args:
        f: the function, as for `check_gradients`.
        domains: for each argument an interval, a pair of ends, None for all reals, or a strategy that draws it.
        settings: the settings of Hypothesis; those of the profile by default, without a deadline.
        options: `grad`, `order`, `rtol` and the other options of `check_gradients`.

    Returns:
        A test without arguments. pytest finds it under the name that you assign it to; in a class, wrap it in
        `staticmethod`. Points where the function is not defined, or the truth is not known well enough, are skipped as
        by `assume` of Hypothesis.

    Raises:
        ValueError: if no domain is given.
        TypeError, ValueError: for options that `check_gradients` does not accept.

    >>> from microgrud import softplus
    >>> test_softplus = given_gradients(softplus, (-700.0, 700.0))
    >>> test_softplus()
    """
    if not domains:
        raise ValueError("given_gradients: expected a domain for each argument of the function, got none")
    chosen = Options(**options)
    strategies = [x if isinstance(x, st.SearchStrategy) else reals(x) for x in domains]
    accepted = refused = 0
    failing: set[str] = set()

    @_without_explaining(settings or _default_settings(deadline=None))
    @given(st.tuples(*strategies))
    def gradients_are_right(point: tuple[Any, ...]) -> None:
        __tracebackhide__ = True
        nonlocal accepted, refused
        try:
            call_function(f, point, chosen)
        except (ArithmeticError, ValueError) as error:
            refused += 1
            if refused > _MOST_REFUSED and not accepted:
                raise ValueError(
                    f"given_gradients: {name} is defined at no point that was tried, such as {point!r}: {error}"
                ) from error
            assume(False)
        # Hypothesis runs the point that it shows a second time; for other failing points one failing entry suffices.
        to_first_failure = bool(failing) and repr(point) not in failing
        try:
            report = run_check(f, point, chosen, to_first_failure)
        except GradientError:
            failing.add(repr(point))
            raise
        accepted += 1
        assume(report.decided)

    gradients_are_right.__name__ = f"gradients_of_{name_of(f)}_are_right"
    return gradients_are_right
