"""`fit` trains the same model as with `compile=False`: models and losses that keep state in many ways.

Each case is trained eagerly, with `compile="auto"` and with `compile=True`. The history and the parameters are the same
up to rounding, or there is an error, which only `compile=True` may raise. The second argument of `case` is the engine
that "auto" chooses.
"""

from __future__ import annotations

import abc
import collections
import contextvars
import dataclasses
import enum
import functools
import itertools
import math
import operator
import random
import re
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from inside import thresholds
from lines import ROWS, TARGETS, Line, train

import microgrud
from microgrud import CompileError, Value, custom_op, dot, enable_grad, log, no_grad, sigmoid, tanh
from microgrud.losses import huber, l2_penalty, squared_error
from microgrud.nn import MLP, Layer, Module, Neuron
from microgrud.optim import SGD, Schedule
from microgrud.train import History, TrainingEvent

#: Cases that are not on the list, but that `compile=True` records correctly.
VOUCHED = ["an enumeration", "a function of a library", "a custom operation", "a compiled function"]
#: Cases whose recording may be correct or not, depending on the version of NumPy.
BY_NUMPY = ["numbers of few bits", "an array of few bits"]
#: Actions that undo the changes of a case at its end.
UNDO: list[Callable[[], None]] = []
#: Cases that leave the list while they are trained.
LATER = ["a method of this package that somebody replaces"]
#: Name of a case -> the engine that "auto" chooses, and a function that makes model and settings.
CASES: dict[str, tuple[str, Callable[[], tuple[Any, dict[str, Any]]]]] = {}


def case(name: str, engine: str) -> Callable[[Any], Any]:
    def register(make: Callable[[], Any]) -> Callable[[], Any]:
        def both() -> tuple[Any, dict[str, Any]]:
            made = make()
            return made if isinstance(made, tuple) else (made, {})

        assert name not in CASES
        CASES[name] = engine, both
        return make

    return register


def at_epochs(action: Callable[[TrainingEvent], Any]) -> Callable[[TrainingEvent], None]:
    return lambda event: action(event) if event.kind == "epoch" else None


def at_steps(action: Callable[[TrainingEvent], Any]) -> Callable[[TrainingEvent], None]:
    return lambda event: action(event) if event.kind == "step" else None


class Scaled(Module):
    """A model with a number as attribute, its scale."""

    def __init__(self) -> None:
        self.w = [Value(0.3), Value(-0.2)]
        self.b = Value(0.1)
        self.scale: Any = 1.5

    def __call__(self, row: Any) -> Any:
        return dot(self.w, row, self.b) * self.scale


def scaled(**attributes: Any) -> Scaled:
    model = Scaled()
    for name, x in attributes.items():
        setattr(model, name, x)
    return model


def network(**settings: Any) -> MLP:
    return MLP(2, [4, 1], activation="tanh", rng=3, **settings)


# --- on the list ---


@case("a network", "tape")
def _() -> Any:
    return network()


@case("a network of layers by hand", "tape")
def _() -> Any:
    class Net(Module):
        def __init__(self) -> None:
            self.parts = [Layer(2, 3, rng=1), Layer(3, 1, rng=2, nonlin=False)]
            self.names = {"first": self.parts[0]}

        def __call__(self, row: Any) -> Any:
            hidden = self.names["first"](row)
            return self.parts[1]([tanh(h) for h in hidden])

    return Net()


@case("a plain object", "tape")
def _() -> Any:
    return Line(0.3, -0.2, b=0.1)


@case("a subclass with super()", "tape")
def _() -> Any:
    class Squashed(MLP):
        def __call__(self, row: Any) -> Any:
            return sigmoid(super().__call__(row)) * 2.0

    return Squashed(2, [3, 1], rng=0)


@case("helpers, constants, comprehensions, defaults", "tape")
def _() -> Any:
    half = 0.5

    def helper(x: Any, power: int = 2, *, offset: float = 1.0) -> Any:
        return x**power * half + offset

    def loss(p: Any, t: Any) -> Any:
        parts = [helper(p - t), *[helper(p, 1, offset=k) for k in range(2)]]
        total = 0.0
        for part in parts:
            total += part
        out = []
        out.append(total)
        out[0] = out[0] * 0.5
        return sum(x for x in out) + math.pi * 0.0

    return network(), {"loss": loss}


@case("static methods, class methods and properties", "tape")
def _() -> Any:
    class Decorated(Scaled):
        @staticmethod
        def square(x: Any) -> Any:
            return x * x

        @classmethod
        def half(cls, x: Any) -> Any:
            return x * 0.5

        @property
        def doubled(self) -> float:
            return self.scale * 2.0

        def __call__(self, row: Any) -> Any:
            return self.half(self.square(super().__call__(row))) * self.doubled

    return Decorated(), {"callbacks": at_epochs(lambda e: setattr(e.model, "scale", 1.0 + 0.1 * e.epoch))}


@case("a penalty over all parameters", "tape")
def _() -> Any:
    model = network()
    return model, {"loss": lambda p, t: huber(p, t) + l2_penalty(model.parameters(), 0.01)}


@case("a derivative in the model", "tape")
def _() -> Any:
    class Slope(Scaled):
        def __call__(self, row: Any) -> Any:
            return microgrud.grad(lambda u: tanh(u * self.w[0]) * self.b)(row[0]) + self.w[1] * row[1]

    return Slope()


@case("a branch", "tape")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 if p > t else 0.3 * abs(p - t)}


@case("an activation of one's own", "tape")
def _() -> Any:
    factor = [0.7]
    model = MLP(2, [4, 1], activation=lambda x: tanh(x) * factor[0], rng=3)
    return model, {"callbacks": at_epochs(lambda e: factor.__setitem__(0, 0.7 + 0.1 * e.epoch))}


@case("an array of numbers", "tape")
def _() -> Any:
    class Standard(Scaled):
        mean = np.array([0.4, 0.3])

        def __call__(self, row: Any) -> Any:
            return super().__call__([x - m for x, m in zip(row, self.mean)])

    def shift(event: Any) -> None:
        event.model.mean += 0.01

    Standard.mean = np.array([0.4, 0.3])
    return Standard(), {"callbacks": at_epochs(shift)}


@case("an abstract class, and one with comparisons", "tape")
def _() -> Any:
    class Base(Module, abc.ABC):
        @abc.abstractmethod
        def __call__(self, row: Any) -> Any: ...

    @dataclasses.dataclass(eq=True)
    class Model(Base):
        w: Any = dataclasses.field(default_factory=lambda: Value(0.4))
        scale: float = 2.0

        def __call__(self, row: Any) -> Any:
            if len(row) != 2:
                raise ValueError(row)
            return self.w * row[0] * self.scale

    return Model()


# --- changed numbers, which are compared before each step ---

