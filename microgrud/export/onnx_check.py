"""The comparison of an ONNX model with what it was made from, by running it in onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper
from onnxruntime import InferenceSession, SessionOptions

from ..common.files import write_atomically

#: The largest difference, for numbers up to 1; beyond, relative to them.
TOLERANCE = 1e-12


def run(model: Any, inputs: Mapping[str, Any]) -> list[Any]:
    """Return the outputs of an ONNX model for a batch, computed by onnxruntime in memory.

    They are those of the second run: onnxruntime 1.18 plans its memory in the first, in some graphs wrongly.
    """
    options = SessionOptions()
    options.log_severity_level = 3  # errors alone
    session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, dict(inputs))
    outputs: list[Any] = session.run(None, dict(inputs))
    return outputs


def check_onnx(model: Any, inputs: Mapping[str, Any], expected: Sequence[Any]) -> None:
    """Compare the outputs of an ONNX model in onnxruntime with those expected, where infinity and NaN are equal too.

    They may differ by 1e-12, relative to numbers above 1. Where the model itself amplifies rounding, as sin does at
    1e6, they may differ as much as the outputs do if all constants change by a few units in the last place.

    Args:
        model: the ONNX model.
        inputs: arrays by name.
        expected: an array for each output.

    Raises:
        ValueError: if they differ.
    """
    found = run(model, inputs)
    loose: list[Any] | None = None
    for k, (ours, wanted) in enumerate(zip(found, expected, strict=True)):
        if ours.shape != wanted.shape:
            raise ValueError(f"to_onnx: expected an output of shape {wanted.shape} in onnxruntime, got {ours.shape}")
        far = distances(ours, wanted)
        if (far > TOLERANCE).any():
            loose = loose or [run(nudged(model, seed), inputs) for seed in range(3)]
            with np.errstate(invalid="ignore"):
                slack = 4.0 * np.max([distances(other[k], ours) for other in loose], axis=0)
            far = np.where(far <= slack, 0.0, far)
        if (far > TOLERANCE).any():
            place = np.unravel_index(int(far.argmax()), far.shape)
            raise ValueError(
                f"to_onnx: expected {wanted[place]!r} in row {place[0]} of the check in onnxruntime, got "
                f"{ours[place]!r}; nothing was written: a module that draws random numbers, changes its own state or "
                "catches errors of operations has no graph; of any other, report this as a bug"
            )


def write_onnx(path: str | os.PathLike[str], model: Any, inputs: Mapping[str, Any], expected: Sequence[Any]) -> None:
    """Write an ONNX model to a file, atomically, if it passes `check_onnx`; otherwise write nothing."""
    check_onnx(model, inputs, expected)
    write_atomically(path, model.SerializeToString())


def distances(found: Any, wanted: Any) -> Any:
    """Return the differences of two arrays, relative to numbers above 1; infinity where only one is not finite.

    >>> distances(np.array([2.0, np.nan, np.inf]), np.array([3.0, np.nan, 1.0])).tolist()
    [0.3333333333333333, 0.0, inf]
    """
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    return np.where(same, 0.0, np.where(np.isfinite(found) & np.isfinite(wanted), far, np.inf))


def nudged(model: Any, seed: int) -> Any:
    """Return a copy of a model whose double constants are changed by up to 4 units in the last place, at random."""
    rng = np.random.default_rng(seed)
    copy = type(model)()
    copy.CopyFrom(model)
    for constant in copy.graph.initializer:
        array = numpy_helper.to_array(constant)
        if array.dtype == np.float64:
            changed = array * (1.0 + np.asarray(rng.integers(-4, 5, array.shape)) * 2.0**-52)
            constant.CopyFrom(numpy_helper.from_array(np.asarray(changed), constant.name))
    return copy
