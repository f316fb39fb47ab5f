"""Pickles and copies keep a graph intact, and shared nodes shared."""

from __future__ import annotations

import copy
import gc
import io
import itertools
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from microgrud import Value, custom_op
from microgrud.engine import topological_order

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
COPIERS: list[Callable[[Any], Any]] = [
    copy.deepcopy,
    *(lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in PROTOCOLS),
    lambda x: pickle.loads(_python_pickle(x)),
]


def _python_pickle(x: Any) -> bytes:
    """Pickle with the pickler in Python, which does not batch lists as the pickler in C does."""
    buffer = io.BytesIO()
    pickle._Pickler(buffer).dump(x)  # type: ignore[attr-defined]
    return buffer.getvalue()


copier = pytest.mark.parametrize("copied", COPIERS)


@copier
def test_a_copy_has_the_same_numbers_labels_and_operations(copied: Callable[[Any], Any]) -> None:
    x, y = Value(2.0, label="x"), Value(-3.0)
    root = (x * y + 1.0).sin() * x
    root.label = "root"
    root.backward()
    twin = copied(root)
    originals, copies = topological_order(root), topological_order(twin)
    assert [(n.data, n.grad, n.label, n._op) for n in copies] == [(n.data, n.grad, n.label, n._op) for n in originals]
    assert not set(originals) & set(copies)


@copier
def test_a_copy_differentiates_on_its_own(copied: Callable[[Any], Any]) -> None:
    x = Value(3.0)
    twin = copied(x * x)
    twin.backward()
    (leaf,) = {node for node in topological_order(twin) if node.is_leaf}
    assert (leaf.grad, x.grad) == (6.0, 0.0)


@copier
def test_nodes_shared_within_a_graph_or_a_list_stay_shared(copied: Callable[[Any], Any]) -> None:
    x = Value(2.0)
    inner = x * 3.0
    root = inner * inner + x
    for order in ([inner, root, x], [root, x, inner], [x, root, inner]):
        twins = dict(zip(map(id, order), copied(order)))
        twin_root, twin_inner, twin_x = twins[id(root)], twins[id(inner)], twins[id(x)]
        assert twin_root._prev[0]._prev == (twin_inner, twin_inner)
        assert twin_root._prev[1] is twin_x
        assert twin_inner._prev == (twin_x,)


def test_a_shallow_copy_shares_its_parents() -> None:
    x = Value(2.0)
    y = x * x
    twin = copy.copy(y)
    assert twin is not y
    assert (twin.data, twin._prev) == (4.0, (x, x))


def test_a_shallow_copy_leaves_nothing_behind_for_a_pickle_to_stumble_over() -> None:
    node = Value(1.0)
    for _ in range(5_000):
        node = node + 1.0
    copy.copy(node)
    assert pickle.loads(pickle.dumps(node._prev[0])).data == 5_000.0


def test_pickling_one_node_twice_gives_the_same_bytes_and_leaves_nothing_behind() -> None:
    x = Value(2.0)
    h = x.exp()
    root = h * h
    assert pickle.dumps([h, root]) == pickle.dumps([h, root])
    deep = h
    for _ in range(20_000):
        deep = deep + 1.0
    pickle.dumps([deep, root])
    assert (
        pickle.loads(pickle.dumps(deep)).data == deep.data
    )  # if nodes were still marked as in progress, this would recurse


@pytest.mark.parametrize("dump", [pickle.dumps, _python_pickle], ids=["C", "Python"])
def test_a_pickle_that_failed_on_the_way_leaves_nothing_behind(dump: Any) -> None:
    cannot_be_pickled = custom_op("doubled", lambda x: 2.0 * x, lambda z, x: 2.0)
    node = Value(1.0)
    for _ in range(5_000):
        node = node + 1.0
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        dump(cannot_be_pickled(node) * 2.0)
    assert pickle.loads(dump(node)).data == 5_001.0  # if nodes were still marked as in progress, this would recurse