CHANGED: dict[str, Callable[[Any], Any]] = {
    "an attribute": lambda e: setattr(e.model, "scale", 1.0 + 0.3 * e.step),
    "a parameter's place": lambda e: e.model.w.__setitem__(0, Value(e.model.w[0].data)),
    "a list of parameters": lambda e: setattr(e.model, "w", [Value(p.data + 0.1) for p in e.model.w]),
    "the order of parameters": lambda e: e.model.w.reverse(),
    "a leaf's number": lambda e: setattr(e.model.b, "data", 0.05 * e.step),
    "the class": lambda e: setattr(e.model, "__class__", Doubled),
}


class Doubled(Scaled):
    def __call__(self, row: Any) -> Any:
        return super().__call__(row) * 2.0


for _name, _change in CHANGED.items():
    for _when in (at_steps, at_epochs):
        CASES[f"a callback changes {_name}, {_when.__name__}"] = (
            "tape",
            lambda change=_change, when=_when: (scaled(), {"callbacks": when(change)}),
        )


@case("a callback changes a class attribute", "tape")
def _() -> Any:
    class Model(Scaled):
        gain = 1.0

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * self.gain

    return Model(), {"callbacks": at_steps(lambda e: setattr(Model, "gain", 1.0 + 0.1 * e.step))}


@case("a callback replaces a method", "tape")
def _() -> Any:
    class Model(Scaled):
        def bend(self, x: Any) -> Any:
            return x

        def __call__(self, row: Any) -> Any:
            return self.bend(super().__call__(row))

    return Model(), {"callbacks": at_epochs(lambda e: setattr(Model, "bend", lambda self, x: x * 1.5))}


@case("a callback sets an attribute over a class attribute", "tape")
def _() -> Any:
    class Model(Scaled):
        gain = 1.0

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * self.gain

    return Model(), {"callbacks": at_steps(lambda e: setattr(e.model, "gain", 1.0 + 0.1 * e.step))}


@case("a callback changes a neuron", "tape")
def _() -> Any:
    def change(event: Any) -> None:
        event.model.layers[0].neurons[0].nonlin = not event.model.layers[0].neurons[0].nonlin

    return network(), {"callbacks": at_steps(change)}


@case("a callback removes a layer's bias", "tape")
def _() -> Any:
    return network(), {"callbacks": at_epochs(lambda e: setattr(e.model.layers[0].neurons[1], "b", None))}


@case("a closure's number", "tape")
def _() -> Any:
    weight = 1.0

    def change(event: Any) -> None:
        nonlocal weight
        weight = 1.0 + 0.1 * event.step

    return network(), {"loss": lambda p, t: (p - t) ** 2 * weight, "callbacks": at_steps(change)}


WEIGHT = 1.0


@case("a global number", "tape")
def _() -> Any:
    def change(event: Any) -> None:
        globals()["WEIGHT"] = 1.0 + 0.1 * event.step

    globals()["WEIGHT"] = 1.0
    return network(), {"loss": lambda p, t: (p - t) ** 2 * WEIGHT, "callbacks": at_steps(change)}


@case("a number in a module", "tape")
def _() -> Any:
    settings = types.ModuleType("settings")
    settings.weight = 1.0  # type: ignore[attr-defined]
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * settings.weight,
        "callbacks": at_steps(lambda e: setattr(settings, "weight", 1.0 + 0.1 * e.step)),
    }


@case("a number in a dict", "tape")
def _() -> Any:
    settings = {"weight": 1.0}
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * settings["weight"],
        "callbacks": at_steps(lambda e: settings.update(weight=1.0 + 0.1 * e.step)),
    }


@case("a default", "tape")
def _() -> Any:
    def loss(p: Any, t: Any, weight: float = 1.0) -> Any:
        return (p - t) ** 2 * weight

    return network(), {
        "loss": loss,
        "callbacks": at_steps(lambda e: setattr(loss, "__defaults__", (1.0 + 0.1 * e.step,))),
    }


@case("a default by keyword", "tape")
def _() -> Any:
    def loss(p: Any, t: Any, *, weight: float = 1.0) -> Any:
        return (p - t) ** 2 * weight

    return network(), {
        "loss": loss,
        "callbacks": at_steps(lambda e: loss.__kwdefaults__.update(weight=1.0 + 0.1 * e.step)),
    }


@case("a metric that changes the model", "tape")
def _() -> Any:
    model = scaled()

    def metric(predictions: Any, targets: Any) -> float:
        model.scale += 0.1
        return 0.0

    return model, {"metric": metric}


@case("a schedule that changes the model", "tape")
def _() -> Any:
    model = scaled()

    class Annealing(Schedule):
        def rate(self, base: float, t: int) -> float:
            model.scale = 1.5 + 0.1 * t
            return base

    return model, {"schedule": lambda o: Annealing(o, "step")}


@case("a thread that changes the model between steps", "tape")
def _() -> Any:
    def change(event: Any) -> None:
        thread = threading.Thread(target=setattr, args=(event.model, "scale", 1.0 + 0.1 * event.step))
        thread.start()
        thread.join()

    return scaled(), {"callbacks": at_steps(change)}


@case("an attribute that nothing reads", "tape")
def _() -> Any:
    return scaled(), {"callbacks": at_steps(lambda e: setattr(e.model, "note", [e.step]))}


@case("a mode", "tape")
def _() -> Any:
    class Moody(Scaled):
        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * (2.0 if self.training else 1.0)

    return Moody(), {"validation": 0.3, "callbacks": at_epochs(lambda e: e.model.train(e.epoch % 2 == 0))}


@case("a loss that is annealed to another", "tape")
def _() -> Any:
    kinds = [squared_error]

    def change(event: Any) -> None:
        kinds[0] = huber

    return network(), {"loss": lambda p, t: kinds[0](p, t), "callbacks": at_epochs(change)}


@case("constants made at a call", "tape")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * Value(2.0)}


# --- not on the list ---


@case("a Value derived from a parameter", "eager")
def _() -> Any:
    class Derived(Module):
        def __init__(self) -> None:
            self.w = Value(0.3)
            self.twice = self.w * 2.0

        def __call__(self, row: Any) -> Any:
            return self.w * row[0] + self.twice * row[1]

    return Derived()


@case("a slotted dataclass", "eager")
def _() -> Any:
    @dataclasses.dataclass(slots=True)
    class Settings:
        weight: float = 1.0

    settings = Settings()
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * settings.weight,
        "callbacks": at_steps(lambda e: setattr(settings, "weight", 1.0 + 0.1 * e.step)),
    }


@case("a namespace", "eager")
def _() -> Any:
    model = scaled(settings=types.SimpleNamespace(weight=1.0))
    return model, {
        "loss": lambda p, t: (p - t) ** 2 * model.settings.weight,
        "callbacks": at_steps(lambda e: setattr(e.model.settings, "weight", 1.0 + 0.1 * e.step)),
    }


