"""Large graphs in pictures: neurons and layers as boxes, very many operands, and nodes that lie too deep."""

from __future__ import annotations

import math
import re

import pytest
from drawings import boxes, cells, colours, is_warm, objects, texts, titled_edges

import microgrud as mg
from microgrud import Value, dot
from microgrud.draw import draw
from microgrud.draw.folding import View, view
from microgrud.draw.value_graph import read_graph
from microgrud.nn import MLP


def inputs_of(model: MLP) -> list[Value]:
    return [Value(0.5 - k, label=f"x{k + 1}") for k in range(len(model.layers[0].neurons[0].w))]


@pytest.mark.parametrize("most", [None, 60])
def test_all_neurons_of_a_wide_layer_are_drawn(most: int | None) -> None:
    model = MLP(2, [16, 16, 1], rng=0)
    fold = None if most else "neurons"
    drawing = draw(model(inputs_of(model)), model=model, fold=fold, max_nodes=most)
    found = boxes(drawing)
    assert [title for title in found if title.startswith("layer")] == [
        f"layer {layer}, neuron {k}" for layer, width in ((1, 16), (2, 16), (3, 1)) for k in range(1, width + 1)
    ]
    edges = titled_edges(drawing)
    for k in range(1, 17):
        assert ("x2", f"layer 1, neuron {k}") in edges
        assert (f"layer 1, neuron {k}", "layer 2, neuron 9") in edges
        assert (f"layer 2, neuron {k}", "layer 3, neuron 1") in edges
    assert "not drawn" not in drawing.source


def test_an_operation_shows_all_neurons_among_its_operands_and_counts_other_operands() -> None:
    model = MLP(1, [30], rng=0)
    outputs = model([Value(2.0, label="x")])
    others = [Value(float(k), label=f"other {k}") for k in range(40)]
    drawing = draw(mg.sum([*others[:20], *outputs, *others[20:]]), model=model, fold="neurons", max_nodes=100)
    into_sum = [tail for tail, head in titled_edges(drawing) if head == "sum"]
    assert sorted(into_sum) == sorted(
        [
            *(f"other {k}" for k in [*range(12), *range(28, 40)]),
            *(f"layer 1, neuron {k}" for k in range(1, 31)),
            "16 more operands",
        ]
    )


def test_a_layer_among_very_many_operands_has_one_edge_for_those_in_the_middle() -> None:
    model = MLP(1, [30], rng=0)
    others = [Value(float(k)) for k in range(40)]
    total = mg.sum([*others[:20], *model([2.0]), *others[20:]])
    edges = titled_edges(draw(total, model=model, fold="layers"))
    assert edges.count(("layer 1", "sum")) == 1


def test_the_first_and_the_last_of_very_many_inputs_of_a_neuron_are_drawn() -> None:
    model = MLP(100, [2], rng=0)
    first, second = model(inputs_of(model))
    drawing = draw(first * second, model=model, fold="neurons")
    shown = [f"x{k}" for k in [*range(1, 13), *range(89, 101)]]
    assert [title for title in boxes(drawing) if title.startswith("x")] == shown
    edges = titled_edges(drawing)
    for neuron in ("layer 1, neuron 1", "layer 1, neuron 2"):
        assert [tail for tail, head in edges if head == neuron] == [*shown, "76 more operands"]


# --- roots ---


@pytest.mark.parametrize("fold", [None, "neurons", "layers"])
@pytest.mark.parametrize("nouts", [[60, 1], [60, 2]])
def test_a_root_has_a_box_of_its_own_behind_the_neuron_that_made_it(fold: str | None, nouts: list[int]) -> None:
    model = MLP(2, nouts, rng=0)
    outputs = model(inputs_of(model))
    roots = outputs if isinstance(outputs, list) else [outputs]
    for k, root in enumerate(roots, 1):
        root.label = f"prediction {k}"
    drawing = draw(roots, model=model, fold=fold)
    found = boxes(drawing)
    maker = "layer 2, neuron {}" if fold == "neurons" else "layer 2"
    for k in range(1, len(roots) + 1):
        box = found[f"prediction {k}"]
        assert cells(box)[1] == "root"
        assert box["peripheries"] == "2"
        assert [tail for tail, head in titled_edges(drawing) if head == cells(box)[0]] == [maker.format(k)]


def test_an_operation_on_a_root_that_a_layer_made_is_joined_to_the_root() -> None:
    model = MLP(2, [3, 1], rng=0)
    prediction = model(inputs_of(model))
    prediction.label = "prediction"
    edges = titled_edges(draw([prediction, prediction * 2.0], model=model, fold="layers"))
    assert ("layer 2", "prediction") in edges
    assert ("prediction", "*") in edges
    assert ("layer 2", "*") not in edges


