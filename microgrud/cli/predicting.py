"""A trained model with its preprocessing: tables in, predictions out, and a description of the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..common.jsonfile import ModelFileError
from ..engine.grad_mode import no_grad
from ..functions import softmax
from ..nn import MLP
from ..nn.modelfile import load_model
from ..tables.table import Table, TableError, why_unreadable
from .preprocessing import Preprocessing
from .stored import check_stored


@dataclass(frozen=True)
class Predictor:
    """A network with the preprocessing that feeds it rows of a table.

    Args:
        model: a network with one output per class (its logit), or one output (the standardised target).
        preprocessing: converts rows to inputs.
        details: the other entries of the model file: the `"settings"` of the training run, the `"trained"` rows and
            steps, and the `"scores"`.
    """

    model: MLP
    preprocessing: Preprocessing
    details: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Read a model file that `microgrud train` has written.

        Raises:
            ModelFileError: if it cannot be read, is damaged, or holds a network without its preprocessing.
        """
        try:
            model, extra = load_model(path)
        except OSError as error:
            raise ModelFileError(why_unreadable(path, error, "model.json")) from None
        except ModelFileError:
            if Path(path).read_bytes().lstrip()[:1] in (b"", b"{"):
                raise
            raise ModelFileError(
                f"{path}: is not a model file; expected the model.json of a run, which comes before the table"
            ) from None
        if "preprocessing" not in extra or not isinstance(model, MLP):
            raise ModelFileError(
                f"{path}: holds a network without a table's preprocessing; train it with microgrud train"
            )
        try:
            check_stored(extra, model)
        except ValueError as error:
            raise ModelFileError(f"{path}: damaged: {error}") from None
        preprocessing = Preprocessing.from_json(extra.pop("preprocessing"))
        return cls(model, preprocessing, extra)

    def extra(self) -> dict[str, Any]:
        """Return the `extra` content of the model file, for `load`."""
        return {"preprocessing": self.preprocessing.to_json(), **self.details}

    def predict(self, table: Table) -> pd.DataFrame:
        """Return a row of predictions for each row of the table, in its order.

        The column `row` holds the numbers of the table's rows. The column `predicted` holds numbers, or class names; in
        that case the columns `probability NAME` follow, one for each class.

        Raises:
            TableError: if the table lacks a column, or holds a cell that the model cannot take.
        """
        features = self.preprocessing.features(table)
        predictions = self.predict_features(features.tolist())
        finite = np.isfinite(predictions.select_dtypes("number").to_numpy()).all(axis=1)
        if not finite.all():
            row = int(finite.argmin())
            column = self.preprocessing.column_of(int(np.abs(features[row]).argmax()))
            raise TableError(
                f"column {column!r}, {table.place(row)}: with {table.cell(column, row)!r} the network's answer is not "
                "a finite number; correct the cell, or delete the row"
            )
        predictions.insert(0, "row", table.row_numbers)
        return predictions

    def complete(self, table: Table) -> Table:
        """Return the table without the rows that lack a cell that the model needs.

        Raises:
            TableError: if the table lacks a column, or no row is left.
        """
        columns = self.preprocessing.require_columns(table)
        complete = table.without_missing(columns)
        if not len(complete):
            raise TableError(f"{table.name}: every row has a missing cell; fill in those of at least one row")
        return complete

    def predict_features(self, features: Sequence[Sequence[float]]) -> pd.DataFrame:
        """Return predictions as `predict` does, from rows of the network's inputs; NaN where the network fails."""
        target = self.preprocessing.target
        answers = [self.answer(row) for row in features]
        frame: pd.DataFrame
        if target.task == "regression":
            frame = pd.DataFrame(answers, columns=["predicted"])
        else:
            frame = pd.DataFrame(map(softmax, answers), columns=[f"probability {name}" for name in target.classes])
            frame.insert(0, "predicted", [target.classes[i] for i in frame.to_numpy().argmax(axis=1)])
        return frame

    def answer(self, row: Sequence[float]) -> list[float]:
        """Return the outputs of the network for a row of its inputs: the logit of each class, or the number.

        All are NaN if an activation overflows, or is not defined.
        """
        try:
            with no_grad():
                outputs = self.model(row)
        except (ArithmeticError, ValueError):
            return [math.nan] * len(self.model.layers[-1].neurons)
        numbers = [output.data for output in (outputs if isinstance(outputs, list) else [outputs])]
        target = self.preprocessing.target
        return [x * target.scale + target.mean for x in numbers] if target.task == "regression" else numbers

    def layers(self) -> list[tuple[str, int, int, str, int]]:
        """Return each layer's name, inputs, neurons, activation and number of parameters."""
        return [
            (
                "output" if layer is self.model.layers[-1] else f"hidden {i}",
                len(layer.neurons[0].w),
                len(layer.neurons),
                layer.neurons[0].activation.label,
                len(layer.parameters()),
            )
            for i, layer in enumerate(self.model.layers, 1)
        ]