@case("slots of the model", "eager")
def _() -> Any:
    class Slotted(Module):
        __slots__ = ("scale", "w")

        def __init__(self) -> None:
            self.w, self.scale = Value(0.3), 1.0

        def __call__(self, row: Any) -> Any:
            return self.w * row[0] * self.scale

    return Slotted(), {"callbacks": at_steps(lambda e: setattr(e.model, "scale", 1.0 + 0.1 * e.step))}


@case("an iterator that is advanced", "eager")
def _() -> Any:
    weights = itertools.cycle([1.0, 2.0, 3.0])
    return network(), {"loss": lambda p, t: (p - t) ** 2 * next(weights)}


@case("an iterator that is kept", "eager")
def _() -> Any:
    weights = iter([1.0] * 15 + [2.0] * 100)
    return network(), {"loss": lambda p, t: sum((p - t) ** 2 * w for w, _ in zip(weights, range(1)))}


@case("a ContextVar", "eager")
def _() -> Any:
    weight: contextvars.ContextVar[float] = contextvars.ContextVar("weight", default=1.0)
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * weight.get(),
        "callbacks": at_steps(lambda e: weight.set(1.0 + 0.1 * e.step)),
    }


@case("a thread's own number", "eager")
def _() -> Any:
    own = threading.local()
    own.weight = 1.0
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * own.weight,
        "callbacks": at_steps(lambda e: setattr(own, "weight", 1.0 + 0.1 * e.step)),
    }


@case("a counter", "eager")
def _() -> Any:
    class Counting(Scaled):
        calls = 0

        def __call__(self, row: Any) -> Any:
            self.calls += 1
            return super().__call__(row) * (1.0 + 0.01 * self.calls)

    return Counting()


@case("a counter in a list", "eager")
def _() -> Any:
    class Counting(Scaled):
        def __init__(self) -> None:
            super().__init__()
            self.calls = [0]

        def __call__(self, row: Any) -> Any:
            self.calls[0] += 1
            return super().__call__(row) * (1.0 + 0.01 * self.calls[0])

    return Counting()


@case("a list that grows", "eager")
def _() -> Any:
    seen: list[Any] = []

    def loss(p: Any, t: Any) -> Any:
        seen.append(t)
        return (p - t) ** 2 * (1.0 + 0.01 * len(seen))

    return network(), {"loss": loss}


@case("a list that grows by a name of its own", "eager")
def _() -> Any:
    def loss(p: Any, t: Any, seen: Any = [0.0]) -> Any:  # noqa: B006
        alias = seen
        alias += [1.0]
        return (p - t) ** 2 * (1.0 + 0.01 * len(seen))

    loss.__defaults__ = ([0.0],)
    return network(), {"loss": loss}


@case("a list that a branch changes", "eager")
def _() -> Any:
    seen = [1.0]

    def loss(p: Any, t: Any) -> Any:
        if p < t:
            seen[0] += 0.01
        return (p - t) ** 2 * seen[0]

    return Line(0.0, 0.0, b=5.0), {"loss": loss, "lr": 0.5}


@case("a dict that counts", "eager")
def _() -> Any:
    seen = {"rows": 0}

    def loss(p: Any, t: Any) -> Any:
        seen["rows"] += 1
        return (p - t) ** 2 * (1.0 + 0.01 * seen["rows"])

    return network(), {"loss": loss}


@case("running means in an array", "eager")
def _() -> Any:
    means = np.zeros(2)

    def loss(p: Any, t: Any) -> Any:
        running = means
        running *= 0.9
        running += 0.1
        return (p - t) ** 2 * float(means[0])

    return network(), {"loss": loss}


@case("a row that the model changes", "eager")
def _() -> Any:
    class Centring(Scaled):
        def __call__(self, row: Any) -> Any:
            row[0] = row[0] - 0.01
            return super().__call__(row)

    return Centring()


@case("a set", "eager")
def _() -> Any:
    seen: set[int] = set()

    def loss(p: Any, t: Any) -> Any:
        seen.add(len(seen))
        return (p - t) ** 2 * (1.0 + 0.01 * len(seen))

    return network(), {"loss": loss}


@case("a deque", "eager")
def _() -> Any:
    last: collections.deque[float] = collections.deque([1.0], maxlen=3)
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * sum(last),
        "callbacks": at_steps(lambda e: last.append(0.1 * e.step)),
    }


@case("global random numbers", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (1.0 + random.random())}


@case("random numbers of NumPy", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (1.0 + np.random.random())}


@case("a generator of the model's own", "eager")
def _() -> Any:
    class Noisy(Scaled):
        def __init__(self) -> None:
            super().__init__()
            self.rng = random.Random(0)

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * (1.0 + 0.1 * self.rng.random())

    return Noisy()


@case("a closure that counts", "eager")
def _() -> Any:
    calls = 0

    def loss(p: Any, t: Any) -> Any:
        nonlocal calls
        calls += 1
        return (p - t) ** 2 * (1.0 + 0.01 * calls)

    return network(), {"loss": loss}


@case("a function with an attribute", "eager")
def _() -> Any:
    def loss(p: Any, t: Any) -> Any:
        return (p - t) ** 2 * loss.weight  # type: ignore[attr-defined]

    loss.weight = 1.0  # type: ignore[attr-defined]
    return network(), {
        "loss": loss,
        "callbacks": at_steps(lambda e: setattr(loss, "weight", 1.0 + 0.1 * e.step)),
    }


@case("a cached function", "eager")
def _() -> Any:
    weight = [1.0]

    @functools.lru_cache
    def cached() -> float:
        return weight[0]

    def change(event: Any) -> None:
        weight[0] = 1.0 + 0.1 * event.step
        cached.cache_clear()

    return network(), {"loss": lambda p, t: (p - t) ** 2 * cached(), "callbacks": at_steps(change)}


@case("a cached property", "eager")
def _() -> Any:
    class Caching(Scaled):
        @functools.cached_property
        def gain(self) -> float:
            return self.scale * 2.0

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * self.gain

    return Caching(), {"callbacks": at_steps(lambda e: vars(e.model).update(gain=1.0 + 0.1 * e.step))}


@case("attributes made when asked for", "eager")
def _() -> Any:
    class Dynamic(Scaled):
        def __getattr__(self, name: str) -> Any:
            if name != "gain":
                raise AttributeError(name)
            return vars(self)["gains"][0]

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * self.gain

    model = Dynamic()
    vars(model)["gains"] = [1.0]
    return model, {"callbacks": at_steps(lambda e: vars(e.model).update(gains=[1.0 + 0.1 * e.step]))}


