"""Nothing recurses: graphs a hundred thousand operations deep are built, differentiated, copied, printed and freed."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref

import pytest

from microgrud import Value, backend, grad, gradient
from microgrud.autodiff.gradients import pushforward
from microgrud.engine import topological_order
from microgrud.engine.anomaly import path_to_leaf

LENGTH = 100_000
STEPS = 10_000


@pytest.fixture(scope="module")
def chain() -> tuple[Value, Value]:
    """A leaf, and the end of a chain of as many operations on it."""
    x = node = Value(1.0)
    for _ in range(LENGTH):
        node = node + 1.0
    return x, node


def test_a_long_chain_is_built_and_differentiated(chain: tuple[Value, Value]) -> None:
    x, node = chain
    x.grad = 0.0
    node.backward()
    assert (node.data, x.grad) == (LENGTH + 1.0, 1.0)
    node.zero_grad()
    assert x.grad == 0.0


def test_it_is_deep_copied_and_pickled(chain: tuple[Value, Value]) -> None:
    _, node = chain
    for twin in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert twin.data == node.data
        assert len(topological_order(twin)) == LENGTH + 1


def test_it_is_differentiated_into_a_graph_in_both_modes(chain: tuple[Value, Value]) -> None:
    x, node = chain
    assert gradient(node, x).data == 1.0
    assert pushforward([node], {x: 2.0}) == [2.0]


def test_derivatives_in_a_derivative_take_time_linear_in_their_number() -> None:
    def descend(rate: Value) -> Value:
        x: Value | float = 0.3
        for _ in range(STEPS):  # a search of the whole history at each step would take hours
            x = x - rate * grad(lambda t: t * t * t)(x)
        return x

    x, slope = 0.3, 0.0  # the step x - rate * 3 x**2, and its derivative by hand
    for _ in range(STEPS):
        x, slope = x - 0.01 * (3.0 * (x * x)), slope - 3.0 * x * x - 0.01 * 6.0 * x * slope
    assert grad(descend)(0.01) == pytest.approx(slope, rel=1e-9)


@pytest.mark.skipif(backend == "python", reason="the Python engine searches what a function closes over")
def test_so_do_derivatives_of_functions_that_close_over_a_long_history() -> None:
    def descend(x: Value) -> Value:
        for _ in range(STEPS):
            x = x - 0.001 * grad(lambda t, x=x: t * t * x)(0.5)
        return x

    assert grad(descend)(0.3) == pytest.approx((1.0 - 0.001) ** STEPS, rel=1e-9)


def test_it_is_printed(chain: tuple[Value, Value]) -> None:
    _, node = chain
    assert repr(node).startswith(f"Value(data={LENGTH + 1.0}, grad=")
    assert path_to_leaf(node).endswith(f"+ <- ({LENGTH - 11} more) <- a leaf holding 1.0")


def test_it_is_freed_even_in_a_thread_with_a_small_stack() -> None:
    freed = []

    def build_and_free() -> None:
        node = Value(1.0)
        weakref.finalize(node, freed.append, "leaf")
        for _ in range(250_000):
            node = node * 1.0
        del node
        gc.collect()

    # CPython 3.13 crashes with 512 KiB, but not with 1 MiB, when 250,000 nested tuples and slotted objects of any class
    # are freed; 3.10 to 3.12 free them with 256 KiB.
    kibibytes = 1024 if sys.version_info >= (3, 13) else 256
    size = threading.stack_size(kibibytes * 1024)
    try:
        thread = threading.Thread(target=build_and_free)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert freed == ["leaf"]


def test_a_ladder_in_which_every_node_is_used_twice_takes_linear_time() -> None:
    x = Value(1.0)
    node = x
    for _ in range(STEPS):
        node = node * 0.5 + node * 0.5
    node.backward()
    assert (node.data, x.grad) == (1.0, 1.0)
    assert gradient(node, x).data == 1.0
    for twin in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert len(topological_order(twin)) == 3 * STEPS + 1
