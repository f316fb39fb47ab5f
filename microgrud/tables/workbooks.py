"""Excel workbooks: the first sheet as rows of text, and a table as a workbook."""

from __future__ import annotations

import io
import itertools
import math
import re
import warnings
import zipfile
from typing import Any

import pandas as pd

from .delimited import Rows
from .table import TableError, counted, listed
from .text import cell_text, padded

#: Excel's own limit.
MOST_ROWS = 2**20
#: The largest number of characters of a cell, beyond which openpyxl cuts it.
_LONGEST = 2**15 - 1
#: Characters that XML cannot hold, or would change, and the beginning of what stands for them in a workbook.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_CODE = re.compile(r"_x([0-9A-Fa-f]{4})_")
#: Results of formulas that failed; #N/A is among the words for a missing cell.
_FAILED = frozenset(["#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!", "#GETTING_DATA"])


def read_workbook(name: str, data: bytes, notes: list[str]) -> Rows:
    """Return the rows of the first sheet that is not empty; titles above the table are left out, with a note.

    Raises:
        TableError: if the workbook is damaged, or holds formulas whose results are not stored.
    """
    try:
        sheets, rows = _first_rows(data, results=True)
        formulas = _without_result(data, rows)
    except Exception as error:  # of openpyxl, zipfile or the XML parser, by how the workbook is damaged
        why = " ".join(str(error).split())[:100] or type(error).__name__
        raise TableError(f"{name}: the Excel workbook cannot be read ({why}); save it again, or as CSV") from None
    if formulas:
        where = f"{counted(len(formulas), 'formula')} without a stored result, the first in cell {formulas[0]}"
        raise TableError(f"{name}: {where}; open the workbook in Excel and save it, or save it as CSV")
    if len(sheets) > 1:
        notes.append(f"{name}: only the sheet {sheets[0]!r} was read, not {listed(sheets[1:])}")
    if not rows:
        raise TableError(f"{name}: the workbook is empty; expected a row with column names, and rows below it")
    width, filled = max(len(cells) for _, cells in rows), [sum(cell is not None for cell in cells) for _, cells in rows]
    if above := next((i for i, count in enumerate(filled) if count > 1), 0) if width > 2 else 0:
        title = next(filter(None, map(cell_text, rows[0][1])), "")
        notes.append(f"{name}: row {rows[0][0]} left out as a title above the table: {title[:60]!r}")
    text = [[_text(cell) for cell in cells] + [""] * (width - len(cells)) for _, cells in rows[above:]]
    for row, (_, cells) in zip(text[1:], rows[above + 1 :]):  # the first row may hold names, such as 1.125
        row[: len(cells)] = map(padded, cells, row)
    if failed := sum(cell in _FAILED for cells in text for cell in cells):
        notes.append(f"{name}: {counted(failed, 'cell')} with an error of a formula, such as #DIV/0!, read as missing")
        text = [["" if cell in _FAILED else cell for cell in cells] for cells in text]
    return Rows(pd.DataFrame(text, dtype=str), [number for number, _ in rows[above:]])


def _text(cell: Any) -> str:
    text = cell_text(cell)
    return _CODE.sub(lambda match: chr(int(match[1], 16)), text).strip() if "_x" in text else text


def _first_rows(data: bytes, results: bool) -> tuple[list[str], list[tuple[int, list[Any]]]]:
    """Return the names of the sheets, the one that is read first, and its rows that are not blank, with their numbers.

    Args:
        data: the workbook.
        results: whether to return the results of formulas, and not the formulas.
    """
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns about styles and extensions that it does not know
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=results)
        rows: list[tuple[int, list[Any]]] = []
        sheets = list(book.worksheets)
        for position, sheet in enumerate(sheets):
            sheet.reset_dimensions()  # a workbook may declare any size
            for number, cells in enumerate(itertools.islice(sheet.iter_rows(values_only=True), MOST_ROWS), 1):
                values = [None if cell == "" else cell for cell in cells]
                while values and values[-1] is None:
                    values.pop()
                if values:
                    rows.append((number, values))
            if rows:
                sheets.insert(0, sheets.pop(position))
                break
    return [str(sheet.title) for sheet in sheets], rows


def _without_result(data: bytes, rows: list[tuple[int, list[Any]]]) -> list[str]:
    """Return the names of cells whose formula has no stored result, as other programs than Excel write them."""
    from openpyxl.utils import get_column_letter

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if not any(b"<f" in archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/")):
            return []
    _, formulas = _first_rows(data, results=False)
    results = dict(rows)
    return [
        f"{get_column_letter(column)}{number}"
        for number, cells in formulas
        for column, cell in enumerate(cells, 1)
        if cell is not None and results.get(number, [])[column - 1 : column] in ([], [None])
    ]


def workbook(frame: pd.DataFrame) -> bytes:
    """Return an Excel workbook of one sheet, in which no text is a formula.

    Integers of more than 15 digits are text, since Excel rounds them; control characters are written as Excel does.

    Args:
        frame: numbers and texts, with None or NaN for missing cells.

    Raises:
        TableError: if the frame exceeds the limits of Excel.
    """
    import openpyxl

    if len(frame) >= MOST_ROWS or frame.shape[1] > 2**14:
        raise TableError(f"Excel takes {MOST_ROWS} rows and {2**14} columns at most; write a .csv file")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    rows = itertools.chain([tuple(frame.columns)], zip(*(frame[name].astype(object) for name in frame.columns)))
    for cells in [[_cell(sheet, value) for value in row] for row in rows]:  # an error leaves no sheet half written
        sheet.append(cells)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _cell(sheet: Any, value: Any) -> Any:
    """Return a value as openpyxl is to write it: floats with all digits, of which it writes 16, and no formulas."""
    from openpyxl.cell import WriteOnlyCell

    if pd.isna(value):
        return None
    if isinstance(value, int) and abs(value) < 10**15:
        return value
    text = _CONTROL.sub(lambda match: f"_x{ord(match[0]):04X}_", str(value))
    if len(text) > _LONGEST:
        raise TableError(f"Excel takes {_LONGEST} characters in a cell at most, got {len(text)}; write a .csv file")
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "n" if isinstance(value, float) and math.isfinite(value) else "s"
    return cell
