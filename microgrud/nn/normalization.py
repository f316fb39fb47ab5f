"""Normalization: inputs with mean 0 and variance 1, over the inputs of a sample or over the samples of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import functions
from ..autodiff.rematerialization import is_evaluated_again
from ..common.checks import NOT_NEGATIVE, flag, real
from ..common.numbers import Interval, Number
from ..engine import Value, tracing
from ..typing import Output
from .layers import _count
from .module import Module
from .rows import PerSample, numbers_of, rows_of

_eps = real(NOT_NEGATIVE)
_momentum = real(Interval(0.0, 1.0))


class LayerNorm(PerSample):
    """Normalize the inputs of each sample, then scale and shift each of them.

        y[i] = (x[i] - mean(x)) / sqrt(var(x) + eps) * weight[i] + bias[i]

    var is the mean of the squared deviations. Training and evaluation mode are the same.

    Source: Ba, Kiros and Hinton (2016), Layer normalization, arXiv:1607.06450; the formula is that of PyTorch.

    Args:
        size: the number of inputs.
        eps: added to the variance, 0 or more.
        elementwise_affine: whether there are `weight`, at first 1, and `bias`, at first 0; otherwise they are None.

    Raises:
        TypeError, ValueError: for invalid arguments.

    >>> [round(y, 3) for y in LayerNorm(3, elementwise_affine=False)([1.0, 2.0, 3.0])]
    [-1.225, 0.0, 1.225]
    """

    def __init__(self, size: int, eps: float = 1e-5, elementwise_affine: bool = True) -> None:
        self.size = _count(size, "LayerNorm: size")
        self.eps: float = _eps("LayerNorm: eps", eps)
        self.weight, self.bias = _affine(self.size, flag("LayerNorm: elementwise_affine", elementwise_affine))

    def forward(self, x: Any) -> list[Any]:
        """Return the outputs for one sample.

        Raises:
            ValueError: for another number of inputs.
        """
        xs = _inputs(x, self.size, "LayerNorm")
        mean = functions.mean(xs)
        deviations = [x - mean for x in xs]
        scale = 1.0 / functions.sqrt(functions.dot(deviations, deviations) / self.size + self.eps)
        return _scaled([x * scale for x in deviations], self.weight, self.bias)

    def _arguments(self) -> dict[str, Any]:
        return {"size": self.size, "eps": float(self.eps), "elementwise_affine": self.weight is not None}

    def __repr__(self) -> str:
        return f"LayerNorm({self.size})"


class Buffer(Module):
    """Numbers that are part of a module's state, but not parameters: always frozen.

    They are Values, so that recordings read the present ones.
    """

    _may_train = False

    def __init__(self, numbers: Sequence[float]) -> None:
        self.values = [Value(x) for x in numbers]
        self._frozen = True


class BatchNorm1d(Module):
    """Normalize each input over the samples of a batch, then scale and shift it.

        y[k][i] = (x[k][i] - mean[i]) / sqrt(var[i] + eps) * weight[i] + bias[i]

    In training mode it takes a table, and mean and var are those of the column i, with var the mean of the squared
    deviations. Each call moves the running statistics,

        running_mean[i] = (1 - momentum) * running_mean[i] + momentum * mean[i]
        running_var[i]  = (1 - momentum) * running_var[i]  + momentum * var[i] * n / (n - 1)    for n rows

    which take their places in evaluation mode, where it takes one sample or a table. The running statistics are part of
    `state_dict()`, model files and checkpoints. `fit` calls a model with BatchNorm1d once for each batch, with all its
    rows, and records only its validation; `history.eager_because` says so.

    Source: Ioffe and Szegedy (2015), Batch normalization, arXiv:1502.03167; the formulas are those of PyTorch.

    Args:
        size: the number of inputs.
        eps: added to the variance, 0 or more.
        momentum: the weight of a new batch, from 0 to 1.
        affine: whether there are `weight`, at first 1, and `bias`, at first 0; otherwise they are None.

    Raises:
        TypeError, ValueError: for invalid arguments; in training mode, for less than two rows.
        RuntimeError: (from a call in training mode) inside `compile`, whose replays would not move the statistics.

    >>> norm = BatchNorm1d(1, momentum=0.5)
    >>> [round(y.data, 3) for [y] in norm([[1.0], [2.0], [3.0]])]
    [-1.225, 0.0, 1.225]
    >>> {name: x for name, x in norm.state_dict().items() if "running" in name}
    {'running_mean.values.0': 1.0, 'running_var.values.0': 1.0}
    """

    needs_batch = True
    _draws = False

    def __init__(self, size: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        self.size = _count(size, "BatchNorm1d: size")
        self.eps: float = _eps("BatchNorm1d: eps", eps)
        self.momentum: float = _momentum("BatchNorm1d: momentum", momentum)
        self.weight, self.bias = _affine(self.size, flag("BatchNorm1d: affine", affine))
        self.running_mean, self.running_var = Buffer([0.0] * self.size), Buffer([1.0] * self.size)

    if TYPE_CHECKING:

        def __call__(self, x: Any) -> Output:
            """Return the output of `forward`."""
            raise NotImplementedError

    def forward(self, x: Any) -> list[Any]:
        """Return the outputs for a table, a list for each row; in evaluation mode, also those for one sample."""
        rows = rows_of(x)
        if self.training:
            return self._train_on([] if rows is None else rows)
        scales = [1.0 / functions.sqrt(variance + self.eps) for variance in self.running_var.values]
        outputs = [
            self._normalized(_inputs(row, self.size, "BatchNorm1d"), self.running_mean.values, scales)
            for row in ([x] if rows is None else rows)
        ]
        return outputs[0] if rows is None else outputs

    def _train_on(self, rows: Sequence[Any]) -> list[Any]:
        """Return the outputs for the rows of a batch, and move the running statistics."""
        if tracing.current() is not None:
            raise RuntimeError(
                "BatchNorm1d: expected evaluation mode inside a recording, got training mode, whose running statistics "
                "a replay would not move; call model.eval() first, or LayerNorm instead"
            )
        count = len(rows)
        if count < 2:
            raise ValueError(
                "BatchNorm1d: expected a table of at least 2 rows in training mode, whose mean and variance it takes, "
                f"got {'one row' if count else 'one sample'}; call model.eval() for predictions, and choose a "
                "batch_size that leaves no batch of one row"
            )
        columns = list(zip(*(_inputs(row, self.size, "BatchNorm1d") for row in rows)))
        means = [functions.mean(column) for column in columns]
        deviations = [[x - mean for x in column] for column, mean in zip(columns, means)]
        variances = [functions.dot(column, column) / count for column in deviations]
        scales = [1.0 / functions.sqrt(variance + self.eps) for variance in variances]
        outputs = [self._normalized(row, means, scales) for row in zip(*columns)]
        if is_evaluated_again():  # by `checkpoint`, whose first evaluation has moved the statistics
            return outputs
        for kept, mean, variance in zip(self._running(), means, variances):
            for buffer, new in zip(kept, (_number(mean), _number(variance) * (count / (count - 1)))):
                if isinstance(buffer, Value):  # otherwise a number that `functional_call` was given
                    buffer.data = (1.0 - self.momentum) * buffer.data + self.momentum * new
        return outputs

    def _running(self) -> list[tuple[Value, Value]]:
        return list(zip(self.running_mean.values, self.running_var.values))

    def _normalized(self, xs: Sequence[Number], means: Sequence[Number], scales: Sequence[Number]) -> list[Number]:
        centred = [(x - mean) * scale for x, mean, scale in zip(xs, means, scales)]
        return _scaled(centred, self.weight, self.bias)

    def _arguments(self) -> dict[str, Any]:
        given = {"size": self.size, "eps": float(self.eps), "momentum": float(self.momentum)}
        return {**given, "affine": self.weight is not None}

    def __repr__(self) -> str:
        return f"BatchNorm1d({self.size})"


def _affine(size: int, wanted: bool) -> tuple[list[Value] | None, list[Value] | None]:
    """Return weights and biases that change nothing, or None."""
    return ([Value(1.0) for _ in range(size)], [Value(0.0) for _ in range(size)]) if wanted else (None, None)


def _scaled(xs: list[Number], weight: list[Value] | None, bias: list[Value] | None) -> list[Number]:
    return xs if weight is None or bias is None else [x * w + b for x, w, b in zip(xs, weight, bias)]


def _inputs(x: Any, size: int, where: str) -> tuple[Number, ...]:
    xs, _ = numbers_of(x, where)
    if len(xs) != size:
        raise ValueError(f"{where}: expected {size} inputs, the numbers of one sample, got {len(xs)}")
    return xs


def _number(x: Number) -> float:
    number: float = x.data if isinstance(x, Value) else x
    return number