@case("a descriptor", "tape")
def _() -> Any:
    class Gain:
        now: ClassVar[float] = 1.0

        def __get__(self, x: Any, kind: Any) -> float:
            return Gain.now

    class Model(Scaled):
        gain = Gain()

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * self.gain

    return Model(), {"callbacks": at_steps(lambda e: setattr(Gain, "now", 1.0 + 0.1 * e.step))}


@case("a property that counts", "eager")
def _() -> Any:
    class Counting(Scaled):
        calls = 0

        @property
        def gain(self) -> float:
            self.calls += 1
            return 1.0 + 0.01 * self.calls

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * self.gain

    return Counting()


@case("an object with an operator of its own", "eager")
def _() -> Any:
    class Weight:
        calls = 0

        def __rmul__(self, x: Any) -> Any:
            self.calls += 1
            return x * (1.0 + 0.01 * self.calls)

    weight = Weight()
    return network(), {"loss": lambda p, t: ((p - t) ** 2).__mul__(1.0) * weight}


@case("a class that the code makes objects of", "eager")
def _() -> Any:
    class Counted:
        made = 0

        def __init__(self) -> None:
            Counted.made += 1
            self.weight = 1.0 + 0.01 * Counted.made

    return network(), {"loss": lambda p, t: (p - t) ** 2 * Counted().weight}


@case("an enumeration", "eager")
def _() -> Any:
    class Kind(enum.Enum):
        square = 1

    return network(), {"loss": lambda p, t: (p - t) ** 2 * Kind.square.value}


@case("a partial function", "tape")
def _() -> Any:
    return network(), {"loss": functools.partial(lambda w, p, t: (p - t) ** 2 * w[0], [1.5])}


@case("a partial function with an argument that changes", "tape")
def _() -> Any:
    weights = [1.0]
    return network(), {
        "loss": functools.partial(lambda w, p, t: (p - t) ** 2 * w[0], weights),
        "callbacks": at_steps(lambda e: weights.__setitem__(0, 1.0 + 0.1 * e.step)),
    }


@case("a partial function with a keyword that changes", "tape")
def _() -> Any:
    loss = functools.partial(lambda p, t, w: (p - t) ** 2 * w, w=1.0)
    return network(), {"loss": loss, "callbacks": at_epochs(lambda e: loss.keywords.__setitem__("w", 1.0 + e.epoch))}


@case("a partial function that gets another function", "tape")
def _() -> Any:
    loss = functools.partial(squared_error, reduction="sum")
    return network(), {
        "loss": loss,
        "callbacks": at_epochs(lambda e: loss.__setstate__((huber, (), {"delta": 0.1}, None))),  # type: ignore[attr-defined]
    }


@case("an attribute of a partial function", "eager")
def _() -> Any:
    weighed, model = functools.partial(lambda p, t: (p - t) ** 2), Scaled()
    weighed.scale = 1.0  # type: ignore[attr-defined]
    return model, {
        "loss": lambda p, t: weighed(p, t) * weighed.scale,  # type: ignore[attr-defined]
        "callbacks": at_epochs(lambda e: setattr(weighed, "scale", 1.0 + e.epoch)),
    }


@case("a partial function with a random number", "eager")
def _() -> Any:
    return network(), {"loss": functools.partial(lambda draw, p, t: (p - t) ** 2 * draw(), random.random)}


@case("a function of a library", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: operator.mul(p - t, p - t)}


@case("a custom operation", "eager")
def _() -> Any:
    weight = [1.0]
    weighed = custom_op("weighed", lambda x: x * x * weight[0], lambda z, x: 2 * x * weight[0])
    return network(), {
        "loss": lambda p, t: weighed(p - t),
        "callbacks": at_steps(lambda e: weight.__setitem__(0, 1.0 + 0.1 * e.step)),
    }


@case("a compiled function", "eager")
def _() -> Any:
    weight = [1.0]
    compiled = microgrud.compile(lambda x: x * x * weight[0])
    return network(), {"loss": lambda p, t: compiled(p - t)}


@case("a derivative made before", "eager")
def _() -> Any:
    weight = [1.0]
    slope = microgrud.grad(lambda u: u * u * weight[0])
    return network(), {
        "loss": lambda p, t: slope(p - t) ** 2,
        "callbacks": at_steps(lambda e: weight.__setitem__(0, 1.0 + 0.1 * e.step)),
    }


@case("numbers looked up in a dict", "eager")
def _() -> Any:
    table = {TARGETS[1]: 3.0, TARGETS[5]: 5.0}
    return network(), {"loss": lambda p, t: (p - t) ** 2 * table.get(t, 1.0)}


@case("numbers looked up in a dict made at a call", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * {TARGETS[1]: 3.0}.get(t, 1.0)}


@case("numbers looked up in a set", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (3.0 if t in {1.0, TARGETS[1]} else 1.0)}


@case("identity of a number", "eager")
def _() -> Any:
    special = TARGETS[1]
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (3.0 if t is special else 1.0)}


@case("the type of a number", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (3.0 if isinstance(t, float) else 1.0)}


@case("a number of a Value", "eager")
def _() -> Any:
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (1.0 + abs(p.data))}


@case("a gradient of before", "eager")
def _() -> Any:
    model = scaled()
    return model, {"loss": lambda p, t: (p - t) ** 2 * (1.0 + abs(model.b.grad))}


@case("numbers of the state", "eager")
def _() -> Any:
    model = scaled()
    return model, {"loss": lambda p, t: (p - t) ** 2 * (1.0 + model.state_dict()["b"] ** 2)}


@case("an error that is caught", "eager")
def _() -> Any:
    def loss(p: Any, t: Any) -> Any:
        try:
            return log(p - 100.0)
        except ValueError:
            return (p - t) ** 2

    return network(), {"loss": loss}


@case("no_grad", "eager")
def _() -> Any:
    def loss(p: Any, t: Any) -> Any:
        with no_grad():
            scale = 1.0 + p * p
        return (p - t) ** 2 * scale

    return network(), {"loss": loss}


@case("a text of a number", "eager")
def _() -> Any:
    table = {f"{TARGETS[1]}": 3.0}
    return network(), {"loss": lambda p, t: (p - t) ** 2 * table.get(f"{t}", 1.0)}


@case("a text by the % operator", "eager")
def _() -> Any:
    table = {"%.3f" % TARGETS[1]: 3.0}  # noqa: UP031
    return network(), {"loss": lambda p, t: (p - t) ** 2 * table.get("%.3f" % t, 1.0)}  # noqa: UP031


@case("a subclass of Value", "eager")
def _() -> Any:
    class Named(Value):
        scale = 1.0

        def __mul__(self, other: Any) -> Any:
            return super().__mul__(other) * Named.scale

    class Model(Scaled):
        def __call__(self, row: Any) -> Any:
            return self.w[0] * row[0] + self.b

    model = Model()
    model.w = [Named(0.3), Named(0.1)]
    return model, {"callbacks": at_steps(lambda e: setattr(Named, "scale", 1.0 + 0.1 * e.step))}


