"""Pictures of networks: the lines of weights, and names of all kinds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from drawings import objects, texts
from hypothesis import given, strategies as st

from microgrud import Value
from microgrud.common.words import shortened, width_of
from microgrud.draw import draw
from microgrud.nn import MLP


def lines(model: MLP, **options: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the lines for weights, by the names of their ends."""
    return {(e["tail"], e["head"]): e for e in objects(draw(model, **options))[1] if e.get("arrowhead") == "none"}


def test_a_line_is_the_thicker_the_larger_its_weight() -> None:
    model = MLP(3, [2], rng=0)
    for neuron in model.layers[0].neurons:
        for weight, number in zip(neuron.w, (0.0, -1.0, 2.0)):
            weight.data = number
    found = lines(model)
    widths = [float(found[f"i{k}", "n1_0"]["penwidth"]) for k in range(3)]
    assert widths == [0.3, 1.65, 3.0]
    assert [found[f"i{k}", "n1_1"]["style"] for k in range(3)] == ["solid", "dashed", "solid"]


def test_tooltips_say_every_digit_of_a_weight_and_its_grad_and_the_bias_of_a_neuron() -> None:
    model = MLP(1, [1, 1], activation="tanh", rng=0)
    w, b = model.layers[0].neurons[0].parameters()
    w.data, w.grad, b.data = 1.0 / 3.0, 2.0 / 3.0, -0.25
    tooltips = texts(draw(model))[1]
    assert f"weight {1.0 / 3.0!r}, grad {2.0 / 3.0!r}" in tooltips
    assert "layer 1, neuron 1: bias \u22120.25, tanh" in tooltips
    assert "layer 2, neuron 1: bias 0, linear" in tooltips
    assert "layer 1, neuron 1: bias none, linear" in texts(draw(MLP(1, [1], bias=False)))[1]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_network_that_has_diverged_is_drawn_with_its_broken_numbers_dotted(number: float) -> None:
    model = MLP(2, [3, 1], rng=0)
    first = model.layers[0].neurons
    first[0].w[0].data, first[0].w[1].data, first[1].w[0].data = number, 2.0, 1.0
    assert first[2].b is not None
    first[2].b.data = number
    found = lines(model)
    assert [found["i0", f"n1_{k}"]["style"] == "dotted" for k in range(3)] == [True, False, False]
    assert float(found["i1", "n1_0"]["penwidth"]) == 3.0  # the largest that is finite
    assert found["i0", "n1_0"]["tooltip"].startswith(f"weight {number!r}")
    nodes, _ = objects(draw(model))
    assert ["dotted" in nodes[f"n1_{k}"]["style"] for k in range(3)] == [False, False, True]
    assert "dotted: 1 weight and 1 bias NaN or infinite" in texts(draw(model))[0]
    for parameter in model.parameters():
        parameter.data = number
    assert "dotted: 9 weights and 4 biases NaN or infinite" in texts(draw(model))[0]


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_a_network_grows_in_the_given_direction(rankdir: str) -> None:
    nodes, edges = objects(draw(MLP(2, [3, 1], rng=0), rankdir=rankdir, outputs=["y"]))
    places = [tuple(map(float, nodes[name]["pos"].split(","))) for name in ("i0", "n1_0", "n2_0", "o0")]
    along = {"LR": 1, "BT": 1, "RL": -1, "TB": -1}[rankdir]
    steps = [place[rankdir in ("TB", "BT")] * along for place in places]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]
    ports = {e["tailport"] for e in edges if e.get("arrowhead") == "none"}
    assert ports == {{"LR": "e", "RL": "w", "TB": "s", "BT": "n"}[rankdir]}


NAMES = ["<b>x</b>", r"\N", r"a\n", '"q"', "a&amp;b", "trailing\\", "<<>>", "é", "1"]


def test_names_of_inputs_and_outputs_are_text() -> None:
    model = MLP(len(NAMES), [len(NAMES)], rng=0)
    written, tooltips = texts(draw(model, inputs=NAMES, outputs=NAMES))
    for name in NAMES:
        assert written.count(name) == 2
        assert tooltips.count(name) == 2


def test_names_of_inputs_stay_inside_their_boxes() -> None:
    names = ["i" * 8, "e" * 60, "每位顾客每月在本店平均花费的小时数与上个月相比的变化情况"]
    drawing = draw(MLP(3, [2], rng=0), inputs=names)
    nodes, _ = objects(drawing)
    written, _ = texts(drawing)
    for k, text in enumerate(written[:3]):
        assert width_of(text) <= 30
        assert text.rstrip("…") == names[k][: len(text.rstrip("…"))]
        # Letters of a common font are 0.6 em wide on average, and wide ones, such as Chinese ones, 1 em.
        assert 72 * float(nodes[f"i{k}"]["width"]) >= 10 * 0.6 * width_of(text) + 8


@given(st.text(), st.integers(1, 60))
def test_a_shortened_text_fits_into_its_width_and_is_the_text_as_far_as_it_goes(text: str, most: int) -> None:
    short, line = shortened(text, most), " ".join(text.split())
    assert width_of(short) <= most
    assert short == line or (width_of(line) > most and short[-1] == "…" and line.startswith(short[:-1]))
    assert width_of(short) >= min(width_of(line), most - 1)


def test_names_that_no_picture_can_hold_are_replaced_and_long_ones_shortened() -> None:
    written, tooltips = texts(draw(MLP(3, [1], rng=0), inputs=["\x1b[0m", "\ud800", "long " * 20]))
    assert written[:2] == ["\u241b[0m", "\ufffd"]
    assert written[2].startswith("long long")
    assert len(written[2]) == 30
    assert any(("long " * 20).strip() in tooltip for tooltip in tooltips)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", MLP(1, [1])),
        ("parameters", 3),
        ("names", {}),
        ("fold", "nothing"),
        ("depth", 3),
        ("expand", "dot"),
        ("max_nodes", 10),
        ("slopes", False),
    ],
)
def test_arguments_for_graphs_are_refused_by_name(name: str, value: Any) -> None:
    match = f"^{name}: expected the default for a network; it is for the graph of a Value only$"
    with pytest.raises(ValueError, match=match):
        draw(MLP(1, [1]), **{name: value})


def test_a_value_accepts_all_these_arguments() -> None:
    x = Value(2.0)
    assert draw(x * 3.0, parameters=[x], names={x: "x"}, fold="nothing", depth=3, expand="dot", max_nodes=10).source
