"""The strongest paths from a leaf to a root: against all paths of small graphs, and on an MLP."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings

from microgrud import Value, gradient, tanh
from microgrud.draw import explain, local_derivatives
from microgrud.engine import topological_order
from microgrud.nn import MLP
from microgrud.testing import Expression, expressions


def all_products(root: Value, leaf: Value) -> list[float]:
    """The product along every path, found by walking each."""
    if root is leaf:
        return [1.0]
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
    for leaf in leaves:
        if leaf not in topological_order(root):
            continue
        products = sorted(map(abs, all_products(root, leaf)), reverse=True)
        found = explain(root, leaf, k=4)
        assert found.path_count == len(products)
        assert [abs(p.product) for p in found.paths] == pytest.approx(products[:4], rel=1e-9, abs=0.0)
        for path in found.paths:
            assert path.nodes[0] is leaf
            assert path.nodes[-1] is root
            assert math.prod(path.slopes) == pytest.approx(path.product, rel=1e-9, abs=0.0)
        exact = gradient(root, leaf).data
        assert found.gradient == pytest.approx(exact, rel=1e-9, abs=1e-12 * (1.0 + sum(products)))


def test_shares_are_parts_of_the_gradient() -> None:
    x = Value(3.0, label="x")
    found = explain(x * x + 2.0 * x, x)
    assert [path.share for path in found.paths] == [3 / 8, 3 / 8, 2 / 8]
    assert sum(path.product for path in found.paths) == found.gradient == 8.0


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


def test_a_node_in_between_can_be_asked_for_and_one_that_does_not_matter_says_so() -> None:
    x = Value(0.5)
    h = tanh(x)
    assert explain(h * h, h).gradient == 2.0 * h.data
    assert str(explain(h, Value(1.0))) == "the root does not depend on the leaf"
    assert str(explain(h, h)) == "gradient 1 over 1 path; it is:\n  tanh: 1 = 1 (100%)"


def test_paths_that_cancel_say_so() -> None:
    x = Value(2.0, label="x")
    found = explain(3.0 * x - 3.0 * x, x)
    assert found.gradient == 0.0
    assert "of a gradient of 0" in str(found)


def test_a_node_built_by_hand_is_refused() -> None:
    x = Value(2.0)
    with pytest.raises(ValueError, match="'square' has no local derivatives on record.*microgrud.custom_op"):
        explain(Value(4.0, (x,), "square") * 1.0, x)
    with pytest.raises(ValueError, match="k: expected at least 1, got 0"):
        explain(x * x, x, k=0)
