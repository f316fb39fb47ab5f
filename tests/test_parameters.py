"""The two searches of a module: `parameters()`, which the C engine implements itself, and `named_parameters()`."""

from __future__ import annotations

import gc
import random
import re
import weakref
from abc import ABC
from collections import ChainMap, OrderedDict, UserDict, UserList, deque, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Lock
from tokenize import TokenInfo
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from arrays import np
from hypothesis import given, settings, strategies as st

from microgrud import Value, compile, relu
from microgrud.engine import native
from microgrud.nn import MLP, Module, Neuron
from microgrud.optim import SGD
from microgrud.tape.recorder import CompileError


class Weight(Value):
    """A subclass with attributes of its own."""


class Wayward(Value):
    """A subclass that decides by itself whether it is a leaf."""

    is_leaf = property(lambda self: self.data > 0.0)  # type: ignore[assignment]


class Holder(Module):
    def __init__(self, items: list[Any]) -> None:
        for k, item in enumerate(items):
            setattr(self, f"a{k}", item)


class WithClassAttributes(Holder):
    several: ClassVar[Any] = [Value(-1.0, label="class")]
    a0 = Value(-2.0, label="hidden by the first attribute")
    rate = 0.5

    @classmethod
    def make(cls) -> None:
        raise AssertionError("called")

    @property
    def computed(self) -> Any:
        raise AssertionError("evaluated")


class WithSettings(Holder):
    """A class whose attributes hold no Values, but look as if they might."""

    sizes: ClassVar[Any] = (784, [128, (10, None)], "relu", np.zeros(3))
    scale: ClassVar[Any] = np.arange(3)
    rng: ClassVar[Any] = random.Random(0)


class WithHiddenValues(Holder):
    nested: ClassVar[Any] = (1.0, [Value(-6.0, label="nested")])
    objects: ClassVar[Any] = np.array([Value(-7.0, label="in an array"), None], dtype=object)


class Table(np.ndarray[Any, Any]):
    """A subclass of arrays."""


class WithSlots(Holder):
    __slots__ = ("slot", "unset")

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items[1:])
        self.slot = items[:1]


class Abstract(Holder, ABC):
    shared = Value(-3.0, label="abstract")


class Choosing(Holder):
    """A module whose parameters are every other Value in it; the search deletes some of its attributes."""

    def parameters(self) -> list[Value]:
        found = super().parameters()
        vars(self).pop("a0", None)
        return found[::2] + found[:1]


class Naming(Holder):
    def named_parameters(self) -> list[tuple[str, Value]]:
        return [(f"own.{name}", p) for name, p in super().named_parameters()[1:]]


class Emptying(Holder):
    """A module whose `parameters()` empties its lists, through which a search may be iterating."""

    def parameters(self) -> list[Value]:
        for item in vars(self).values():
            if isinstance(item, list):
                item.clear()
        return [Value(-4.0, label="new")]


class Forwarding(Holder):
    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Posing(Holder):
    """An object that claims to be a Value."""

    is_leaf = True
    label = "posing"
    __class__ = property(lambda self: Value)  # type: ignore[assignment]


class Disguised(Holder):
    """An object with a `__dict__` that does not hold its attributes."""

    __dict__ = property(lambda self: {"other": Value(-5.0, label="other")})  # type: ignore[assignment]


class Items(list[Any]):
    pass


class Raising:
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __format__(self, spec: str) -> str:
        raise OSError("formatted")


class Broken(UserDict[str, Any]):
    def items(self) -> Any:
        raise OSError("asked for items")


class Slotted:
    __slots__ = ("absent", "w")

    def __init__(self, items: list[Any]) -> None:
        self.w = items


@dataclass
class Record:
    items: Any


Pair = namedtuple("Pair", "one two")

MAKERS: dict[str, Callable[[list[Any]], Any]] = {
    **{kind.__name__: kind for kind in (Holder, WithClassAttributes, WithSlots, Abstract, Choosing, Naming, Emptying)},
    **{kind.__name__: kind for kind in (WithSettings, WithHiddenValues, UserList)},
    "ordered": lambda items: OrderedDict(enumerate(items)),
    "token": lambda items: TokenInfo(0, items, 0, 0, ""),  # a tuple of a library
    "partial": lambda items: partial(len, *items),
    **{kind.__name__: kind for kind in (Forwarding, Posing, Disguised, Items, Slotted, Record, Raising)},
    "list": list,
    "tuple": tuple,
    "dict": lambda items: {f"k{k}": item for k, item in enumerate(items)},
    "dict of integers": lambda items: dict(zip([0, -1, 2**70, True, 2.5], items)),
    "dict of others": lambda items: {(k, None): item for k, item in enumerate(items)},
    "dict of raising": lambda items: {Raising([]): item for item in items},
    "broken": lambda items: Broken({str(k): item for k, item in enumerate(items)}),
    "deque": deque,
    "namespace": lambda items: SimpleNamespace(items=items),
    "pair": lambda items: Pair(items, None),
    "array": lambda items: np.array([*items, None], dtype=object)[:-1],
    "numbers": lambda items: [np.zeros(2), np.arange(2)[::2], np.array("2026", "M8[Y]"), np.bool_(1), np.zeros((0, 2))],
    "fields": lambda items: np.array([(1.0, items)], dtype=[("number", float), ("items", object)]),
    "table": lambda items: np.array([*items, None], dtype=object).view(Table),
    "masked": lambda items: np.ma.masked_array(np.array([*items, None], dtype=object)),
    "libraries": lambda items: [random.Random(1), Path("x"), Lock(), re.compile("x"), Decimal(1), iter(items), {1, 2}],
    "proxy": lambda items: MappingProxyType({"items": items}),
    "chain": lambda items: ChainMap({"items": items}, {}),
    "functions": lambda items: [lambda: items, len, items.append, Holder, relu, {1.0}, b"", 1j, np.float64(1.0)],
    "neuron": lambda items: Neuron(len(items) + 1, rng=0),
}