@case("a module kept under another name", "eager")
def _() -> Any:
    settings = types.ModuleType("settings")
    settings.count = 1.0  # type: ignore[attr-defined]

    def loss(p: Any, t: Any) -> Any:
        alias = settings
        return (p - t) ** 2 * alias.count  # type: ignore[attr-defined]

    return network(), {"loss": loss, "callbacks": at_steps(lambda e: setattr(settings, "count", 1.0 + 0.1 * e.step))}


@case("one of two things by a condition", "tape or eager")  # depends on how the Python version compiles it
def _() -> Any:
    settings = types.ModuleType("settings")
    settings.scale = 1.0  # type: ignore[attr-defined]
    model = scaled()

    def loss(p: Any, t: Any) -> Any:
        return (p - t) ** 2 * (model if p > 1e9 else settings).scale

    return model, {"loss": loss, "callbacks": at_steps(lambda e: setattr(settings, "scale", 1.0 + 0.1 * e.step))}


@case("a module that makes its attributes", "eager")
def _() -> Any:
    settings = types.ModuleType("settings")
    weight = [1.0]
    settings.__getattr__ = lambda name: weight[0]  # type: ignore[method-assign]
    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * settings.weight,
        "callbacks": at_steps(lambda e: weight.__setitem__(0, 1.0 + 0.1 * e.step)),
    }


@case("a network whose class was changed", "tape")
def _() -> Any:
    class Unit(Neuron):
        gain = 1.0

        def __call__(self, x: Any) -> Any:
            return super().__call__(x) * self.gain

    model = network()
    model.layers[1].neurons = [Unit(4, nonlin=False, rng=0)]
    return model, {"callbacks": at_steps(lambda e: setattr(Unit, "gain", 1.0 + 0.1 * e.step))}


# --- hidden state: each of these once trained another model silently ---


def stepwise(weight: list[float]) -> Callable[[TrainingEvent], None]:
    """A callback that changes a number in a list at every step."""
    return at_steps(lambda e: weight.__setitem__(0, 1.0 + 0.1 * e.step))


@case("a function that wraps one of this package", "tape")
def _() -> Any:
    weight = [1.0]

    @functools.wraps(squared_error)
    def loss(p: Any, t: Any) -> Any:
        return squared_error(p, t) * weight[0]

    return network(), {"loss": loss, "callbacks": stepwise(weight)}


@case("a property of a subclass that code of this package reads", "tape")
def _() -> Any:
    class Normalised(Neuron):
        scale = 1.0

        @property  # type: ignore[override]
        def w(self) -> list[Any]:
            return [v * self.scale for v in self.v]

        @w.setter
        def w(self, x: list[Any]) -> None:
            self.v = x

    model = Normalised(2, nonlin=False, rng=1)
    return model, {"callbacks": at_steps(lambda e: setattr(e.model, "scale", 1.0 + 0.1 * e.step))}


@case("a property with random numbers that code of this package reads", "eager")
def _() -> Any:
    class Noisy(Neuron):
        @property  # type: ignore[override]
        def w(self) -> list[Any]:
            return [v * (1.0 + random.random()) for v in self.v]

        @w.setter
        def w(self, x: list[Any]) -> None:
            self.v = x

    return Noisy(2, nonlin=False, rng=1)


@case("parameters that are overridden", "tape")
def _() -> Any:
    count = [3]

    class Model(Scaled):
        def named_parameters(self) -> Any:
            return super().named_parameters()

        def __call__(self, row: Any) -> Any:
            return dot(self.parameters()[:2], row, self.b) * count[0]

    return Model(), {"callbacks": stepwise(count)}


@case("the order of attributes", "tape")
def _() -> Any:
    class Model(Scaled):
        def __call__(self, row: Any) -> Any:
            first, second, third = self.parameters()
            return first * row[0] + second * row[1] + third

    def reorder(event: Any) -> None:
        w = event.model.w
        del event.model.w
        event.model.w = w

    return Model(), {"callbacks": at_steps(reorder)}


@case("a class for a function", "eager")
def _() -> Any:
    class Timed:
        def __init__(self, f: Any) -> None:
            self.f, self.calls = f, 0

        def __get__(self, x: Any, kind: Any = None) -> Any:
            return types.MethodType(self, x)

        def __call__(self, *args: Any) -> Any:
            self.calls += 1
            return self.f(*args) * (1.0 + 0.01 * self.calls)

    class Model(Scaled):
        @Timed
        def __call__(self, row: Any) -> Any:
            return dot(self.w, row, self.b)

    return Model()


@case("a partial method", "eager")
def _() -> Any:
    weight = [1.0]

    class Model(Scaled):
        def forward(self, weights: Any, row: Any) -> Any:
            return dot(self.w, row, self.b) * weights[0]

        __call__ = functools.partialmethod(forward, weight)

    return Model(), {"callbacks": stepwise(weight)}


@case("numbers that move between lists", "eager")
def _() -> Any:
    pool, used = [1.0] * 1000, [1.0]

    def loss(p: Any, t: Any, pool: Any = pool, used: Any = used) -> Any:
        used.insert(0, pool.pop())
        return (p - t) ** 2 * len(used)

    return network(), {"loss": loss}


@case("layers that move between lists", "tape")
def _() -> Any:
    class Model(Module):
        def __init__(self) -> None:
            self.first = [Layer(2, 2, rng=1, nonlin=False), Layer(2, 2, rng=2, nonlin=False)]
            self.last = [Layer(2, 1, rng=3, nonlin=False)]

        def __call__(self, row: Any) -> Any:
            for layer in self.first:
                row = [tanh(x) for x in layer(row)]
            for layer in self.last:
                row = layer(row)
            return row

    def move(event: Any) -> None:
        if event.kind == "step" and event.step == 3:
            event.model.last.insert(0, event.model.first.pop())

    return Model(), {"callbacks": move}


@case("the order of a dict", "tape")
def _() -> Any:
    class Model(Module):
        def __init__(self) -> None:
            self.w = {"x": Value(0.3), "y": Value(-0.2)}

        def __call__(self, row: Any) -> Any:
            return dot(list(self.w.values()), row)

    return Model(), {"callbacks": at_epochs(lambda e: e.model.w.__setitem__("x", e.model.w.pop("x")))}


@case("the code of a function", "tape")
def _() -> Any:
    def bend(x: Any) -> Any:
        return x

    def change(event: Any) -> None:
        bend.__code__ = (lambda x: x * 2.0).__code__

    return network(), {"loss": lambda p, t: (bend(p) - t) ** 2, "callbacks": at_epochs(change)}


