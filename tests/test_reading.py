"""Reading of delimited text: dialects, encodings and headers; what is guessed or left out is in the notes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from readings import Write, cells, places, rows

from microgrud.tables import TableError, read_table

# --- cells and dialects -----------------------------------------------------------------------------------------------


def test_a_table_keeps_the_names_and_the_stripped_text_of_its_cells(write: Write) -> None:
    table = read_table(write('size , colour\n 1, light red \n2.50,"a, b"\n', "things.csv"))
    assert (table.name, len(table), table.notes) == ("things", 2, [])
    assert rows(table) == [["size", "colour"], ["1", "light red"], ["2.50", "a, b"]]


DIALECTS = {
    "comma": "a b,c\n1,x\n2,y\n",
    "semicolon": "a b;c\n1;x\n2;y\n",
    "tab": "a b\tc\n1\tx\n2\ty\n",
    "vertical bar": "a b|c\n1|x\n2|y\n",
    "a line that names the delimiter": "sep=:\na b:c\n1:x\n2:y\n",
    "quotes": '"a b","c"\n"1","x"\n"2","y"\n',
    "single quotes": "'a b','c'\n'1','x'\n'2','y'\n",
    "trailing delimiters": "a b,c,\n1,x,\n2,y,\n",
    "trailing delimiters but in the header": "a b,c\n1,x,,\n2,y,,\n",
    "blank lines": "\n  \na b,c\n\n1,x\n,\n2,y\n\n",
    "carriage returns": "a b,c\r1,x\r2,y\r",
    "both kinds of line ends": "a b,c\r\n1,x\r\n2,y",
    "a byte order mark twice": "\ufeff\ufeffa b,c\n1,x\n2,y\n",
}


@pytest.mark.parametrize("what", DIALECTS)
def test_a_table_in_another_dialect_is_the_same(write: Write, what: str) -> None:
    table = read_table(write(DIALECTS[what]))
    assert rows(table) == [["a b", "c"], ["1", "x"], ["2", "y"]]
    assert table.notes == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x;y\n1,5;2,5\n3,4;5,6\n", [["x", "y"], ["1,5", "2,5"], ["3,4", "5,6"]]),
        ("1,5;2,5\n3,4;5,6\n", [["column 1", "column 2"], ["1,5", "2,5"], ["3,4", "5,6"]]),
        ("name\tage\nLee, Ann\t3\nBo, Cy\t4\n", [["name", "age"], ["Lee, Ann", "3"], ["Bo, Cy", "4"]]),
        ("id,tags\n1,a;b\n2,c;d\n", [["id", "tags"], ["1", "a;b"], ["2", "c;d"]]),
        ('a,b\n1,"x \\"y\\""\n2,"\\"z\\" w"\n', [["a", "b"], ["1", 'x "y"'], ["2", '"z" w']]),
        ("a,b\n1,it's\n2,5\" disk\n", [["a", "b"], ["1", "it's"], ["2", '5" disk']]),
    ],
)
def test_the_delimiter_is_the_one_that_splits_all_lines_alike(
    write: Write, text: str, expected: list[list[str]]
) -> None:
    assert rows(read_table(write(text))) == expected


def test_runs_of_blanks_separate_cells_if_nothing_else_does(write: Write) -> None:
    table = read_table(write("x   y  name\n 1  2.5 'a b'\n10  3   c\n".replace("'", '"')))
    assert rows(table) == [["x", "y", "name"], ["1", "2.5", "a b"], ["10", "3", "c"]]
    assert "separated by spaces" in table.notes[0]


def test_the_delimiter_can_be_given(write: Write) -> None:
    assert read_table(write("a:b\n1:2\n"), delimiter=":").columns == ["a", "b"]
    assert read_table(write("a\tb,c\n1\t2\n"), delimiter="tab").columns == ["a", "b,c"]
    with pytest.raises(TableError, match="delimiter: expected one character, or tab, got 'ab'"):
        read_table(write("a\n1\n"), delimiter="ab")


def test_a_long_cell_is_read_and_counts_its_lines(write: Write) -> None:
    table = read_table(write('a,b\n"' + "x\n" * 100_000 + '",2\n3,4\n'))
    assert [len(cell) for cell in table.cells["a"]] == [199_999, 1]
    assert table.place(1) == "row 2 (line 100003)"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(texts, min_size=2, max_size=2), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_cells_are_those_of_the_csv_module_whether_rows_are_lines_or_not(
    tmp_path_factory: pytest.TempPathFactory, given_cells: list[list[str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    body = [["x" + a, "y" + b] for a, b in given_cells]
    for extra in ([], [["two\nlines", "z"]]):
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows([["name one", "n2"], *body, *extra])
        path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
        table = read_table(path, delimiter=delimiter, header=True)
        assert rows(table) == [["name one", "n2"], *([a.strip(), b.strip()] for a, b in body + extra)]


# --- lines that are no rows -------------------------------------------------------------------------------------------


def test_places_count_rows_and_lines_past_blank_lines_and_line_breaks_in_cells(write: Write) -> None:
    assert places(read_table(write('\n  \na,b\n1,2\n\n"x\ny",3\n,\n4,5\n'))) == [
        "row 1 (line 4)",
        "row 2 (line 6)",
        "row 3 (line 9)",
    ]


def test_comments_titles_and_footers_are_left_out_with_a_note(write: Write) -> None:
    table = read_table(write("Sales by region\n# exported\n\na,b,c\n1,2,3\n# half, way\n4,5,6\n\nSource: the web\n"))
    assert rows(table) == [["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]]
    assert places(table) == ["row 1 (line 5)", "row 2 (line 7)"]
    comments, titles, footers = table.notes
    assert "2 comments left out, lines 2, 6: '# exported', ..." in comments
    assert "1 title left out, line 1: 'Sales by region'" in titles
    assert "1 footer left out, line 9: 'Source: the web'" in footers


def test_a_number_sign_may_begin_a_header_or_a_cell(write: Write) -> None:
    assert rows(read_table(write("#id,name\n1,x\n2,y\n"))) == [["#id", "name"], ["1", "x"], ["2", "y"]]
    assert cells(read_table(write("colour,n\n#ff0000,1\n#00ff00,2\n"))) == [["#ff0000", "1"], ["#00ff00", "2"]]


def test_missing_cells_at_the_end_of_a_row_are_noted(write: Write) -> None:
    table = read_table(write("a,b,c\n1,2,3\n4\n5,6\n"))
    assert cells(table) == [["1", "2", "3"], ["4", "", ""], ["5", "6", ""]]
    assert "fewer cells than in the header in lines 3, 4" in table.notes[0]


def test_a_quotation_that_ends_within_a_cell_is_noted(write: Write) -> None:
    table = read_table(write('a,b\n"x, ""y"" z",1\n"5" disk,2\n"5"8,3\n'))
    assert cells(table) == [['x, "y" z', "1"], ["5 disk", "2"], ["58", "3"]]
    assert "a quotation mark within a cell in lines 3, 4 was taken as the end of a quotation" in table.notes[0]


BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the file is empty"),
    "blank": ("\n \n", "the file is empty"),
    "delimiters only": (";;\n;", "the file is empty"),
    "header only": ("a,b\n", "the table has a header and no rows"),
    "blank rows only": ("a,b\n,\n", "the table has a header and no rows"),
    "a long row": (
        "a,b,c\n1,2,3\n1,2,3,4\n",
        "expected 3 cells, as in the header, got 4 in line 3, split at each comma; quote",
    ),
    "long rows": (
        'a,b,c\n1,2,3,4\n"x\ny",2,3\n1,2,3,4,5\n',
        "expected 3 cells, as in the header, got 4 or 5 in lines 2, 5, split at each comma",
    ),
    "decimal commas between commas": ("a,b\n1,5,2\n2,5,3\n", "got 3 in lines 2, 3, split at each comma"),
    "an open quotation mark": ('a,b\n1,x\n2,"y\n3,z\n', "the quotation mark opened in line 3 is never closed"),
    "an open quotation mark at the end": ('a,b\n1,x\n2,"y', "the quotation mark opened in line 3 is never closed"),
    "a quotation mark that swallows lines": ('a,b\n1,"x\n2,"y"\n', "the quotation mark opened in line 2"),
    "binary": (b"a,b\n\0,1\n", "is not a text file"),
    "a PDF": (b"%PDF-1.7", "is a PDF"),
    "a pickle": (b"\x80\x04\x95", "is a pickle, which can run programs and is never opened"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx"),
    "a web page": ("\n<!DOCTYPE html><html></html>", "is a page of HTML or XML; download the table itself"),
    "a damaged archive": (b"\x1f\x8b...", "the gzip archive is damaged; get or make it again"),
    "a damaged workbook": (b"PK\x03\x04...", "the zip archive or workbook is damaged"),
    "damaged Parquet": (b"PAR1....PAR1", "the Parquet file cannot be read"),
    "one endless line": ("a," * 200_000 + "b\n1\n", "the first line has 200001 cells"),
    "JSON without records": ("[[1, 2],\n[3, 4]]", "expected a JSON array of records"),
    "JSON by columns": ('{"a": {"0": 1}, "b": {"0": 2}}', "got one object; save rows as"),
    "JSON lines that are none": (
        '{"a": 1}\n{"a": \n[2]\n',
        "expected a JSON object in each line, got none in lines 2, 3",
    ),
    "no records": ("[]", "expected a JSON array of records"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_is_not_a_table_is_one_line_that_says_why(write: Write, what: str) -> None:
    content, message = BROKEN[what]
    path = write(content)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_with_the_lines_is_said_at_once(write: Write) -> None:
    with pytest.raises(TableError) as caught:
        read_table(write('a,b\n1,2,3\n4,5\n6,"7\n'))
    quotation, long = str(caught.value).split("\n")
    assert "opened in line 4" in quotation
    assert "got 3 in line 2" in long


def test_paths_that_hold_no_file_are_errors(tmp_path: Path) -> None:
    for path, message in [
        (tmp_path / "nothing.csv", "there is no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ]:
        with pytest.raises(TableError, match=message):
            read_table(path)


# --- encodings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_in_its_encodings(write: Write, encoding: str) -> None:
    table = read_table(write("größe,ζ\n1,ü\n".encode(encoding)))
    assert (rows(table), table.notes) == ([["größe", "ζ"], ["1", "ü"]], [])


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("größe,b\n1,é\n".encode("cp1252"), "3 bytes are not UTF-8; the file was read as Windows-1252"),
        ("größe,b\n1,".encode() + b"\xe9\n", "1 byte is not UTF-8; it was read as Windows-1252"),
        ("größe,b\n1,é\n".encode("utf-16-le"), "the file was read as UTF-16"),
        ("größe,b\n1,é\n".encode("utf-16-be"), "the file was read as UTF-16"),
    ],
)
def test_a_guessed_encoding_is_noted(write: Write, content: bytes, note: str) -> None:
    table = read_table(write(content))
    assert rows(table) == [["größe", "b"], ["1", "é"]]
    assert note in table.notes[0]


def test_the_encoding_can_be_given(write: Write) -> None:
    table = read_table(write("имя,b\n1,да\n".encode("cp1251")), encoding="cp1251")
    assert (rows(table), table.notes) == ([["имя", "b"], ["1", "да"]], [])
    with pytest.raises(TableError, match="encoding: expected a name such as utf-8"):
        read_table(write("a\n1\n"), encoding="klingon")
    with pytest.raises(TableError, match=r"is not in the encoding ascii \(byte 1\)"):
        read_table(write("ä\n1\n"), encoding="ascii")


# --- headers ----------------------------------------------------------------------------------------------------------

HEADERS = {
    "words above numbers": ("x,y\n1,2\n3,4\n", True, None),
    "words above dates": ("day,n\n2020-01-31,2\n2020-02-01,4\n", True, None),
    "words above words": ("name,town\nAnn,Rome\nBo,Oslo\n", True, None),
    "dates above numbers": ("country,2020-01-31,2020-02-29\nfr,5,6\nde,4,3\n", True, None),
    "dates above dates": ("2020-01-31,2\n2020-02-01,4\n", False, "was taken as data"),
    "a missing name above a counter": (
        ",16.5,17.5\n1,2,3\n2,4,5\n",
        True,
        "if it holds data, say so (option no-header)",
    ),
    "a number among words": ("id,2nd,3rd\n1,2,3\n4,5,6\n", True, None),
    "years": ("country;2019;2020\nfr;5,1;6,2\nde;4,0;3,1\n", True, "was taken as the header; if it holds data"),
    "positions": ("0,1,2,3\n5,6,7,8\n9,1,2,3\n", True, "was taken as the header; if it holds data"),
    "numbers above numbers": ("5.1,3.5,setosa\n4.9,3.0,setosa\n", False, "was taken as data, and the columns"),
    "years above years": ("1950,a\n1961,b\n1972,c\n", False, "was taken as data"),
    "a missing cell above numbers": ("5.1,?,setosa\n4.9,3.0,setosa\n", False, "was taken as data"),
    "words that come again": ("p,x,s\ne,x,s\np,y,s\ne,x,t\n", False, "was taken as data"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_header_is_told_from_a_row_of_data(write: Write, what: str) -> None:
    text, header, note = HEADERS[what]
    table = read_table(write(text))
    first, *others = csv.reader(io.StringIO(text), delimiter=";" if ";" in text else ",")
    if header:
        assert rows(table) == [[name or f"unnamed {i}" for i, name in enumerate(first, 1)], *others]
    else:
        assert rows(table) == [[f"column {i}" for i in range(1, len(first) + 1)], first, *others]
    assert note in table.notes[0] if note else table.notes == []


def test_the_user_decides_about_the_header(write: Write) -> None:
    path = write("1,2\n3,4\n")
    assert rows(read_table(path, header=True)) == [["1", "2"], ["3", "4"]]
    assert rows(read_table(path, header=False)) == [["column 1", "column 2"], ["1", "2"], ["3", "4"]]
    assert read_table(path, header=True).notes == read_table(path, header=False).notes == []
    assert read_table(write("a\nb\n"), header=False).place(0) == "row 1 (line 1)"


def test_columns_without_a_name_get_one_with_a_note(write: Write) -> None:
    table = read_table(write(",x,,unnamed 1,\n0,5,a,1,\n1,6,b,2,\n"))
    assert rows(table)[:2] == [["unnamed 1 (2)", "x", "unnamed 3", "unnamed 1"], ["0", "5", "a", "1"]]
    assert ["column 1 has no name" in table.notes[0], "column 3 has no name" in table.notes[1]] == [True, True]


def test_names_of_rows_without_a_name_in_the_header_are_a_column(write: Write) -> None:
    table = read_table(write("speed,dist\na,4,2\nb,4,10\n"))
    assert rows(table) == [["unnamed 1", "speed", "dist"], ["a", "4", "2"], ["b", "4", "10"]]
    assert "one name fewer" in table.notes[0]
    assert read_table(write("x,y\n" + "".join(f"{i},{i % 3},5\n" for i in range(1, 12)))).columns[0] == "unnamed 1"


def test_a_name_that_comes_twice_is_made_unique_with_a_note(write: Write) -> None:
    table = read_table(write("a,a,a (2),a\n1,2,3,4\n"))
    assert table.columns == ["a", "a (3)", "a (2)", "a (4)"]
    assert ["same name as column 1" in note for note in table.notes] == [True, True]


def test_a_first_row_with_a_known_name_is_the_header(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("2019,7\n2020,8\n")
    assert read_table(path).columns == ["column 1", "column 2"]
    known = read_table(path, known=["2019", "price"])
    assert (known.columns, known.notes) == (["2019", "7"], [])


def test_a_row_of_a_table_that_was_known_without_a_header_is_data(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n")
    with pytest.raises(TableError, match="a header and no rows"):
        read_table(path)
    table = read_table(path, known=["column 1", "column 2", "column 3"])
    assert table.cells.to_numpy().tolist() == [["a", "b"]]


def test_a_long_row_across_the_end_of_the_sample_is_no_comment(tmp_path: Path) -> None:
    path, rows = tmp_path / "t.csv", [f'"# {number} {"x" * 997}","{number}"\n' for number in range(100)]
    path.write_text('"remark","n"\n' + "".join(rows))
    table = read_table(path)
    assert (table.cells["n"].tolist(), table.notes) == ([str(number) for number in range(100)], [])
