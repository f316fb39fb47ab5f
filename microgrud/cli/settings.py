"""The settings of a training run, each with its option on the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from inspect import signature
from typing import Any

from ..nn.activations import ACTIVATIONS
from ..sklearn import MLPClassifier
from ..sklearn.settings import LEARNING_RATES, SCHEDULES
from ..tables.table import closest
from ..tables.target import TASKS, Task


class SettingsError(ValueError):
    """Invalid settings; the message has one line for each, which says what was expected."""


def option_name(setting: str) -> str:
    """Return the name of the option for a setting."""
    return "--" + setting.replace("_", "-")


def option_text(setting: Any) -> str:
    """Return the text of the option for a setting."""
    return ",".join(map(str, setting)) or "none" if isinstance(setting, tuple) else str(setting)


def _sizes(text: str) -> tuple[int, ...]:
    if text.strip() in ("", "0", "none"):
        return ()
    return tuple(int(size) for size in text.split(",") if size.strip())


#: Kinds of options: the type for typer, the function that reads what typer gives, and the text that it expects.
_FLOAT = {"metavar": "NUMBER", "read": float, "expected": "a number such as 0.01"}
_INT = {"metavar": "COUNT", "read": int, "expected": "a whole number such as 16"}
_SIZES = {"metavar": "SIZES", "read": _sizes, "expected": "whole numbers such as 16,8, or none for no hidden layer"}
_NAMES = {"metavar": "NAME", "kind": list[str] | None, "read": tuple}
_FLAG = {"kind": bool, "read": bool}


def _fits(kind: dict[str, Any], wanted: str, fits: Callable[[Any], bool], metavar: str = "") -> dict[str, Any]:
    """Return a kind of options with a check of their values."""
    return {**kind, "wanted": wanted, "fits": fits, "metavar": metavar or kind["metavar"]}


#: Kinds of options with a check.
_SHARE = _fits(_FLOAT, "a share between 0 and 1, such as 0.2", lambda x: 0 < x < 1, "SHARE")
_SECONDS = _fits(_FLOAT, "a number of seconds above 0", lambda x: 0 < x < math.inf, "SECONDS")
_NOT_NEGATIVE = _fits(_FLOAT, "a number of at least 0", lambda x: 0 <= x < math.inf)
_SEED = _fits(_INT, f"a whole number from 0 to {2**32 - 1}", lambda x: 0 <= x < 2**32, "NUMBER")
_FOLDS = _fits(_INT, "a number of folds from 2 to 100, such as 5", lambda x: x == 0 or 2 <= x <= 100)
_LAYERS = _fits(_SIZES, "sizes of at least 1, such as 16,8, or none", lambda sizes: min(sizes or (1,)) >= 1)
_POSITIVE = _fits(_FLOAT, "a number above 0", lambda x: 0 < x < math.inf)
_AT_LEAST_1 = _fits(_INT, "at least 1", lambda x: x >= 1)
_UP_TO_100 = _fits(_INT, "a whole number from 1 to 100", lambda x: 1 <= x <= 100)


def _option(default: Any, help: str, **changes: Any) -> Any:
    """Make a field with its option, which is a text unless `changes` says otherwise."""
    text = {"metavar": None, "kind": str | None, "read": str}
    return field(default=default, metadata={"help": help, **text, **changes})


def _network(parameter: str, help: str, **changes: Any) -> Any:
    """Make a field for a parameter of the estimators; None is their default, which the help text ends with."""
    default = signature(MLPClassifier).parameters[parameter].default
    if default not in ("auto", None):
        help += f"  [default: {option_text(default)}]"
    return _option(None, help, parameter=parameter, **changes)


@dataclass(frozen=True)
class RunSettings:
    """The settings of a training run; `microgrud train` has an option for each, whose help describes it.

    None stands for the default of the estimator; the settings of a finished run hold the values that were used.

    Raises:
        SettingsError: for invalid settings.
    """

    target: str = _option(MISSING, "Column to predict.")
    task: Task | None = _option(None, "classification or regression.  [default: by the target]", known=TASKS)  # noqa: RUF009
    ignore: tuple[str, ...] = _option((), "Column to leave out; may be repeated.", **_NAMES)
    categorical: tuple[str, ...] = _option((), "Column of numbers that are categories; may be repeated.", **_NAMES)
    numerical: tuple[str, ...] = _option((), "Column of numbers, not an identifier; may be repeated.", **_NAMES)
    decimal: str | None = _option(None, "Decimal mark of ambiguous cells: . or a comma.", known=(".", ","))
    day_first: bool = _option(False, "In dates that can be read either way, the day is first.", **_FLAG)
    month_first: bool = _option(False, "In dates that can be read either way, the month is first.", **_FLAG)
    drop_missing: bool = _option(False, "Leave out rows with missing cells, which are filled otherwise.", **_FLAG)
    delimiter: str | None = _option(None, "Character between cells.  [default: detected]")
    encoding: str | None = _option(None, "Encoding of text files, such as cp1251.  [default: detected]")
    header: bool = _option(False, "The first line holds the names of columns.  [default: detected]", **_FLAG)
    no_header: bool = _option(False, "The first line holds cells.  [default: detected]", **_FLAG)
    test_size: float = _option(0.2, "Share of the rows to hold out.", **_SHARE)
    cv: int = _option(
        0,
        "Number of folds of a cross-validation: each row is predicted by a network trained on the other folds, and the "
        "model is trained on all rows.  [default: none]",
        **_FOLDS,
    )
    repeats: int = _option(1, "Number of cross-validations, each with other folds.", **_UP_TO_100)
    keep: tuple[str, ...] = _option((), "Column to copy to the predictions, or all; may be repeated.", **_NAMES)
    seed: int = _option(0, "Seed of the splits, the initial weights and the shuffling.", **_SEED)
    estimators: int = _option(
        8,
        "Number of networks whose answers are averaged, each validated on another fold.",
        parameter="n_estimators",
        **_UP_TO_100,
    )
    time: float | None = _network(
        "max_seconds",
        "Limit of the time for reading and training, which folds and search share; scores and pictures come after.  "
        "[default: no limit]",
        **_SECONDS,
    )
    scheduler: str | None = _option(
        None,
        "Address of a Dask scheduler, such as tcp://host:8786, whose workers read the Parquet files and train.",
        metavar="ADDRESS",
    )
    search: bool = _option(False, "Search sizes, rate and decay by halving; takes several times as long.", **_FLAG)
    hidden: tuple[int, ...] | None = _network(
        "hidden_layer_sizes", "Sizes of the hidden layers, such as 64,32, or none for a linear model.", **_LAYERS
    )
    activation: str | None = _network(
        "activation", "Activation of the hidden layers: relu, gelu, silu, tanh, ...", known=tuple(ACTIVATIONS)
    )
    optimizer: str | None = _network("solver", f"One of {', '.join(LEARNING_RATES)}.", known=tuple(LEARNING_RATES))
    lr: float | None = _network("learning_rate_init", "Learning rate.  [default: by the optimizer]", **_POSITIVE)
    schedule: str | None = _network(
        "learning_rate", f"Schedule of the learning rate: one of {', '.join(SCHEDULES)}.", known=tuple(SCHEDULES)
    )
    weight_decay: float | None = _network(
        "alpha",
        "Strength of the weight decay (an L2 penalty, except with adamw).  [default: smaller for larger tables]",
        **_NOT_NEGATIVE,
    )
    epochs: int | None = _network(
        "max_iter", "Maximum number of passes over the training rows.  [default: by the number of rows]", **_AT_LEAST_1
    )
    batch_size: int | None = _network(
        "batch_size", "Rows per step.  [default: by the number of rows; all with lbfgs]", **_AT_LEAST_1
    )

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> RunSettings:
        """Return the settings for options: texts, lists of texts and flags, by name; None stands for the default.

        Raises:
            SettingsError: with a line for each option that cannot be read or is invalid.
        """
        settings, problems = {}, []
        for each in fields(cls):
            option = given[each.name]
            try:
                if option is not None:
                    settings[each.name] = each.metadata["read"](option)
            except ValueError:
                expected = each.metadata["expected"]
                problems.append(f"{option_name(each.name)}: expected {expected}, got {option!r}")
        try:
            made = cls(**settings)
        except SettingsError as error:
            problems += str(error).splitlines()
        if problems:
            raise SettingsError("\n".join(problems))
        return made

    def __post_init__(self) -> None:
        problems = []
        for each in fields(self):
            value, option, check = getattr(self, each.name), option_name(each.name), each.metadata
            if value is not None and value not in check.get("known", (value,)):
                problems.append(f"{option}: there is no {value!r}{closest(str(value), check['known'])}")
            if value is not None and not check.get("fits", lambda _: True)(value):
                problems.append(f"{option}: expected {check['wanted']}, got {option_text(value)}")
        if self.repeats > 1 and not self.cv:
            problems.append("--repeats: repeats a cross-validation; give its number of folds too, as in --cv 5")
        if self.scheduler is not None:
            given = {"--cv": self.cv, "--repeats": self.repeats > 1, "--search": self.search}
            advice = "leave one of them out; the scores are those of rows held out (--test-size)"
            problems += [f"{name}: is not available with --scheduler; {advice}" for name in given if given[name]]
        if self.day_first and self.month_first:
            problems.append("--month-first: contradicts --day-first; leave one of them out")
        if self.header and self.no_header:
            problems.append("--no-header: contradicts --header; leave one of them out")
        if self.target in self.ignore:
            problems.append(f"--ignore: {self.target!r} is the target, which cannot be left out")
        if problems:
            raise SettingsError("\n".join(problems))

    def reading(self) -> dict[str, Any]:
        """Return the options of a TablePreparation that were chosen."""
        return {
            "categorical": tuple(name for name in self.categorical if name != self.target),
            "numerical": self.numerical,
            "ignore": self.ignore,
            "decimal": self.decimal,
            "day_first": True if self.day_first else False if self.month_first else None,
        }

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the estimator that were chosen, by their names there."""
        chosen = {
            each.metadata["parameter"]: value
            for each in fields(self)
            if "parameter" in each.metadata and (value := getattr(self, each.name)) is not None
        }
        return {**chosen, "random_state": self.seed}