@case("nested targets that somebody changes", "tape")
def _() -> Any:
    y = [[t, 1.0] for t in TARGETS]

    def change(event: Any) -> None:
        for target in y:
            target[0] += 0.1

    def metric(predictions: Any, targets: Any) -> float:
        targets[0][0] += 1.0
        return 0.0

    return network(), {"y": y, "loss": lambda p, t: (p - t[0]) ** 2, "callbacks": at_steps(change), "metric": metric}


@case("targets that are tuples", "tape")
def _() -> Any:
    y = [(1.0, 0.0) if i % 3 else (0.0, 1.0) for i in range(10)]
    return network(), {"y": y, "loss": lambda p, t: (p - t[0]) ** 2 * (3.0 if t == (1.0, 0.0) else 1.0)}


@case("targets that are tuples and lists", "eager")
def _() -> Any:
    y = [(t, 1.0) if i % 3 else [t, 1.0] for i, t in enumerate(TARGETS)]
    return network(), {"y": y, "loss": lambda p, t: (p - t[0]) ** 2 * (3.0 if t == (t[0], 1.0) else 1.0)}


@case("targets beyond 2**53", "eager")
def _() -> Any:
    big = 2**60
    return network(), {"y": [big + i % 4 for i in range(10)], "loss": lambda p, t: (p - (t - big)) ** 2}


@case("a text by the %s operator", "tape")
def _() -> Any:
    table = {"3": 3.0}
    y = [0, 1, 2, 3, 0, 1, 2, 3, 3, 3]
    return network(), {"y": y, "loss": lambda p, t: (p - t) ** 2 * table.get("%s" % t, 1.0)}  # noqa: UP031


@case("a text of the model", "eager")
def _() -> Any:
    class Model(Scaled):
        calls = 0

        def __str__(self) -> str:
            self.calls += 1
            return "x" * self.calls

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * (1.0 + 0.01 * len(f"{self}"))

    return Model()


@case("numbers of few bits", "eager")
def _() -> Any:
    special = np.float32(TARGETS[1])
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (3.0 if special == t else 1.0)}


@case("an array of few bits", "eager")
def _() -> Any:
    mean = np.array([0.4], dtype=np.float16)
    return network(), {"loss": lambda p, t: (p - (t - mean[0])) ** 2}


@case("an array that changes its shape", "tape")
def _() -> Any:
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])

    def change(event: Any) -> None:
        weights.resize((4, 1) if event.step % 2 else (1, 4), refcheck=False)

    return network(), {"loss": lambda p, t: (p - t) ** 2 * len(weights), "callbacks": at_steps(change)}


@case("a comparison of one's own in a dataclass", "tape")
def _() -> Any:
    sign = [1.0]

    @dataclasses.dataclass(eq=False)
    class Part(Module):
        k: float

        def __lt__(self, other: Any) -> bool:
            return self.k * sign[0] < other.k * sign[0]

    class Model(Scaled):
        parts = (Part(1.0), Part(2.0))

        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * sorted(self.parts)[0].k

    return Model(), {"callbacks": at_steps(lambda e: sign.__setitem__(0, -sign[0]))}


@case("a comparison that a dataclass has", "tape")
def _() -> Any:
    @dataclasses.dataclass
    class Part(Module):
        k: float

    first, second = Part(1.0), Part(1.0)
    return scaled(), {
        "loss": lambda p, t: (p - t) ** 2 * (2.0 if first == second else 1.0),
        "callbacks": at_steps(lambda e: setattr(first, "k", float(e.step % 2))),
    }


@case("attributes that are replaced as a whole", "tape")
def _() -> Any:
    def change(event: Any) -> None:
        event.model.__dict__ = {**vars(event.model), "scale": 1.0 + 0.1 * event.step}

    return scaled(), {"callbacks": at_steps(change)}


@case("a list that changes before an error", "eager")
def _() -> Any:
    seen: list[float] = []

    def loss(p: Any, t: Any) -> Any:
        if t > 1.5:
            seen.append(1.0)
            return (p - t) ** 2 * int(t) * (1.0 + 0.01 * len(seen))
        return (p - t) ** 2

    return network(), {"loss": loss, "shuffle": False}


@case("a module of a class of its own", "eager")
def _() -> Any:
    weight = [1.0]

    class Settings(types.ModuleType):
        @property
        def weight(self) -> float:
            return weight[0]

    settings = Settings("settings")
    return network(), {"loss": lambda p, t: (p - t) ** 2 * settings.weight, "callbacks": stepwise(weight)}


@case("a label", "eager")
def _() -> Any:
    model = scaled(label="one")
    model.b.label = "one"
    return model, {
        "loss": lambda p, t: (p - t) ** 2 * (3.0 if model.b.label == "one" else 1.0),
        "callbacks": at_steps(lambda e: setattr(e.model.b, "label", "two")),
    }


@case("an exception as a number", "eager")
def _() -> Any:
    class WeightError(Exception):
        w = 1

        def __len__(self) -> int:
            return WeightError.w

    return network(), {
        "loss": lambda p, t: (p - t) ** 2 * len(WeightError()),
        "callbacks": at_steps(lambda e: setattr(WeightError, "w", e.step)),
    }


@case("identity of what a condition chooses", "eager")
def _() -> Any:
    special, flag = TARGETS[1], [1.0]
    return network(), {"loss": lambda p, t: (p - t) ** 2 * (3.0 if t is (special if flag[0] else None) else 1.0)}


@case("keywords that change places", "tape")
def _() -> Any:
    def loss(p: Any, t: Any, *, up: float = 1.0, down: float = 3.0) -> Any:
        return (p - t) ** 2 * (up if p < t else down)

    def change(event: Any) -> None:
        loss.__kwdefaults__ = {"down": loss.__kwdefaults__["up"], "up": loss.__kwdefaults__["down"]}

    return network(), {"loss": loss, "callbacks": at_steps(change)}


@case("a method of this package that somebody replaces", "eager")
def _() -> Any:
    class Own(Neuron):
        pass

    def doubled(self: Any, x: Any) -> Any:
        return Neuron.__call__(self, x) * 2.0

    model = network()
    model.layers[1].neurons = [Own(4, nonlin=False, rng=0)]
    return model, {"callbacks": at_epochs(lambda e: setattr(Own, "__call__", doubled))}


@case("a method of Value", "tape")
def _() -> Any:
    def change(event: Any) -> None:
        if event.kind == "step":
            monkeypatch.setattr(Value, "tanh", Value.sin if event.step % 2 else tanh_of_value)

    monkeypatch, tanh_of_value = pytest.MonkeyPatch(), Value.tanh
    UNDO.append(monkeypatch.undo)
    return network(), {"loss": lambda p, t: (p - t).tanh() ** 2, "callbacks": change}


