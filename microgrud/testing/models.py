"""Strategies for networks and for data to train them on."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

from ..nn import ACTIVATIONS, MLP
from .numbers import reals

#: The activations that neither overflow nor have poles or infinite slopes for ordinary weights and inputs.
_STEADY = sorted(set(ACTIVATIONS) - {"tan", "exp", "expm1", "sinh", "cosh", "square", "cbrt"})


class Dataset(NamedTuple):
    """Rows of numbers, and the target of each."""

    rows: list[list[float]]
    targets: list[float] | list[int]


@st.composite
def mlps(
    draw: st.DrawFn, n_inputs: int | None = None, n_outputs: int | None = None, max_width: int = 4, max_layers: int = 3
) -> MLP:
    """Draw a small MLP: its sizes, its activation, its weights from a seed.

    Args:
        draw: given by Hypothesis.
        n_inputs: the number of inputs; 1 to `max_width` by default.
        n_outputs: the number of outputs likewise.
        max_width: the largest number of neurons in a hidden layer.
        max_layers: the largest number of layers, including the last one.

    >>> from hypothesis import given
    >>> @given(mlps(n_inputs=2))
    ... def test_a_network_computes_the_same_again(model):
    ...     assert repr(model([1.0, 2.0])) == repr(model([1.0, 2.0]))
    >>> test_a_network_computes_the_same_again()
    """
    sizes = st.integers(1, max_width)
    hidden = draw(st.lists(sizes, max_size=max_layers - 1))
    return MLP(
        draw(sizes) if n_inputs is None else n_inputs,
        [*hidden, draw(sizes) if n_outputs is None else n_outputs],
        activation=draw(st.sampled_from(_STEADY)),
        rng=draw(st.integers(0, 2**16)),
    )


@st.composite
def datasets(draw: st.DrawFn, n_features: int = 2, classes: int | None = None, max_rows: int = 8) -> Dataset:
    """Draw a small data set: rows of numbers of moderate size, and a target for each.

    Args:
        draw: given by Hypothesis.
        n_features: the number of features in a row.
        classes: the number of classes, which the targets name from 0; None for targets that are numbers.
        max_rows: the largest number of rows; the smallest is 1.

    >>> from hypothesis import given
    >>> @given(datasets(n_features=3, classes=2))
    ... def test_every_row_has_a_target(data):
    ...     assert len(data.rows) == len(data.targets)
    >>> test_every_row_has_a_target()
    """
    row = st.lists(reals((-10.0, 10.0), moderate=True), min_size=n_features, max_size=n_features)
    rows = draw(st.lists(row, min_size=1, max_size=max_rows))
    target: st.SearchStrategy[float] | st.SearchStrategy[int]
    target = reals((-10.0, 10.0), moderate=True) if classes is None else st.integers(0, classes - 1)
    return Dataset(rows, draw(st.lists(target, min_size=len(rows), max_size=len(rows))))
