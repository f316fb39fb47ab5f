"""Pictures of graphs: their contents, the looks of the kinds of values, and the readability of large graphs."""

from __future__ import annotations

import html
import importlib
import os
import re
import runpy
import shutil
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import graphviz
import numpy as np
import pytest
from drawings import boxes, cells, is_warm, objects, texts
from graphviz.backend import dot_command
from hypothesis import given, settings

import microgrud as mg
from microgrud import Value, custom_op, dot, tanh
from microgrud.draw import Drawing, draw, draw_dot, local_derivatives, rendering, summary, trace
from microgrud.nn import MLP, Layer, Module
from microgrud.testing import Expression, expressions


@pytest.fixture
def neuron() -> dict[str, Value]:
    """A neuron and its loss, with a label on everything."""
    x, w, b = Value(2.0, label="x"), Value(-0.75, label="w"), Value(1.0, label="b")
    z = w * x + b
    z.label = "z"
    loss = (tanh(z) - 1.0) ** 2
    loss.label = "loss"
    return {"x": x, "w": w, "b": b, "z": z, "loss": loss}


# --- what is drawn ---


def test_a_box_shows_label_data_and_a_dash_until_a_backward_pass(neuron: dict[str, Value]) -> None:
    found = boxes(draw(neuron["loss"]))
    assert cells(found["w"]) == ["w", "data", "\u22120.75", "grad", "\u2013"]
    neuron["loss"].backward()
    found = boxes(draw(neuron["loss"]))
    assert cells(found["w"])[-1] == f"{neuron['w'].grad:.4g}".replace("-", "\u2212")
    assert cells(found["loss"]) == ["loss", "root", "data", "2.138", "grad", "1"]


def test_a_gradient_of_zero_is_a_zero_after_a_backward_pass() -> None:
    x = Value(-2.0, label="x")
    y = x.relu()
    y.backward()
    assert cells(boxes(draw(y))["x"])[-1] == "0"


def test_a_leaf_keeps_the_gradient_of_an_earlier_pass_in_a_new_graph(neuron: dict[str, Value]) -> None:
    neuron["loss"].backward()
    again = neuron["w"] * 3.0
    found = boxes(draw(again))
    assert cells(found["w"])[-1] == f"{neuron['w'].grad:.4g}".replace("-", "\u2212")
    assert cells(found["root"])[-1] == "\u2013"


def test_every_edge_into_an_operation_has_the_local_derivative(neuron: dict[str, Value]) -> None:
    nodes, edges = objects(draw(neuron["loss"]))
    titles = {name: cells(node)[0] for name, node in nodes.items()}
    labels = {(titles[e["tail"]], titles[e["head"]]): e.get("label", "").strip() for e in edges}
    assert labels["w", "*"] == "2"
    assert labels["x", "*"] == "\u22120.75"
    assert labels["z", "tanh"] == f"{1 - tanh(-0.5) ** 2:.4g}"
    assert labels["**", "loss"] == ""  # out of an operation there is none


def test_a_square_has_two_edges() -> None:
    x = Value(3.0, label="x")
    _, edges = objects(draw(x * x))
    assert [(e["tail"], e["head"], e.get("label", "").strip()) for e in edges] == [
        ("v0", "v1o", "3"),
        ("v0", "v1o", "3"),
        ("v1o", "v1", ""),
    ]


def test_constants_are_numbers_without_a_box() -> None:
    nodes, edges = objects(draw(Value(3.0) * 2.5))
    (constant,) = [node for node in nodes.values() if node["label"] == "2.5"]
    assert constant["shape"] == "plaintext"
    assert [e.get("label", "") for e in edges if e["tail"] == constant["name"]] == [""]


def test_kinds_differ_without_colour(neuron: dict[str, Value]) -> None:
    leaf = Value(0.5, label="leaf")
    drawing = draw(neuron["loss"] * leaf, parameters=[neuron["w"], neuron["b"]], inputs=[[neuron["x"]]])
    found = boxes(drawing)
    outline = {name: (n.get("shape"), n.get("style"), n.get("peripheries"), n["penwidth"]) for name, n in found.items()}
    assert outline["w"] == outline["b"]
    assert len({outline[name] for name in ("w", "x", "leaf", "root", "z")}) == 5
    assert cells(found["w"])[:2] == ["w", "parameter"]
    assert cells(found["x"])[:2] == ["x", "input"]


def test_gradients_are_tinted_by_sign_and_size(neuron: dict[str, Value]) -> None:
    neuron["loss"].backward()
    labels = {name: node["label"] for name, node in boxes(draw(neuron["loss"])).items()}
    tints = {name: re.findall(r'BGCOLOR="(#\w+)">\u2212?[\d.]+<', label) for name, label in labels.items()}
    (falling,), (rising,) = tints["w"], tints["x"]
    assert neuron["w"].grad < 0.0 < neuron["x"].grad
    assert is_warm(falling)
    assert not is_warm(rising)


