"""The states of a model: its predictions now, after each step that is recorded, or those of several models."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ..common.arrays import unpacked
from ..common.checks import instance, whole
from ..common.numbers import as_float, as_sequence, is_real_scalar
from ..engine import Value
from ..engine.grad_mode import without_graph
from ..nn.mode import mode
from .picture import Picture

#: A model: a function of a number or a row, or a Module.
Model: TypeAlias = Callable[[Any], Any]
#: One model, or several in a list, or by name.
Models: TypeAlias = Model | Sequence[Model] | Mapping[str, Model]


class States(Picture):
    """A picture of the predictions of a model, with a state for each time that they are recorded.

    A subclass evaluates a model (`_evaluate`) at once when a state is recorded: the model may change afterwards.
    """

    def __init__(self, where: str, models: Models) -> None:
        self._where = where
        self._names: list[str] = []
        self._unit = "step"
        self._steps: list[int] = []
        self._states: list[Any] = []
        self._model: Model | None = None
        if callable(models):
            self._model = models
            self.record()
            return
        if isinstance(models, Mapping):
            self._names, models = [str(name) for name in models], list(models.values())
        several = as_sequence(models, f"{where}: the model", "functions, or one function")
        if not several:
            raise ValueError(f"{where}: expected at least one state of a model, got an empty list")
        for k, model in enumerate(several):
            instance(Callable, "a function")(f"{where}: state {k}", model)
            same = next((i for i, other in enumerate(several[:k]) if _same(model, other)), None)
            if same is not None:
                raise ValueError(
                    f"{where}: states {same} and {k} are one function of the same variables, so both show the present "
                    "numbers; append copy.deepcopy(model), or pass the function once and call record() after each step"
                )
        for model in several:
            self._add(model, None)

    def record(self, step: int | None = None) -> None:
        """Add the present state of the model that the picture was made of.

        Args:
            step: the number of the step; by default one more than the last one, and 0 for the first.

        Raises:
            TypeError: if the picture was made of a list of models.
            ValueError: for a step that does not come after the last one.
        """
        if self._model is None:
            raise TypeError(f"{self._where}: record: expected a picture of one model, got one of a list of them")
        self._add(self._model, step)

    def __call__(self, event: Any) -> None:
        """Record the state after an epoch of `fit`: pass the picture as a callback."""
        if event.kind == "epoch":
            self._unit = "epoch"
            self.record(max(event.epoch, self._steps[-1] + 1))  # a second run counts its epochs from 1 again

    def __len__(self) -> int:
        """Return the number of states."""
        return len(self._states)

    def _add(self, model: Model, step: int | None) -> None:
        last = self._steps[-1] if self._steps else -1
        step = last + 1 if step is None else whole(0)(f"{self._where}: record: step", step)
        if step <= last:
            raise ValueError(f"{self._where}: record: step: expected a number above the last one, {last}, got {step}")
        with mode(model, training=False):
            state = without_graph(lambda: self._evaluate(model))
        self._steps.append(step)
        self._states.append(state)

    def _step(self, state: int) -> str:
        """Return the beginning of a sentence: the name of the state, or the step if there are several."""
        if self._names:
            return f"{self._names[state]}: "
        if len(self) == 1:
            return ""
        if self._model is None:
            return f"state {state + 1} of {len(self)}: "
        return f"{self._unit} {self._steps[state]} of {self._steps[-1]}: "

    def _evaluate(self, model: Model) -> Any:
        raise NotImplementedError


def _same(f: Model, g: Model) -> bool:
    """Return whether two functions read the same variables, so that they have one state, the present one."""
    if f is g or type(f) is not type(g):
        return f is g
    ours, theirs = _variables(f), _variables(g)
    return 0 < len(ours) == len(theirs) and all(a is b for a, b in zip(ours, theirs))


def _variables(f: Any) -> list[Any]:
    """Return what a function, a method, a partial call or an object reads when it is called; nothing if unknown."""
    if isinstance(f, functools.partial):
        return [*_variables(f.func), *f.args, *f.keywords.values()]
    if hasattr(f, "__code__"):
        owner = getattr(f, "__self__", None)
        cells = [cell if _is_constant(content := _content(cell)) else content for cell in f.__closure__ or ()]
        return [
            f.__code__,
            *(_variables(owner) or [owner]),
            *cells,
            *(f.__defaults__ or ()),
            *(f.__kwdefaults__ or {}).values(),
        ]
    found = list(getattr(f, "__dict__", {}).values())
    return [] if all(map(_is_constant, found)) else found


def _is_constant(x: Any) -> bool:
    return x is None or isinstance(x, (float, int, str))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that is not assigned yet
        return cell


def outputs_between(where: str, model: Model, given: Any, count: int) -> list[float]:
    """Return the numbers that a model returns at a place without data; NaN where it raises an arithmetic error.

    Args:
        where: the caller's name, for messages.
        model: the model, which returned numbers at all points of the data.
        given: the input.
        count: how many numbers it returned there.
    """
    try:
        return outputs(where, model(given))
    except (ValueError, ArithmeticError):
        return [math.nan] * count


def outputs(where: str, prediction: Any) -> list[float]:
    """Return the numbers that a model returned: one, or one for each output.

    Raises:
        TypeError: for anything else.
    """
    prediction = unpacked(prediction)
    one = isinstance(prediction, Value) or is_real_scalar(prediction)
    found = [prediction] if one else as_sequence(prediction, f"{where}: the result of the model")
    return [
        as_float(x.data if isinstance(x, Value) else x, f"{where}: the result of the model")
        for x in map(unpacked, found)
    ]
