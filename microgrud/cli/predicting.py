"""A trained pipeline with its target: tables in, predictions out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..common import words
from ..common.jsonfile import ModelFileError
from ..engine.vectors import Vector
from ..nn import MLP
from ..sklearn.modelfile import StoredPipeline, read_pipeline
from ..tables.table import MISSING, Table, TableError, counted, why_unreadable
from ..tables.target import Target
from . import evaluation


class Predictor(StoredPipeline):
    """A trained pipeline that predicts from tables."""

    @classmethod
    def load(cls, path: str | Path) -> Predictor:
        """Read the model file of a run, given by its path or by its folder.

        Raises:
            ModelFileError: if it cannot be read, is damaged, or is of another kind.
        """
        path = Path(path)
        file = path / "model.json" if path.is_dir() else path
        try:
            stored = read_pipeline(file)
        except OSError as error:
            raise ModelFileError(why_unreadable(file, error, "model.json")) from None
        except ModelFileError:
            if file.read_bytes().lstrip()[:1] in (b"", b"{"):
                raise
            raise ModelFileError(
                f"{path}: is not a model file; expected the folder of a run or the model.json in it, which come before "
                "the table"
            ) from None
        return cls(stored.pipeline, stored.target, stored.details)

    @property
    def preparation(self) -> Any:
        """Return the first step of the pipeline, a TablePreparation."""
        return self.pipeline["preparation"]

    @property
    def known(self) -> list[str]:
        """Return the names of the columns that the model takes, and that of the target."""
        return [*(plan.name for plan in self.preparation.columns_), self.target.name]

    def predict(self, table: Table, threshold: float | None = None) -> tuple[pd.DataFrame, list[str]]:
        """Return a row of predictions for each row of the table, in its order, and remarks on cells.

        The column `row` holds the numbers of the table's rows. The column `predicted` holds numbers, or class names; in
        that case the columns `probability NAME` follow, one for each class. The remarks name cells that the model has
        to guess: unknown categories, and cells that it fills in.

        Args:
            table: the rows.
            threshold: the least probability of the second class of two to predict it; None for the more probable class.

        Raises:
            TableError: if the table lacks columns that the pipeline takes.
        """
        inputs, remarks = self.preparation.transform_and_remark(table.cells)
        found = answer(self.pipeline["network"], inputs, self.target)
        return prediction_columns(table.row_numbers, found, self.target, threshold), remarks


def prediction_columns(rows: Sequence[int], found: Any, target: Target, threshold: float | None = None) -> pd.DataFrame:
    """Return the columns `row`, `predicted` and `probability NAME` for the answers of a network."""
    columns: dict[str, Any] = {"row": rows}
    if target.task == "regression":
        columns["predicted"] = found
    else:
        columns["predicted"] = np.array(target.classes, object)[evaluation.predicted_classes(found, threshold)]
        columns |= {f"probability {name}": found[:, k] for k, name in enumerate(target.classes)}
    frame: pd.DataFrame = pd.DataFrame(columns)
    return frame


def complete_rows(table: Table, columns: Iterable[str], say: Callable[[str], object]) -> Table:
    """Return the rows without a missing cell in `columns`; say how many others there are.

    Raises:
        TableError: if there is none.
    """
    complete = table.without_missing(list(columns))
    if not len(complete):
        raise TableError(f"{table.name}: every row has a missing cell; leave out --drop-missing, which fills them")
    if len(complete) < len(table):
        say(f"{len(table) - len(complete)} of {counted(len(table), 'row')} have missing cells and were left out")
    return complete


def kept_columns(predictions: pd.DataFrame, cells: pd.DataFrame, keep: Sequence[str]) -> pd.DataFrame:
    """Return predictions with columns of the table after the number of the row; `all` keeps every column.

    A column whose name is taken, such as `row`, becomes `row (table)`.
    """
    names = list(cells.columns) if "all" in keep and "all" not in cells.columns else list(dict.fromkeys(keep))
    kept: dict[str, Any] = {}
    for name in names:
        label = name
        while label in kept or label in predictions.columns:
            label += " (table)"
        kept[label] = cells[name].to_numpy()
    columns = {name: predictions[name].to_numpy() for name in predictions.columns}
    frame: pd.DataFrame = pd.DataFrame({"row": columns.pop("row"), **kept, **columns})
    return frame


def scores_of(predictions: pd.DataFrame, table: Table, target: Target, threshold: float | None) -> dict[str, Any]:
    """Return the scores of predictions for a table that has the target, as JSON data; an empty dict for another table.

    Rows without a target are left out, and those whose target is no class that the model knows, or no number.

    Returns:
        The number of `scored_rows` and of `unknown_targets`; the `scores` of the printed predictions, see
        `microgrud.cli.evaluation.score`; and the scores at the `threshold`, if there is one.
    """
    if target.name not in table.columns:
        return {}
    cells = table.cells[target.name]
    values = target.values(cells)
    if target.task == "regression":
        true, known, found = values, np.isfinite(values), predictions["predicted"].to_numpy(float)
    else:
        true = pd.Index(target.classes).get_indexer(values)
        known, found = true >= 0, predictions[[f"probability {name}" for name in target.classes]].to_numpy(float)
    rows = {"scored_rows": int(known.sum()), "unknown_targets": int((~known & ~cells.isin(MISSING)).sum())}
    if not known.any():
        return rows
    true = true[known]
    scores = evaluation.score(target.task, true, {"network": found[known]}, target.classes, threshold=threshold)
    del scores["method"]
    if threshold is not None:
        scores["threshold"] = evaluation.threshold_scores(true == 1, found[known, 1], threshold)
    return {**rows, "scores": scores}


def answer(network: Any, inputs: Vector, target: Target) -> Vector:
    """Return the predicted numbers, or the probabilities of the target's classes, one column for each."""
    if not len(inputs):
        return np.zeros((0, len(target.classes)) if target.classes else 0)
    if target.task == "regression":
        numbers: Vector = network.predict(inputs)
        return numbers
    return class_probabilities(network, inputs, target)


def class_probabilities(model: Any, inputs: Vector, target: Target) -> Vector:
    """Return the probabilities of the target's classes from a classifier, which may know only some of them."""
    known = [target.classes.index(str(name)) for name in model.classes_]
    probabilities = np.zeros((len(inputs), len(target.classes)))
    probabilities[:, known] = model.predict_proba(inputs)  # a rare class may not be in the training rows
    return probabilities


def layers(model: MLP) -> list[tuple[str, int, int, str, int]]:
    """Return each layer's name, inputs, neurons, activation and number of parameters."""
    return [
        (
            "output" if layer is model.layers[-1] else f"hidden {i}",
            len(layer.neurons[0].w),
            len(layer.neurons),
            layer.neurons[0].activation.label,
            len(layer.parameters()),
        )
        for i, layer in enumerate(model.layers, 1)
    ]


def size_of(network: Any) -> str:
    """Return, as text, the number of parameters of a network of an estimator, of networks, and of linear models."""
    networks, linear_share = network.networks_, 1.0 - network.network_share_
    text = words.counted(len(networks[0].parameters()), "parameter")
    if len(networks) > 1:
        text += f", in each of {len(networks)} networks whose answers are averaged"
    if linear_share > 0.0:
        text += f"; blended with {counted(len(networks), 'linear model')}, whose share is {linear_share:.0%}"
    return text
