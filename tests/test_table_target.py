"""The target of a table: classes or numbers, decided by the cells."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from microgrud.tables import TableError
from microgrud.tables.target import MOST_INTEGER_CLASSES, Target, inspect_target


def inspected(cells, **options):
    return inspect_target(pd.Series(cells), "y", **options)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["no", "yes"] * 6, ["no", "yes"]),
        (["No", "no ", "YES", "Yes", "no", "Yes"] * 3, ["no", "Yes"]),
        ([True, False] * 6, ["False", "True"]),
        (["true", "False", "TRUE", "0"] * 6, ["False", "True"]),
        ([0, 1] * 6, ["0", "1"]),
        (["1", "1.0", "2", "10", "02"] * 6, ["1", "2", "10"]),
        ([1.0, 2.0, None] * 6, ["1", "2"]),
        (pd.Categorical(["b", "a"] * 6), ["a", "b"]),
        (["1", "2", "3+"] * 6, ["1", "2", "3+"]),
    ],
)
def test_texts_truth_values_and_few_whole_numbers_are_classes(cells, classes):
    target = inspected(cells)
    assert (target.task, target.classes) == ("classification", classes)
    assert set(target.values(pd.Series(cells))) <= {*classes, None}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.5", "2.5"] * 6, [1.5, 2.5]),
        (["1,5", "2,5"] * 6, [1.5, 2.5]),
        (["$1,200", "$12,500", "$950"] * 4, [1200, 12500, 950]),
        (["12.5 %", "3 %"] * 6, [12.5, 3]),
        (["1.234,5 EUR", "2.000,0 EUR"] * 6, [1234.5, 2000]),
        (list(range(20)), [0, 1, 2]),
        ([1.5, None, 2.5] * 6, [1.5, np.nan, 2.5]),
    ],
)
def test_other_numbers_are_a_quantity_however_written(cells, expected):
    target = inspected(cells)
    assert (target.task, target.classes) == ("regression", [])
    assert target.values(pd.Series(cells))[: len(expected)] == pytest.approx(expected, nan_ok=True)


def test_the_user_decides_on_whole_numbers():
    cells = [1, 2, 3] * 5
    assert inspected(cells).task == "classification"
    assert "--task regression" in inspected(cells).notes[0]
    assert inspected(cells, task="classification").notes == []
    assert inspected(cells, task="regression").task == "regression"
    many = list(range(MOST_INTEGER_CLASSES + 1)) * 4
    assert inspected(many).task == "regression"
    assert len(inspected(many, task="classification").classes) == MOST_INTEGER_CLASSES + 1
    assert len(inspected(many, categorical=True).classes) == MOST_INTEGER_CLASSES + 1


def test_codes_keep_their_zeros_and_letters():
    cells = pd.Series(["007", "012", "0E1", "0E2", "7", "x1", "x2"] * 4 + ["007"])
    target = inspect_target(cells, "zone")
    assert target.classes == ["0E1", "0E2", "007", "012", "x1", "x2"]
    assert target.notes == ["column 'zone': '7' and '007' are taken as one"]
    assert list(target.values(pd.Series([7, "7.0", "007", "0E2"], dtype=object))) == ["007", "007", "007", "0E2"]


def test_rows_without_a_target_and_single_rows_of_a_class_are_noted():
    target = inspected(["a", "b", "", "NA"] * 6 + ["c"])
    assert target.notes == [
        "column 'y': 12 rows without a target, left out of training",
        "column 'y': only one row has the class 'c'",
    ]
    assert target.values(pd.Series(["a", "?", "B", "new"])).tolist() == ["a", None, "b", "new"]


def test_an_incredible_or_unreadable_number_is_left_out_of_training_with_a_note():
    target = inspected([*map(str, np.linspace(1, 9.5, 30)), "1e99", "unknown"])
    assert target.notes == [
        "column 'y', row 32: 'unknown': not a number, counted as missing and left out of training",
        "column 'y', row 31: '1e99': too far from all others to be a measurement, counted as missing and left out of "
        "training",
    ]
    assert np.isnan(target.values(pd.Series(["1e99", "unknown", "inf"]))).all()


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (["a"] * 20, {}, "every target is 'a'; add rows of another class"),
        (["1.5"] * 20, {}, "every target is '1.5'; choose a target that varies"),
        (["a", "b"] * 4, {}, "8 rows with a target, fewer than 10; add rows"),
        (["", "b", "c"] * 4, {}, "8 rows with a target, fewer than 10; add rows"),
        (["a", "b"] * 8, {"task": "regression"}, "row 1: a regression needs numbers, got 'a'; choose another"),
        ([f"name {k}" for k in range(50)], {}, "50 different texts in 50 rows, such as 'name 0', are too many for"),
        ([f"name {k // 2}" for k in range(1000)], {}, "500 different texts in 1000 rows"),
        (["1.5", "2,5"] * 8, {}, "'2,5' only with a decimal comma; write all of them with the same"),
        (["1.5", "2.5", "3,5"] * 8, {"task": "regression"}, "'1.5' is a number only with a decimal point, '3,5' only"),
        (["1.234", "5.678"] * 8, {}, "'1.234' and '5.678' can be read in two ways"),
        (pd.date_range("2020-01-01", periods=20), {}, "a regression needs numbers, got '2020-01-01'"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_learned_is_an_error_that_says_what_to_do(cells, options, message):
    with pytest.raises(TableError) as caught:
        inspected(cells, **options)
    assert str(caught.value).startswith("column 'y'")
    assert message in str(caught.value)


def test_the_other_columns_or_the_user_tell_the_decimal_mark():
    cells = ["1.234", "5.678"] * 8
    for options, expected in (
        ({"others": pd.DataFrame({"x": ["0,5", "1,5"] * 8})}, [1234, 5678]),
        ({"others": pd.DataFrame({"x": ["0.5", "1.5"] * 8})}, [1.234, 5.678]),
        ({"decimal_mark": ","}, [1234, 5678]),
        ({"delimiter": ","}, [1.234, 5.678]),
    ):
        target = inspected(cells, task="regression", **options)
        assert target.values(pd.Series(cells))[:2].tolist() == expected


def test_classes_are_not_said_to_be_read_as_numbers():
    assert inspected(["1,234", "2,345"] * 8, delimiter=",").notes == []
    assert "was read as 1234" in inspected(["1,234", "2,345"] * 8, delimiter=",", task="regression").notes[0]


def test_many_different_texts_are_refused_in_no_quadratic_time():
    cells = pd.Series([f"customer {k}" for k in range(100_000)])
    started = time.perf_counter()
    with pytest.raises(TableError, match="100000 different texts"):
        inspect_target(cells, "y")
    assert time.perf_counter() - started < 60  # half a second on an idle machine; quadratic time is many minutes


@given(st.lists(st.sampled_from(["a", "B", "b ", "c", "", "1", "1.0", "2.5"]), min_size=20, max_size=40))
def test_a_stored_target_reads_the_same_values(cells):
    try:
        target = inspected(cells)
    except TableError:
        return
    restored = Target.from_json(json.loads(json.dumps(target.to_json(), allow_nan=False)))
    assert restored == target
    values, again = target.values(pd.Series(cells)), restored.values(pd.Series(cells))
    assert pd.Series(values).equals(pd.Series(again))
    assert inspected(cells[::-1]) == target


def test_an_ambiguous_target_is_not_advised_to_be_left_out() -> None:
    with pytest.raises(TableError, match="can be read in two ways") as error:
        inspect_target(pd.Series(["1.500", "2.250", "12.750", "1.250"] * 5), "price", delimiter=";")
    assert "option decimal" in str(error.value)
    assert "option ignore" not in str(error.value)


def test_a_target_with_another_decimal_mark_than_in_training_is_read_as_it_is_written() -> None:
    target = inspect_target(pd.Series(["4.5", "9.25", "12.125", "7"] * 5), "y", "regression")
    assert target.values(pd.Series(["4,5", "9,25", "12,125", ""])).tolist()[:3] == [4.5, 9.25, 12.125]
    assert target.values(pd.Series(["4.5", "12.125"])).tolist() == [4.5, 12.125]