# --- the text of a box ---


def test_a_penalty_on_the_parameters_is_no_output_of_a_neuron() -> None:
    model = MLP(2, [3, 1], rng=0)
    out = model(inputs_of(model))
    penalty = mg.sum([p * p for p in model.parameters()]) + mg.sum([(0.5 * p).tanh() for p in model.parameters()])
    w, b = model.layers[0].neurons[0].w, model.layers[0].neurons[0].b
    assert b is not None
    penalty = penalty + dot(w, w, bias=b)
    loss = out + 0.01 * (penalty + dot(w, w) + dot(w, [2.0, 3.0], bias=5.0))
    loss.backward()
    found = boxes(draw(loss, model=model, fold="layers"))
    assert cells(found["layer 2"])[-4:] == ["out", f"{out.data:.4g}".replace("-", "\u2212"), "grad", "1"]
    hidden = [x.data for x in mg.engine.topological_order(out) if x._op == "ReLU"]
    assert cells(found["layer 1"])[-3] == f"{min(hidden):.4g} to {max(hidden):.4g}"


def test_a_function_of_an_output_that_is_not_the_activation_of_its_neuron_is_not_in_its_box() -> None:
    model = MLP(1, [2, 1], activation="relu", rng=0)
    for neuron in model.layers[1].neurons:
        assert not neuron.nonlin
        neuron.activation = model.layers[0].neurons[0].activation  # a linear neuron does not apply it
    out = model([Value(1.0, label="x")])
    once, again = out.relu(), out.tanh()  # the last layer is linear
    edges = titled_edges(draw(once + again, model=model, fold="layers"))
    assert ("layer 2", "ReLU") in edges
    assert ("layer 2", "tanh") in edges
    hidden = MLP(1, [1, 1], activation="relu", rng=0)
    weighted_sum = next(x for x in mg.engine.topological_order(hidden([2.0])) if x._op == "dot")
    edges = titled_edges(draw(weighted_sum.sigmoid() * 2.0, model=hidden, fold="layers"))
    assert ("layer 1", "sigmoid") in edges


@pytest.fixture
def layer() -> tuple[MLP, Value]:
    """A layer of two neurons with outputs of 3 and -4, whose grads are -6 and 0.5."""
    model = MLP(1, [2], bias=False, rng=0)
    for neuron, weight in zip(model.layers[0].neurons, (3.0, -4.0)):
        neuron.w[0].data = weight
    first, second = model([Value(1.0, label="x")])
    return model, first * -6.0 + second * 0.5


def test_ranges_go_from_low_to_high_and_have_the_colour_of_the_strongest(layer: tuple[MLP, Value]) -> None:
    model, loss = layer
    box = boxes(draw(loss, model=model, fold="layers"))["layer 1"]
    assert cells(box)[-4:] == ["outputs", "\u22124 to 3", "grads", "\u2013"]
    loss.backward()
    box = boxes(draw(loss, model=model, fold="layers"))["layer 1"]
    assert cells(box)[-4:] == ["outputs", "\u22124 to 3", "grads", "\u22126 to 0.5"]
    assert is_warm(colours(box)[-1])


def test_the_box_of_a_neuron_is_tinted_by_the_sign_of_its_gradient(layer: tuple[MLP, Value]) -> None:
    model, loss = layer
    loss.backward()
    found = boxes(draw(loss, model=model, fold="neurons"))
    assert is_warm(colours(found["layer 1, neuron 1"])[-1])
    assert not is_warm(colours(found["layer 1, neuron 2"])[-1])


def test_an_edge_into_a_group_says_how_often_it_is_used(layer: tuple[MLP, Value]) -> None:
    model, loss = layer
    for fold, words in (("layers", "used 2 times"), ("neurons", "used once")):
        edges = [e for e in objects(draw(loss, model=model, fold=fold))[1] if "used" in e.get("tooltip", "")]
        assert {e["tooltip"] for e in edges} == {words}


# --- very many operands, and nodes that lie too deep ---


@pytest.mark.parametrize("expand", ["dot", ()])
def test_a_wide_dot_is_drawn_with_whole_products(expand: str) -> None:
    ws, xs = ([Value(float(k), label=f"{name}{k}") for k in range(100)] for name in "wx")
    drawing = draw(dot(ws, xs, bias=Value(1.0, label="b")), expand=expand, fold="nothing")
    shown = [*range(6), *range(94, 100)]
    assert set(boxes(drawing)) - {"root"} == {"b", *(f"{name}{k}" for k in shown for name in "wx")}
    nodes, edges = objects(drawing)
    if expand:
        products = [name for name, node in nodes.items() if node["label"] == "*"]
        assert len(products) == len(shown)
        assert all(sum(e["head"] == product for e in edges) == 2 for product in products)
        assert "88 more products" in texts(drawing)[0]
    else:
        assert "176 more operands" in texts(drawing)[0]


