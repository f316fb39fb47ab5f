"""Numbers and dates in the cells of a table: decimal marks, thousands, units, and the order of day and month."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from microgrud.tables import read_table
from microgrud.tables.column import Column
from microgrud.tables.plans import moments_in, numbers_in
from microgrud.tables.preparation import TablePreparation
from microgrud.tables.problems import PreparationError
from microgrud.tables.target import inspect_target


def frame_of(**columns):
    """Return a table of texts; all columns are repeated to 24 rows, so that none counts rows."""
    return pd.DataFrame({name: (list(cells) * 24)[:24] for name, cells in columns.items()}, dtype=object)


def numbers_of(cells, others=None, **options):
    """Return the numbers that a preparation reads in the cells, or None if the column is not one of numbers."""
    frame = frame_of(x=cells, **(others or {}))
    plan = TablePreparation(**options).fit(frame).columns_[0]
    if plan.kind != "number":
        return None
    return numbers_in(Column.of(pd.Series(list(cells), dtype=object), "x"), plan.decimal, plan.unit).tolist()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0.123", "5.234", "7.891"], [0.123, 5.234, 7.891]),
        (["1.5", "5.234"], [1.5, 5.234]),
        (["1234.567", "5.234"], [1234.567, 5.234]),
        (["1.234", "1.2345"], [1.234, 1.2345]),
        (["1.234,50", "5.234", "7"], [1234.5, 5234, 7]),
        (["1.234.567", "5.234"], [1234567, 5234]),
        (["1,5", "5,234"], [1.5, 5.234]),
        (["0,123", "5,234"], [0.123, 5.234]),
        (["1,234,567", "5,234"], [1234567, 5234]),
        (["1,234.5", "5,234"], [1234.5, 5234]),
        (["12,34,567", "5,234"], [1234567, 5234]),
        (["1 234,5", "12"], [1234.5, 12]),
        (["1\u00a0234", "950"], [1234, 950]),
        (["1\u202f234.5", "950"], [1234.5, 950]),
        (["1'234", "950"], [1234, 950]),
        (["1\u2019234.5", "950"], [1234.5, 950]),
        (["$462,956", "$5,000.50"], [462956, 5000.5]),
        (["-$5.5", "$-7", "($3)", "$+1"], [-5.5, -7, -3, 1]),
        (["1.234,56 EUR", "3 EUR"], [1234.56, 3]),
        (["EUR 1.234,56", "EUR 3,-"], [1234.56, 3]),
        (["Rs. 500", "Rs. 1,23,456"], [500, 123456]),
        (["142.0 m2", "12 m²", "5 M2"], [142, 12, 5]),
        (["12 %", "3.5%"], [12, 3.5]),
        (["3 years", "1 year"], [3, 1]),
        (["40 km/h", "35.5 km/h"], [40, 35.5]),
        (["(1,234.50)", "12"], [-1234.5, 12]),
        (["\u22125", "+3", ".5", "5."], [-5, 3, 0.5, 5]),
        (["1e5", "-2.5E-3", "7"], [100000, -0.0025, 7]),
        (["1,5e3", "2,5"], [1500, 2.5]),
        (["\u20ac110.5M", "\u20ac500K", "\u20ac0"], [110500000, 500000, 0]),
        (["950", "1.2k", "3M", "2bn"], [950, 1200, 3000000, 2000000000]),
        (["12k", "7k"], [12, 7]),
        (["5 m", "7"], None),
        (["50%", "0.5"], None),
        (["$5", "7"], [5, 7]),
        (["5 kg", "7"], [5, 7]),
        (["1.234", "2,500"], None),
        (["A12", "B7", "C3"], None),
        (["VVS1", "VVS2"], None),
        (["USD5", "USD 7.5"], [5, 7.5]),
        (["1st", "2nd", "3rd"], None),
        (["10-20", "20-30"], None),
        (["1_000", "2_000"], None),
        (["5 kg", "300 g"], None),
        (["--5", "-3"], None),
        (["0x10", "0x11"], None),
    ],
)  # fmt: skip
def test_a_column_is_read_by_what_all_its_cells_allow(cells, expected):
    try:
        assert numbers_of(cells) == expected
    except PreparationError:
        assert cells == ["1.234", "2,500"]  # which cannot both be written by one rule


@pytest.mark.parametrize(
    ("cells", "others", "options", "expected"),
    [
        # other columns tell the mark
        (["1.234", "5.000"], {"y": ["0,5", "1,25"]}, {}, [1234, 5000]),
        (["1.234", "5.000"], {"y": ["0.5", "1.25"]}, {}, [1.234, 5]),
        (["1,234", "5,000"], {"y": ["0,5", "1,25"]}, {"delimiter": ","}, [1.234, 5]),
        (["1,234", "5,000"], {"y": ["0.5", "1.25"]}, {"delimiter": ";"}, [1234, 5000]),
        # a comma between cells speaks for decimal points
        (["1.234", "5.678"], {}, {"delimiter": ","}, [1.234, 5.678]),
        (["1,234", "5,678"], {}, {"delimiter": ","}, [1234, 5678]),
        # whole numbers without a mark
        (["1.234", "1500"], {}, {"delimiter": ";"}, [1.234, 1500]),
        (["1.200", "12.500", "950"], {}, {"delimiter": ";"}, [1200, 12500, 950]),
        (["1,200", "12,500", "950"], {}, {"delimiter": "\t"}, [1200, 12500, 950]),
        # the user tells it
        (["1.234", "5.678"], {}, {"decimal": ","}, [1234, 5678]),
        (["1.234", "5.678"], {}, {"decimal": ".", "delimiter": ";"}, [1.234, 5.678]),
    ],
)  # fmt: skip
def test_the_table_decides_where_cells_can_be_read_in_two_ways(cells, others, options, expected):
    assert numbers_of(cells, others, **options) == expected


def test_a_guessed_decimal_mark_is_noted_with_its_reason():
    notes = TablePreparation(delimiter=",").fit(frame_of(x=["1.234", "5.678"])).notes_
    assert notes == ["column 'x': '1.234' was read as 1.234, because the cells of the file are separated by commas"]
    notes = TablePreparation().fit(frame_of(x=["1.234", "5.678"], y=["0,5", "1,25"])).notes_
    assert notes == ["column 'x': '1.234' was read as 1234, because other columns have a decimal comma"]


@pytest.mark.parametrize(
    ("cells", "others", "delimiter"),
    [
        (["1.234", "5.678"], {}, ";"),
        (["1.234", "5.678"], {}, None),
        (["1,234", "5,678"], {}, "\t"),
        (["1.234", "5.678", "2"], {}, ";"),
        (["1.200", "5.600", "950"], {}, ","),  # the comma between cells and the whole number contradict each other
        (["1.234", "5.678"], {"y": ["0,5", "1,25"], "z": ["0.5", "1.25"]}, ","),
    ],
)
def test_an_ambiguous_column_is_an_error_that_shows_two_cells(cells, others, delimiter):
    with pytest.raises(PreparationError) as caught:
        TablePreparation(delimiter=delimiter).fit(frame_of(x=cells, **others))
    (problem,) = caught.value.problems
    assert (problem.column, problem.rows) == ("x", (0, 1))
    assert f"{cells[0]!r} and {cells[1]!r} can be read in two ways" in problem.text
    assert "option decimal" in problem.advice


def test_a_german_price_list_is_read_right_or_refused_with_its_lines(tmp_path):
    rows = [
        ("Stuhl", "1.234", "0,5"),
        ("Tisch", "2.500", "1,25"),
        ("Bett", "12.999", "7"),
        ("Sofa", "3.450", "2,5"),
    ] * 5
    (tmp_path / "a.csv").write_text("Preis;Gewicht\n" + "".join(f"{price};{weight}\n" for _, price, weight in rows))
    table = read_table(tmp_path / "a.csv")
    plan = TablePreparation(delimiter=table.delimiter).fit(table.cells).columns_[0]
    assert numbers_in(Column.of(table.cells["Preis"], "Preis"), plan.decimal, plan.unit).tolist() == [
        1234,
        2500,
        12999,
        3450,
    ]
    (tmp_path / "b.csv").write_text("Ware;Preis\n" + "".join(f"{name};{price}\n" for name, price, _ in rows))
    table = read_table(tmp_path / "b.csv")
    with pytest.raises(PreparationError) as caught:
        TablePreparation(delimiter=table.delimiter).fit(table.cells)
    (line,) = caught.value.sentences(table.place)
    assert line.startswith(
        "column 'Preis', row 1 (line 2) and row 2 (line 3): '1.234' and '2.500' can be read in two ways, the first as "
        "1.234 or 1234; say which is the decimal mark"
    )


def test_decimal_points_and_commas_in_one_column_are_an_error_that_shows_two_cells():
    with pytest.raises(PreparationError, match=r"column 'x', row 1 and row 2: '1.5' is a number only with"):
        TablePreparation().fit(frame_of(x=["1.5", "2,5"]))


def test_all_problems_are_said_at_once_with_places_of_the_table():
    frame = frame_of(a=["1.234", "5.678"], b=["01/02/2019", "03/04/2020"], c=["1.5", "2,5"], d=["0.1", "0,2"])
    with pytest.raises(PreparationError) as caught:
        TablePreparation().fit(frame)
    assert [problem.column for problem in caught.value.problems] == ["a", "b", "c", "d"]
    assert str(caught.value).count("\n") == 3
    lines = caught.value.sentences(lambda row: f"line {row + 2}")
    assert all(line.startswith(f"column {name!r}, line 2 and line 3: ") for name, line in zip("abcd", lines))
    with pytest.raises(PreparationError) as unknown:
        TablePreparation(ignore=["e"], categorical=["f"]).fit(frame)
    assert str(unknown.value).endswith(str(caught.value))
    assert unknown.value.sentences(str)[:2] == [
        "ignore: there is no column 'e'; choose one of 'a', 'b', 'c', 'd'",
        "categorical: there is no column 'f'; choose one of 'a', 'b', 'c', 'd'",
    ]


@settings(max_examples=25)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=5, max_size=30),
    st.sampled_from(["$", "", "€ "]),
    st.sampled_from(["", " kg"]),
)
def test_numbers_are_read_as_they_were_written_in_either_style(numbers, before, after):
    english = [f"{before}{number:,.2f}{after}" for number in numbers]
    german = [text.translate(str.maketrans(",.", ".,")) for text in english]
    rounded = [float(f"{number:.2f}") for number in numbers]
    unit = [before.strip(), after.strip()]
    for texts, decimal in ((english, "."), (german, ",")):
        assert numbers_in(Column.of(pd.Series(texts), "x"), decimal, unit)[
            Column.of(pd.Series(texts), "x").rows
        ].tolist() == (rounded)
        frame = pd.DataFrame({"x": texts, "y": np.arange(len(texts)) % 3})
        plan = TablePreparation().fit(frame).columns_[0]
        assert plan.kind != "number" or plan.decimal == decimal


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2019-12-31", "2020-01-05"], ["2019-12-31", "2020-01-05"]),
        (["2019-12-31T18:30:05Z", "2020-01-05 06:00+02:00"], ["2019-12-31T18:30:05", "2020-01-05T06:00"]),
        (["2019-12", "2020-01"], ["2019-12-01", "2020-01-01"]),
        (["2019/12/31", "2020/1/5"], ["2019-12-31", "2020-01-05"]),
        (["12/31/2019", "1/5/2020"], ["2019-12-31", "2020-01-05"]),
        (["31.12.2019", "5.1.2020"], ["2019-12-31", "2020-01-05"]),
        (["31.12.19 18:30", "05.01.20 06:00"], ["2019-12-31T18:30", "2020-01-05T06:00"]),
        (["01/02/2019", "01/03/2019"], ["2019-02-01", "2019-03-01"]),  # the first day of each month
        (["Jan 2, 2019", "December 31, 2020"], ["2019-01-02", "2020-12-31"]),
        (["2 Jan 2019 5:30 PM", "3 Jan 2019 12:00 am"], ["2019-01-02T17:30", "2019-01-03T00:00"]),
        (["02-Jan-19", "31-Dec-98"], ["2019-01-02", "1998-12-31"]),
        (["20190102", "20201231"], ["2019-01-02", "2020-12-31"]),
        (["06:30", "18:45:30"], ["1970-01-01T06:30", "1970-01-01T18:45:30"]),
        (["30.02.2019", "31.02.2019"], None),
        (["1/2", "3/4"], None),
        (["10.0.0.1", "10.0.0.2"], None),
        (["20199999", "20190102"], None),
    ],
)  # fmt: skip
def test_dates_and_times_are_read_in_any_form(cells, expected):
    plan = TablePreparation().fit(frame_of(x=cells)).columns_[0]
    if expected is None:
        assert plan.kind != "date"
        return
    assert plan.kind == "date"
    moments = moments_in(Column.of(pd.Series(cells), "x"), plan.day_first)
    assert moments.tolist() == np.array(expected, "datetime64[us]").tolist()


def test_an_undecided_order_of_day_and_month_is_an_error_unless_it_is_told():
    frame = frame_of(x=["01/02/2019", "03/04/2020"])
    with pytest.raises(
        PreparationError, match=re.escape("'01/02/2019' and '03/04/2020' may begin with the day or the")
    ):
        TablePreparation().fit(frame)
    plan = TablePreparation(day_first=True).fit(frame).columns_[0]
    assert plan.first == "2019-02-01"
    assert TablePreparation(day_first=False).fit(frame).columns_[0].first == "2019-01-02"


def test_durations_are_seconds_whether_text_or_typed():
    text = pd.Series(["0 days 00:10:54", "-1 days +23:59:30.500000", "12 days 01:00:00"] * 8)
    typed = pd.to_timedelta(text)
    assert numbers_of(text[:3]) == [654, -29.5, 12 * 86400 + 3600]
    preparation = TablePreparation().fit(pd.DataFrame({"x": text}))
    assert preparation.notes_ == ["column 'x': durations such as '0 days 00:10:54' were read as numbers of seconds"]
    inputs = [preparation.transform(pd.DataFrame({"x": cells})) for cells in (text, typed)]
    assert np.array_equal(*inputs)
    target = inspect_target(text, "x")
    assert (target.task, target.values(typed).tolist()[:2]) == ("regression", [654, -29.5])
    assert "seconds" in target.notes[0]


DURATIONS = {
    "days": ["1 days", "3 days", "10 days", "-2 days"],
    "typed days": pd.to_timedelta(["1D", "3D", "10D", "-2D"]),
    "clock": ["1 days 00:00:00", "3 days 00:00:00", "10 days 00:00:00", "-2 days +00:00:00"],
    "mixed": ["1 days", "3 days 00:00:00", "10 days", "-2 days"],
    "hours": ["24 hours", "72 hours", "240 hours", "-48 hours"],
}


@pytest.mark.parametrize("trained", DURATIONS)
@pytest.mark.parametrize("predicted", ["days", "typed days", "clock", "mixed"])
def test_whole_days_are_one_number_however_they_are_written(trained, predicted):
    cells = list(DURATIONS[trained])
    preparation = TablePreparation().fit(pd.DataFrame({"x": pd.Series(cells * 4)}))
    inputs, remarks = preparation.transform_and_remark(pd.DataFrame({"x": DURATIONS[predicted]}))
    assert inputs == pytest.approx(preparation.transform(pd.DataFrame({"x": cells})), rel=1e-12)
    assert remarks == []


def test_durations_are_missing_with_a_remark_where_training_had_numbers_without_a_unit_of_time():
    for cells in (["1", "3", "654"], ["1 kg", "3 kg", "654 kg"]):
        preparation = TablePreparation().fit(frame_of(x=cells))
        for durations in (["0 days 00:10:54"], pd.to_timedelta(["654s"])):
            inputs, remarks = preparation.transform_and_remark(pd.DataFrame({"x": durations}))
            assert np.array_equal(inputs, preparation.transform(pd.DataFrame({"x": [None]})))
            assert remarks[0].startswith("column 'x', row 1: '0 days 00:10:54': not a number")


def test_dates_with_points_have_the_day_first_with_a_note():
    preparation = TablePreparation().fit(frame_of(x=["01.02.2019", "03.04.2020"]))
    assert preparation.columns_[0].first == "2019-02-01"
    (note,) = preparation.notes_
    assert note.startswith("column 'x', row 1: '01.02.2019' (and 11 more such cells) was read with the day first")


def test_a_date_gives_the_numbers_that_vary():
    days = pd.date_range("2019-12-30", periods=20, freq="D")
    preparation = TablePreparation().fit(pd.DataFrame({"when": days.astype(str)}))
    assert list(preparation.get_feature_names_out()) == [
        f"when: {part}" for part in ("year", "month", "weekday", "days")
    ]
    assert preparation.input_columns_ == ["when"] * 4
    inputs = preparation.transform(pd.DataFrame({"when": days}))
    expected = np.column_stack([days.year, days.month, days.map(pd.Timestamp.weekday), np.arange(20)]).astype(float)
    assert inputs == pytest.approx((expected - expected.mean(0)) / expected.std(0))


def test_hours_are_those_of_the_local_clock():
    berlin = pd.Series(pd.date_range("2020-03-28", periods=40, freq="3h", tz="Europe/Berlin"))
    texts = berlin.map(lambda moment: moment.isoformat())
    typed = TablePreparation().fit(pd.DataFrame({"when": berlin}))
    assert np.array_equal(
        typed.transform(pd.DataFrame({"when": texts})), typed.transform(pd.DataFrame({"when": berlin}))
    )
    read = typed.columns_[0].read(Column.of(texts, "when")).numbers["hour"]
    assert read.tolist() == berlin.dt.hour.astype(float).tolist()


ISO = [f"{year}-0{month}-1{day}" for year, month, day in zip([2019, 2020] * 9, [1, 2, 3] * 6, [1, 5, 7] * 6)]
OTHERWISE = ", as its cells are written; the model was trained with the month first"
UNDECIDED = "training did not tell the order: write it as YYYY-MM-DD, or train with the option day-first or month-first"


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(
    ("cells", "option", "expected", "remarks"),
    [
        (["04.03.2021"], None, ["2021-03-04"], []),
        (["04.03.2021", "25.03.2021"], None, ["2021-03-04", "2021-03-25"], []),
        (["04/03/2021", "25/03/2021"], None, ["2021-03-04", "2021-03-25"], []),
        (["04/03/2021", "03/25/2021"], None, ["2021-04-03", "2021-03-25"], []),
        (["04/03/2021"], None, ["2021-04-03"], [", row 1: '04/03/2021': read with the month first; " + UNDECIDED]),
        (["01/04/2021"], None, ["2021-01-04"], [", row 1: '01/04/2021': read with the month first; " + UNDECIDED]),
        (["04/03/2021"], True, ["2021-03-04"], []),
        (["04/03/2021"], False, ["2021-04-03"], []),
        (["04.03.2021"], False, ["2021-04-03"], []),
        (["25.03.2021"], False, ["2021-03-25"], [" was read with the day first" + OTHERWISE]),
        (["2021-03-04", "03/03/2021"], None, ["2021-03-04", "2021-03-03"], []),
    ],
)  # fmt: skip
def test_after_dates_without_an_order_the_option_the_cells_or_points_tell_it(typed, cells, option, expected, remarks):
    days = pd.to_datetime(pd.Series(ISO)) if typed else ISO
    fitted = TablePreparation(day_first=option).fit(pd.DataFrame({"day": days}))
    preparation = TablePreparation.from_json(json.loads(json.dumps(fitted.to_json())))
    inputs, notes = preparation.transform_and_remark(pd.DataFrame({"day": cells}))
    assert np.array_equal(inputs, preparation.transform(pd.DataFrame({"day": expected})))
    assert notes == [f"column 'day'{remark}" for remark in remarks]