def test_the_docstring_describes_the_shape_of_inputs(neuron: dict[str, Value]) -> None:
    (looks,) = [
        node["shape"] for node in boxes(draw(neuron["loss"], inputs=neuron["x"])).values() if cells(node)[0] == "x"
    ]
    assert looks == "note"  # Graphviz's name of a sheet with a folded corner
    assert "inputs a folded corner" in (draw.__doc__ or "")


def test_labels_with_markup_and_very_long_ones_are_text() -> None:
    x = Value(1.0, label='<b>&"x"</b>')
    y = Value(2.0, label="a " * 200)
    z = Value(3.0, label=r"\theta\N")
    written, tooltips = texts(draw(x * y * z))
    assert r"\theta\N: data=3.0, grad=0.0" in tooltips
    assert r"\theta\N" in written
    assert '<b>&"x"</b>' in written
    assert max(map(len, written)) <= 40


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("\x1b[0m", "\u241b[0m"),
        ("\x00a\x7f", "\u2400a\u2421"),
        ("\ud800x\uffff", "\ufffdx\ufffd"),
        ("a\tb\n c", "a b c"),
        ("<<>>", "<<>>"),
        ("trailing\\", "trailing\\"),
        ("&lt;", "&lt;"),
    ],
)
def test_any_text_can_be_a_label_and_the_name_of_an_operation(label: str, shown: str) -> None:
    x = Value(1.0, label=label)
    written, tooltips = texts(draw(Value(2.0, (x,), label)))
    assert written[0] == shown
    assert shown in written[3:]  # in the circle
    assert " ".join(tooltips[0].split()).startswith(f"{shown}: data=1.0")
    assert f"{shown}(\u2026), inputs not drawn" in texts(draw(Value(2.0, (x,), label), depth=0))[0]


def test_labels_of_white_space_alone_are_drawn() -> None:
    for label in (" ", "\t\n", "\xa0"):
        written = texts(draw(Value(1.0, label=label)))[0]
        assert [text for text in written if text.strip()] == ["root", "data", "1", "grad", "\u2013"]


def test_a_root_without_a_label_has_no_empty_one_before_its_kind() -> None:
    assert texts(draw(Value(1.0)))[0] == ["root", "data", "1", "grad", "\u2013"]


def test_tooltips_say_every_digit_of_a_value_its_grad_and_the_local_derivative() -> None:
    x = Value(1.0 / 3.0, label="x")
    y = x * 0.123456789
    y.backward()
    tooltips = texts(draw(y, digits=2))[1]
    assert f"x: data={1.0 / 3.0!r}, grad=0.123456789" in tooltips
    assert tooltips.count("local derivative 0.123456789") >= 2  # over the line and over the number on it
    assert "constant 0.123456789" in tooltips


def test_parameters_and_inputs_without_a_name_have_their_kind_for_a_title() -> None:
    w, x = Value(2.0), Value(3.0)
    found = boxes(draw(w * x, parameters=[w], inputs=[x]))
    assert cells(found["parameter"])[:3] == ["parameter", "data", "2"]
    assert cells(found["input"])[:3] == ["input", "data", "3"]


def test_an_input_is_marked_as_one_even_if_it_is_also_a_parameter() -> None:
    x = Value(2.0, label="x")
    assert cells(boxes(draw(x * 3.0, parameters=[x], inputs=[x]))["x"])[:2] == ["x", "input"]


def test_names_are_for_nodes_without_a_label_and_go_before_those_of_the_module() -> None:
    model = MLP(1, [1], rng=0)
    w, b = model.parameters()
    x = Value(2.0, label="x")
    found = boxes(draw(model([x]), model=model, names={w: "mine", x: "yours"}, fold="nothing"))
    assert set(found) == {"mine", "layers.0.neurons.0.b", "x", "root"}
    assert b in set(model.parameters())


def test_a_gradient_is_a_dash_where_no_backward_pass_has_been() -> None:
    x = Value(2.0, label="x")
    a, b = x * 3.0, x.relu() * 5.0
    a.label, b.label = "a", "b"
    a.backward()
    found = boxes(draw([a, b]))
    assert [cells(found[title])[-1] for title in ("x", "a", "b")] == ["3", "1", "\u2013"]
    inner = (Value(-1.0, label="y").relu() * 2.0).exp()
    inner.label = "inner"
    inner.backward()
    found = boxes(draw(inner + 1.0))  # a grad of 0 below a node with a grad is shown as 0
    assert [cells(found[title])[-1] for title in ("y", "inner", "root")] == ["0", "1", "\u2013"]


def test_nan_and_infinity_are_drawn() -> None:
    x = Value(float("inf"), label="x")
    y = x * float("nan")
    y.backward()
    assert cells(boxes(draw(y))["x"]) == ["x", "data", "inf", "grad", "nan"]


def test_micrograds_names_work_as_in_its_notebook() -> None:
    x = Value(2.0, label="x")
    y = x * x + 1.0
    nodes, edges = trace(y)
    assert nodes == {x, y, y._prev[0]}
    assert edges == {(x, y._prev[0]), (y._prev[0], y)}
    assert isinstance(draw_dot(y), Drawing)
    assert draw_dot(y, format="png", rankdir="TB").format == "png"


