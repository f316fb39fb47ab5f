"""The strongest paths from a leaf to a root: against all paths of small graphs, and on an MLP."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings

import microgrud as mg
from microgrud import Value, tanh
from microgrud.draw import Explanation, Path, explain, local_derivatives
from microgrud.engine import topological_order
from microgrud.nn import MLP
from microgrud.testing import Expression, expressions


def all_products(root: Value, leaf: Value) -> list[float]:
    """Return the product along every path, by walking each path after a backward pass.

    A node whose adjoint is 0 passes nothing on.
    """
    if root is leaf:
        return [1.0]
    if root.grad == 0.0:
        return []
    slopes = local_derivatives(root)
    return [
        slope * product
        for slope, x in zip(slopes, root._operands)
        if isinstance(x, Value) and slope is not None
        for product in all_products(x, leaf)
    ]


@settings(max_examples=60)
@given(expressions(max_nodes=10))
def test_they_are_the_largest_of_all_and_add_up_to_the_gradient(program: Expression) -> None:
    leaves = [Value(x) for x in program.inputs]
    root = program(*leaves)
    if not isinstance(root, Value):
        return
    root.backward()
    for leaf in leaves:
        if all(leaf is not node for node in topological_order(root)):
            assert not explain(root, leaf).depends
            continue
        products = all_products(root, leaf)
        strongest = sorted(map(abs, products), reverse=True)[:4]
        found = explain(root, leaf, k=4)
        assert found.depends
        assert found.path_count == len(products)
        assert [abs(p.product) for p in found.paths] == pytest.approx(strongest, rel=1e-9, abs=0.0)
        for path in found.paths:
            assert path.nodes[0] is leaf
            assert path.nodes[-1] is root
            assert math.prod(path.slopes) == pytest.approx(path.product, rel=1e-9, abs=0.0)
        assert repr(found.gradient) == repr(leaf.grad)
        assert sum(products) == pytest.approx(leaf.grad, rel=1e-9, abs=1e-12 * (1.0 + sum(map(abs, products))))


def test_shares_are_parts_of_the_gradient() -> None:
    x = Value(3.0, label="x")
    found = explain(x * x + 2.0 * x, x)
    assert [path.share for path in found.paths] == [3 / 8, 3 / 8, 2 / 8]
    assert sum(path.product for path in found.paths) == found.gradient == 8.0


def test_parts_that_work_against_each_other_carry_their_sum() -> None:
    x = Value(3.0, label="x")
    assert str(explain(3.0 * x - x, x)).splitlines() == [
        "gradient 2 over 2 paths; the strongest 2 carry 100%:",
        "  x \u2192 * \u2192 -: 3 \u00d7 1 = 3 (150%)",
        "  x \u2192 -: \u22121 = \u22121 (\u221250%)",
    ]


def test_a_node_with_an_adjoint_of_zero_passes_nothing_on_as_in_the_engine() -> None:
    x = Value(0.0, label="x")
    root = mg.sqrt(x) * 0.0 + 3.0 * x + 2.0 * x
    root.backward()
    found = explain(root, x)
    assert found.gradient == x.grad == 5.0
    assert [path.product for path in found.paths] == [3.0, 2.0]
    assert found.path_count == 2
    cancelling = mg.sqrt(x)
    assert str(explain(cancelling - cancelling, x)) == (
        "gradient 0: every path leads through a node whose own gradient is 0, which passes nothing on"
    )


def test_a_slope_of_zero_passes_nothing_on_to_an_infinite_one() -> None:
    x = Value(0.0, label="x")
    s = mg.sqrt(x)
    root = s * 0.0 + s
    root.backward()
    found = explain(root, x)
    assert found.gradient == x.grad == math.inf
    assert [path.product for path in found.paths] == [math.inf, 0.0]


def test_an_infinite_adjoint_is_not_passed_on_to_an_operand_that_does_not_matter() -> None:
    x = Value(0.0, label="x")
    root = x.relu().sqrt()
    root.backward()
    found = explain(root, x)
    assert found.gradient == x.grad == 0.0
    assert [path.product for path in found.paths] == [0.0]


def test_more_paths_than_a_float_can_hold_are_counted() -> None:
    x = Value(1.0, label="x")
    y = x
    for _ in range(2_000):
        y = (y + y) * 0.5
    found = explain(y, x)
    assert found.path_count == 2**2_000
    assert str(found).startswith("gradient 1 over about 1.1 \u00d7 10^602 paths; the strongest 5 carry 0%:")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (10**15 - 1, "999,999,999,999,999"),
        (10**15, "about 10^15"),
        (28 * 10**14, "about 2.8 \u00d7 10^15"),
        (999 * 10**15, "about 10^18"),
        (5 * 10**400, "about 5.0 \u00d7 10^400"),
    ],
)
def test_large_counts_are_written_by_their_size(count: int, words: str) -> None:
    one = Path((Value(1.0),), (), 1.0, 1.0)
    assert f"over {words} paths;" in str(Explanation(1.0, (one,), count))


def test_it_works_on_an_mlp_with_more_paths_than_could_be_listed() -> None:
    model = MLP(2, [16] * 12 + [1], activation="tanh", rng=0)
    x = Value(0.5, label="x")
    root = model([x, 1.0])
    root.backward()
    found = explain(root, x, k=3)
    assert found.path_count == 16**12
    assert found.gradient == pytest.approx(x.grad, rel=1e-9)
    assert len(found.paths) == 3
    assert abs(found.paths[0].product) >= abs(found.paths[1].product) >= abs(found.paths[2].product)
    assert "over 281,474,976,710,656 paths" in str(found)


def test_explain_accepts_inner_nodes_and_nodes_that_do_not_matter() -> None:
    x = Value(0.5)
    h = tanh(x)
    assert explain(h * h, h).gradient == 2.0 * h.data
    assert str(explain(h, Value(1.0))) == "the root does not depend on the leaf"
    assert str(explain(h, h)) == "gradient 1 over 1 path:\n  tanh: 1 = 1 (100%)"


def test_a_gradient_of_zero_has_no_shares() -> None:
    x = Value(2.0, label="x")
    cancelling = explain(x - x, x)
    assert cancelling.gradient == 0.0
    assert str(cancelling).splitlines() == [
        "gradient 0 over 2 paths, which cancel; the strongest 2:",
        "  x \u2192 -: 1 = 1",
        "  x \u2192 -: \u22121 = \u22121",
    ]
    assert str(explain((x * 0.0) + (x * 0.0), x)).splitlines()[0] == "gradient 0 over 2 paths; the strongest 2:"


def test_a_gradient_that_is_no_number_has_no_shares_and_the_paths_to_blame_come_first() -> None:
    a = Value(0.0, label="a")
    found = explain((a * a) ** 0.5 + 3.0 * a, a, k=2)
    assert math.isnan(found.gradient)
    nan = "  a \u2192 * \u2192 ** \u2192 +: 0 \u00d7 inf \u00d7 1 = nan"
    assert str(found).splitlines() == ["gradient nan over 3 paths; the strongest 2:", nan, nan]
    assert str(explain(a**0.5, a)) == "gradient inf over 1 path:\n  a \u2192 **: inf = inf"


def test_one_of_several_paths_is_not_said_to_be_all() -> None:
    x = Value(3.0, label="x")
    assert str(explain(x * x, x, k=1)).startswith("gradient 6 over 2 paths; the strongest carries 50%:\n")


def test_the_middle_of_a_long_path_is_left_out_of_its_line() -> None:
    x = Value(1.0, label="x")
    y = x
    for _ in range(5_000):
        y = y * 1.0
    (path,) = explain(y, x).paths
    assert len(path.nodes) == 5_001
    assert len(str(path)) < 200
    assert "\u2192 \u2026 4,989 more \u2026 \u2192" in str(path)


def test_paths_show_the_labels_and_names_of_nodes() -> None:
    x, w = Value(3.0, label="x"), Value(2.0)
    s = w * x
    s.label = "s"
    square = s * s
    root = square.exp()
    (first, _) = explain(root, w, names={w: "w", square: "square"}).paths
    assert first.steps == ("w", "s (*)", "square (*)", "exp")
    assert str(first).startswith("w \u2192 s (*) \u2192 square (*) \u2192 exp: ")


def test_paths_through_a_model_say_which_neurons_they_take() -> None:
    model = MLP(2, [3, 2, 1], activation="tanh", rng=0)
    x = Value(0.5, label="x")
    root = (model([x, 1.0]) - 1.0) ** 2
    root.label = "loss"
    found = explain(root, x, k=6, model=model)
    after = ("layer 3, neuron 1 (dot)", "-", "loss (**)")
    assert {path.steps for path in found.paths} == {
        ("x", f"layer 1, neuron {j} (dot, tanh)", f"layer 2, neuron {k} (dot, tanh)", *after)
        for j in (1, 2, 3)
        for k in (1, 2)
    }
    strongest = found.paths[0]
    j = int(strongest.steps[1][len("layer 1, neuron ")])
    assert model.layers[0].neurons[j - 1].w[0] in strongest.nodes[1]._prev
    weight = model.layers[0].neurons[1].w[0]
    assert explain(root, weight, model=model).paths[0].steps[:2] == (
        "layers.0.neurons.1.w.0",
        "layer 1, neuron 2 (dot, tanh)",
    )


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda y, x: explain(y, "x"), "leaf: expected a Value, got an object of type str"),
        (lambda y, x: explain("y", x), "root: expected a Value, got an object of type str"),
        (lambda y, x: explain([y], x), "root: expected a Value, got an object of type list"),
        (lambda y, x: explain(y, x, model="net"), "model: expected a Module, got an object of type str"),
    ],
)
def test_other_types_than_values_and_models_are_refused(call: Callable[[Value, Value], object], match: str) -> None:
    x = Value(2.0)
    with pytest.raises(TypeError, match=match):
        call(x * 2.0, x)


def test_a_node_built_by_hand_is_refused() -> None:
    x = Value(2.0)
    match = "^explain: expected operations with known local derivatives, got a node 'square' .*microgrud.custom_op$"
    with pytest.raises(ValueError, match=match):
        explain(Value(4.0, (x,), "square") * 1.0, x)
    with pytest.raises(ValueError, match="^k: expected an integer of at least 1, got 0$"):
        explain(x * x, x, k=0)
    with pytest.raises(TypeError, match=r"^k: expected an integer, got 2\.5$"):
        explain(x * x, x, k=2.5)  # type: ignore[arg-type]
