"""Listings, figures and pictures of the recordings of compiled functions."""

from __future__ import annotations

import html
import pickle
import random
import re
from typing import Any

import numpy as np
import pytest
from drawings import cells, objects, texts
from inside import recordings
from truth import CONSTANTS, COUNTS

import microgrud as mg
from microgrud import Value, compile, draw, softmax, take, tanh, where
from microgrud.draw import Drawing
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.tape.native import native_tape


def listed(f: Any, *args: Any) -> list[str]:
    """The lines of the listing of a function that is called once."""
    compiled = compile(f)
    compiled(*args)
    return [line.strip() for line in compiled.listing().splitlines()]


# --- formulas ---

w, b, c = Value(2.0, label="w"), Value(0.5, label="b"), Value(-1.25)


@pytest.mark.parametrize(
    ("f", "args", "lines"),
    [
        (lambda x: tanh(w * x + b), (1.0,), ["v1 = b + w*x", "v2 = tanh(v1)", "returns v2"]),
        (lambda x: w * x - b * x + 3.0 * c, (1.0,), ["v1 = w*x", "v2 = b*x", "v3 = v1 - v2", "v4 = v3 + 3.0*p3"]),
        (lambda x: x + -2.0 * w + x * -3.0, (1.0,), ["v1 = x - 2.0*w - 3.0*x"]),
        (lambda x, y: x / -2.0 + (-x) ** y, (1.0, 2.0), ["v1 = x / (-2.0)", "v2 = -x", "v3 = v2**y"]),
        (lambda x: x % 2.0 - x // 2.0, (1.0,), ["v1 = x % 2.0", "v2 = x // 2.0", "v3 = v1 - v2"]),
        (lambda x: mg.maximum(x, 2.0) * where(x > 0.0, x, w), (1.0,), ["v1 = maximum(x, 2.0)"]),
        (lambda x: mg.max([x, w, 1.0]) + x.detach(), (1.0,), ["v1 = max([x, w, 1.0])", "v2 = detach(x)"]),
        (lambda x: softmax([x, w])[1], (1.0,), ["v1 = softmax([x, w])[1]"]),
        (lambda x, k: take([x, w, 3.0], k) * 2.0, (1.0, 2), ["v1 = take([x, w, 3.0], k)", "v2 = v1*2.0"]),
        (lambda x: mg.hypot(x, w), (1.0,), ["v1 = hypot(x, w)"]),
        (lambda x: x, (1.0,), ["inputs      x", "returns x"]),
        (lambda x: 3.0, (1.0,), ["constants   3.0", "returns 3.0"]),
        (lambda x, k: x**k, (2.0, 3), ["requires k == 3", "v1 = x**3.0"]),
    ],
)
def test_instructions_are_formulas(f: Any, args: tuple[Any, ...], lines: list[str]) -> None:
    found = listed(f, *args)
    places = [found.index(line) for line in lines]
    assert places == sorted(places)


def test_every_operation_of_the_table_has_a_formula() -> None:
    for name, operation in mg.engine.ops.TABLE.items():
        count = COUNTS.get(name, operation.arity or 3)
        point = [1.5, 1.75, 2.0][:count] if name in ("acosh", "clip") else [0.25, 0.5, 0.75, 0.5, 1.5][:count]
        constants = CONSTANTS.get(name, ())
        found = listed(lambda x, operation=operation, constants=constants: operation(*constants, *x) * 2.0, point)
        used = " ".join(line for line in found if line.startswith("v1 = "))
        assert all(re.search(rf"x\[{k}\]", used) for k in range(count)) or name == "identity", (name, found)


def test_a_listing_is_a_program_with_its_branches_where_they_are_decided() -> None:
    @compile
    def f(x: Any, y: Any) -> Any:
        z = tanh(w * x + b)
        if not x > 2.0 and z > y:
            return {"sum": z + y, "both": [np.array([z, x]), y]}
        return {"sum": z, "both": [np.array([z, x]), y]}

    f(1.0, 0.25)
    f(3.0, 0.25)
    assert f.listing().splitlines() == [
        "f, recording 1 of 2: 8 nodes in 4 instructions",
        "  inputs      x, y",
        "  parameters  w = 2, b = 0.5",
        "  constants   2.0",
        "  requires not x > 2.0",
        "  v1 = w*x",  # in this order, since a branch depends on it
        "  v2 = v1 + b",
        "  v3 = tanh(v2)",
        "  requires v3 > y",
        "  v4 = v3 + y",
        "  returns ['sum'] = v4, ['both'][0] = array([v3, x]), ['both'][1] = y",
        "f, recording 2 of 2: 7 nodes in 2 instructions",
        "  inputs      x, y",
        "  parameters  b = 0.5, w = 2",
        "  constants   2.0",
        "  requires x > 2.0",
        "  v1 = b + w*x",
        "  v2 = tanh(v1)",
        "  returns ['sum'] = v2, ['both'][0] = array([v2, x]), ['both'][1] = y",
    ]
    assert f.listing(path=2).splitlines()[0] == "f, recording 2 of 2: 7 nodes in 2 instructions"
    assert "recording 1" not in f.listing(path=2)


def test_arguments_are_called_as_they_are_written() -> None:
    @compile(batched=("rows",))
    def f(rows: Any, p: Any, *more: Any, scale: float) -> Any:
        return rows[0] * p["a"][1] + rows[1] * more[0] * scale

    f(np.ones((2, 2)), {"a": [1.0, 2.0]}, 3.0, scale=4.0)
    assert "  inputs      rows[0], rows[1], p['a'][1], argument 2, scale" in f.listing().splitlines()
    assert f.listing().splitlines()[0].endswith(", for each sample of rows")


def test_results_are_not_called_as_arguments_are() -> None:
    assert listed(lambda v1, x: tanh(v1) * x, 1.0, 2.0)[-3:] == ["t1 = tanh(v1)", "t2 = t1*x", "returns t2"]


def test_parameters_have_labels_or_names_or_numbers_and_no_two_the_same() -> None:
    first, second, third = Value(1.0, label="w"), Value(2.0, label="w"), Value(3.0)
    x_too = Value(4.0, label="x")
    f = compile(lambda x: first * x + second * third + x_too * x)
    f(1.0)
    assert "parameters  w = 1, w#2 = 2, p3 = 3, x#2 = 4" in f.listing()
    assert "w#2 = 2, third = 3" in f.listing(names={third: "third"})
    model = MLP(1, [1], rng=random.Random(0))
    g = compile(lambda x: model([x]))
    g(1.0)
    assert "v1 = layers.0.neurons.0.b + layers.0.neurons.0.w.0*x" in g.listing(model=model)
    with pytest.raises(TypeError, match="model: expected a Module, got float"):
        g.listing(model=1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="names: expected a mapping from Values to names, got list"):
        g.listing(names=[])  # type: ignore[arg-type]


def test_long_programs_are_shortened_in_the_middle() -> None:
    def chain(x: Any) -> Any:
        for _ in range(1500):
            x = tanh(x)
        return x

    f = compile(chain)
    f(0.5)
    lines = f.listing(limit=5).splitlines()
    assert lines[2:] == [
        "  v1 = tanh(x)",
        "  v2 = tanh(v1)",
        "  v3 = tanh(v2)",
        "  ... 1,495 more lines ...",
        "  v1499 = tanh(v1498)",
        "  v1500 = tanh(v1499)",
        "  returns v1500",
    ]
    assert len(f.listing(limit=None).splitlines()) == 1503
    assert len(f.listing().splitlines()) == 44
    with pytest.raises(ValueError, match="listing: limit: expected an integer of at least 2, got 1"):
        f.listing(limit=1)


def test_long_sums_and_lists_are_shortened_in_the_middle() -> None:
    lines = listed(lambda x: sum(a * w for a in x) + mg.max(x), [0.5] * 100)
    assert lines[1] == "inputs      x[0], x[1], x[2], x[3], (93 more), x[97], x[98], x[99]"
    assert "v1 = max([x[0], x[1], x[2], x[3], (93 more), x[97], x[98], x[99]])" in lines
    assert any("x[0]*w" in line or "w*x[0]" in line for line in lines)
    assert max(map(len, lines)) < 120


def test_there_may_be_very_many_recordings_or_none() -> None:
    f = compile(lambda x, k: x**k)
    assert f.listing() == "<lambda>: nothing is recorded yet; call it once"
    for k in range(11):
        f(1.5, k)
    assert f.listing().splitlines()[-1] == "3 more recordings: listing(path=...) shows any one of them"
    assert "requires k == 10" in f.listing(path=11)
    for wrong in (0, 12):
        with pytest.raises(ValueError, match="path: expected"):
            f.listing(path=wrong)


def test_what_came_out_of_a_pickle_shows_the_same() -> None:
    f = compile(lambda x: w * tanh(x) if x > 0.0 else b)
    f(1.0)
    f(-1.0)
    assert pickle.loads(pickle.dumps(f)).listing() == f.listing()


# --- figures ---


def test_stats_say_how_large_the_recordings_are() -> None:
    f = compile(lambda x: tanh(w * x + b) * 3.0, batched="x")
    assert f.stats == {
        "signatures": 0,
        "paths": 0,
        "nodes": 0,
        "instructions": 0,
        "eager": 0,
        "slots": 0,
        "bytes": 0,
        "block_size": native_tape.BLOCK if native_tape is not None else 0,
    }
    f([1.0, 2.0])
    once = f.stats
    assert (once["paths"], once["instructions"]) == (1, 3)
    code_and_constant = 4 * (3 + 3 + 3 + 1 + 3 + 2) + 8
    (path,) = recordings(f)
    (executor,) = path.executors.values()
    if native_tape is None:
        working = 2 * 8 * once["slots"]
    else:  # x, the sum, tanh with its slope, and the product vary
        assert executor.tapes.varying == 5  # type: ignore[attr-defined]
        working = 2 * 8 * (len(executor.constants) + native_tape.BLOCK * 5)  # type: ignore[attr-defined]
    assert once["bytes"] == code_and_constant + working
    f([1.0, 2.0, 3.0])
    assert f.stats == once


def test_the_repr_is_one_line() -> None:
    f = compile(lambda x: x * x + 1.0)
    assert repr(f) == "<compiled <lambda>: 0 recordings, 0 nodes in 0 instructions>"
    f(1.0)
    assert repr(f) == "<compiled <lambda>: 1 recording, 3 nodes in 1 instruction>"


# --- pictures ---


def branch(x: Any) -> Any:
    return tanh(w * x + b) if x > 0.0 else (2.0 * b * x if w * x > -3.0 else x)


@pytest.fixture
def three_ways() -> Any:
    """A function with three recordings."""
    f = compile(branch)
    for x in (1.0, -1.0, -10.0):
        f(x)
    return f


def labelled(drawing: Drawing) -> dict[str, list[str]]:
    """The texts of the boxes, by their ids."""
    return {name: [html.unescape(text) for text in cells(node)] for name, node in objects(drawing)[0].items()}


def joined(drawing: Drawing) -> list[tuple[str, str]]:
    """The edges, by the first cells of their ends."""
    titles = {name: found[0] for name, found in labelled(drawing).items()}
    return sorted((titles[e["tail"]], titles[e["head"]]) for e in objects(drawing)[1])


def test_a_recording_is_drawn_with_its_formulas_parameters_and_branches(three_ways: Any) -> None:
    drawing = draw.draw(three_ways, path=1)
    assert sorted(labelled(drawing).values()) == [
        ["b", "0.5"],
        ["requires x > 0.0"],
        ["v1", "b + w*x"],
        ["v2", "tanh(v1)"],
        ["w", "2"],
        ["x"],
    ]
    assert joined(drawing) == [("b", "v1"), ("v1", "v2"), ("w", "v1"), ("x", "requires x > 0.0"), ("x", "v1")]
    nodes = {html.unescape(cells(node)[0]): node for node in objects(drawing)[0].values()}
    looks = {title: (node["shape"], node.get("peripheries"), node["penwidth"]) for title, node in nodes.items()}
    assert len({looks[title] for title in ("x", "w", "v1", "v2", "requires x > 0.0")}) == 5  # distinct without colour
    assert "branch, recording 1 of 3: 6 nodes in 2 instructions" in texts(drawing)[0]


def test_several_recordings_are_drawn_side_by_side(three_ways: Any) -> None:
    drawing = draw.draw(three_ways)
    written = texts(drawing)[0]
    for number in (1, 2, 3):
        assert any(text.startswith(f"branch, recording {number} of 3") for text in written)
    assert drawing.source.count("subgraph cluster_") == 3
    assert ["returned", "x"] in labelled(drawing).values()
    assert written.count("requires not x > 0.0") == 2


@pytest.mark.parametrize("rankdir", ["LR", "TB"])
def test_recordings_are_in_their_order(three_ways: Any, rankdir: str) -> None:
    svg = draw.draw(three_ways, rankdir=rankdir).pipe("svg", encoding="utf-8")
    found = re.findall(
        r'<text[^>]* x="([-\d.]+)" y="([-\d.]+)"[^>]*>branch, recording (\d)', svg.replace("&#160;", " ")
    )
    place = 1 if rankdir == "LR" else 0
    assert [number for *_, number in sorted(found, key=lambda item: float(item[place]))] == ["1", "2", "3"]


def test_of_very_many_recordings_some_are_drawn() -> None:
    f = compile(lambda x, k: x**k * w)
    for k in range(2, 9):
        f(1.5, k)
    drawing = draw.draw(f)
    assert drawing.source.count("subgraph cluster_") == 4
    assert "3 more recordings; choose one with path=..." in texts(drawing)[0]
    assert "requires k == 8" in texts(draw.draw(f, path=7))[0]
    with pytest.raises(ValueError, match="path: expected the number of one of 7 recordings, got 8"):
        draw.draw(f, path=8)


def a_network(width: int) -> Any:
    model = MLP(2, [width, width, 1], activation="tanh", rng=random.Random(0))
    f = compile(lambda x, y: squared_error(model(x), y), batched=("x", "y"))
    f.map([[1.0, 2.0]], [1.0])
    return f


def test_large_programs_are_folded_by_level() -> None:
    found = list(labelled(draw.draw(a_network(16))).values())
    assert found == [
        ["3 inputs", "x[0], x[1], y"],
        ["v1 to v31", "16 sums of products", "48 parameters"],
        ["v2 to v32", "16 tanh"],
        ["v33 to v63", "16 sums of products", "272 parameters"],
        ["v34 to v64", "16 tanh"],
        ["v65", "sum of 1 term and 16 products", "17 parameters"],
        ["v66", "v65 - y"],
        ["v67", "square(v66)"],
    ]


def test_parameters_go_into_boxes_before_instructions_do() -> None:
    f = a_network(3)
    assert (
        sum(len(found) == 2 and found[0].startswith("p") for found in labelled(draw.draw(f, max_nodes=60)).values())
        == 25
    )
    folded = list(labelled(draw.draw(f, max_nodes=30)).values())
    assert ["v1", "p1 + p2*x[0] + p3*x[1]", "3 parameters"] in folded
    assert not any(found[0] == "p1" for found in folded)
    forced = list(labelled(draw.draw(f, fold="layers")).values())
    assert ["v1 to v5", "3 sums of products", "9 parameters"] in forced


def test_what_lies_in_the_middle_is_a_box_that_says_how_much_it_is() -> None:
    drawing = draw.draw(a_network(16), max_nodes=6)
    assert ["not drawn", "32 instructions"] in labelled(drawing).values()
    assert ("v2 to v32", "not drawn") in joined(drawing)
    assert ("not drawn", "v65") in joined(drawing)
    forced = labelled(draw.draw(a_network(16), fold="nothing", max_nodes=20))
    assert len(forced) == 21
    (rest,) = [found for found in forced.values() if found[0] == "not drawn"]
    drawn = sum(found[0].startswith("v") for found in forced.values())
    assert rest[1] == f"{67 - drawn} instructions"


def size(drawing: Drawing) -> float:
    """The larger of the width and the height, in points."""
    found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', drawing.pipe("svg", encoding="utf-8"))
    assert found is not None
    return max(map(float, found.groups()))


def test_pictures_of_large_programs_fit_on_a_screen_and_say_how_to_draw_the_rest() -> None:
    @compile
    def deep(xs: Any) -> Any:
        h = xs[0] * 0.5
        for x in xs:
            h = tanh(h * w + x)
        return h

    @compile
    def small(x: Any) -> Any:
        return tanh(x * w)

    deep([0.1 * k for k in range(40)])
    small(1.0)
    for f, folded in ((a_network(16), True), (deep, True), (small, False)):
        drawing = draw.draw(f)
        assert size(drawing) <= 1.1 * 675  # 900 pixels
        hints = [text for text in texts(drawing)[0] if text.startswith("folded; each instruction")]
        assert len(hints) == folded
        for hint in hints:
            arguments = dict(re.findall(r"(\w+)=(\w+|\"\w+\")", hint))
            whole = draw.draw(f, fold="nothing", max_nodes=int(arguments["max_nodes"]))
            assert "not drawn" not in whole.source


def test_one_instruction_with_many_parameters_keeps_them_in_its_box() -> None:
    table = [Value(float(k)) for k in range(12)]
    f = compile(lambda k: take(table, k) * w)
    f(3)
    assert sorted(labelled(draw.draw(f)).values()) == [
        ["k"],
        ["v1", "take of 12", "12 parameters"],
        ["v2", "v1*w"],
        ["w", "2"],
    ]
    assert len(labelled(draw.draw(f, fold="nothing"))) == 16


def test_very_many_branches_are_counted() -> None:
    f = compile(lambda xs: sorted(xs)[5] * 2.0)
    f(list(np.random.default_rng(0).normal(size=12)))
    found = [text for (text, *_) in labelled(draw.draw(f)).values() if text.startswith("requires")]
    assert len(found) == 12
    (path,) = recordings(f)
    assert f"requires {len(path.program.guards) - 11} more conditions" in found


def test_labels_may_be_anything() -> None:
    odd = Value(1.5, label='<b>&"\\N"</b>')
    f = compile(lambda x: odd * x if odd > 1.0 else x)
    f(2.0)
    written, tooltips = texts(draw.draw(f))
    assert '<b>&"\\N"</b>' in written
    assert 'requires <b>&"\\N"</b> > 1.0' in tooltips


def test_arguments_of_other_drawings_are_refused(three_ways: Any) -> None:
    for arguments, message in (
        ({"parameters": [w]}, "parameters: expected the default for a compiled function"),
        ({"inputs": ["x"]}, "inputs: expected the default for a compiled function"),
        ({"outputs": ["y"]}, "outputs: expected the default for a compiled function"),
        ({"depth": 2}, "depth: expected the default for a compiled function"),
        ({"slopes": False}, "slopes: expected the default for a compiled function"),
        ({"expand": ["dot"]}, "expand: expected the default for a compiled function"),
        ({"fold": "neurons"}, "fold: expected 'layers', 'nothing' or None for a compiled function, got 'neurons'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            draw.draw(three_ways, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="path: expected None for anything but a compiled function, got 1"):
        draw.draw(w * 2.0, path=1)
    with pytest.raises(ValueError, match="nothing is recorded yet; call it once"):
        draw.draw(compile(branch))


def test_notebooks_show_the_picture_and_the_text(three_ways: Any) -> None:
    shown = three_ways._repr_mimebundle_()
    assert shown["text/plain"] == repr(three_ways)
    assert "recording" in shown["image/svg+xml"]
    assert list(compile(branch)._repr_mimebundle_()) == ["text/plain"]