def test_several_roots_share_one_picture() -> None:
    x = Value(0.5, label="x")
    found = objects(draw([x.sin(), x.cos()]))[0]
    assert sum(node.get("peripheries") == "2" for node in found.values()) == 2
    assert sum(cells(node)[0] == "x" for node in found.values() if len(cells(node)) > 2) == 1


@settings(max_examples=30)
@given(expressions(max_nodes=12))
def test_any_program_is_drawn_with_all_its_nodes_and_edges(program: Expression) -> None:
    output = program(*[Value(x) for x in program.inputs])
    if not isinstance(output, Value):
        return
    order = mg.engine.topological_order(output)
    drawing = draw(output, max_nodes=1_000)
    nodes = re.findall(r"^\tv\d+ \[", drawing.source, re.MULTILINE)
    assert len(nodes) == len(order)
    operands = sum(len(local_derivatives(node)) for node in order)
    assert drawing.source.count(" -> ") == operands + sum(not node.is_leaf for node in order)


# --- local derivatives ---


def test_unknown_local_derivatives_are_none() -> None:
    x = Value(2.0)
    by_hand = Value(4.0, (x,), "square")
    assert local_derivatives(by_hand) == [None]
    raising = custom_op("raising", lambda x: x, lambda z, x: 1 / 0)
    assert local_derivatives(raising(x)) == [None]
    assert local_derivatives((x - 3.0).relu()) == [0.0]
    assert local_derivatives(x) == []
    replaced = x * 3.0
    replaced._backward = lambda: None  # the rule of the operation no longer applies to this node
    assert local_derivatives(replaced) == [None, None]


def test_a_local_derivative_that_is_not_known_is_a_question_mark() -> None:
    _, edges = objects(draw(Value(4.0, (Value(2.0),), "square")))
    assert [e.get("label", "").strip() for e in edges] == ["?", ""]


# --- folding, and graphs of any size ---


@pytest.fixture
def network() -> tuple[MLP, Value]:
    model = MLP(2, [3, 2], activation="tanh", rng=0)
    first, second = model([Value(0.5, label="x0"), Value(-1.0, label="x1")])
    loss = (first - 1.0) ** 2 + (second + 1.0) ** 2
    loss.backward()
    return model, loss


def test_neurons_fold_into_boxes_that_describe_them(network: tuple[MLP, Value]) -> None:
    model, loss = network
    found = boxes(draw(loss, model=model, fold="neurons"))
    folded = [title for title in found if title.startswith("layer")]
    assert folded == [f"layer 1, neuron {k}" for k in (1, 2, 3)] + [f"layer 2, neuron {k}" for k in (1, 2)]
    text = cells(found["layer 1, neuron 2"])
    out = next(
        x
        for x in mg.engine.topological_order(loss)
        if x._op == "tanh" and model.layers[0].neurons[1].w[0] in x._prev[0]._prev
    )
    assert text[1:3] == ["2 weights, a bias", "tanh"]
    assert text[3:] == ["out", f"{out.data:.4g}", "grad", f"{out.grad:.4g}".replace("-", "\u2212")]
    assert "x0" in found


def along(rankdir: str, node: dict[str, Any]) -> tuple[float, float]:
    """Return the position of a box along the direction in which the graph grows, and across it."""
    x, y = map(float, node["pos"].split(","))
    return {"LR": (x, -y), "RL": (-x, -y), "TB": (-y, x), "BT": (y, x)}[rankdir]


@pytest.mark.parametrize("rankdir", ["LR", "TB", "RL", "BT"])
@pytest.mark.parametrize("width", [4, 8])
def test_folded_neurons_and_inputs_keep_their_order(width: int, rankdir: str) -> None:
    model = MLP(3, [width, width, 2], activation="tanh", rng=0)
    first, second = model([Value(float(k), label=f"x{k}") for k in (1, 2, 3)])
    drawing = draw(first * second, model=model, fold="neurons", rankdir=rankdir)
    places = {title: along(rankdir, node) for title, node in boxes(drawing).items()}
    columns = [[f"layer {layer}, neuron {k}" for k in range(1, n + 1)] for layer, n in enumerate((width, width, 2), 1)]
    for column in [["x1", "x2", "x3"], *columns]:
        across = [places[title][1] for title in column]
        assert across == sorted(across)
    starts = [places[column[0]][0] for column in [["x1"], *columns]]
    assert starts == sorted(starts)
    assert "splines=line" in drawing.source  # curved edges would run around whole layers


def test_neurons_that_are_fed_with_their_own_outputs_keep_their_order() -> None:
    cell = Layer(3, 2, activation="tanh", rng=0)
    state = [Value(0.0, label="h1"), Value(0.0, label="h2")]
    for k in (1, 2, 3):
        state = cell([Value(float(k), label=f"x{k}"), *state])
    drawing = draw(state, model=cell, fold="neurons")
    first, second = (boxes(drawing)[f"layer 1, neuron {k}"] for k in (1, 2))
    assert along("LR", first)[1] < along("LR", second)[1]
    ends = [(e["tail"], e["head"]) for e in objects(drawing)[1] if e.get("style") != "invis"]
    assert (first["name"], second["name"]) in ends
    assert (second["name"], first["name"]) in ends
    assert "outputorder=edgesfirst" in drawing.source  # an edge that crosses a box lies below it


