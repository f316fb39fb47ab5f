"""Files for onnxruntime, of all kinds of models."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.files import check_replaceable, write_atomically
from ..common.missing import what_to_install
from ..nn import Module, load_model

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..tables.table import Table


def to_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    inputs: int | None = None,
    integers: Sequence[int] = (),
    rows: Any = None,
) -> None:
    """Write a model to an ONNX file, once its answers in onnxruntime are those of the model to 1e-12.

    Args:
        model: one of
            a Module, exported in evaluation mode, whose input is `input` (rows, inputs) and whose output is `output`,
            (rows,) where the module returns a number and (rows, outputs) where it returns a list, see below;
            a fitted MLPClassifier or MLPRegressor of `microgrud.sklearn`, whose input is the matrix `X` (rows, inputs);
            a Pipeline of a TablePreparation and one of these, as `microgrud.sklearn.load` gives it, with an input
            (rows, 1) for each column that it takes, see `onnx_inputs`;
            a path: of the folder of a run of the command line, of the model.json in it, or of the model file of a
            Module.
        path: the file to write.
        inputs: how many numbers a sample has, for a Module that does not say so, as a user-defined one.
        integers: for a Module, the places of the numbers in a sample that are whole, and looked up by an Embedding.
        rows: for a Module, samples on which the file is compared with it, at most 500 of them; if None, random numbers
            around 0.

    The forward of a user-defined Module, and a function of your own as an activation or as a layer, is called once, and
    its operations are recorded. They must be the same for every row: a branch on a number, a use of its `.data`, random
    numbers and state that changes are errors. A Sequential that begins with an Embedding takes `input` (rows,) of
    integers. Where a module raises an error, for a logarithm of 0, an exponential that overflows or an index out of
    range, outputs are NaN. Infinite and NaN inputs give what they give in microgrud. Sums beyond 1e308 may differ,
    since onnxruntime adds in another order.

    Classifiers have the outputs `output_label` (rows,) and `output_probability` (rows, classes), in the order of
    `classes` in the file's metadata; labels that are no whole numbers are texts. Regressors have `variable` (rows,
    numbers). All numbers are doubles. Categories may be spelled as in a table for `microgrud predict`: letter case,
    spaces, leading zeros and final zeros of decimals do not count, and `NA` is missing as an empty text is. A row of
    `X` with a number that is not finite, which an estimator refuses, has NaN for an answer.

    Raises:
        ImportError: without onnx and onnxruntime.
        TypeError, ValueError: for a model that ONNX cannot hold; nothing is written then.
        NotFittedError: before `fit`.
        ModelFileError: if the model file is damaged, or of another kind.
        OSError: if a file cannot be read or written.

    >>> import tempfile, onnxruntime
    >>> from microgrud.nn import MLP
    >>> model = MLP(2, [3, 1], activation="gelu", rng=0)
    >>> rows = [[0.5, -1.0], [2.0, 3.0]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(model, f"{folder}/model.onnx")
    ...     session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    >>> bool(abs(session.run(None, {"input": rows})[0] - model.predict(rows)).max() < 1e-12)
    True
    >>> from microgrud.sklearn import MLPRegressor
    >>> model = MLPRegressor((4,), max_iter=1, random_state=0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(model, f"{folder}/model.onnx")
    ...     session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    >>> rows = [[0.5], [1.5]]
    >>> bool(abs(session.run(None, {"X": rows})[0][:, 0] - model.predict(rows)).max() < 1e-12)
    True
    """
    try:
        import onnx as onnx
        import onnxruntime as onnxruntime
    except ImportError as error:
        raise ImportError(what_to_install("to_onnx needs", "onnx", "onnxruntime")) from error
    check_replaceable(path)
    write_atomically(path, _made(model, inputs, integers, rows).SerializeToString())


def _made(model: Any, inputs: int | None, integers: Sequence[int], rows: Any) -> Any:
    """Return the checked ONNX model."""
    if isinstance(model, Module):
        from .onnx_modules import module_to_onnx  # which needs onnx

        return module_to_onnx(model, inputs, integers, rows)
    if isinstance(model, (str, os.PathLike)) and not is_run(model):
        return _made(load_model(model)[0], inputs, integers, rows)
    if inputs is not None or len(integers) or rows is not None:
        raise TypeError(
            "to_onnx: expected a Module, which inputs=, integers= and rows= are about, got an object of type "
            f"{type(model).__name__}; leave them out"
        )
    from .onnx_trained import trained_to_onnx  # which needs scikit-learn, too

    return trained_to_onnx(model)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is the folder of a run, or a model file of `microgrud train`.

    Raises:
        OSError: if the file cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        return True
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and "preparation" in document


def onnx_inputs(model: Any, table: pd.DataFrame | Table) -> dict[str, np.ndarray[Any, Any]]:
    """Return the inputs of an exported model for the rows of a table, whose cells are read as in `microgrud predict`.

    The decimal mark, the order of day and month, units and missing cells are found in the cells of the whole table, for
    which a graph is no place. A column of numbers becomes an array of doubles, NaN where the cell is missing or no
    number; one of dates becomes whole microseconds since 1970-01-01, -2**63 where there is none; one of categories
    becomes texts, in the spelling of training if they were seen there, and empty where missing. All arrays have the
    shape (rows, 1).

    Args:
        model: what was exported: the folder of a run, the model.json in it, or the pipeline.
        table: a DataFrame, as for the pipeline, or a table of `microgrud.tables.read_table`.

    Returns:
        An array for each input, as `onnxruntime.InferenceSession.run(None, ...)` takes them.

    Raises:
        TableError: if the table lacks columns that the model takes.
        TypeError: if the model has no preparation; its input is the matrix `X`.

    >>> import pandas as pd
    >>> from microgrud.sklearn import MLPClassifier, TablePreparation
    >>> from sklearn.pipeline import make_pipeline
    >>> frame = pd.DataFrame({"size": ["1.5 kg", "", "3"] * 9, "colour": ["red", "blue", "red"] * 9})
    >>> model = make_pipeline(TablePreparation(), MLPClassifier(max_iter=1, random_state=0)).fit(frame, [0, 1, 0] * 9)
    >>> inputs = onnx_inputs(model, pd.DataFrame({"size": ["2,5 kg"], "colour": [" RED"]}))
    >>> inputs["size"].tolist(), inputs["colour"].tolist()
    ([[2.5]], [['red']])
    """
    from .table_inputs import inputs_for  # which needs scikit-learn

    return inputs_for(model, table)
