"""A placeholder for the function of a compiled function that came out of a pickle."""

from __future__ import annotations

from typing import Any, NoReturn

from .recorder import CompileError

#: Advice for a missing recording.
AGAIN = "call it so once before it is pickled, or compile the function again in this process"
#: The reasons for which the function itself would be called, and what to do instead.
NOT_FINITE = (
    "where numbers are not finite, or an operation is outside of its domain, the function itself is called; "
    "compile it again in this process, or with errors='ignore', which lets infinities and NaN through"
)
PART_OF_ANOTHER = (
    "inside another function that is recorded, and for derivatives of a higher order, the function itself is called; "
    "compile it again in this process"
)


class AbsentFunction:
    """A function of which only the name is left: calling it is an error that says why, and what to do.

    Args:
        name: the name of the function.
        reason: the reason for which it would be called, and what to do instead.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.__name__ = name
        self.reason = reason

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise a CompileError."""
        raise self.refused(self.reason)

    def refused(self, reason: str) -> CompileError:
        """Return an error with the reason for which the function is needed."""
        return CompileError(f"{self.__name__} came out of a pickle, with its recordings and without its code: {reason}")


def refuse_if_absent(function: Any, missing: str) -> None:
    """Raise a CompileError if a recording is missing, and there is no function that could be recorded.

    Args:
        function: the function, or its placeholder.
        missing: the end of the sentence "there is no recording ...".

    >>> refuse_if_absent(AbsentFunction("loss", ""), "for arguments of this structure")
    Traceback (most recent call last):
        ...
    microgrud.tape.recorder.CompileError: loss came out of a pickle, with its recordings and without its code: there \
is no recording for arguments of this structure; call it so once before it is pickled, or compile the function again \
in this process
    """
    if isinstance(function, AbsentFunction):
        raise function.refused(f"there is no recording {missing}; {AGAIN}")