def test_layers_fold_into_boxes_with_the_range_of_their_outputs(network: tuple[MLP, Value]) -> None:
    model, loss = network
    found = boxes(draw(loss, model=model, fold="layers"))
    text = cells(found["layer 2"])
    assert text[1:4] == ["2 neurons, linear", "8 parameters", "outputs"]
    assert " to " in text[4]
    edges = [e for e in objects(draw(loss, model=model, fold="layers"))[1] if e.get("style") != "invis"]
    assert len(edges) == 2 + 1 + 2 + 2 * 5 + 3  # inputs, layer to layer, outputs, two losses with constants, the sum


def test_a_model_is_folded_as_far_as_it_takes(network: tuple[MLP, Value]) -> None:
    model, loss = network
    assert "layers.0.neurons.0.w.1" in boxes(draw(loss, model=model, max_nodes=100))
    assert "layer 1, neuron 1" in boxes(draw(loss, model=model, max_nodes=20))
    assert "layer 1" in boxes(draw(loss, model=model, max_nodes=11))


def test_a_dot_can_be_expanded_into_products_and_a_sum() -> None:
    x, w, b = Value(2.0, label="x"), Value(3.0, label="w"), Value(5.0, label="b")
    y = dot([w, 4.0], [x, x], bias=b)
    assert "dot" in draw(y).source
    nodes, edges = objects(draw(y, expand=["dot"]))
    symbols = sorted(node["label"] for node in nodes.values() if node.get("shape") == "circle")
    assert symbols == ["*", "*", "+"]
    slopes = sorted(e["label"].strip() for e in edges if e.get("label"))
    assert slopes == ["1", "1", "1", "2", "3", "4"]


@pytest.mark.parametrize(("bias", "numbers"), [(2.5, ["2.5"]), (0.0, [])])
def test_the_bias_of_an_expanded_dot_may_be_a_number_and_is_none_if_it_is_zero(bias: float, numbers: list[str]) -> None:
    nodes, edges = objects(draw(dot([Value(3.0)], [Value(7.0)], bias), expand="dot"))
    plus = next(name for name, node in nodes.items() if node["label"] == "+")
    constants = {name: node["label"] for name, node in nodes.items() if node.get("shape") == "plaintext"}
    assert list(constants.values()) == numbers
    assert [e["head"] for e in edges if e["tail"] in constants] == [plus] * len(numbers)


def test_depth_limits_the_drawn_nodes() -> None:
    x = Value(1.0, label="x")
    y = x
    for _ in range(10):
        y = y * 2.0
    drawing = draw(y, depth=3)
    assert len([n for name, n in objects(drawing)[0].items() if name.startswith("v") and len(cells(n)) > 2]) == 4
    assert "not drawn: 7 nodes" in drawing.source
    assert "*(\u2026), inputs not drawn" in drawing.source
    assert "x" in boxes(draw(y, fold="nothing"))


def test_very_many_operands_are_drawn_as_the_first_and_the_last() -> None:
    xs = [Value(float(k), label=f"x{k}") for k in range(1_000)]
    drawing = draw(mg.sum(xs), fold="nothing")
    assert "976 more operands" in drawing.source
    found = boxes(drawing)
    assert "x0" in found
    assert "x999" in found
    assert "x500" not in found


@pytest.mark.parametrize(
    "shape", ["wide", *(pytest.param(shape, marks=pytest.mark.slow("2 s")) for shape in ("chain", "ladder"))]
)
def test_a_graph_of_a_hundred_thousand_nodes_is_drawn_in_part_with_a_summary(shape: str) -> None:
    if shape == "chain":
        y = Value(1.0)
        for _ in range(100_000):
            y = y * 1.0
    elif shape == "wide":
        y = mg.sum([Value(1.0).exp() for _ in range(50_000)])
    else:
        x, y = Value(0.3), Value(0.4)
        for _ in range(17_000):
            x, y = x * 0.6 + y * 0.8, x * 0.8 - y * 0.6
    folded = draw(y)
    assert len(folded.pipe("svg")) < 200_000
    assert "operations folded: 10" in folded.source
    drawing = draw(y, fold="nothing")
    assert len(drawing.pipe("svg")) < 200_000
    assert "nodes: " in drawing.source
    assert "not drawn: " in drawing.source


def test_a_summary_counts_nodes_depth_and_width() -> None:
    x = Value(1.0)
    layer = [x * float(k) for k in range(5)]
    found = summary(mg.sum(layer).tanh())
    assert (found.nodes, found.leaves, found.depth, found.widest, found.widest_level) == (8, 1, 3, 5, 1)
    assert found.operations == {"*": 5, "sum": 1, "tanh": 1}
    assert str(found).startswith("8 nodes: 1 leaf, 5 *")