@pytest.mark.parametrize("dump", [pickle.dumps, _python_pickle], ids=["C", "Python"])
def test_a_pickle_that_runs_out_of_stack_prints_nothing(dump: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    x = Value(2.0)
    node = x * x * x
    failed: list[int] = []

    def descend() -> int:
        """Recurse to the end of the stack, and pickle at each of the last levels on return; return their number."""
        try:
            below = descend()
        except RecursionError:
            below = 0
        if below < 80:
            try:
                dump(node)
            except RecursionError:
                failed.append(below)
        return below + 1

    descend()
    gc.collect()
    assert failed
    assert printed == []
    assert pickle.loads(dump(node)).data == 8.0


def test_a_list_of_all_nodes_of_a_chain_is_copied_in_one_walk() -> None:
    nodes = [Value(1.0)]
    for _ in range(20_000):  # 20,000 walks of 10,000 nodes each would take minutes
        nodes.append(nodes[-1] + 1.0)
    twins = copy.deepcopy(nodes)
    assert [twin.data for twin in twins] == [node.data for node in nodes]
    assert all(twin._prev == (parent,) for parent, twin in itertools.pairwise(twins))


class Parameter(Value):
    """A subclass with a dictionary of its own."""


@copier
def test_subclasses_keep_their_class_and_attributes(copied: Callable[[Any], Any]) -> None:
    weight = Parameter(1.5, label="w")
    weight.tags = ["first"]  # type: ignore[attr-defined]
    twin = copied(weight * 2.0)._prev[0]
    assert type(twin) is Parameter
    assert (twin.data, twin.label, twin.tags) == (1.5, "w", ["first"])
    assert twin.tags is not weight.tags  # type: ignore[attr-defined]


class Quantity(Value):
    """A subclass with a slot of its own."""

    __slots__ = ("unit",)


@copier
def test_subclasses_keep_the_contents_of_their_slots(copied: Callable[[Any], Any]) -> None:
    length, other = Quantity(1.5), Quantity(2.0)
    length.unit = "m"
    twin, other_twin = copied(length * other)._prev
    assert (type(twin), twin.data, twin.unit) == (Quantity, 1.5, "m")
    assert not hasattr(other_twin, "unit")


def cube(x: float) -> float:
    return x**3


def cube_slope(z: Any, x: Any) -> Any:
    return 3.0 * x * x


CUBE = custom_op("cube", cube, cube_slope)


@copier
def test_custom_operations_are_copied_too(copied: Callable[[Any], Any]) -> None:
    twin = copied(CUBE(Value(2.0)) + 1.0)
    twin.backward()
    assert twin._prev[0]._op == "cube"
    assert twin._prev[0]._prev[0].grad == 12.0


@copier
def test_a_closure_cannot_be_copied_and_the_error_says_what_to_do(copied: Callable[[Any], Any]) -> None:
    x = Value(1.0)
    node = Value(1.0, (x,), "mine")
    node._backward = lambda: None
    with pytest.raises(TypeError, match=r"built by hand \(mine\) cannot be (copied|pickled).*custom_op"):
        copied(node + 1.0)


@given(data=st.floats(allow_nan=False), grad=st.floats(allow_nan=False), label=st.text())
def test_every_bit_of_a_leaf_survives(data: float, grad: float, label: str) -> None:
    x = Value(data, label=label)
    x.grad = grad
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.copy(x)):
        assert (twin.data.hex(), twin.grad.hex(), twin.label) == (data.hex(), grad.hex(), label)


#: `(x * y + 1).tanh() * x` after a backward pass, pickled by version 0.1 while `copying` was a module of the top level.
EARLIER_PICKLE = (
    b"\x80\x04\x95\\\x01\x00\x00\x00\x00\x00\x00\x8c\x11microgrud.copying\x94\x8c\x08unpickle\x94\x93\x94(\x8c\x10microgr"
    b"ud.engine\x94\x8c\x05Value\x94\x93\x94]\x94(h\x02(h\x05]\x94G\xc0\x18\x00\x00\x00\x00\x00\x00G?7\xcc\xec\x13\xa9"
    b"\xe8E\x8c\x00\x94\x8c\x08multiply\x94\x85\x94h\x02(h\x05]\x94G@\x00\x00\x00\x00\x00\x00\x00G\xbf\xf0\x04\x177x\x1f"
    b"d\x8c\x01x\x94h\x08)Nt\x94R\x94h\x02(h\x05]\x94G\xc0\x08\x00\x00\x00\x00\x00\x00G?G\xcc\xec\x13\xa9\xe8Eh\x08h\x08"
    b")Nt\x94R\x94\x86\x94Nt\x94R\x94h\x02(h\x05]\x94G\xc0\x14\x00\x00\x00\x00\x00\x00G?7\xcc\xec\x13\xa9\xe8Eh\x08\x8c"
    b"\x03add\x94\x85\x94h\x14G?\xf0\x00\x00\x00\x00\x00\x00\x86\x94Nt\x94R\x94h\x02(h\x05]\x94G\xbf\xef\xffA\x96h\xdf\x11"
    b"G@\x00\x00\x00\x00\x00\x00\x00h\x08\x8c\x04tanh\x94\x85\x94h\x1a\x85\x94Nt\x94R\x94\x8c\x08builtins\x94\x8c\x03str"
    b"\x94\x93\x94)R\x94eG\xbf\xff\xffA\x96h\xdf\x11G?\xf0\x00\x00\x00\x00\x00\x00\x8c\x04root\x94h\t\x85\x94h h\x0e"
    b"\x86\x94Nt\x94R\x94."
)


@pytest.mark.parametrize(
    "pickled",
    [EARLIER_PICKLE, EARLIER_PICKLE.replace(b"\x95\\", b"\x95[").replace(b"\x08unpickle", b"\x07restore")],
    ids=["unpickle", "restore"],
)
def test_a_pickle_of_an_earlier_version_loads(pickled: bytes) -> None:
    loaded = pickle.loads(pickled)
    x, y = Value(2.0, label="x"), Value(-3.0)
    root = (x * y + 1.0).tanh() * x
    root.label = "root"
    root.backward()
    for _ in range(2):  # as it was, and after one more backward pass
        nodes, expected = topological_order(loaded), topological_order(root)
        assert [(type(n), n.data, n.grad, n.label, n._op) for n in nodes] == [
            (Value, n.data, n.grad, n.label, n._op) for n in expected
        ]
        loaded.backward()
        root.backward()
