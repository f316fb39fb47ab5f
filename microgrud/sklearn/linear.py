"""The linear model with which the networks of an estimator are blended."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression, Ridge

from ..common.documents import FLAG, NUMBER, check_entry, several
from ..engine.vectors import Vector
from .encoding import drawn_in

#: The logit of a class without training rows, below those of the others.
_NEVER = -20.0

#: Rows of a product: a multiple of the rows of any kernel of BLAS, and of the lanes of any processor.
BLOCK = 384


def product(rows: Vector, weights: Vector) -> Vector:
    """Return `rows @ weights`, where the bits of a row do not depend on the rows that come with it.

    BLAS has other kernels, with other roundings, for other numbers of rows. So all products have the same number.
    """
    found = np.empty((len(rows), weights.shape[1]))
    for k in range(0, len(rows), BLOCK):
        block = rows[k : k + BLOCK]
        filled = np.pad(block, ((0, BLOCK - len(block)), (0, 0))) if len(block) < BLOCK else block
        found[k : k + BLOCK] = (filled @ weights)[: len(block)]
    return found


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A linear function of standardised columns, `columns @ weights + biases`: logits of classes, or numbers.

    Args:
        has_tails: whether the columns are taken as they are, or with their tails drawn in. The former is needed where
            the truth is linear; with the latter, R squared on a table of skewed numbers (Clothing) is 0.88, not 0.84.
        weights: an array (inputs, outputs).
        biases: one number per output.
    """

    has_tails: bool
    weights: Vector
    biases: Vector

    @classmethod
    def fitted(
        cls,
        has_tails: bool,
        standard: Vector,
        targets: npt.NDArray[Any],
        sample_weight: Vector | None,
        classes: int | None,
    ) -> LinearModel:
        """Fit scikit-learn's Ridge or, to so many classes, LogisticRegression; a class without rows has no chance."""
        inputs = standard if has_tails else drawn_in(standard)
        if classes is None:
            ridge = Ridge().fit(inputs, targets.reshape(len(targets), -1), sample_weight)
            return cls(has_tails, ridge.coef_.reshape(-1, inputs.shape[1]).T, np.ravel(ridge.intercept_))
        weights, biases = np.zeros((inputs.shape[1], classes)), np.full(classes, _NEVER)
        present = np.unique(targets)
        biases[present] = 0.0
        if len(present) > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # on iterations and classes: validation rows decide
                model = LogisticRegression(max_iter=300).fit(inputs, targets, sample_weight)
            shown = present if len(present) > 2 else present[1:]
            weights[:, shown], biases[shown] = model.coef_.T, model.intercept_
        return cls(has_tails, weights, biases)

    def inputs(self, standard: Vector) -> Vector:
        """Return standardised columns, with their tails drawn in if the model takes them so."""
        return standard if self.has_tails else drawn_in(standard)

    def outputs(self, inputs: Vector) -> Vector:
        """Return an array (rows, outputs)."""
        return product(inputs, self.weights) + self.biases

    def to_json(self) -> dict[str, Any]:
        """Return the numbers in a form that JSON can hold."""
        return {"has_tails": self.has_tails, "weights": self.weights.tolist(), "biases": self.biases.tolist()}

    @classmethod
    def from_json(cls, where: str, document: Any, inputs: int, outputs: int) -> LinearModel:
        """Restore what `to_json` returned.

        Raises:
            ValueError: if it is damaged, or not for so many inputs and outputs.
        """
        biases = several(outputs, NUMBER)
        check_entry(where, document, {"has_tails": FLAG, "weights": several(inputs, biases), "biases": biases})
        return cls(document["has_tails"], np.array(document["weights"]), np.array(document["biases"]))


#: The shares of the networks in a blend that are tried, the preferred one first.
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)


def best_share(networks: Vector, linear: Vector, loss: Callable[[Vector], float]) -> tuple[float, float]:
    """Return which w of 0, 1/4, 1/2, 3/4 and 1 makes `loss(w * networks + (1 - w) * linear)` least, and this loss.

    >>> best_share(np.array([1.0, 3.0]), np.array([3.0, 1.0]), lambda p: max(abs(p - 2.0).tolist()))
    (0.5, 0.0)
    """
    losses = [loss(share * networks + (1.0 - share) * linear) for share in _SHARES]
    best = int(np.argmin(losses))
    return _SHARES[best], losses[best]