def test_the_level_of_a_node_is_the_longest_path_to_it_from_a_leaf() -> None:
    x = Value(1.0)
    found = summary([x.exp().log() + x, x.exp()])  # the sum is 3 operations above x on one path, 1 on the other
    assert (found.depth, found.widest, found.widest_level) == (3, 2, 1)


def test_the_first_of_equally_wide_levels_is_the_widest() -> None:
    found = summary(Value(1.0).exp() * Value(2.0).exp())
    assert (found.widest, found.widest_level) == (2, 0)


# --- files and notebooks ---


@pytest.fixture(params=["wheel", "dot"])
def renderer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Render without Graphviz, or with its program; if that is missing, with the wheel's under the name `dot`."""
    if request.param == "wheel":
        without_graphviz(monkeypatch)
    else:
        monkeypatch.setattr(dot_command, "DOT_BINARY", Path("dot"))
        if shutil.which("dot") is None:
            programs = tmp_path.with_name(f"{tmp_path.name}-programs")
            programs.mkdir()
            programs.joinpath("dot").symlink_to(Path(sysconfig.get_path("scripts"), "graphviz-pure"))
            monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
            assert shutil.which("dot") is not None
    return str(request.param)


def without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide Graphviz's own program."""
    monkeypatch.setattr(dot_command, "DOT_BINARY", Path("no-such-dot"))


def files_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(("format", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_svg_and_png_are_written(renderer: str, format: str, magic: bytes, tmp_path: Path) -> None:
    drawing = draw(Value(2.0) * 3.0, format=format)
    assert drawing.pipe().startswith(magic)
    path = drawing.render(directory=tmp_path, cleanup=True)
    assert Path(path).read_bytes().startswith(magic)
    assert files_in(tmp_path) == [f"graph.gv.{format}"]


def test_a_format_may_be_in_capitals_without_graphviz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_graphviz(monkeypatch)
    drawing = draw(Value(2.0) * 3.0, format="PNG")
    assert drawing.pipe().startswith(b"\x89PNG")
    assert Path(drawing.render(directory=tmp_path)).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "magic"), [("y.svg", b"<?xml"), ("Y.PNG", b"\x89PNG"), ("made/y.jpg", b"\xff\xd8")])
def test_a_name_with_the_ending_of_a_format_is_that_of_the_picture(
    renderer: str, name: str, magic: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "y.gv").write_text("a file of the user's own")
    drawing = draw(Value(2.0) * 3.0)
    for path in (drawing.render(name), drawing.render(outfile=Path(name))):
        assert Path(path) == Path(name)
        assert Path(path).read_bytes().startswith(magic)
    assert files_in(tmp_path) == sorted([name, "y.gv"])
    assert (tmp_path / "y.gv").read_text() == "a file of the user's own"
    elsewhere = drawing.render("z.svg", tmp_path / "elsewhere")
    assert Path(elsewhere) == tmp_path / "elsewhere" / "z.svg"
    assert Path(elsewhere).read_bytes().startswith(b"<?xml")


def test_the_source_is_kept_next_to_a_picture_on_request(renderer: str, tmp_path: Path) -> None:
    drawing = draw(Value(2.0) * 3.0)
    drawing.render(tmp_path / "a.svg", cleanup=False)
    drawing.render(outfile=tmp_path / "b.svg", cleanup=False)
    drawing.render(tmp_path / "source.txt", outfile=tmp_path / "c.svg")
    assert files_in(tmp_path) == ["a.gv", "a.svg", "b.gv", "b.svg", "c.svg", "source.txt"]
    for name in ("a.gv", "b.gv", "source.txt"):
        assert (tmp_path / name).read_text(encoding="utf-8") == drawing.source


@pytest.mark.parametrize("name", ["graph.gv", "graph.dot", "graph", "graph.v2"])
def test_another_name_is_that_of_the_source_as_in_graphviz(renderer: str, name: str, tmp_path: Path) -> None:
    drawing = draw(Value(2.0) * 3.0)
    assert Path(drawing.render(tmp_path / name)) == tmp_path / f"{name}.svg"
    assert files_in(tmp_path) == [name, f"{name}.svg"]
    assert (tmp_path / name).read_text(encoding="utf-8") == drawing.source


def test_an_unknown_format_is_refused_with_the_known_ones(renderer: str, tmp_path: Path) -> None:
    drawing = draw(Value(2.0) * 3.0)
    known = "svg, png, jpeg, jpg or, with Graphviz's own program installed, pdf"
    with pytest.raises(ValueError, match=f"^outfile: expected a name that ends in {known}, got '.*y.txt'$"):
        drawing.render(outfile=tmp_path / "y.txt")
    with pytest.raises(ValueError, match=f"^format: expected {known}, got 'txt'$"):
        draw(Value(2.0) * 3.0, format="txt")
    with pytest.raises(TypeError, match="^format: expected a str, got an object of type int$"):
        draw(Value(2.0) * 3.0, format=3)  # type: ignore[arg-type]
    drawing.render(outfile=tmp_path / "y.txt", format="svg")
    assert files_in(tmp_path) == ["y.txt"]


