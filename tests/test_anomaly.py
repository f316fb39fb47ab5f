"""detect_anomaly(): the error names the first operation that turns finite numbers into infinity or NaN."""

from __future__ import annotations

import math
import threading

import pytest

from microgrud import AnomalyError, Value, detect_anomaly, gradient


def test_the_error_of_the_forward_pass_names_operation_operands_and_path() -> None:
    x = Value(1e200, label="x")
    y = x + 0.0
    y.label = "y"
    with detect_anomaly(), pytest.raises(AnomalyError) as caught:
        y * x
    assert str(caught.value) == "multiply(y=1e+200, x=1e+200) is inf; path to a leaf: * <- + y <- x"


def test_the_error_of_the_backward_pass_names_operation_adjoint_slope_and_path() -> None:
    x = Value(0.0, label="x")
    y = (x * 1.0).sqrt()
    with detect_anomaly(), pytest.raises(AnomalyError) as caught:
        y.backward()
    assert str(caught.value) == (
        "backward of sqrt(0.0) makes the gradient of operand 1 inf: adjoint 1.0, local derivative inf; "
        "path to a leaf: sqrt <- * <- x"
    )
    assert x.grad == 0.0


def test_the_path_follows_the_operand_that_went_wrong() -> None:
    a, b = Value(1.0, label="a"), Value(0.0, label="b")
    y = a * b.sqrt()
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"path to a leaf: sqrt <- b$"):
        y.backward()


def test_an_overflowing_sum_of_adjoints_is_found() -> None:
    x = Value(1e-10, label="x")
    with detect_anomaly(), pytest.raises(AnomalyError, match=r"^backward of multiply\(x=1e-10, 1e\+308\)"):
        (x * 1e308 + x * 1e308).backward()


def test_an_operand_that_was_infinite_before_is_not_blamed() -> None:
    with detect_anomaly():
        assert (Value(math.inf) + 1.0).data == math.inf
        x = Value(0.0)
        (0.0 * x.sqrt()).backward()
        assert x.grad == 0.0
        y = Value(math.inf) * x.detach()
        assert math.isnan(y.data)


def test_an_infinite_operand_is_not_blamed_on_the_operation_in_the_backward_pass() -> None:
    weight, x = Value(math.inf), Value(2.0)
    y = weight * x
    with detect_anomaly():
        y.backward()
    assert x.grad == math.inf


def test_a_node_built_by_hand_is_blamed_for_what_it_passes_on() -> None:
    x = Value(2.0, label="x")
    y = x * 3.0
    root = Value(1.0, (y,), "mine")
    root._backward = lambda: setattr(y, "grad", math.inf)
    expected = (
        r"backward of mine\(6.0\) makes the gradient of operand 1 inf: adjoint 1.0; path to a leaf: mine <- \* <- x"
    )
    with detect_anomaly(), pytest.raises(AnomalyError, match=expected):
        root.backward()
    assert x.grad == 0.0


def test_a_node_that_was_infinite_before_is_not_blamed_on_the_operations_below() -> None:
    x = Value(2.0)
    y = x * 3.0
    root = Value(math.inf, (y,), "mine")
    root._backward = lambda: setattr(y, "grad", math.inf)
    (root * 1.0).backward()
    assert x.grad == math.inf
    infinite = Value(math.inf)
    with detect_anomaly():
        (infinite * y).backward()
    assert x.grad == math.inf


def test_derivatives_as_nodes_are_checked_too() -> None:
    x = Value(0.0)
    y = x.sqrt()
    with detect_anomaly(), pytest.raises(AnomalyError, match="divide_ieee"):
        gradient(y, x)


def test_nothing_is_raised_outside_the_block_or_in_another_thread() -> None:
    x = Value(1e200)
    results = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: results.append((x * x).data))
        thread.start()
        thread.join()
    assert results == [math.inf]
    assert (x * x).data == math.inf


def test_long_paths_are_cut_short() -> None:
    node = Value(1e300)
    for _ in range(50):
        node = node + 0.0
    with detect_anomaly(), pytest.raises(AnomalyError) as caught:
        node * node
    assert str(caught.value).endswith("+ <- (40 more) <- a leaf holding 1e+300")
