"""What stands in the place of the function of a compiled object that came out of a pickle."""

from __future__ import annotations

from typing import Any, NoReturn

from .recorder import CompileError

__all__ = ["AGAIN", "NOT_FINITE", "PART_OF_ANOTHER", "AbsentFunction", "refuse_if_absent"]

#: What to do about a recording that is not there.
AGAIN = "call it so once before it is pickled, or compile the function again in this process"
#: What the function itself would be asked for, and what to do without it.
NOT_FINITE = (
    "where numbers are not finite, or an operation is outside of its domain, it is the function itself that answers; "
    "compile it again in this process, or with errors='ignore', which lets infinities and NaN through"
)
PART_OF_ANOTHER = (
    "inside another function that is recorded, and for derivatives of a higher order, the function itself is called; "
    "compile it again in this process"
)


class AbsentFunction:
    """A function of which there is the name alone: to call it is an error that says why, and what to do.

    Args:
        name: what it was called.
        reason: why it would be called, and what to do instead.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.__name__ = name
        self.reason = reason

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise a CompileError."""
        raise self.refused(self.reason)

    def refused(self, reason: str) -> CompileError:
        """Return the error that says what a call would need the function for."""
        return CompileError(f"{self.__name__} came out of a pickle, with its recordings and without its code: {reason}")


def refuse_if_absent(function: Any, missing: str) -> None:
    """Raise a CompileError if a recording is missing, and there is no function that could be recorded.

    Args:
        function: the function, or what stands in its place.
        missing: what the recording would be of.

    >>> refuse_if_absent(AbsentFunction("loss", ""), "for arguments of this structure")
    Traceback (most recent call last):
        ...
    microgrud.tape.recorder.CompileError: loss came out of a pickle, with its recordings and without its code: there \
is no recording for arguments of this structure; call it so once before it is pickled, or compile the function again \
in this process
    """
    if isinstance(function, AbsentFunction):
        raise function.refused(f"there is no recording {missing}; {AGAIN}")
