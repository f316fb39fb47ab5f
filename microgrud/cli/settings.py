"""The settings of a training run, and the defaults that suit a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from ..nn.activations import ACTIVATIONS
from ..optim import OPTIMIZERS, schedules
from ..optim.optimizer import Optimizer
from ..optim.schedules import Schedule
from ..tables.table import closest
from .preprocessing import TASKS, Task

#: The default learning rate of each optimizer, which suits standardised inputs and batches of 16.
LEARNING_RATES = {"adam": 0.01, "adamw": 0.01, "adagrad": 0.05, "rmsprop": 0.005, "sgd": 0.05, "lbfgs": 1.0}

#: Makes each schedule of an optimizer's rate, from its first rate and the number of steps; None is a constant rate.
SCHEDULES: dict[str, Callable[[Optimizer, float, int], Schedule | None]] = {
    "constant": lambda optimizer, rate, steps: None,
    "cosine": lambda optimizer, rate, steps: schedules.CosineAnnealingLR(optimizer, steps, interval="step"),
    "exponential": lambda optimizer, rate, steps: schedules.ExponentialLR(optimizer, 0.01 ** (1 / steps), "step"),
    "one-cycle": lambda optimizer, rate, steps: schedules.OneCycleLR(optimizer, rate, steps),
    "plateau": lambda optimizer, rate, steps: schedules.ReduceLROnPlateau(optimizer, patience=5),
    "step": lambda optimizer, rate, steps: schedules.StepLR(optimizer, max(1, steps // 3), interval="step"),
    "warmup": lambda optimizer, rate, steps: schedules.LinearWarmup(optimizer, max(1, steps // 10)),
}

#: The default number of epochs. A small table gets more, for at least LEAST_STEPS steps; a large one gets fewer, for at
#: most MOST_WORK samples times parameters. Measured, a parameter costs 1 to 2 us per sample, forward and backward: so
#: training takes a minute or two at most.
DEFAULT_EPOCHS = 60
LEAST_STEPS = 480
MOST_WORK = 50_000_000

#: Epochs, and iterations per epoch, of L-BFGS: each iteration uses all rows; more would only overfit a small table.
LBFGS_EPOCHS = 5
LBFGS_ITERATIONS = 4

#: The default weight decay times the number of training rows: with more rows, a Gaussian prior on the weights counts
#: for less. AdamW's decay is not scaled with the gradient, so that its unit differs from that of the L2 penalty of the
#: other optimizers. A standardised number, which may be mostly noise, needs a larger penalty than classes. Measured
#: with layers of 16 and 8 on scikit-learn's tables and on synthetic ones of 60 to 600 rows, seeds 0 to 9: on diabetes,
#: where layers of 16 and 16 and a decay of 75 lost to a linear model, these defaults do not lose, and where there is
#: more to learn than a line they cost hardly any accuracy.
_ADAMW_TIMES_ROWS = 90.0
_PENALTY_TIMES_ROWS = {"regression": 7.0, "classification": 1.0}


class SettingsError(ValueError):
    """An invalid setting; the message is one line and says what was expected."""


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


def _option(default: Any, help: str, **changes: Any) -> Any:
    """Make a field with its option, which is a text unless `changes` says otherwise."""
    text = {"metavar": None, "kind": str | None, "read": str}
    return field(default=default, metadata={"help": help, **text, **changes})


@dataclass(frozen=True)
class RunSettings:
    """The settings of a training run; `microgrud train` has an option for each.

    Args:
        target: the column to predict.
        task: `"classification"`, `"regression"`, or None to decide by the target.
        hidden: the number of neurons in each hidden layer; without any, the model is linear.
        activation: the activation of the hidden layers.
        optimizer: a name in `OPTIMIZERS`.
        lr: the learning rate; None for the one that suits the optimizer.
        schedule: the schedule of the rate, a name in `SCHEDULES`.
        weight_decay: how strongly weights are pulled to zero; None for a strength that falls with the number of rows.
        epochs: the number of passes over the training rows; None for a number that suits the table.
        batch_size: rows per step; None for 16, or with L-BFGS all of them.
        test_size: the share of rows to hold out.
        seed: the seed of the split, the initial weights and the shuffling.
        ignore: columns to leave out.
        categorical: columns of numbers to treat as categories.
        drop_missing: whether to leave out rows with missing cells, which are an error otherwise.
        delimiter: the character between cells; None if it was detected from the header.

    Raises:
        SettingsError: for invalid settings.
    """

    target: str = _option(MISSING, "Column to predict.")
    task: Task | None = _option(None, "classification or regression.  [default: by the target]")  # noqa: RUF009
    hidden: tuple[int, ...] = _option((16, 8), "Sizes of the hidden layers, or none for a linear model.", **_SIZES)
    activation: str = _option("tanh", "Activation of the hidden layers: tanh, relu, gelu, silu, ...")
    optimizer: str = _option("adamw", f"One of {', '.join(OPTIMIZERS)}.")
    lr: float | None = _option(None, "Learning rate.  [default: depends on the optimizer]", **_FLOAT)
    schedule: str = _option("cosine", f"Schedule of the learning rate: one of {', '.join(SCHEDULES)}.")
    weight_decay: float | None = _option(
        None,
        "Strength of the weight decay (an L2 penalty, except with adamw).  [default: smaller for larger tables]",
        **_FLOAT,
    )
    epochs: int | None = _option(
        None, f"Passes over the training rows.  [default: {DEFAULT_EPOCHS}, or what suits the table]", **_INT
    )
    batch_size: int | None = _option(None, "Rows per step.  [default: 16; all with lbfgs]", **_INT)
    test_size: float = _option(0.2, "Share of the rows to hold out.", **_FLOAT | {"metavar": "SHARE"})
    seed: int = _option(0, "Seed of the split, the initial weights and the shuffling.", **_INT | {"metavar": "NUMBER"})
    ignore: tuple[str, ...] = _option((), "Column to leave out; may be repeated.", **_NAMES)
    categorical: tuple[str, ...] = _option((), "Column of numbers that are categories; may be repeated.", **_NAMES)
    drop_missing: bool = _option(False, "Leave out rows with missing cells.", **_FLAG)
    delimiter: str | None = _option(None, "Character between cells.  [default: from the header]")

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> RunSettings:
        """Return the settings for options: texts, lists of texts and flags, by name; None stands for the default."""
        settings = {}
        for each in fields(cls):
            option = given[each.name]
            try:
                if option is not None:
                    settings[each.name] = each.metadata["read"](option)
            except ValueError:
                expected = each.metadata["expected"]
                raise SettingsError(f"{option_name(each.name)}: expected {expected}, got {option!r}") from None
        return cls(**settings)

    def __post_init__(self) -> None:
        for option, name, known in (
            ("--activation", self.activation, tuple(ACTIVATIONS)),
            ("--optimizer", self.optimizer, tuple(OPTIMIZERS)),
            ("--schedule", self.schedule, SCHEDULES),
            ("--task", self.task, (None, *TASKS)),
        ):
            if name not in known:
                raise SettingsError(f"{option}: there is no {name!r}{closest(str(name), filter(None, known))}")
        sizes, smallest = option_text(self.hidden), min(self.hidden, default=1)
        for option, value, fits, wanted in (
            ("--hidden", sizes, lambda _: smallest >= 1, "sizes of at least 1, such as 16,8, or none"),
            ("--lr", self.lr, lambda x: 0 < x < math.inf, "a number above 0"),
            ("--weight-decay", self.weight_decay, lambda x: 0 <= x < math.inf, "a number of at least 0"),
            ("--epochs", self.epochs, lambda x: x >= 1, "at least 1"),
            ("--batch-size", self.batch_size, lambda x: x >= 1, "at least 1"),
            ("--test-size", self.test_size, lambda x: 0 < x < 1, "a share between 0 and 1, such as 0.2"),
            ("--seed", self.seed, lambda x: 0 <= x < 2**32, f"a whole number from 0 to {2**32 - 1}"),
        ):
            if value is not None and not fits(value):
                raise SettingsError(f"{option}: expected {wanted}, got {value}")
        if self.target in self.ignore:
            raise SettingsError(f"--ignore: {self.target!r} is the target, which cannot be left out")

    def steps_per_epoch(self, rows: int) -> int:
        """Return the number of batches for `rows` training rows."""
        return math.ceil(rows / (self.batch_size or rows))

    def steps(self, rows: int) -> int:
        """Return the number of steps in a whole run with `rows` training rows."""
        return (self.epochs or 1) * self.steps_per_epoch(rows)


def option_name(setting: str) -> str:
    """Return the name of the option for a setting."""
    return "--" + setting.replace("_", "-")


def option_text(setting: Any) -> str:
    """Return the text of the option for a setting."""
    return ",".join(map(str, setting)) or "none" if isinstance(setting, tuple) else str(setting)


def with_defaults(settings: RunSettings, task: Task, rows: int, parameters: int, notes: list[str]) -> RunSettings:
    """Return the settings with every None replaced by a value that suits the table."""
    whole = settings.optimizer == "lbfgs"
    batch_size = min(settings.batch_size or (rows if whole else 16), rows)
    epochs = settings.epochs
    if epochs is None:
        wanted = LBFGS_EPOCHS if whole else max(DEFAULT_EPOCHS, math.ceil(LEAST_STEPS / math.ceil(rows / batch_size)))
        passes = LBFGS_ITERATIONS + 2 if whole else 1
        epochs = min(wanted, max(1, MOST_WORK // (rows * parameters * passes)))
        if epochs < wanted:
            notes.append(f"The table is large: {epochs} epochs rather than {wanted}; --epochs chooses another number.")
    decay = settings.weight_decay
    if decay is None:
        adamw = settings.optimizer == "adamw"
        decay = min(1.0, (_ADAMW_TIMES_ROWS if adamw else _PENALTY_TIMES_ROWS[task]) / rows)
    lr = settings.lr or LEARNING_RATES[settings.optimizer]
    return replace(settings, task=task, lr=lr, epochs=epochs, batch_size=batch_size, weight_decay=decay)
