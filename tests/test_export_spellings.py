"""Regular expressions of categories: an ONNX graph finds the category that the preparation finds."""

from __future__ import annotations

import pytest
from arrays import np
from hypothesis import example, given, settings, strategies as st

from microgrud.export.spellings import category_patterns, missing_pattern
from microgrud.tables.spelling import Names, grouped
from microgrud.tables.table import MISSING

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

#: Texts of which categories and cells are made: words, numbers, moments, letters with two cases or of several letters.
PIECES = ["red", "Red", "STRASSE", "straße", "ﬁne", "fine", "a", "A", "1"]
PIECES += ["01", "1.0", "-2.50", "+0", "-0.0", ".5", "0.5", "0.00001", "1e-05"]
PIECES += ["0E1", "1_0", "1.", "True", "false", "2020-02-29", "2020-02-29T00:00:00", "K", "\u212a"]
PIECES += ["2020-02-29 12:30:00", "2020-02-29T12:30:00", "a.b", "axb", "(", "1e+16", "4111111111111111"]
PIECES += ["04111111111111111", "4111111111111111.0"]
PIECES += ["10000000000000000.00", "é", "É", "$5", "x\\d", "NA", "?", "", "1.5e3"]
PIECES += ["None", "007"]
#: Of joined pieces, none has more digits than a float: RE2 does not round.
SHORT = [piece for piece in PIECES if len(piece) < 8]
CELLS = st.lists(st.sampled_from([*SHORT, " ", "\t", "\u00a0", "0", "."]), min_size=1, max_size=3).map("".join)
CELLS |= st.sampled_from(PIECES).flatmap(lambda text: st.sampled_from([text, text.upper(), text.lower(), f" {text} "]))


def matches(patterns: list[str], texts: list[str]) -> list[list[bool]]:
    """Return for each pattern which texts a RegexFullMatch of it finds in onnxruntime."""
    from onnx import TensorProto, helper

    names = [f"found{k}" for k in range(len(patterns))]
    nodes = [helper.make_node("RegexFullMatch", ["text"], [out], pattern=each) for out, each in zip(names, patterns)]
    ends = [helper.make_tensor_value_info(name, TensorProto.BOOL, ["rows"]) for name in names]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("text", TensorProto.STRING, ["rows"])], ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [found.tolist() for found in session.run(None, {"text": np.array(texts, object)})]


@settings(max_examples=60)
@given(
    st.lists(CELLS.map(str.strip).filter(lambda text: text not in MISSING), min_size=1, max_size=6),
    st.lists(CELLS, min_size=1),
)
@example(["a"] * 3 + ["A"] * 3, ["a", "A", " A"])
@example(["strasse"], ["STRAßE"])
@example(["2020-02-29t00:00:00"], ["2020-02-29T00:00:00"])
def test_patterns_find_the_category_that_the_preparation_finds(learned: list[str], cells: list[str]) -> None:
    categories = list(grouped(learned, [1] * len(learned))[1])
    cells = [*cells, *PIECES, *learned]
    known = Names(categories)
    patterns = category_patterns(categories)
    flat = [missing_pattern(), *(each for own, others in patterns for each in (own, *others))]
    missing, *rest = matches(flat, cells)
    assert missing == [cell.strip() in MISSING for cell in cells]
    hits = iter(rest)
    rows = []
    for _, others in patterns:
        own, *excluded = next(hits), *(next(hits) for _ in others)
        rows.append([yes and not any(no) for yes, *no in zip(own, *excluded)])
    for k, cell in enumerate(cells):
        if not missing[k]:
            found = [name for name, row in zip(categories, rows) if row[k]]
            wanted = known.find(cell.strip())
            assert found == [wanted] * (wanted is not None), (cell, categories)


def test_letters_that_fold_to_several_are_all_known() -> None:
    for letter in map(chr, range(0x110000)):
        if len(text := letter.casefold()) > 1:
            (pattern, _), *_ = category_patterns([f"x{text}y"])
            assert letter in pattern