@case("a dataclass whose code has no file", "tape")
def _() -> Any:
    names: dict[str, Any] = {
        "__name__": __name__,
        "Module": Module,
        "Value": Value,
        "dataclasses": dataclasses,
        "weight": [1.0],
    }
    code = """
@dataclasses.dataclass
class Model(Module):
    w: object
    def __len__(self):
        return int(weight[0])
    def __call__(self, row):
        return self.w * row[0] * len(self)
"""
    exec(code, names)
    return names["Model"](Value(0.3)), {"callbacks": at_steps(lambda e: names["weight"].__setitem__(0, 1.0 + e.step))}


# --- common code that can be recorded ---


@case("plain layers, keywords, texts of errors, classes for names", "tape")
def _() -> Any:
    class Config:
        gain = 1.5

        @staticmethod
        def bend(x: Any) -> Any:
            return tanh(x)

    class Linear:
        def __init__(self, seed: int) -> None:
            self.layer = Layer(2, 2, rng=seed, nonlin=False)

        def __call__(self, row: Any, **options: Any) -> Any:
            if len(row) != 2:
                raise ValueError(f"expected 2 numbers, got {len(row)}")
            return [Config.bend(x) * options["gain"] for x in self.layer(row)]

    class Model(Module):
        def __init__(self) -> None:
            self.parts = [Linear(1), Linear(2)]
            self.kind = "sum"

        def forward(self, *args: Any, **options: Any) -> Any:
            (x,) = args
            for part in self.parts:
                x = part(x, **options)
            return sum(x) if self.kind in {"sum", "total"} else x[0]

        def __call__(self, row: Any) -> Any:
            return self.forward(row, gain=Config.gain) * np.pi

        def parameters(self) -> Any:
            return [p for part in self.parts for p in part.layer.parameters()]

    return Model(), {"callbacks": at_steps(lambda e: setattr(Config, "gain", 1.0 + 0.1 * e.step))}


# --- the checks of each case ---


@pytest.fixture(autouse=True)
def _small_models_are_recorded_too() -> Iterator[None]:
    with thresholds(least_work=0, least_samples=0, least_replays=0):
        yield
    while UNDO:
        UNDO.pop()()


def run(name: str, compile: Any) -> tuple[list[float], History, Any]:
    random.seed(4)
    np.random.seed(4)
    model, settings = CASES[name][1]()
    settings = {"optimizer": lambda m: SGD(m.parameters(), lr=settings.get("lr", 0.05)), **settings}
    optimizer = settings.pop("optimizer")(model)
    settings.pop("lr", None)
    rows = [list(row) for row in ROWS]
    history = train(
        model,
        rows,
        settings.pop("y", list(TARGETS)),
        optimizer=optimizer,
        batch_size=5,
        epochs=4,
        compile=compile,
        **settings,
    )
    return [p.data for p in model.parameters()], history, (rows, random.random(), np.random.random())


def figures(found: tuple[list[float], History, Any]) -> list[float]:
    numbers, history, _ = found
    epochs = [x for r in history.epochs for x in (r.loss, r.validation_loss)]
    return [math.nan if x is None else x for x in [*numbers, *history.loss, *history.gradient_norm, *epochs]]


@pytest.mark.filterwarnings("ignore:fit. the loss depends on Values")
@pytest.mark.parametrize("name", CASES)
def test_no_other_model_is_trained(name: str) -> None:
    eager, auto = run(name, False), run(name, "auto")
    assert auto[1].engine in CASES[name][0].split(" or "), auto[1].eager_because
    if auto[1].engine == "eager" and name not in LATER:
        assert repr(auto[::2]) == repr(eager[::2])
        assert figures(auto) == pytest.approx(figures(eager), rel=0.0, abs=0.0, nan_ok=True)
        assert auto[1].eager_because
    else:
        assert (auto[1].eager_because is None) == (auto[1].engine == "tape")
        assert figures(auto) == pytest.approx(figures(eager), rel=1e-8, abs=1e-10, nan_ok=True)
        assert auto[2] == eager[2]
    if name in BY_NUMPY:
        return
    if auto[1].engine == "eager" and name not in VOUCHED:
        with pytest.raises(CompileError, match="leave compile out to train them without"):
            run(name, True)
    else:
        vouched = run(name, True)
        assert vouched[1].engine == "tape"
        assert figures(vouched) == pytest.approx(figures(eager), rel=1e-8, abs=1e-10, nan_ok=True)


# --- the published list ---

LIST = (Path(__file__).parents[1] / "docs" / "recording.md").read_text(encoding="utf-8")
ROWS_OF_THE_LIST = re.findall(r"^\| `(.+?)` \| (tape|eager) \| `?(.*?)`? ?\|$", LIST, flags=re.MULTILINE)


def names_in_the_list() -> dict[str, Any]:
    names: dict[str, Any] = {
        **{name: getattr(microgrud, name) for name in ("tanh", "log_softmax", "where")},
        **{"squared_error": squared_error, "huber": huber, "l2_penalty": l2_penalty},
        **{"math": math, "np": np, "random": random},
    }
    code = """
calls = 0
def counted():
    global calls
    calls += 1
    return 1.0
def noted(t, notes=[]):
    notes.append(1.0)
    return notes
def weighed(x, *, by):
    return x * (1.0 + by)
"""
    exec(code.strip(), names)
    offset = Value(0.5)
    return names | {
        "model": network(),
        "weights": [0.5, 2.0],
        "settings": {"weight": 2.0},
        "offset": offset,
        "rates": itertools.cycle([1.0, 2.0]),
        "config": types.SimpleNamespace(weight=1.0),
        "context": contextvars.ContextVar("weight", default=1.0),
        "derived": offset * 2.0,
        "table": {1.0: 2.0},
    }


def test_the_list_has_rows() -> None:
    assert {engine for _, engine, _ in ROWS_OF_THE_LIST} == {"tape", "eager"}
    assert len(ROWS_OF_THE_LIST) == LIST.count("| tape |") + LIST.count("| eager |") == 21


@pytest.mark.filterwarnings("ignore:fit. the loss depends on Values")
@pytest.mark.parametrize(("code", "engine", "reason"), ROWS_OF_THE_LIST)
def test_the_published_list_is_true(code: str, engine: str, reason: str) -> None:
    ends = []
    for way in (False, "auto"):
        random.seed(0)
        names = names_in_the_list()
        history = train(names["model"], loss=eval(f"lambda p, t: {code}", names), compile=way)
        ends.append((history.loss, [p.data for p in names["model"].parameters()], names["calls"]))
    assert history.engine == engine
    assert (history.eager_because or "").startswith(reason)
    assert bool(reason) == (engine == "eager")
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-9)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-9)
    assert ends[0][2] == ends[1][2]


# --- compile=True ---


