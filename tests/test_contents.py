"""The places that modules search for parameters: containers of the standard library, slots, classes, objects."""

from __future__ import annotations

import random
import threading
from collections import ChainMap, OrderedDict, UserDict, UserList, deque, namedtuple
from dataclasses import dataclass, field, make_dataclass
from enum import Enum
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from microgrud import Value, compile
from microgrud.nn import Module, Neuron
from microgrud.optim import SGD


@dataclass(frozen=True)
class Pair:
    w: Value
    inner: Any = None


class Plain:
    def __init__(self, w: Any) -> None:
        self.w = w


class Slotted:
    __slots__ = ("absent", "w")

    def __init__(self, w: Any) -> None:
        self.w = w


class Named(list[Any]):
    """A container with attributes."""

    def __init__(self, items: list[Any], scale: Value) -> None:
        super().__init__(items)
        self.scale = scale


class Holder(Module):
    def __init__(self, **held: Any) -> None:
        vars(self).update(held)


def names(module: Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (deque([Value(1.0), [Value(2.0)]]), ["held.0", "held.1.0"]),
        (UserList([Value(1.0)]), ["held.0"]),
        (UserDict(a=Value(1.0)), ["held.a"]),
        (OrderedDict(b=Value(1.0), a=Value(2.0)), ["held.b", "held.a"]),
        (ChainMap({"a": Value(1.0)}, {"a": Value(2.0)}), ["held.a"]),
        (MappingProxyType({"a": Value(1.0)}), ["held.a"]),
        (SimpleNamespace(w=Value(1.0)), ["held.w"]),
        (namedtuple("Two", "x y")(Value(1.0), Value(2.0)), ["held.0", "held.1"]),
        (Pair(Value(1.0), Plain(Slotted(Value(2.0)))), ["held.w", "held.inner.w.w"]),
        (make_dataclass("Made", ["w"])(Value(1.0)), ["held.w"]),
        (Plain({"a": Value(1.0)}), ["held.w.a"]),
        (Named([Value(1.0)], Value(2.0)), ["held.0", "held.scale"]),
        (Plain(Neuron(1)), ["held.w.w.0", "held.w.b"]),
    ],
)
def test_parameters_are_found_in(held: Any, expected: list[str]) -> None:
    module = Holder(first=Value(0.0), held=held, last=Value(9.0))
    assert names(module) == ["first", *expected, "last"]

    state = {name: k + 0.5 for k, name in enumerate(module.state_dict())}
    module.load_state_dict(state)
    assert module.state_dict() == state
    for p in module.parameters():
        p.grad = 1.0
    module.zero_grad()
    assert all(p.grad == 0.0 for p in module.parameters())


def test_modules_in_plain_objects_are_children_and_take_the_mode() -> None:
    neuron = Neuron(1)
    module = Holder(plain=Plain(deque([neuron])))
    assert module.children() == [neuron]
    assert module.eval().children()[0].training is False


def test_slots_of_a_module_come_after_its_attributes_and_before_its_class() -> None:
    class Base(Module):
        __slots__ = ("b",)
        shared = Value(3.0)

    class Derived(Base):
        __slots__ = ("unset", "w")

        def __init__(self) -> None:
            self.w, self.b, self.last = Value(1.0), Value(2.0), Value(0.0)

    assert names(Derived()) == ["last", "w", "b", "shared"]


def test_values_of_the_class_are_parameters_shared_by_its_instances() -> None:
    class Shared(Module):
        w = Value(1.0)
        several = (Value(2.0), {"a": Value(3.0)})
        layer = Neuron(1)
        hidden = Value(4.0)

        def __init__(self) -> None:
            self.own, self.hidden = Value(0.0), None

    one, other = Shared(), Shared()
    assert names(one) == ["own", "w", "several.0", "several.1.a", "layer.w.0", "layer.b"]
    assert [p is q for p, q in zip(one.parameters(), other.parameters())] == [False, *[True] * 5]
    both = Holder(one=one, other=other)
    assert names(both) == [*(f"one.{name}" for name in names(one)), "other.own"]


def test_a_subclass_replaces_what_its_base_holds() -> None:
    class Base(Module):
        w = Value(1.0)

    class Derived(Base):
        @property
        def w(self) -> Value:
            raise AssertionError("evaluated")

    assert names(Derived()) == []


def test_libraries_and_functions_are_not_searched_and_nothing_is_evaluated() -> None:
    w = Value(1.0)

    class Wary:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

        @property
        def data(self) -> Any:
            raise AssertionError("evaluated")

        __len__ = __iter__ = __bool__ = __eq__ = __hash__ = property(data.fget)

    class Kind(Enum):
        ONE = 1

    generator = random.Random(0)
    generator.w = w
    module = Holder(
        held=[generator, threading.Lock(), SGD([w]), compile(lambda x: x * w), lambda: w, Wary(), Kind.ONE, Plain, {w}]
    )
    assert names(module) == []


def test_long_chains_and_cycles_of_plain_objects_end() -> None:
    first = link = Plain(None)
    for _ in range(5_000):
        link.w = Plain(None)
        link = link.w
    link.w = [first, Value(1.0)]
    assert names(Holder(chain=first)) == ["chain" + ".w" * 5_001 + ".1"]


def test_values_that_are_made_on_the_way_hide_nothing() -> None:
    class Computing(UserDict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return [super().__getitem__(key)]

    held = Computing({str(i): Value(float(i)) for i in range(20)})
    assert [name for name in names(Holder(held=held)) if name.endswith(".0")] == [f"held.{i}.0" for i in range(20)]


@dataclass(eq=False)
class Model(Module):
    """A module that is a dataclass."""

    w: Value = field(default_factory=lambda: Value(1.0))
    parts: deque[Value] = field(default_factory=lambda: deque([Value(2.0)], maxlen=3))


def test_a_module_that_is_a_dataclass() -> None:
    assert names(Model()) == ["w", "parts.0"]
