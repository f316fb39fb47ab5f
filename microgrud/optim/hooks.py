"""Functions that run before and after each step of an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Step = TypeVar("Step", bound=Callable[..., Any])


class StepHook:
    """A hook that is registered with an optimizer, until `remove` is called.

    Copies and pickles of the optimizer keep its hooks: a pickle refuses a hook that it cannot hold, such as a lambda.

    Args:
        optimizer: whose steps it belongs to.
        when: the attribute of the optimizer that holds the hooks of this kind.
        function: called with the optimizer, and the positional and keyword arguments of `step`.
    """

    def __init__(self, optimizer: Any, when: str, function: Callable[..., Any]) -> None:
        if not callable(function):
            kind = type(optimizer).__name__
            got = type(function).__name__
            raise TypeError(f"{kind}.register{when}: hook: expected a function, got an object of type {got}")
        self.optimizer, self.when, self.function = optimizer, when, function
        setattr(optimizer, when, (*getattr(optimizer, when), self))

    def remove(self) -> None:
        """Take the hook from the optimizer; without effect if it has been removed before."""
        hooks: tuple[StepHook, ...] = getattr(self.optimizer, self.when)
        setattr(self.optimizer, self.when, tuple(hook for hook in hooks if hook is not self))


def hooked(step: Step) -> Step:
    """Make `step` of an optimizer call the hooks; the decorator of each `step` that moves parameters itself."""

    @wraps(step)
    def with_hooks(self: Any, *args: Any, **kwargs: Any) -> Any:
        for hook in self._step_pre_hook:
            changed = hook.function(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise TypeError(
                        f"{type(self).__name__}.step: expected a pre-hook to return None, or the new arguments "
                        f"(args, kwargs), got {changed!r}"
                    )
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        if self._step_post_hook:
            self.made_finite = None  # a hook may change parameters, too
        for hook in self._step_post_hook:
            hook.function(self, args, kwargs)
        return result

    return with_hooks  # type: ignore[return-value]