def test_options_of_graphviz_work_for_a_picture_without_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_graphviz(monkeypatch)
    drawing = draw(Value(2.0) * 3.0)
    opened: list[str] = []
    monkeypatch.setattr(Drawing, "_view", lambda self, path, **options: opened.append(path))
    path = drawing.render(tmp_path / "y.svg", view=True, engine="neato", raise_if_result_exists=True)
    assert opened == [path]
    with pytest.raises(FileExistsError):
        drawing.render(path, raise_if_result_exists=True)
    with pytest.raises(TypeError, match="renderer cannot be given without Graphviz's dot"):
        drawing.render(path, renderer="cairo")
    with pytest.raises(TypeError, match="renderer cannot be given without Graphviz's dot"):
        drawing.render(tmp_path / "graph.gv", renderer="cairo")
    with pytest.raises(ValueError, match="y.gv.* must be different from input file"):
        drawing.render(outfile=tmp_path / "y.gv", cleanup=False)


def test_drawings_of_others_are_not_rendered_by_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_graphviz(monkeypatch)
    drawing = draw(Value(2.0) * 3.0)
    drawing.pipe()
    drawing.render(tmp_path / "graph.gv")
    with pytest.raises(graphviz.CalledProcessError):
        graphviz_failure(drawing)
    assert Path("no-such-dot") == dot_command.DOT_BINARY
    with pytest.raises(graphviz.ExecutableNotFound):
        graphviz.Digraph().pipe()
    with ThreadPoolExecutor(4) as pool:
        pictures = list(pool.map(lambda _: drawing.pipe("svg"), range(8)))
    assert pictures == [drawing.pipe("svg")] * 8
    assert Path("no-such-dot") == dot_command.DOT_BINARY


def test_errors_of_the_program_are_those_of_graphviz(renderer: str, tmp_path: Path) -> None:
    drawing = draw(Value(2.0) * 3.0)
    with pytest.raises(ValueError, match="unknown engine: 'no-such-engine'"):
        drawing.pipe(engine="no-such-engine")
    with pytest.raises(graphviz.CalledProcessError, match="syntax error"):
        graphviz_failure(drawing)


def graphviz_failure(drawing: Drawing) -> None:
    """Render the drawing with a line that is no DOT."""
    broken = drawing.copy()
    broken.body.append("-> ->")
    broken.pipe()


def test_a_pdf_without_graphviz_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_graphviz(monkeypatch)
    with pytest.raises(
        RuntimeError, match=r"PDF file needs Graphviz itself.*apt-get install graphviz.*or draw one of: svg"
    ):
        draw(Value(2.0) * 3.0, format="pdf").pipe()
    with pytest.raises(RuntimeError, match="drawing a PDF file needs Graphviz itself"):
        draw(Value(2.0) * 3.0).render(tmp_path / "y.pdf")
    assert files_in(tmp_path) == []


def test_without_any_program_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_graphviz(monkeypatch)
    monkeypatch.setattr(rendering.shutil, "which", lambda name: None)
    monkeypatch.setattr(rendering.importlib.metadata, "files", lambda name: [])
    value = Value(2.0) * 3.0
    with pytest.raises(ImportError, match="without Graphviz's program dot, .*: pip install graphviz-pure"):
        draw(value).pipe()
    assert value._repr_mimebundle_() == {"text/plain": repr(value)}


def test_without_the_extra_drawing_says_so_and_a_notebook_shows_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("microgrud.draw", "graphviz"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "graphviz", None)
    value = Value(2.0) * 3.0
    with pytest.raises(ImportError, match="graphs need graphviz, which is .*: pip install graphviz; or give a"):
        importlib.import_module("microgrud.draw").draw(value).pipe()
    assert value._repr_mimebundle_() == {"text/plain": repr(value)}


def test_values_and_modules_show_themselves_in_notebooks() -> None:
    value = Value(2.0) * 3.0
    bundle = value._repr_mimebundle_()
    assert bundle["text/plain"] == repr(value)
    assert "<svg" in bundle["image/svg+xml"]
    assert list(Value(2.0)._repr_mimebundle_()) == ["text/plain"]
    model = MLP(2, [3, 1], rng=0)
    assert "<svg" in model._repr_mimebundle_()["image/svg+xml"]
    model.parameters()[0].data = float("nan")
    assert "dotted: 1 weight NaN or infinite" in model._repr_mimebundle_()["image/svg+xml"]
    assert list(Module()._repr_mimebundle_()) == ["text/plain"]


def test_a_notebook_does_not_take_errors_of_drawing_for_a_module_without_neurons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(self: Drawing, *args: Any, **kwargs: Any) -> str:
        raise ValueError("a mistake in the drawing")

    monkeypatch.setattr(Drawing, "pipe", fails)
    for shown in (MLP(2, [3, 1], rng=0), Value(2.0) * 3.0):
        with pytest.raises(ValueError, match="a mistake in the drawing"):
            shown._repr_mimebundle_()