LEAVES = st.sampled_from(["value", "weight", "wayward", "result", "number", "text", "nothing"])
RECIPES = st.recursive(
    st.one_of(st.tuples(LEAVES, st.integers(-3, 3)), st.tuples(st.just("again"), st.integers(0, 30))),
    lambda inner: st.tuples(st.sampled_from(sorted(MAKERS)), st.lists(inner, max_size=4)),
    max_leaves=25,
)


class Builder:
    """Builds new objects by a recipe; objects made before appear in several places and in cycles."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def build(self, recipe: Any) -> Any:
        kind, rest = recipe
        if kind == "again":
            return self.made[rest % len(self.made)] if self.made else None
        if kind in MAKERS:
            items: list[Any] = []
            self.made.append(items)
            items += [self.build(inner) for inner in rest]
            made = MAKERS[kind](items)
        else:
            made = self.leaf(kind, rest)
        self.made.append(made)
        return made

    def leaf(self, kind: str, number: int) -> Any:
        label = f"{kind} {len(self.made)}"
        if kind in ("value", "weight", "wayward"):
            made = {"value": Value, "weight": Weight, "wayward": Wayward}[kind](float(number), label=label)
            return made
        return {"result": Value(1.0) * number, "number": number, "text": label, "nothing": None}[kind]


def outcome(walk: Callable[[], list[Any]]) -> Any:
    try:
        return [x.label for x in walk()]
    except RecursionError as error:  # a module that contains itself and asks its parts
        return type(error)
    except (OSError, TypeError, ValueError, AttributeError, AssertionError) as error:
        return type(error), str(error)


def names_and_all(module: Module) -> list[Any]:
    return [p for _, p in module.named_parameters()]


@given(st.lists(RECIPES, min_size=1, max_size=4))
def test_both_walks_find_the_same_in_the_same_order(recipes: list[Any]) -> None:
    one, other = Holder(Builder().build(("list", recipes))), Holder(Builder().build(("list", recipes)))
    assert outcome(one.parameters) == outcome(lambda: names_and_all(other))


@pytest.mark.parametrize("kind", MAKERS)
def test_both_walks_find_the_same_if_a_module_holds_only_one_kind_of_object(kind: str) -> None:
    recipe = ("list", [(kind, [("value", 1.0), ("list", [("weight", 2.0), ("result", 3)])]), ("value", 4.0)])
    for inner in (recipe, ("list", [("Holder", [recipe])])):
        one, other = Holder(Builder().build(inner)), Holder(Builder().build(inner))
        assert outcome(one.parameters) == outcome(lambda held=other: names_and_all(held))


@settings(max_examples=20)
@given(st.lists(RECIPES, min_size=1, max_size=4))
def test_each_search_keeps_the_reference_counts(recipes: list[Any]) -> None:
    class Marked:
        pass

    mark = Marked()
    builder = Builder()
    module = Holder([builder.build(("list", recipes)), mark, Neuron(1, rng=0)])
    gone = weakref.ref(mark), weakref.ref(module), weakref.ref(module.a2.b)
    outcome(module.parameters)
    del mark, module, builder
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_values_in_several_places_come_once_where_they_were_found_first() -> None:
    x, y, z = Value(1.0), Value(1.0), Value(1.0)
    inner = Holder([y, x])
    module = Holder([{"a": [x, (x,)]}, inner, [z, inner], y])
    assert [id(p) for p in module.parameters()] == [id(x), id(y), id(z)]


@pytest.mark.skipif(native.engine is None, reason="the walk in Python makes the pairs itself")
@pytest.mark.parametrize("members", [(), [1.0], [("x",)]])
def test_members_that_are_no_list_of_pairs_are_refused(members: Any) -> None:
    engine: Any = native.engine
    with pytest.raises(TypeError, match="expected lists of pairs"):
        engine.find_parameters(Disguised([]), Module, lambda *_: members, None, frozenset())


def test_lists_are_read_again_at_every_call() -> None:
    model = MLP(2, [3, 1], rng=0)
    w = Value(5.0)
    model.layers[0].neurons[1].w.append(w)
    assert sum(p is w for p in model.parameters()) == 1
    del model.layers[0].neurons[1].w[-1], model.layers[1]
    assert len(model.parameters()) == 9
    type(model).late = [w]  # type: ignore[attr-defined]
    try:
        assert len(model.parameters()) == 9  # Values held by a class of the package are not parameters
    finally:
        del type(model).late  # type: ignore[attr-defined]


def test_deep_containers_and_many_types_and_modules() -> None:
    deep: Any = Value(1.0)
    for k in range(500):
        deep = [deep] if k % 2 else {"in": deep}
    kinds = [type(f"Kind{k}", (Holder,), {}) for k in range(40)]
    module = Holder([deep, *(kind([Value(float(k)), kinds[k - 1]([])]) for k, kind in enumerate(kinds))])
    assert [id(p) for p in module.parameters()] == [id(p) for p in names_and_all(module)]
    assert len(module.parameters()) == 41


@pytest.mark.parametrize("walk", [Module.parameters, Module.named_parameters])
def test_modules_that_were_made_on_the_way_hide_none_of_the_others(walk: Any) -> None:
    class Making(UserDict[str, Any]):
        def __iter__(self) -> Iterator[str]:
            return iter(["a"])

        def __getitem__(self, key: str) -> Any:
            return Holder([Value(1.0)])

    class Made(Holder):
        pass

    module = Holder([Made([Making()]) for _ in range(20)])
    assert len(walk(module)) == 20


@pytest.mark.parametrize("walk", [Module.parameters, Module.named_parameters])
def test_a_chain_of_modules_that_is_too_long_is_an_error(walk: Any) -> None:
    module = Holder([])
    for _ in range(100_000):
        module = Holder([module])
    with pytest.raises(RecursionError):
        walk(module)
    while vars(module):  # without recursion
        module = vars(module).pop("a0")


def optimizer_over(module: Module) -> SGD:
    return SGD(module.parameters(), lr=0.1)


@pytest.mark.parametrize("clears", [lambda module: module, optimizer_over])
def test_zero_grad_sets_by_assignment(clears: Callable[[Module], Any]) -> None:
    noted = []

    class Noting(Value):
        grad = property(lambda self: 1.0, lambda self, number: noted.append(number))  # type: ignore[assignment]

    plain, weight, noting = Value(1.0), Weight(1.0), Noting(1.0)
    module = Holder([plain, weight, noting])
    plain.grad = weight.grad = 3.0
    clears(module).zero_grad()
    assert (plain.grad, weight.grad, noted) == (0.0, 0.0, [0.0])


def test_zero_grad_clears_what_parameters_gives_and_nothing_else() -> None:
    class Slotted(Module):
        __slots__ = ("kept",)

    class Named(Module):
        def named_parameters(self) -> Any:
            return [("one", self.one)]

    class Chosen(Module):
        def parameters(self) -> Any:
            return [self.one]

    slotted, named, chosen, values = Slotted(), Named(), Chosen(), [Value(float(k)) for k in range(12)]
    slotted.kept, named.one, named.two, chosen.one, chosen.two = values[:5]
    deep: Any = values[5]
    for _ in range(40):
        deep = [deep]
    result = values[6] * 2.0
    plain = SimpleNamespace(x=values[7], y=(values[8], {"z": values[9]}), cycle=None)
    plain.cycle = plain
    for held in (
        [slotted, named],
        [chosen, values[10]],
        [deep, values[11]],
        [result, plain],
        [values[10], named, [plain]],
    ):
        module = Holder([*held, Holder(list(held))])
        everything = [*values, result]
        for x in everything:
            x.grad = 1.0
        module.zero_grad()
        found = {id(p) for p in module.parameters()}
        assert [x.grad for x in everything] == [0.0 if id(x) in found else 1.0 for x in everything]
        assert found


@pytest.mark.parametrize("clears", [lambda module: module, optimizer_over])
def test_a_recording_takes_notice_of_zero_grad(clears: Callable[[Module], Any]) -> None:
    module = Holder([Value(1.0)])
    clearing = clears(module)

    def loss(x: Any) -> Any:
        clearing.zero_grad()
        return x * module.a0

    with pytest.raises(CompileError, match="grad"):
        compile(loss)(1.0)


def test_zero_grad_takes_whatever_parameters_gives() -> None:
    class Own(Module):
        def __init__(self) -> None:
            self.inner = SimpleNamespace(grad=1.0)

        def parameters(self) -> Any:
            yield self.inner

    own = Own()
    own.zero_grad()
    assert own.inner.grad == 0.0
    own.parameters = lambda: 3  # type: ignore[method-assign]
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        own.zero_grad()