def test_a_word_is_checked_on_one_sample_in_every_epoch() -> None:
    config = types.SimpleNamespace(weight=1.0)

    def change(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == 5:
            config.weight = 2.0

    steps: list[int] = []
    with pytest.raises(CompileError, match=r"the loss is .* from the model and .* from its recording"):
        train(
            network(), loss=lambda p, t: (p - t) ** 2 * config.weight, compile=True, batch_size=5, epochs=9,
            callbacks=[change, lambda e: steps.append(e.step)],
        )  # fmt: skip
    assert steps[-1] == 5  # the last batch of the third epoch is its second


def test_a_word_is_checked_in_validation() -> None:
    config = types.SimpleNamespace(weight=1.0)

    class Moody(Scaled):
        def __call__(self, row: Any) -> Any:
            return super().__call__(row) * (1.0 if self.training else config.weight)

    def change(event: TrainingEvent) -> None:
        config.weight = event.epoch

    with pytest.raises(CompileError, match="in validation, the loss is"):
        train(Moody(), compile=True, validation=0.3, callbacks=change)


def test_a_word_is_checked_of_small_losses_too() -> None:
    config = types.SimpleNamespace(weight=1e-13)

    def change(event: TrainingEvent) -> None:
        config.weight = 1e-13 * (1.0 + event.epoch)

    with pytest.raises(CompileError, match=r"the loss is .* from the model and .* from its recording"):
        train(network(), loss=lambda p, t: (p - t) ** 2 * config.weight, compile=True, callbacks=change)


def test_the_derivatives_are_checked_as_well() -> None:
    config = types.SimpleNamespace(sign=1.0)

    class Mirrored(Module):
        """A model whose loss stays the same when its sign changes, but whose derivatives change."""

        def __init__(self) -> None:
            self.w = Value(0.0)

        def __call__(self, row: Any) -> Any:
            return self.w * config.sign

    def change(event: TrainingEvent) -> None:
        config.sign = -1.0
        event.model.w.data = 0.0

    with pytest.raises(CompileError, match="the derivative with respect to Value"):
        train(Mirrored(), compile=True, batch_size=None, callbacks=change)


def test_the_check_draws_no_random_numbers_of_the_user() -> None:
    drawn = []
    for way in (False, True):
        random.seed(1)
        np.random.seed(1)
        model = network()
        history = train(model, loss=lambda p, t: operator.mul(p - t, p - t), compile=way, validation=0.3)
        drawn.append((random.random(), np.random.random()))
    assert history.engine == "tape"
    assert drawn[0] == drawn[1]


# --- warnings and reasons ---


@thresholds(slow_seconds=0.0)
def test_a_slow_run_says_why() -> None:
    with pytest.warns(
        UserWarning, match="fit: evaluates each sample with the model, which is slow: it uses loss: random"
    ):
        train(network(), loss=lambda p, t: (p - t) ** 2 * random.random())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(network())
        train(network(), loss=lambda p, t: (p - t) ** 2 * random.random(), compile=False)


def test_fit_inside_no_grad_is_refused_and_inside_enable_grad_trains() -> None:
    model = network()
    before = [p.data for p in model.parameters()]
    for way in (False, "auto", True):
        with (
            no_grad(),
            pytest.raises(RuntimeError, match=r"fit: expected gradients to be recorded, .* train outside"),
        ):
            train(model, compile=way)
    assert [p.data for p in model.parameters()] == before
    with no_grad(), enable_grad():
        train(model)
    assert [p.data for p in model.parameters()] != before


@thresholds(least_replays=100)
@pytest.mark.parametrize("stop", [1, 2, 5])
@pytest.mark.parametrize("kind", ["step", "epoch"])
def test_a_resumed_run_takes_the_engine_that_the_whole_run_took(kind: str, stop: int, tmp_path: Path) -> None:
    def run(path: Path | None, stop: int = 0) -> tuple[list[Any], ...]:
        model = scaled()
        engines: list[Any] = []

        def change(event: TrainingEvent) -> None:
            if event.kind == kind:
                event.model.scale *= 0.9
            if event.kind == "step":
                engines.append(event.history.engine)
            if event.step == stop:
                event.stop()

        history = train(model, callbacks=change, batch_size=None, epochs=8, checkpoint=path, resume=path is not None)
        return [p.data.hex() for p in model.parameters()], history.loss, [history.eager_because], engines

    run(tmp_path / "run", stop)
    whole, resumed = run(None), run(tmp_path / "run")
    assert resumed[:3] == whole[:3]
    assert resumed[3] == whole[3][stop:]


class Meta(type):
    """A metaclass, with which attributes of a class may mean anything."""


class Odd(metaclass=Meta):
    scale = 2.0


class Properties:
    @property
    def scale(self) -> float:
        return 2.0


def refused(loss: Any, model: Any = None) -> str:
    history = train(model or network(), loss=loss)
    assert history.engine == "eager"
    return str(history.eager_because)


def test_reasons_name_what_is_used() -> None:
    many = [float(i) for i in range(10_001)]
    assert refused(lambda p, t: (p - t) ** 2 * len(many)).startswith("it reaches more than 10,000 numbers")
    assert refused(lambda p, t: (p - t) ** 2 * Odd.scale).startswith("it uses loss: Odd (a class of a metaclass)")
    assert refused(lambda p, t: (p - t) ** 2 if p > -1e9 else Properties.scale).startswith(
        "it uses loss: Properties.scale"
    )
    assert "which is not defined" in refused(lambda p, t: (p - t) ** 2 if p > -1e9 else undefined)  # type: ignore[name-defined]  # noqa: F821
    assert refused(lambda p, t: (p - t) ** 2 if p > -1e9 else tanh.scale).startswith("it uses loss: tanh.scale")
    assert refused(lambda p, t: (p - t) ** 2 * odd.scale).startswith("loss: odd has a class of the metaclass Meta")


odd = Odd()


def test_a_variable_that_is_not_assigned_yet_is_a_reason() -> None:
    def loss(p: Any, t: Any) -> Any:
        return (p - t) ** 2 if p > -1e9 else later

    assert refused(loss).startswith("loss uses later, which is not defined")
    later = 1.0


def test_a_method_of_this_package_that_is_no_function_any_more_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Layer, "__call__", functools.partialmethod(Layer.__call__))
    monkeypatch.setattr(MLP, "shown", functools.partial(print), raising=False)
    assert refused(squared_error).startswith("it uses")


def test_a_prediction_that_is_no_float_and_targets_of_other_kinds_are_reasons() -> None:
    class Counted(Scaled):
        def __call__(self, row: Any) -> Any:
            return [super().__call__(row), 1]

    model = Counted()
    history = train(model, loss=lambda p, t: (p[0] - t) ** 2, metric=lambda ps, ts: 0.0)
    assert str(history.eager_because).startswith("expected Values and floats as prediction, got 1")
