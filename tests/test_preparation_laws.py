"""Laws of the preparation of tables, over random tables and random cells."""

from __future__ import annotations

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings, strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from microgrud.tables.preparation import TablePreparation
from microgrud.tables.table import TableError

CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "1", "1.0", "-2.5", "3,5", "1.234", "1,234.5", "1e99", "inf", "$5", "5 kg", "red", "Red "]
    ),
    st.sampled_from(["True", "false", "0", "2020-01-31", "31.12.2019", "Jan 2, 2019", "12:30", "20190131", "x" * 50]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers().map(str),
    st.text(max_size=6),
)


def numbers(rows):
    return st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=rows, max_size=rows)


def gaps(cells, rows):
    return st.lists(st.one_of(st.none(), cells), min_size=rows, max_size=rows)


@st.composite
def typed_frames(draw):
    """Return a DataFrame whose columns have natural types, some of them with missing cells."""
    rows = draw(st.integers(6, 25))
    kinds = {
        "floats": numbers(rows),
        "gappy floats": gaps(st.floats(-100, 100, allow_subnormal=False), rows).map(lambda x: pd.array(x, "Float64")),
        "whole": gaps(st.integers(-5, 10**12), rows).map(lambda x: pd.array(x, "Int64")),
        "colour": gaps(st.sampled_from(["red", "green", "blue", "violet"]), rows),
        "flag": gaps(st.booleans(), rows).map(lambda x: pd.array(x, "boolean")),
        "moment": gaps(st.datetimes(pd.Timestamp("1990-01-01"), pd.Timestamp("2030-01-01")), rows).map(pd.to_datetime),
    }
    names = draw(st.lists(st.sampled_from(list(kinds)), min_size=1, unique=True))
    return pd.DataFrame({name: draw(kinds[name]) for name in names})


@st.composite
def text_frames(draw, names=("a", "b")):
    """Return a DataFrame of any texts; the cells of one column are of few kinds, with repetitions."""
    rows = draw(st.integers(2, 12))
    columns = {}
    for name in names:
        pool = draw(st.lists(CELLS, min_size=1, max_size=8))
        columns[name] = draw(st.lists(st.sampled_from(pool), min_size=rows, max_size=rows))
    return pd.DataFrame(columns, dtype=object)


def as_text(frame):
    """Return a frame as a reader of files gives it: each cell as its shortest text."""

    def text(cell):
        if cell is None or cell is pd.NA or cell is pd.NaT or cell != cell:
            return ""
        return cell.isoformat() if isinstance(cell, pd.Timestamp) else str(cell)

    return pd.DataFrame({name: [text(cell) for cell in frame[name].astype(object)] for name in frame})


def fitted_or_refused(frame):
    """Return the preparation, or the columns that have a problem."""
    try:
        return TablePreparation().fit(frame)
    except TableError as error:
        return [problem.column for problem in getattr(error, "problems", [])]


def fitted(frame, **options):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return TablePreparation(**options).fit(frame)
    except TableError:
        assume(False)


@pytest.mark.slow("3 s")
@given(typed_frames())
@settings(max_examples=25, deadline=None)
def test_a_typed_frame_and_its_text_give_the_same_inputs(frame):
    typed = fitted(frame, decimal=".")
    text = fitted(as_text(frame), decimal=".")
    assert [plan.kind for plan in typed.columns_] == [plan.kind for plan in text.columns_]
    inputs = typed.transform(frame)
    assert np.array_equal(inputs, text.transform(as_text(frame)))
    assert np.array_equal(inputs, typed.transform(as_text(frame)))
    assert np.isfinite(inputs).all()
    assert inputs.shape[1] == len(set(typed.get_feature_names_out())) == len(typed.input_columns_)


@pytest.mark.filterwarnings("ignore:column .* none of its cells can be read")
@given(text_frames(), text_frames())
@settings(max_examples=25, deadline=None)
def test_a_stored_preparation_is_the_same_to_the_bit(frame, others):
    preparation = fitted(frame)
    document = json.loads(json.dumps(preparation.to_json(), allow_nan=False))
    restored = TablePreparation.from_json(document)
    assert restored.to_json() == preparation.to_json()
    for cells in (frame, others):
        expected = preparation.transform(cells)
        assert np.array_equal(restored.transform(cells), expected)
        assert restored.remarks(cells) == preparation.remarks(cells)
        assert np.array_equal(pickle.loads(pickle.dumps(preparation)).transform(cells), expected)
    assert list(restored.get_feature_names_out()) == list(preparation.get_feature_names_out())
    assert np.array_equal(clone(restored).fit(frame).transform(others), preparation.transform(others))


@pytest.mark.filterwarnings("ignore:column .* none of its cells can be read")
@given(text_frames(), text_frames(), st.data())
@settings(max_examples=25, deadline=None)
def test_no_cell_makes_prediction_fail_or_changes_the_reading_of_another_row(frame, others, data):
    preparation = fitted(frame)
    inputs, remarks = preparation.transform_and_remark(others)
    assert np.isfinite(inputs).all()
    assert remarks == preparation.remarks(others)
    row = data.draw(st.integers(0, len(others) - 1))
    assert np.array_equal(preparation.transform(others.iloc[[row]])[0], inputs[row])


@given(text_frames(), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_rows_does_not_matter(frame, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    shuffled = frame.iloc[order]
    preparation, other = fitted_or_refused(frame), fitted_or_refused(shuffled)
    if not isinstance(preparation, TablePreparation):
        assert other == preparation
        return
    assert [(plan.name, plan.kind) for plan in other.columns_] == [
        (plan.name, plan.kind) for plan in preparation.columns_
    ]
    assert list(other.get_feature_names_out()) == list(preparation.get_feature_names_out())
    assert other.transform(frame) == pytest.approx(preparation.transform(frame), rel=1e-9, abs=1e-9)  # order of sums


@pytest.mark.parametrize("seed", range(12))
def test_inputs_are_those_of_the_usual_transformers_of_scikit_learn(seed):
    random = np.random.default_rng(seed)

    def drawn(rows, names):
        colours = random.choice([*names, None], rows)
        numbers = np.where(random.random(rows) < 0.2 * (seed % 2), np.nan, random.normal(5, 3, rows))
        return pd.DataFrame({"number": numbers, "colour": pd.Series(colours, dtype=object)})

    frame, others = drawn(60, "abcdefgh" + "z" * 8), drawn(30, "abyz")  # z is the most frequent category, y is new
    frame.loc[0, "colour"] = "rare"
    options = {"max_categories": int(random.integers(2, 12)), "min_frequency": int(random.integers(2, 6))}
    encode = OneHotEncoder(**options, handle_unknown="infrequent_if_exist", sparse_output=False)
    usual = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["number"]),
            ("names", make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=None), encode), ["colour"]),
            ("gaps", MissingIndicator(), ["number"]),
            ("more gaps", MissingIndicator(missing_values=None), ["colour"]),
        ]
    )
    preparation = TablePreparation(**options).fit(frame)
    expected = usual.fit_transform(frame).astype(float)
    assert preparation.transform(frame) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert preparation.transform(others) == pytest.approx(usual.transform(others).astype(float), rel=1e-12, abs=1e-12)