def test_a_neuron_in_a_product_that_is_not_drawn_is_joined_to_those_in_the_middle() -> None:
    model = MLP(1, [30], rng=0)
    loss = dot(model([2.0]), [1.0] * 30)
    edges = titled_edges(draw(loss, model=model, fold="neurons", expand="dot", max_nodes=100))
    assert [head for tail, head in edges if tail == "layer 1, neuron 1"] == ["*"]
    assert [head for tail, head in edges if tail == "layer 1, neuron 15"] == ["18 more products"]


def chain(length: int) -> Value:
    y = Value(1.0, label="x")
    for _ in range(length):
        y = y * 2.0
    return y


def test_nodes_that_lie_too_deep_are_counted_in_one_box() -> None:
    w = Value(3.0, label="w")
    y = (chain(1_500) + w).exp()
    for _ in range(3):
        y = y.tanh()
    drawing = draw(y, depth=3, parameters=[w])
    rest = cells(boxes(drawing)["not drawn"])
    assert rest == ["not drawn", *"nodes 1,503 depth 1,501 parameters 1 leaves 1 * 1,500 + 1".split()]
    assert [tail for tail, head in titled_edges(drawing) if head == "exp(\u2026), inputs not drawn"] == ["not drawn"]
    assert "not drawn" not in boxes(draw(chain(400).tanh(), max_nodes=500))


@pytest.mark.slow("4 s; 400 nodes are not slow")
def test_a_deep_graph_is_drawn_whole_if_max_nodes_allows() -> None:
    nodes, _ = objects(draw(chain(1_500).tanh(), max_nodes=4_000))
    titles = [(cells(node) or [""])[0] for node in nodes.values()]
    assert "not drawn" not in titles
    assert titles.count("*") == 1_500


def test_an_operation_with_some_operands_too_deep_shows_the_others() -> None:
    x = Value(2.0, label="x")
    y = (x.exp().log() * x + x).tanh()
    drawing = draw(y + x, depth=3)
    edges = titled_edges(drawing)
    assert ("x", "*") in edges
    assert edges.count(("not drawn", "*")) == 1
    assert cells(boxes(drawing)["not drawn"])[1:3] == ["nodes", "2"]


def test_many_operations_that_lie_too_deep_are_counted_together() -> None:
    x = Value(0.5)
    y = x.sin().cos().tanh().exp().log().relu().sigmoid().square().abs()
    assert cells(boxes(draw(y * 2.0, depth=0))["not drawn"])[-2:] == ["other operations", "3"]


@pytest.mark.parametrize("most", [1, 2, 7, 25, 60])
def test_there_are_no_more_boxes_than_may_be(most: int) -> None:
    def boxes_of(chosen: View) -> int:
        return len(chosen.drawn) + len(chosen.groups)

    model = MLP(2, [9, 1], rng=0)
    loss = (model(inputs_of(model)) - 1.0) ** 2
    wide = mg.sum([Value(float(k)) * 2.0 for k in range(20)])
    for root in (loss, wide, [chain(2) for _ in range(500)], [wide, loss]):
        for fold in (None, "neurons", "layers", "nothing"):
            chosen = view(read_graph(root, model), model, fold, None, most)
            assert boxes_of(chosen) <= most
            assert boxes_of(chosen) > 0


def test_some_operands_are_drawn_if_not_all_fit() -> None:
    xs = [Value(float(k), label=f"x{k}") for k in range(20)]
    drawing = draw(mg.sum(xs), fold="nothing", max_nodes=10)
    assert [title for title in boxes(drawing) if title.startswith("x")] == [f"x{k}" for k in range(9)]
    assert cells(boxes(drawing)["not drawn"])[1:] == ["nodes", "11", "depth", "0", "leaves", "11"]
    assert titled_edges(drawing).count(("not drawn", "sum")) == 1


def test_the_first_of_too_many_roots_are_drawn() -> None:
    drawing = draw([Value(float(k), label=f"y{k}").exp() for k in range(500)])
    assert len(re.findall(r"^\tv\d+ \[", drawing.source, re.MULTILINE)) == 60
    assert "not drawn: 940 nodes" in drawing.source


def test_a_loss_that_has_become_nan_is_drawn_with_its_layers() -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    model.parameters()[0].data = math.nan
    loss = (model(inputs_of(model)) - 1.0) ** 2
    loss.backward()
    found = boxes(draw(loss, model=model, fold="layers"))
    assert cells(found["layer 2"])[-4:] == ["out", "nan", "grad", "nan"]