def test_a_large_value_in_a_notebook_is_folded_and_says_how_to_draw_its_nodes() -> None:
    y = Value(1.0)
    for _ in range(1_000):
        y = y * 2.0
    bundle = y._repr_mimebundle_()
    written = html.unescape(re.sub(r"<[^>]*>", "|", bundle["image/svg+xml"]))
    assert "|operations folded: 1,001 nodes in " in written
    assert '|each node: fold="nothing", max_nodes=1001; more boxes: max_nodes=' in written


def test_in_a_notebook_a_picture_takes_no_more_than_the_width_of_the_page() -> None:
    value, model = Value(2.0) * 3.0, MLP(2, [3, 1], rng=0)
    for svg in [shown._repr_mimebundle_()["image/svg+xml"] for shown in (value, model, draw(value))]:
        width = float(re.search(r'<svg width="([\d.]+)pt"', svg)[1])  # type: ignore[index]
        style = ElementTree.fromstring(svg).get("style")
        assert style == f"max-width: 100%; min-width: {round(0.7 * width)}pt; height: auto"
    assert "max-width" not in draw(value).pipe("svg", encoding="utf-8")  # a file is as large as it is


def test_letters_are_ten_points_high_or_more(neuron: dict[str, Value], network: tuple[MLP, Value]) -> None:
    model, loss = network
    neuron["loss"].backward()
    for drawing in (draw(neuron["loss"], inputs=neuron["x"]), draw(loss, model=model, fold="neurons"), draw(model)):
        sizes = re.findall(r'font-size="([\d.]+)"', drawing.pipe("svg", encoding="utf-8"))
        assert min(map(float, sizes)) >= 10.0


