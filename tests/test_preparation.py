"""The preparation of tables, rule by rule."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from microgrud.tables import TableError, read_table
from microgrud.tables.preparation import TablePreparation

RANDOM = np.random.default_rng(0)
ROWS = 60
#: A column that is always used, so that a table with another one that is left out can be prepared.
OTHER = RANDOM.normal(size=ROWS).round(4) + 0.00001


def table(**columns):
    return pd.DataFrame({**columns, "other": OTHER[: len(next(iter(columns.values())))]})


def prepared(cells, **options):
    return TablePreparation(**options).fit(table(x=cells))


def plan_of(preparation):
    return preparation.columns_[0]


def note_on(preparation, *words):
    """Return the only note on column x, which has these words."""
    notes = [note for note in preparation.notes_ if note.startswith("column 'x'")]
    assert len(notes) == 1, notes
    assert all(word in notes[0] for word in words), notes
    return notes[0]


# Missing cells


def test_missing_numbers_are_filled_with_the_median_and_marked():
    cells = ["1", "NA", "2", "10", ""] * 4
    preparation = prepared(cells)
    inputs = pd.DataFrame(preparation.transform(table(x=cells)), columns=preparation.get_feature_names_out())
    assert inputs["x is missing"].tolist() == [0.0, 1.0, 0.0, 0.0, 1.0] * 4
    assert inputs["x"][1] == inputs["x"][2]
    assert plan_of(preparation).said == "numbers; 8 missing cells filled with 2 and marked"
    assert preparation.notes_ == []


def test_missing_categories_are_filled_with_the_most_frequent_and_marked():
    cells = ["red", "", "blue", "red"] * 5
    preparation = prepared(cells)
    inputs = pd.DataFrame(preparation.transform(table(x=cells)), columns=preparation.get_feature_names_out())
    assert inputs.loc[1, ["x = blue", "x = red", "x is missing"]].tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("rare", [[], ["b", "c", "d"]])
def test_the_most_frequent_category_fills_gaps_whatever_the_others_are(rare):
    preparation = TablePreparation(min_frequency=2).fit(
        table(x=["z"] * 9 + ["a"] * 8 + rare, y=[*"uvuvuvuvuvuvuvuvw", *rare])
    )
    gap = pd.DataFrame(preparation.transform(table(x=[""], y=["v"])), columns=preparation.get_feature_names_out())
    assert gap.loc[0, ["x = a", "x = z"]].tolist() == [0.0, 1.0]


def test_one_category_of_many_equally_frequent_ones_fills_gaps():
    cells = [f"{k % 20:02}" for k in range(40)] + [""]
    for most in (1, 2, 5, 20, 30):
        preparation = prepared(cells, categorical=["x"], max_categories=most)
        inputs = preparation.transform(table(x=cells))[:, 1:-1]
        assert inputs.shape[1] == min(most, 20)
        assert inputs.sum(axis=1).tolist() == [1.0] * 41
        restored = TablePreparation.from_json(preparation.to_json())
        assert np.array_equal(restored.transform(table(x=cells)), preparation.transform(table(x=cells)))


def test_cells_missing_at_prediction_only_are_filled_with_a_remark():
    preparation = prepared(["1", "2", "5", "6"] * 5)
    assert list(preparation.get_feature_names_out()) == ["x", "other"]
    gap = table(x=["2", "", "NA"])
    assert np.isfinite(preparation.transform(gap)).all()
    assert preparation.remarks(gap) == [
        "column 'x', row 2: the cell is missing (and 1 more such cell), unlike any in training; filled with 3.5"
    ]


def test_a_constant_column_with_gaps_is_used_by_its_gaps():
    cells = ["yes", "", "yes", ""] * 5
    preparation = prepared(cells)
    assert list(preparation.get_feature_names_out()) == ["other", "x is missing"]
    assert preparation.transform(table(x=cells))[:, 1].tolist() == [0.0, 1.0] * 10
    note_on(preparation, "used only for whether its cells are missing: all its cells are 'yes'")


# Numbers that are not numbers


def test_a_few_texts_among_numbers_are_missing_and_named_with_their_row():
    cells = [str(k * k) for k in range(30)] + ["unknown", ">100", "unknown"]
    preparation = prepared(cells)
    note_on(preparation, "row 31: 'unknown' (and 2 more such cells): not a number, counted as missing")
    assert "x is missing" in preparation.get_feature_names_out()


def test_numbers_and_texts_by_halves_are_categories_and_it_is_said():
    for cells in (["1.5", "low", "2.5", "high"] * 8, ["50%", "0.5"] * 16):
        preparation = prepared(cells)
        assert plan_of(preparation).kind == "category"
        note_on(preparation, "50% of the cells are numbers, the others texts: all are categories")


def test_few_numbers_beside_a_frequent_text_are_categories():
    preparation = prepared(["0", "1", "2", "0", "3+", "0"] * 5)
    assert plan_of(preparation).categories == ["0", "1", "2", "3+"]


@pytest.mark.parametrize("odd", ["1e99", "-1e99", "99999999", "inf", "1e400", "-Infinity"])
def test_one_incredible_number_is_named_and_does_not_scale_the_others_to_nothing(odd):
    cells = [f"{number:.4f}" for number in RANDOM.normal(5, 2, 40)]
    with_odd = TablePreparation().fit(table(x=[*cells, odd]))
    note_on(with_odd, "row 41", odd, "counted as missing")
    inputs = with_odd.transform(table(x=cells))
    assert np.ptp(inputs[:, 0]) > 1.5
    ordinary = TablePreparation().fit(table(x=cells))
    assert ordinary.remarks(table(x=["4.1", odd])) == [
        f"column 'x', row 2: {odd!r}: not a number, or one far beyond those seen in training, counted as missing"
    ]


def test_a_long_tail_is_no_misprint():
    cells = np.exp(RANDOM.normal(0, 4, 60))
    preparation = prepared(cells)
    assert preparation.notes_ == []
    assert plan_of(preparation).high > cells.max()
    assert np.isfinite(preparation.transform(table(x=cells))).all()


@pytest.mark.parametrize("factor", [1e-100, 1e-17, 1.0, 1e17, 1e95])
def test_the_size_of_the_unit_does_not_matter(factor):
    cells = RANDOM.normal(0, 1, 50).round(2)
    expected = prepared(cells).transform(table(x=cells))
    assert prepared(cells * factor).transform(table(x=cells * factor)) == pytest.approx(expected, rel=1e-9)


def test_numbers_are_scaled_as_by_scikit_learn():
    cells = RANDOM.normal(100, 20, 50)
    expected = StandardScaler().fit_transform(cells[:, None])
    inputs = prepared(cells).transform(table(x=cells))[:, :1]
    assert inputs == pytest.approx(expected, rel=1e-12)


# Categories


def test_categories_are_one_whatever_their_spaces_case_and_form_of_numbers():
    preparation = prepared(["Red", "red ", " RED", "Red", "blue", "blue"] * 4)
    assert plan_of(preparation).categories == ["blue", "Red"]
    note_on(preparation, "'RED' and 'Red' are taken as one (and 1 more such spelling)")
    inputs = preparation.transform(table(x=["rED", "BLUE "]))
    assert inputs[:, 1:3].tolist() == [[0.0, 1.0], [1.0, 0.0]]
    numbers = prepared(["1", "1.0", "01", "2", "2.0"] * 4, categorical=["x"])
    assert plan_of(numbers).categories == ["1", "2"]


def test_the_most_frequent_spelling_changes_names_alone():
    colours = ["rot", "blau", "Grün", "rot"] * 6
    one, other = prepared(colours), prepared([*map(str.title, colours[:9]), *map(str.upper, colours[9:])])
    assert plan_of(one).categories == ["blau", "Grün", "rot"]
    assert plan_of(other).categories == ["BLAU", "GRÜN", "ROT"]


def test_truth_values_are_one_however_written():
    cells = ["True", "true", "TRUE", "1", "0", "False", "FALSE", "0.0"] * 3
    preparation = prepared(cells)
    assert plan_of(preparation).categories == ["False", "True"]
    inputs = preparation.transform(table(x=cells))
    assert inputs[:, 2].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0] * 3
    assert preparation.transform(table(x=[True, False]))[:, 2].tolist() == [1.0, 0.0]


def test_single_letters_of_both_cases_stay_apart_with_a_note_if_both_are_frequent():
    preparation = prepared(["a", "A", "b", "B"] * 8)
    assert plan_of(preparation).categories == ["A", "a", "B", "b"]
    note_on(preparation, "'A' and 'a' are both frequent, and are kept apart (and 1 more such pair)")
    assert plan_of(prepared(["m"] * 30 + ["f"] * 29 + ["M"])).categories == ["f", "m"]


def test_moments_that_are_categories_have_one_spelling_whether_text_or_typed():
    for first in ("2020-02-29", "2020-02-29 12:30:00"):
        typed = pd.to_datetime(pd.Series([first, "2020-03-01"] * 10), format="mixed")
        preparation = prepared(typed, categorical=["x"])
        assert plan_of(preparation).categories == [first, "2020-03-01"]
        for text in (typed.astype(str), typed.map(pd.Timestamp.isoformat)):
            assert np.array_equal(preparation.transform(table(x=text)), preparation.transform(table(x=typed)))


def test_numbers_that_may_be_codes_are_noted_unless_the_user_has_decided():
    cells = RANDOM.choice(range(10_000, 99_999), ROWS)
    for name in ("zip", "ZipCode", "postal_code", "PLZ"):
        (note,) = TablePreparation().fit(pd.DataFrame({name: cells})).notes_
        assert note == f"column {name!r} is one of numbers; if they are codes, say so (option categorical)"
    for options in ({"numerical": ["zip"]}, {"categorical": ["zip"]}):
        frame = pd.DataFrame({"zip": cells // 10_000})
        assert TablePreparation(**options).fit(frame).notes_ == []


@pytest.mark.parametrize(("frequent", "noted"), [(18, True), (26, False)])
def test_a_column_most_cells_of_which_hold_rare_texts_is_noted(frequent, noted):
    cells = ["John Smith"] * frequent + [f"J. Doe the {k}th" for k in range(20)] + [""] * 4
    preparation = prepared(cells)
    assert plan_of(preparation).said.startswith("1 category, and one input for 20 rarer")
    assert preparation.notes_ == noted * [
        "column 'x': most of its 21 different texts occur in a few rows only, and share one input; leave it out "
        "(option ignore) if it only names rows"
    ]


def test_rare_categories_share_an_input_with_those_that_training_did_not_see():
    cells = ["a"] * 20 + ["b"] * 20 + [f"rare {k}" for k in range(10)]
    preparation = prepared(cells)
    assert list(preparation.get_feature_names_out()) == ["other", "x = a", "x = b", "x = (other)"]
    assert plan_of(preparation).said == "2 categories, and one input for 10 rarer"
    new = table(x=["rare 3", "never seen", "a"])
    assert preparation.transform(new)[:, 1:].tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert preparation.remarks(new) == [
        "column 'x', row 1: 'rare 3' (and 1 more such cell): a rare or new category, counted as (other)"
    ]
    assert "rare 3" not in json.dumps(preparation.to_json())


def test_an_unseen_category_is_none_of_them_if_training_had_no_rare_ones():
    preparation = prepared(["a", "b"] * 10)
    new = table(x=["c", "b"])
    assert preparation.transform(new)[:, 1:].tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert preparation.remarks(new) == [
        "column 'x', row 1: 'c': a rare or new category, counted as none of those seen in training"
    ]


def test_no_column_is_refused_for_its_many_categories():
    cells = [f"town {k % 700}" for k in range(3500)]
    preparation = TablePreparation(min_frequency=2).fit(pd.DataFrame({"x": cells, "y": RANDOM.normal(size=3500)}))
    assert len(plan_of(preparation).categories) == 49
    assert preparation.transform(pd.DataFrame({"x": cells, "y": 0.5})).shape == (3500, 51)


# Columns that are left out


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("x", ["same"] * 50, "all its cells are 'same'"),
        ("x", [3.0] * 50, "all its cells are 3"),
        ("x", [""] * 50, "all its cells are missing"),
        ("x", range(50), "it counts the rows, from 0 to 49"),
        ("x", [str(k) for k in range(1, 51)], "it counts the rows, from 1 to 50"),
        ("x", RANDOM.permutation(50) + 1, "it counts the rows"),
        ("x", np.arange(1000, 1050), "it counts the rows"),
        ("PassengerId", RANDOM.choice(10**6, 50, replace=False), "by its name and its different whole numbers"),
        ("Order Number", RANDOM.choice(10**6, 50, replace=False), "by its name and its different whole numbers"),
        ("loan_id", [f"LP{k:05}" for k in range(50)], "50 different texts in 50 rows are free text or an identifier"),
        ("name", [f"Mr. {k}, of {k * 7} Hill Street" for k in range(50)], "free text or an identifier"),
        ("copy", OTHER[:50], "it carries the same information as 'other'"),
        ("copy", [f"{number!r} m" for number in OTHER[:50].tolist()], "it carries the same information as 'other'"),
    ],
)  # fmt: skip
def test_columns_that_say_nothing_are_left_out_with_a_note(name, cells, reason):
    frame = pd.DataFrame({"other": OTHER[:50], name: cells})
    preparation = TablePreparation().fit(frame)
    assert list(preparation.get_feature_names_out()) == ["other"]
    assert [note for note in preparation.notes_ if f"{name!r} is left out" in note and reason in note]
    assert np.array_equal(preparation.transform(frame), preparation.transform(frame[["other"]]))


def test_the_index_of_a_sample_is_an_identifier_without_a_name(tmp_path):
    path = tmp_path / "sample.csv"
    pd.DataFrame({"other": OTHER[:20]}, index=RANDOM.choice(10**6, 20, replace=False)).to_csv(path)
    preparation = TablePreparation().fit(read_table(path).cells)
    assert list(preparation.get_feature_names_out()) == ["other"]
    assert "'unnamed 1' is left out: an identifier" in preparation.notes_[0]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("weight", np.sort(RANDOM.normal(70, 10, 50))),
        ("year", range(1960, 2010)),
        ("when", pd.date_range("2020-01-01", periods=50)),
        ("when", [f"2020-01-{k:02}" for k in range(1, 31)]),
        ("bmi index", RANDOM.normal(25, 3, 50)),
        ("population", RANDOM.choice(10**6, 50, replace=False)),
        ("number of trips", RANDOM.choice(10**6, 50, replace=False)),
        ("NoVaccinated", RANDOM.choice(10**6, 50, replace=False)),
        ("id", [1, 2, 3, 4, 5] * 10),
    ],
)
def test_measurements_and_times_are_no_identifiers(name, cells):
    preparation = TablePreparation().fit(pd.DataFrame({name: cells}))
    assert preparation.columns_[0].kind in ("number", "date")


def test_a_column_that_looks_like_an_identifier_is_used_if_asked():
    frame = pd.DataFrame({"rank": range(50), "other": OTHER[:50]})
    assert list(TablePreparation(numerical=["rank"]).fit(frame).get_feature_names_out()) == ["rank", "other"]


def test_ignored_columns_are_left_out_without_a_note():
    preparation = TablePreparation(ignore=["x"]).fit(table(x=["1,5", "1.5"] * 10))
    assert (preparation.notes_, plan_of(preparation).said) == ([], "left out, as asked")


def test_a_table_without_a_column_to_use_is_refused_with_every_reason():
    with pytest.raises(TableError, match=r"no column is left .*'id' is left out: .*; 'k' is left out: all its cells"):
        TablePreparation().fit(pd.DataFrame({"id": range(20), "k": [1] * 20}))


def test_a_number_beside_percentages_is_missing_as_number_and_as_text():
    preparation = prepared(["1 %", "2 %", "7 %", "3 %"] * 5)
    for cells in ([0.02], ["0.02"]):
        inputs, remarks = preparation.transform_and_remark(table(x=cells))
        assert np.array_equal(inputs, preparation.transform(table(x=[""])))
        assert len(remarks) == 1


# Leaks


@pytest.mark.parametrize(
    ("cells", "target", "noted"),
    [
        (OTHER, np.where(OTHER > 0.3, "yes", "no"), True),
        (OTHER, np.where(OTHER + RANDOM.normal(0, 0.5, ROWS) > 0.3, "yes", "no"), False),
        (np.exp(OTHER), OTHER * 3 + 1, True),
        (OTHER, OTHER + RANDOM.normal(0, 0.3, ROWS), False),
        (["in", "out", "away"] * 20, ["a", "b", "a"] * 20, True),
        (["in", "out", "away"] * 20, ["a", "b", "a"] * 18 + ["b", "a", "b"] * 2, False),
        ([f"group {k % 30}" for k in range(ROWS)], [f"{k % 30 % 2}" for k in range(ROWS)], False),
        (["", "seen"] * 30, ["a", "b"] * 30, True),
    ],
)
def test_columns_that_alone_tell_the_target_are_noted_and_used(cells, target, noted):
    frame = pd.DataFrame({"x": cells, "number": RANDOM.normal(size=ROWS)})
    preparation = TablePreparation().fit(frame, np.asarray(target))
    notes = [note for note in preparation.notes_ if "possible leak" in note]
    assert bool(notes) == noted
    assert "x" in preparation.input_columns_
    assert not noted or (notes[0].startswith("column 'x' alone tells the target") and "option ignore" in notes[0])


def test_a_share_of_numbers_is_noted_only_for_columns_of_categories() -> None:
    tickets = ["A/5", "PC", "12"] * 10
    for cells, noted in ((tickets, True), (["11th", "12th", "Masters"] * 10, False)):
        notes = TablePreparation().fit(pd.DataFrame({"x": cells})).notes_
        assert any("of the cells are numbers" in note for note in notes) == noted
    unique = [str(i) if i % 3 else f"t{i}" for i in range(30)]
    notes = TablePreparation().fit(pd.DataFrame({"x": unique, "y": tickets})).notes_
    assert [note for note in notes if "'x'" in note] == [
        "column 'x' is left out: 30 different texts in 30 rows are free text or an identifier"
    ]
