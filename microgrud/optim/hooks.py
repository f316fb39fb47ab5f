"""Functions that run before and after each step of an optimizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

#: The ids of the optimizers that are in a step with hooks. An attribute would be copied by a hook that copies one.
_in_step: set[int] = set()

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
    """Make a method `step` of an optimizer call the hooks, unless it is called by the `step` of a derived class."""

    @wraps(step)
    def with_hooks(self: Any, *args: Any, **kwargs: Any) -> Any:
        if id(self) in _in_step or not (self._step_pre_hook or self._step_post_hook):
            return step(self, *args, **kwargs)
        _in_step.add(id(self))
        try:
            for hook in self._step_pre_hook:
                args, kwargs = _arguments(self, hook.function(self, args, kwargs), args, kwargs)
            result = step(self, *args, **kwargs)
            for hook in self._step_post_hook:
                self.made_finite = None  # the hook may change parameters, too
                hook.function(self, args, kwargs)
        finally:
            _in_step.discard(id(self))
        return result

    return with_hooks  # type: ignore[return-value]


def _arguments(optimizer: Any, changed: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Return the arguments of the step after a hook that has returned `changed`."""
    if changed is None:
        return args, kwargs
    if not (isinstance(changed, tuple) and len(changed) == 2):
        raise TypeError(
            f"{type(optimizer).__name__}.step: expected a pre-hook to return None, or the new arguments "
            f"(args, kwargs), got {changed!r}"
        )
    return changed