def test_the_picture_in_the_readme_is_that_of_its_program_and_can_be_read() -> None:
    folder = Path(__file__).parent.parent / "docs"
    stored = ElementTree.fromstring(folder.joinpath("neuron.svg").read_text(encoding="utf-8"))
    drawn = ElementTree.fromstring(runpy.run_path(str(folder / "neuron.py"))["neuron"]().pipe("svg"))
    texts = [[text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")] for svg in (stored, drawn)]
    assert texts[0] == texts[1]
    width = float(stored.attrib["viewBox"].split()[2])
    pixels = float(stored.attrib["width"].removesuffix("pt")) * 4 / 3
    sizes = [float(text.attrib["font-size"]) for text in stored.iter("{http://www.w3.org/2000/svg}text")]
    scale = float(re.search(r"scale\(([\d.]+)", stored[0].attrib["transform"])[1])  # type: ignore[index]
    for page in (830, 390 - 32):  # with the margins of a phone
        assert min(page, pixels) / width * scale * min(sizes) >= 10.0


def test_a_network_is_drawn_in_layers_with_its_weights_as_lines() -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    model.layers[0].neurons[0].w[1].data = -0.9
    nodes, edges = objects(draw(model, inputs=["height", "weight"]))
    assert [n["label"] for n in nodes.values()] == ["height", "weight", "tanh", "tanh", "tanh", "linear"]
    lines = [e for e in edges if e.get("style") != "invis"]
    assert len(lines) == 2 * 3 + 3
    (line,) = [e for e in lines if (e["tail"], e["head"]) == ("i1", "n1_0")]
    assert line["style"] == "dashed"
    assert "-0.9" in line["tooltip"]


def test_the_inputs_of_a_network_are_called_as_in_decision_regions() -> None:
    nodes, _ = objects(draw(MLP(3, [2], rng=0)))
    assert [nodes[f"i{k}"]["label"] for k in range(3)] == ["x1", "x2", "x3"]


def test_the_outputs_of_a_network_have_their_names_behind_them_in_their_order() -> None:
    species = ["setosa", "versicolor", "virginica"]
    nodes, edges = objects(draw(MLP(4, [16, 8, 3], rng=0), outputs=species))
    assert [nodes[f"o{k}"]["label"] for k in range(3)] == species
    arrows = [e for e in edges if e["head"].startswith("o") and e.get("style") != "invis"]
    assert [(e["tail"], e["head"]) for e in arrows] == [(f"n3_{k}", f"o{k}") for k in range(3)]
    assert all("arrowhead" not in e for e in arrows)  # weights are lines without one
    places = [along("LR", nodes[name]) for k in range(3) for name in (f"n3_{k}", f"o{k}")]
    for neuron, name in zip(places[::2], places[1::2]):
        assert name[0] > neuron[0]
        assert name[1] == pytest.approx(neuron[1], abs=1.0)
    assert [across for _, across in places] == sorted(across for _, across in places)


def test_a_network_without_names_for_its_outputs_has_none() -> None:
    nodes, _ = objects(draw(MLP(2, [3, 2], rng=0)))
    assert not [name for name in nodes if name.startswith("o")]


def test_the_middle_of_many_named_outputs_is_left_out() -> None:
    nodes, edges = objects(draw(MLP(2, [3, 14], rng=0), outputs=[f"class {k}" for k in range(14)]))
    shown = [*range(5), *range(9, 14)]
    assert [n["label"] for name, n in nodes.items() if re.match(r"o\d", name)] == [f"class {k}" for k in shown]
    assert nodes["orest"]["label"] == "4 more"
    arrows = [(e["tail"], e["head"]) for e in edges if e["head"].startswith("o") and e.get("style") != "invis"]
    assert arrows == [(f"n2_{k}", f"o{k}") for k in shown]


def test_weights_leave_neurons_and_inputs_on_the_right(network: tuple[MLP, Value]) -> None:
    _, edges = objects(draw(network[0]))
    weights = [e for e in edges if e.get("arrowhead") == "none"]
    assert len(weights) == 2 * 3 + 3 * 2
    assert {e["tailport"] for e in weights} == {"e"}  # lines from a corner would cross the boxes of other inputs


def test_names_may_come_as_the_columns_of_a_table_or_an_array() -> None:
    model = MLP(2, [3], rng=0)
    nodes, _ = objects(draw(model, inputs=np.array(["height", "weight"]), outputs=np.arange(3)))
    labels = [nodes[name]["label"] for name in ("i0", "i1", "o0", "o1", "o2")]
    assert labels == ["height", "weight", "0", "1", "2"]


def test_a_wide_network_leaves_the_middle_of_its_layers_out() -> None:
    source = draw(MLP(30, [64, 3], output="softmax", rng=0)).source
    assert '"20 more"' in source
    assert '"54 more"' in source
    assert "outputs through softmax" in source


# --- arguments ---


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda v: draw(3.0), TypeError, "root: expected a Value or a sequence of them, got float"),
        (lambda v: draw("abc"), TypeError, "root: expected a Value or a sequence of them, got str"),
        (lambda v: draw([]), ValueError, "root: expected at least one Value, got none"),
        (lambda v: draw(v, rankdir="up"), ValueError, "rankdir: expected one of 'LR', 'RL', 'TB', 'BT', got 'up'"),
        (
            lambda v: draw(v, fold="all"),
            ValueError,
            "fold: expected one of 'neurons', 'layers', 'operations', 'nothing', None, got 'all'",
        ),
        (lambda v: draw(v, fold="layers"), ValueError, "fold='layers': expected a model as well"),
        (lambda v: draw(v, model=3), TypeError, "model: expected a Module, got an object of type int"),
        (lambda v: draw(v, max_nodes=0), ValueError, "^max_nodes: expected at least 1, got 0$"),
        (lambda v: draw(v, digits=-2), ValueError, "^digits: expected an integer of at least 1, got -2$"),
        (lambda v: draw(v, depth=-1), ValueError, "^depth: expected at least 0, got -1$"),
        (lambda v: draw(v, digits=2.5), TypeError, "^digits: expected an integer, got 2.5$"),
        (lambda v: draw(v, digits="4"), TypeError, "^digits: expected an integer, got '4'$"),
        (lambda v: draw(v, max_nodes="all"), TypeError, "^max_nodes: expected a number, got an object of type str$"),
        (lambda v: draw(v, expand="sum"), ValueError, "expand: expected 'dot'"),
        (
            lambda v: draw(v, expand=[["dot"], "sum"]),
            ValueError,
            r"expand: expected 'dot', .*got \[\['dot'\], 'sum'\]$",
        ),
        (
            lambda v: draw(v, expand=None),
            TypeError,
            r"expand: expected operations, as in expand=\['dot'\], got an object of type NoneType$",
        ),
        (
            lambda v: draw(v, names=["a"]),
            TypeError,
            "^names: expected a mapping from Values to names, got an object of type list$",
        ),
        (lambda v: draw(v, names={"x": "a"}), TypeError, "^names: expected Values as keys, got an object of type str$"),
        (lambda v: draw(v, parameters=3), TypeError, "^parameters: expected a Value or a sequence of them, got int$"),
        (lambda v: summary([]), ValueError, "root: expected at least one Value, got none"),
        (lambda v: draw(v, parameters="w"), TypeError, "parameters: expected a Value or a sequence of them, got str"),
        (lambda v: draw(Module()), ValueError, "a module that holds neurons, got Module with none"),
        (lambda v: draw(MLP(2, [1]), inputs=["a"]), ValueError, "inputs: expected 2 names, one for each input, got 1"),
        (lambda v: draw(MLP(2, [1]), inputs="ab"), TypeError, "inputs: expected a list of names, got str"),
        (lambda v: draw(MLP(2, [1]), inputs=v), TypeError, "inputs: expected a list of names, got Value"),
        (
            lambda v: draw(MLP(2, [3]), outputs=["a"]),
            ValueError,
            "outputs: expected 3 names, one for each output, got 1",
        ),
        (lambda v: draw(MLP(2, [1]), outputs="a"), TypeError, "outputs: expected a list of names, got str"),
        (
            lambda v: draw(v, outputs=["y"]),
            ValueError,
            "outputs: expected names for a network only; to name the root of a graph, give it a label",
        ),
    ],
)
def test_wrong_arguments_are_refused(call: Callable[[Value], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call(Value(1.0) * 2.0)
