"""The sizes of pictures: large graphs are folded until they fit on a screen, and the text below says how to unfold."""

from __future__ import annotations

import html
import random
import re

import pytest
from drawings import boxes, cells, texts, titled_edges
from hypothesis import given, settings, strategies as st

import microgrud as mg
from microgrud import Value, dot, log_softmax, mean, softmax, take
from microgrud.draw import Drawing, draw
from microgrud.draw.metrics import fitted, size_of
from microgrud.draw.structure import Structure
from microgrud.draw.value_graph import read_graph
from microgrud.nn import MLP
from microgrud.testing import Expression, expressions

#: About 900 pixels, in points, with a tolerance for the estimate.
MAX_SIZE = 1.1 * 675


def size(drawing: Drawing) -> tuple[float, float]:
    svg = drawing.pipe("svg", encoding="utf-8")
    match = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    assert match is not None
    return float(match[1]), float(match[2])


def of_the_readme() -> tuple[Value, MLP]:
    model = MLP(2, [8, 1], activation="tanh", rng=random.Random(0))
    points = [(0.0, 0.0, -1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -1.0)]
    loss = mean([(model([x, y]) - target) ** 2 for x, y, target in points])
    loss.backward()
    return loss, model


def wide() -> tuple[Value, MLP]:
    model = MLP(30, [16, 16, 3], rng=0)
    return -take(log_softmax(model([0.1 * k for k in range(30)])), 1), model


def attention() -> Value:
    """Two heads of a causal transformer over four positions, without feed-forward layers."""
    rng = random.Random(0)

    def matrix(rows: int, columns: int) -> list[list[Value]]:
        return [[Value(rng.gauss(0.0, 0.5)) for _ in range(columns)] for _ in range(rows)]

    embedding, queries, keys, values, mix, output = (matrix(6, 6) for _ in range(6))
    seen_keys: list[list[Value]] = []
    seen_values: list[list[Value]] = []
    losses = []
    for code, following in ((0, 3), (3, 1), (1, 4), (4, 0)):
        x = take(embedding, code)
        query = [dot(row, x) for row in queries]
        seen_keys.append([dot(row, x) for row in keys])
        seen_values.append([dot(row, x) for row in values])
        taken_in = []
        for part in (slice(0, 3), slice(3, 6)):
            shares = softmax([dot(query[part], key[part]) * 0.6 for key in seen_keys])
            taken_in += [dot(shares, column) for column in zip(*[v[part] for v in seen_values])]
        x = [a + dot(row, taken_in) for a, row in zip(x, mix)]
        losses.append(-take(log_softmax([dot(row, x) for row in output]), following))
    return mean(losses)


def recurrent() -> Value:
    w = [Value(0.1 * k, label=f"w{k}") for k in range(4)]
    h = [Value(0.0), Value(0.0)]
    for t in range(60):
        h = [mg.tanh(h[0] * w[0] + h[1] * w[1] + 0.1 * t), mg.tanh(h[0] * w[2] + h[1] * w[3])]
    return h[0] - h[1]


def chain() -> Value:
    y = Value(1.0)
    for _ in range(3_000):
        y = y * 1.001
    return y


GRAPHS = [lambda: of_the_readme()[0], lambda: wide()[0], attention, recurrent, chain]


@pytest.mark.parametrize("make", GRAPHS, ids=["README", "wide", "attention", "recurrent", "chain"])
@pytest.mark.parametrize("rankdir", [None, "LR"])
def test_a_large_graph_fits_on_a_screen_without_any_argument(make: object, rankdir: str | None) -> None:
    root = make()  # type: ignore[operator]
    drawing = draw(root) if rankdir is None else draw(root, rankdir=rankdir)
    assert max(size(drawing)) <= MAX_SIZE
    assert len(boxes(drawing)) > 1
    assert "not drawn" not in drawing.source


@pytest.mark.parametrize("network", [of_the_readme, wide])
def test_a_model_fits_on_a_screen_in_layers(network: object) -> None:
    loss, model = network()  # type: ignore[operator]
    drawing = draw(loss, model=model)
    assert max(size(drawing)) <= MAX_SIZE
    assert "layer 1" in boxes(drawing)


def test_the_evaluations_of_a_network_fall_together() -> None:
    loss, _ = of_the_readme()
    found = boxes(draw(loss))
    assert set(found) == {"32 dot, 32 tanh", "4 dot, 4 -, 4 **, 1 mean", "root"}
    hidden = cells(found["32 dot, 32 tanh"])
    assert hidden[1] == "outputs"
    assert hidden[5] == "24 leaves"
    edges = titled_edges(draw(loss))
    assert sorted(edges) == [("32 dot, 32 tanh", "4 dot, 4 -, 4 **, 1 mean"), ("4 dot, 4 -, 4 **, 1 mean", "root")]


