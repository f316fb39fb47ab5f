"""Answers of actors: a result, or the exception of a method; other exceptions of a call are those of its connection."""

from __future__ import annotations

import functools
import pickle
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


class AnswerError(Exception):
    """An exception of a method of an actor, and its traceback there as text: its two arguments."""


class LostError(Exception):
    """A connection to an actor failed."""


class WorkerError(Exception):
    """The traceback on a worker, as text: the cause of the exception that it is about."""

    def __str__(self) -> str:
        return f"on a worker:\n{self.args[0]}"


def answering(method: Method) -> Method:
    """Return a method of an actor that returns True and its result, or False and its exception; a decorator.

    A `LostError` is raised: the connection of an actor to those below it has failed.
    """

    @functools.wraps(method)
    def answer(*arguments: Any) -> tuple[bool, Any]:
        try:
            return True, method(*arguments)
        except LostError:
            raise
        except AnswerError as error:
            return False, error.args
        except Exception as error:
            return False, answer_error(error).args

    return answer  # type: ignore[return-value]


def answer_error(error: Exception, where: str = "") -> AnswerError:
    r"""Return an exception as that of a method. If it cannot be pickled, a RuntimeError with its text takes its place.

    Dask waits for ever for an answer that cannot be read.

    >>> answer_error(ValueError("no such file"), "shard 3: ").args
    (ValueError('no such file'), 'shard 3: ValueError: no such file\n')
    """
    told = where + "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of the methods of its class
        error = RuntimeError(f"{type(error).__name__}: {error}")
    return AnswerError(error, told)


def ask(actor: Any, method: str, *arguments: Any) -> Any:
    """Call a method of an actor, and return its answer, which `result_of` waits for."""
    try:
        return getattr(actor, method)(*arguments)
    except Exception as error:  # its classes are those of several layers
        raise LostError(repr(error)) from None


def result_of(answer: Any) -> Any:
    """Return the result in an answer.

    Raises:
        AnswerError: if the method has raised an exception.
        LostError: if the connection has failed.
    """
    try:
        succeeded, result = answer.result()
    except Exception as error:
        raise LostError(repr(error)) from None
    if not succeeded:
        raise AnswerError(*result)
    return result