def test_the_text_below_a_folded_picture_says_how_to_unfold_it() -> None:
    loss, _ = of_the_readme()
    drawing = draw(loss)
    written, _ = texts(drawing)
    (line,) = [text for text in written if text.startswith("operations folded")]
    assert line == f"operations folded: {len(mg.engine.topological_order(loss))} nodes in 3 boxes"
    assert any(text.startswith('each node: fold="nothing", max_nodes=') for text in written)
    whole = draw(loss, fold="nothing", max_nodes=len(mg.engine.topological_order(loss)))
    assert "not drawn" not in whole.source
    assert "folded" not in whole.source
    finer = draw(loss, max_nodes=6)
    assert 3 < len(boxes(finer)) <= 6


@pytest.mark.parametrize("most", [1, 2, 5, 9, 30])
def test_operations_are_folded_into_at_most_as_many_boxes_as_asked(most: int) -> None:
    for make in GRAPHS[:4]:
        drawing = draw(make(), fold="operations", max_nodes=most)
        assert len(re.findall(r"^\t[vg]\d+ \[", drawing.source, re.MULTILINE)) <= most


def test_leaves_that_several_parts_use_are_a_box_and_inputs_too() -> None:
    w = [Value(0.5, label="w0"), Value(0.25, label="w1")]
    xs = [Value(1.0, label="x1"), Value(2.0, label="x2")]
    y: list[Value] = xs
    for _ in range(30):
        y = [mg.tanh(y[0] * w[0] - y[1] * w[1]), mg.tanh(y[0] * w[1] - y[1] * w[0])]
    found = boxes(draw(y[0] + y[1], inputs=xs))
    assert cells(found["2 inputs"])[:3] == ["2 inputs", "x1, x2", "2 leaves"]
    assert cells(found["2 leaves"])[:2] == ["2 leaves", "w0, w1"]


def test_a_box_has_the_names_that_its_parameters_have_in_common() -> None:
    loss, model = of_the_readme()
    found = boxes(draw(loss, parameters=model))
    assert "layers.0.neurons" in cells(found["32 dot, 32 tanh"])


def test_a_small_graph_is_drawn_whole() -> None:
    x, w, b = (Value(0.5, label=name) for name in "xwb")
    loss = ((w * x + b).tanh() - 1.0) ** 2 * 0.5
    drawing = draw(loss)
    assert {"x", "w", "b"} <= set(boxes(drawing))
    assert "folded" not in drawing.source


@pytest.mark.parametrize("make", GRAPHS, ids=["README", "wide", "attention", "recurrent", "chain"])
@pytest.mark.parametrize("settings", [{}, {"fold": "operations", "max_nodes": 6, "rankdir": "LR"}])
def test_the_estimated_size_is_that_of_the_layout(make: object, settings: dict[str, object]) -> None:
    drawing = draw(make(), **settings)  # type: ignore[operator, arg-type]
    match = re.search(r"rankdir=(\w+) ranksep=([\d.]+)", drawing.source)
    assert match is not None
    estimate = size_of(drawing.body, match[1], float(match[2]))
    assert estimate == pytest.approx(size(drawing), rel=0.2, abs=60)


@settings(max_examples=50)
@given(expressions(max_nodes=12), st.integers(1, 4))
def test_a_folded_picture_of_any_program_has_each_node_once(program: Expression, most: int) -> None:
    root = program(*[Value(x) for x in program.inputs])
    if not isinstance(root, Value):
        return
    graph = read_graph(root)
    structure = Structure(graph, graph.order)
    group_of = structure.groups(most, {})
    assert len(structure.parts(most)) <= most
    inside = [node for group in dict.fromkeys(group_of.values()) for node in group.nodes]
    assert sorted(map(id, inside)) == sorted(map(id, group_of))
    assert set(group_of) <= set(graph.order)
    assert all(x.is_leaf or x is root for x in set(graph.order) - set(group_of))


def test_labels_of_folded_nodes_are_written() -> None:
    y = Value(1.0)
    for k in range(100):
        y = (y * 2.0).tanh()
        y.label = f"h{k}"
    assert any("h0 to h" in text for text in texts(draw(y * 1.0))[0])


@pytest.mark.parametrize(("layers", "most"), [([8, 1], 450), ([6] * 7, MAX_SIZE), ([6] * 12, 1.4 * MAX_SIZE)])
def test_a_network_of_many_layers_fits_on_a_screen(layers: list[int], most: float) -> None:
    assert max(size(draw(MLP(4, layers, rng=0)))) <= most


def test_each_text_has_the_width_that_its_box_has_room_for() -> None:
    svg = draw(Value(2.0, label="a label & more") * 3.0).pipe("svg", encoding="utf-8")
    written = re.findall(r"<text ([^>]*)>([^<]*)</text>", svg)
    assert all("textLength=" in attributes for attributes, text in written if len(html.unescape(text).strip()) > 1)
    assert fitted(svg) == svg
