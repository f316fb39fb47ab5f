"""State beside the parameters: a resumed run has all of it, or is refused with the name of what is missing."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import io
import itertools
import logging
import random
import re
import threading
import types
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest

from microgrud import Value, compile
from microgrud.jsonfile import ModelFileError
from microgrud.losses import squared_error
from microgrud.nn import MLP, Module
from microgrud.optim import LBFGS, SGD, Adam, Optimizer, Schedule, StepLR
from microgrud.train import CheckpointError, EarlyStopping, History, TrainingEvent, fit

ROWS = [[i / 10, (i % 3) / 3] for i in range(8)]
TARGETS = [2 * a * b + 1 for a, b in ROWS]


class Net(Module):
    """A line with a hook: `factor()` may keep and change state, and what it returns scales the prediction."""

    def __init__(self) -> None:
        self.w, self.b = [Value(0.5), Value(-0.25)], Value(0.125)

    def factor(self) -> Any:
        return 1.0

    def __call__(self, row: list[float]) -> Value:
        out: Value = (self.w[0] * row[0] + self.w[1] * row[1] + self.b) * self.factor()
        return out


class CrashError(Exception):
    """Ends a run as nothing in `fit` expects."""


def train(model: Any, **others: Any) -> History:
    chosen = {"loss": squared_error, "optimizer": "adam", "batch_size": 2, "epochs": 3, "progress": False, **others}
    return fit(model, ROWS, TARGETS, **chosen)


def at(step: int, act: Callable[[TrainingEvent], Any]) -> Callable[[TrainingEvent], None]:
    def callback(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == step:
            act(event)

    return callback


def crash(event: TrainingEvent) -> None:
    raise CrashError


def ends_the_same(make: Callable[[], tuple[Any, dict[str, Any]]], path: Path, cut: int, end: str) -> None:
    """Whole and resumed runs must agree in parameters and history, to the bit, and in `model.factor()` after it."""

    def prepared() -> tuple[Any, dict[str, Any]]:
        random.seed(7)
        np.random.seed(7)
        return make()

    whole, settings = prepared()
    expected = train(whole, **settings)
    end_of = [p.data.hex() for p in whole.parameters()]
    factor = repr(whole.factor()) if isinstance(whole, Net) else None
    cut_off, settings = prepared()
    if end == "crash":
        with pytest.raises(CrashError):
            train(cut_off, checkpoint=path, callbacks=at(cut, crash), **settings)
    else:
        train(cut_off, checkpoint=path, callbacks=at(cut, TrainingEvent.stop), **settings)
    resumed, settings = prepared()
    history = train(resumed, checkpoint=path, resume=True, **settings)
    assert [p.data.hex() for p in resumed.parameters()] == end_of
    assert history == expected
    if factor is not None:
        assert repr(resumed.factor()) == factor


# --- models with state ---

Factory = Callable[[], Any]
STATEFUL: dict[str, Factory] = {}


def stateful(make: Factory) -> Factory:
    STATEFUL[make.__name__] = make
    return make


def of(start: Callable[[Any], Any], factor: Callable[[Any], Any]) -> Any:
    """Return a Net that `start` gave attributes, with this factor."""

    class Special(Net):
        def factor(self) -> Any:
            return factor(self)

    model = Special()
    start(model)
    return model


@stateful
def a_counter() -> Any:
    def factor(model: Any) -> float:
        model.calls += 1
        return 1.0 + 0.01 * model.calls

    return of(lambda model: setattr(model, "calls", 0), factor)


@stateful
def generators() -> Any:
    def start(model: Any) -> None:
        model.python = random.Random(0)
        model.numpy = np.random.default_rng(0)
        model.old = np.random.RandomState(0)
        model.philox = np.random.Generator(np.random.Philox(3))

    return of(
        start,
        lambda m: (
            m.python.gauss(1, 0.1) + 0.1 * m.numpy.normal() + 0.1 * m.old.standard_normal() + 0.1 * m.philox.random()
        ),
    )


@stateful
def generators_made_at_the_first_call() -> Any:
    def factor(model: Any) -> float:
        if not hasattr(model, "python"):
            model.python, model.numpy = random.Random(0), np.random.default_rng(0)
        return float(model.python.random() + model.numpy.random())

    return of(lambda model: None, factor)


@stateful
def a_method_of_a_generator() -> Any:
    def start(model: Any) -> None:
        model.draw, model.normal = random.Random(0).random, np.random.default_rng(1).normal

    return of(start, lambda model: model.draw() + 0.1 * float(model.normal()))


@stateful
def one_generator_in_two_places() -> Any:
    def start(model: Any) -> None:
        model.inner = types.SimpleNamespace(rng=random.Random(0))
        model.rng = model.inner.rng

    return of(start, lambda model: model.rng.random() + 0.1 * model.inner.rng.random())


@stateful
def dropout_by_the_global_generators() -> Any:
    def factor(model: Any) -> float:
        return (random.random() < 0.75) * (1.0 + 0.1 * float(np.random.rand())) if model.training else 1.0

    return of(lambda model: None, factor)


@stateful
def arrays() -> Any:
    def start(model: Any) -> None:
        model.mean, model.count = np.zeros(2), np.array(0)
        model.window = np.zeros((2, 3), dtype=np.float32)
        model.view = model.window[0]

    def factor(model: Any) -> float:
        model.mean *= 0.9
        model.mean[0] += 0.1
        model.count = model.count + 1
        model.view += model.mean[0]
        return float(1.0 + model.mean.sum() + 0.01 * model.count + 0.01 * model.window.sum())

    return of(start, factor)


@stateful
def containers() -> Any:
    def start(model: Any) -> None:
        model.list, model.dict, model.deque = [0.0], {"n": 0, (1, "a"): [1]}, deque([1.0], maxlen=3)
        model.set, model.tuple, model.frozen = {1}, (0, (1.0, "x")), frozenset([1])
        model.default, model.counter = collections.defaultdict(int), collections.Counter("ab")

    def factor(model: Any) -> float:
        model.list.append(model.list[-1] + 0.01)
        model.dict["n"] += 1
        model.dict[(1, "a")].append(2)
        model.dict[f"new {model.dict['n']}"] = {"inner": [model.dict["n"]]}
        model.deque.append(model.list[-1])
        model.set.add(len(model.set) + 1)
        model.tuple = (model.tuple[0] + 1, model.tuple[1])
        model.frozen = model.frozen | {len(model.frozen) + 1}
        model.default["a"] += 1
        model.counter.update("a")
        counted = model.default["a"] + model.counter["a"] + sum(model.set) + sum(model.frozen) + len(model.dict)
        return 1.0 + sum(model.deque) + 0.001 * (counted + model.tuple[0] + len(model.dict[(1, "a")]))

    return of(start, factor)


class Pair(NamedTuple):
    first: float
    second: list[float]


@dataclasses.dataclass
class Stats:
    __slots__ = ("count", "inner")
    count: int
    inner: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    counts: list[int]


@stateful
def objects() -> Any:
    def start(model: Any) -> None:
        model.pair, model.stats = Pair(1.0, [2.0]), Stats(0, Stats(1, None))
        model.frozen, model.space = Frozen([0]), types.SimpleNamespace(x=0.0)

    def factor(model: Any) -> float:
        model.pair.second[0] *= 1.01
        model.pair = model.pair._replace(first=model.pair.first * 1.01)
        model.stats.count += 1
        model.stats.inner.count += model.stats.count
        model.frozen.counts[0] += 1
        model.space.x += 0.01
        return float(
            model.pair.first
            + 0.1 * model.pair.second[0]
            + 0.001 * (model.stats.count + model.stats.inner.count + model.frozen.counts[0])
            + model.space.x
        )

    return of(start, factor)


class Phase(enum.Enum):
    WARM = 1
    MAIN = 2


@stateful
def things_made_and_deleted_in_mid_run() -> Any:
    def start(model: Any) -> None:
        model.grid, model.bits, model.phase = np.array([0, [0.5], None], dtype=object), np.random.PCG64(1), Phase.MAIN
        model.once, model.calls, model.swapped = 1.0, 0, random.Random(0)

    def factor(model: Any) -> float:
        model.calls += 1
        if model.calls == 5:
            del model.once
            model.window, model.kinds = deque([1.0], maxlen=2), {1.0, 2.0}
            model.pair, model.frozen = (1.0, [2.0]), frozenset([1.0])
            model.scale, model.more = Value(1.0), np.array([[1.0]], dtype=object)
            model.swapped = np.random.Generator(np.random.SFC64(4))
        if model.calls >= 5:
            model.window.append(model.window[-1] * 1.01)
            model.pair[1][0] *= 1.01
            model.scale.data *= 1.01
            model.more[0, 0] *= 1.01
            kept = sum(model.window) + model.pair[1][0] + model.scale.data + model.more[0, 0] + sum(model.kinds)
            return float(0.1 * kept + sum(model.frozen) + 0.1 * model.swapped.random())
        model.grid[0] += 1
        model.grid[1][0] += 0.1
        model.grid[2] = float(model.grid[0])
        noise = 1e-20 * int(model.bits.random_raw()) + 0.1 * model.swapped.random()
        return float(model.once + 0.01 * model.grid[0] + model.grid[1][0] + 0.01 * model.grid[2] + noise)

    return of(start, factor)


@stateful
def submodules_in_a_ring() -> Any:
    class Inner(Module):
        def __init__(self, parent: Any) -> None:
            self.parent, self.calls = parent, 0

    def start(model: Any) -> None:
        model.inner = [Inner(model), Inner(model)]

    def factor(model: Any) -> float:
        for i, each in enumerate(model.inner):
            each.calls += i + 1
        return 1.0 + 0.01 * sum(each.parent.inner[0].calls + each.calls for each in model.inner)

    return of(start, factor)


@stateful
def values_that_are_no_parameters() -> Any:
    class Special(Net):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.last = Value(1.0), None

        def parameters(self) -> list[Value]:
            return [*self.w, self.b]

        def factor(self) -> Any:
            self.scale.data *= 1.01
            now = self.scale + 0.001 * self.scale.grad + (0.01 * self.last.data if self.last else 0.0)
            self.last = self.scale * 2.0  # kept to look at, with its graph
            return now.data

    return Special()


@stateful
def numbers_of_all_kinds() -> Any:
    def start(model: Any) -> None:
        model.best, model.z, model.small = float("inf"), 1j, np.float32(1.0)
        model.flag, model.text, model.raw, model.zero = False, "", b"", 0.0
        model.long = [0.0] * 40

    def factor(model: Any) -> float:
        model.best = min(model.best, 3.0) - 0.01
        model.z, model.small, model.flag = model.z * 1j, model.small * np.float32(1.01), not model.flag
        model.text, model.raw, model.zero = model.text[:5] + "a", model.raw[:5] + b"\xff", -model.zero
        model.long[3] += 0.01
        sign = float(np.copysign(1.0, model.zero))
        return float(
            model.best + model.z.real + model.small + model.flag + 0.1 * sign + 0.01 * len(model.text + str(model.raw))
        ) + sum(model.long)

    return of(start, factor)


RNG = random.Random()
SEEN = {"calls": 0}
CALLS = 0


def noise() -> float:
    global CALLS
    CALLS += 1
    return RNG.random() + 0.01 * CALLS


@stateful
def globals_of_a_function_that_the_model_calls() -> Any:
    def start(model: Any) -> None:
        global CALLS
        CALLS = SEEN["calls"] = 0
        RNG.seed(3)

    def factor(model: Any) -> float:
        SEEN["calls"] += 1
        return noise() + 0.01 * SEEN["calls"]

    return of(start, factor)


@stateful
def methods_of_all_kinds() -> Any:
    generator = random.Random(0)

    class Special(Net):
        @staticmethod
        def drawn() -> float:
            return generator.random()

        @property
        def noisy(self) -> float:
            return RNG.random()

        def factor(self) -> float:
            return self.drawn() + self.noisy

    RNG.seed(5)
    return Special()


class Moving(Value):
    """A parameter that keeps its moment, as programs for micrograd do."""

    def __init__(self, data: float) -> None:
        super().__init__(data)
        self.m = 0.0


@stateful
def moments_on_parameters() -> Any:
    def start(model: Any) -> None:
        model.w, model.b, model.words = [Moving(0.5), Moving(-0.25)], Moving(0.125), Words("a")
        model.words.count, model.draws, model.point = 0, Draws(0), Point((1.0, 2.0))
        model.point.count = 0

    def factor(model: Any) -> float:
        for p in model.parameters():
            p.m = 0.9 * p.m + 0.1 * p.data
        model.words.count += 1
        model.point.count += model.words.count
        return float(
            1.0
            + 0.001 * model.point.count
            + sum(p.m for p in model.parameters())
            + 0.01 * model.words.count
            + 0.1 * model.draws.random()
        )

    return of(start, factor)


class Words(list[str]):
    count: int


class Point(tuple[float, ...]):
    count: int


class Draws(random.Random):
    factor = 1.0

    def random(self) -> float:
        self.factor *= 1.01
        return self.factor * super().random()


@stateful
def an_array_that_is_locked() -> Any:
    def start(model: Any) -> None:
        model.fixed, model.now = np.ones(2), np.ones(2)
        model.fixed.flags.writeable = model.now.flags.writeable = False

    def factor(model: Any) -> float:
        model.now = model.now * 1.01
        model.now.flags.writeable = False
        return float(model.now.sum())

    return of(start, factor)


@stateful
def a_dict_by_parameter() -> Any:
    def start(model: Any) -> None:
        model.moments = dict.fromkeys(model.parameters(), 0.0)

    def factor(model: Any) -> float:
        for p in model.parameters():
            model.moments[p] = 0.9 * model.moments[p] + 0.1 * p.data
        return 1.0 + sum(model.moments.values())

    return of(start, factor)


@stateful
def an_attribute_of_the_class() -> Any:
    class Special(Net):
        calls = 0
        shared: ClassVar[list[int]] = [0]

        def factor(self) -> float:
            type(self).calls += 1
            self.shared[0] += 2
            return 1.0 + 0.01 * type(self).calls + 0.01 * self.shared[0]

    return Special()


@stateful
def what_cannot_change_and_no_file_can_hold() -> Any:
    def start(model: Any) -> None:
        model.lock, model.log, model.pattern = threading.Lock(), logging.getLogger(__name__), re.compile("a")
        model.sets = {10, 9, 2, "b", "a", None, (1, 2)}, frozenset([10, 9, 2, "b"]), {model.b, model.w[0]}
        model.bound = functools.partial(max, frozenset([3, 20, 100]))
        model.file, model.act, model.kind, model.compiled = io.StringIO("x"), lambda x: x, Net, compile(squared_error)
        model.partial, model.method, model.calls = functools.partial(max, 1), model.parameters, 0

    def factor(model: Any) -> float:
        model.calls += 1
        return 1.0 + 0.01 * model.calls

    return of(start, factor)


# Of 12 steps, 4 in an epoch.
@pytest.mark.parametrize(
    ("cut", "end"), [(1, "stop"), (4, "stop"), (5, "crash"), (7, "stop"), (8, "crash"), (11, "crash")]
)
@pytest.mark.parametrize("name", STATEFUL)
def test_a_model_with_state_ends_the_same(name: str, cut: int, end: str, tmp_path: Path) -> None:
    ends_the_same(lambda: (STATEFUL[name](), {}), tmp_path / "run.json", cut, end)


# --- state elsewhere ---


class Annealing(Schedule):
    """Counts for itself, beside `steps`, which `progress` does not say."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.seen: list[float] = []
        super().__init__(optimizer, "step")

    def rate(self, base: float, t: int) -> float:
        return base / (1 + len(self.seen))

    def step(self, metric: float | None = None) -> None:
        self.seen.append(metric or 0.0)
        super().step(metric)


class Jittered(SGD):
    """Draws random numbers, and keeps how many."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.05, momentum=0.5)
        self.rng, self.count = random.Random(3), 0

    def _update(self, group: Any, state: Any, data: Any, grad: Any) -> Any:
        self.count += 1
        return super()._update(group, state, data, grad * self.rng.uniform(0.5, 1.5) / self.count)


class Unfreezing(SGD):
    """Trains the other parameters too from the third step on."""

    def __init__(self, model: Any) -> None:
        self.others = model.parameters()[2:]
        super().__init__(model.parameters()[:2], lr=0.05, momentum=0.5)

    def step(self, closure: Any = None) -> Any:
        if self.state[0]["step"] == 2:
            self.add_param_group({"params": self.others, "lr": 0.01})
        return super().step(closure)


class Wary(EarlyStopping):
    """Allows one bad epoch more each time."""

    extra = 0

    def update(self, epoch: int, loss: float, parameters: Any) -> None:
        self.extra += 1
        super().update(epoch, loss + 0.1 * self.extra, parameters)


class CountingLoss:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, prediction: Value, target: float) -> Value:
        self.calls += 1
        return squared_error(prediction, target) * (1.0 + 0.01 * self.calls)

    def as_method(self, prediction: Value, target: float) -> Value:
        return self(prediction, target)


def closing_over_a_counter() -> Callable[[Value, float], Value]:
    calls = 0

    def loss(prediction: Value, target: float) -> Value:
        nonlocal calls
        calls += 1
        return squared_error(prediction, target) * (1.0 + 0.01 * calls)

    return loss


def with_an_attribute() -> Any:
    def loss(prediction: Value, target: float) -> Value:
        loss.calls += 1  # type: ignore[attr-defined]
        return squared_error(prediction, target) * (1.0 + 0.01 * loss.calls)  # type: ignore[attr-defined]

    loss.calls = 0  # type: ignore[attr-defined]
    return loss


ELSEWHERE: dict[str, Callable[[Any], dict[str, Any]]] = {
    "loss: an object": lambda model: {"loss": CountingLoss()},
    "loss: a method": lambda model: {"loss": CountingLoss().as_method},
    "loss: a partial": lambda model: {"loss": functools.partial(CountingLoss().as_method)},
    "loss: a closure": lambda model: {"loss": closing_over_a_counter()},
    "loss: an attribute": lambda model: {"loss": with_an_attribute()},
    "optimizer": lambda model: {"optimizer": Jittered(model.parameters())},
    "schedule": lambda model: {"optimizer": "sgd", "schedule": Annealing},
    "early stopping": lambda model: {"early_stopping": Wary(1)},
    "LBFGS": lambda model: {"optimizer": LBFGS(model.parameters(), max_iter=2, history_size=3), "batch_size": 4},
    "a group added in mid-run": lambda model: {"optimizer": Unfreezing(model)},
    "a part of the parameters": lambda model: {"optimizer": Adam(model.parameters()[:2])},
}


@pytest.mark.parametrize("compile_it", [False, "auto"])
@pytest.mark.parametrize("cut", [2, 5])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_state_of_loss_optimizer_schedule_and_stopping(
    name: str, cut: int, compile_it: bool | str, tmp_path: Path
) -> None:
    def make() -> tuple[Any, dict[str, Any]]:
        model = MLP(2, [3, 1], activation="tanh", rng=0)
        return model, {"compile": compile_it, **ELSEWHERE[name](model)}

    for end in ("crash", "stop"):
        ends_the_same(make, tmp_path / f"{end}.json", cut, end)


@pytest.mark.parametrize("cut", [1, 4, 7])
def test_a_recorded_run_ends_the_same(cut: int, tmp_path: Path) -> None:
    ends_the_same(
        lambda: (MLP(2, [4, 4, 1], activation="tanh", rng=0), {"compile": True}), tmp_path / "run.json", cut, "stop"
    )


def test_a_long_chain_of_objects_is_no_recursion(tmp_path: Path) -> None:
    def make() -> Any:
        model: Any = with_settings(next=None, count=0)
        for _ in range(3_000):
            model.next = types.SimpleNamespace(next=model.next, items=[(model.next,)], count=0)
        return model

    def count(event: TrainingEvent) -> None:
        link = event.model
        while link is not None:
            link.count, link = link.count + 1, link.next

    expected = make()
    train(expected, epochs=1, callbacks=at(2, count), checkpoint=tmp_path / "run.json")
    resumed = make()
    train(resumed, epochs=1, checkpoint=tmp_path / "run.json", resume=True)
    while resumed is not None:
        assert resumed.count == expected.count == 1
        resumed, expected = resumed.next, expected.next


def test_gradients_of_parameters_that_are_not_moved_are_restored(tmp_path: Path) -> None:
    def run(**others: Any) -> list[str]:
        model = MLP(2, [3, 1], activation="tanh", rng=0)
        train(model, optimizer=SGD(model.parameters()[:2], lr=0.1), compile=False, **others)
        return [p.grad.hex() for p in model.parameters()]

    expected = run()
    run(checkpoint=tmp_path / "run.json", callbacks=at(6, TrainingEvent.stop))
    assert run(checkpoint=tmp_path / "run.json", resume=True) == expected


def mean_error(predictions: list[float], targets: list[float]) -> float:
    return sum(abs(p - t) for p, t in zip(predictions, targets)) / len(targets)


class Metric:
    """Keeps its best, and is the loss too: what it counts has to come back once."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, prediction: Any, target: Any) -> Any:
        self.calls += 1
        if isinstance(prediction, list):
            return mean_error(prediction, target) + 0.01 * self.calls
        return squared_error(prediction, target) * (1.0 + 0.01 * self.calls)


@pytest.mark.parametrize("cut", [2, 5])
def test_objects_that_know_each_other(cut: int, tmp_path: Path) -> None:
    def make() -> tuple[Any, dict[str, Any]]:
        model = MLP(2, [3, 1], activation="tanh", rng=0)
        model.optimizer, model.loss = Jittered(model.parameters()), Metric()  # type: ignore[attr-defined]
        return model, {"optimizer": model.optimizer, "loss": model.loss, "metric": model.loss}

    ends_the_same(make, tmp_path / "run.json", cut, "stop")


def test_aliases_are_kept_and_broken_as_the_run_did(tmp_path: Path) -> None:
    def make() -> Any:
        model = of(lambda m: setattr(m, "one", [0.0]), lambda m: 1.0)
        model.two = model.one
        return model

    model = make()
    train(model, checkpoint=tmp_path / "a.json")
    again = make()
    train(again, checkpoint=tmp_path / "a.json", resume=True)
    assert again.one is again.two
    model = make()
    train(
        model,
        checkpoint=tmp_path / "b.json",
        callbacks=at(2, lambda event: setattr(event.model, "two", [*event.model.two, 1.0])),
    )
    again = make()
    train(again, checkpoint=tmp_path / "b.json", resume=True)
    assert (again.one, again.two) == ([0.0], [0.0, 1.0])


def test_a_result_of_the_constructor_has_to_be_the_same(tmp_path: Path) -> None:
    def make(number: float) -> Any:
        return of(lambda m: setattr(m, "derived", Value(number) * 2.0), lambda m: 1.0)

    train(make(1.5), checkpoint=tmp_path / "run.json", epochs=1)
    train(make(1.5), checkpoint=tmp_path / "run.json", resume=True)
    with pytest.raises(ModelFileError, match=r"a run with model\.derived 3\.0, and this one has Value\(data=5\.0"):
        train(make(2.5), checkpoint=tmp_path / "run.json", resume=True)


# --- what is refused ---


def test_a_gradient_does_not_vanish_in_what_was_computed_before(tmp_path: Path) -> None:
    class Recurrent(Net):
        state: Any = 1.0

        def factor(self) -> Any:
            self.state = self.state * self.w[0]
            return self.state

    train(Recurrent(), checkpoint=tmp_path / "run.json", callbacks=at(3, TrainingEvent.stop))
    with pytest.raises(RuntimeError, match=r"model\.state was computed before the checkpoint"):
        train(Recurrent(), checkpoint=tmp_path / "run.json", resume=True)


def test_an_iterator_is_refused_before_the_first_epoch(tmp_path: Path) -> None:
    def numbers() -> Iterator[float]:
        yield 1.0

    model = of(lambda m: setattr(m, "factors", numbers()), lambda m: 1.0)
    called: list[Any] = []
    with pytest.raises(TypeError, match=r"model\.factors: .*got an iterator \(generator\)"):
        train(model, checkpoint=tmp_path / "run.json", callbacks=called.append)
    assert called == []
    assert list(tmp_path.iterdir()) == []


class Helper:
    pass


class Number(int):
    pass


@dataclasses.dataclass(frozen=True)
class Word:
    name: str


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.file.write("more"), r"model\.file: .*an object of type StringIO that was made or changed"),
        (lambda m: setattr(m, "other", io.StringIO()), r"model\.other: .*StringIO that was made or changed"),
        (lambda m: setattr(m, "helper", Helper()), r"model\.helper: .*got a new one \(Helper\)"),
        (lambda m: setattr(m, "act", abs), r"model\.act: .*got a new one \(abs\)"),
        (lambda m: m.words.add("b"), r"model\.words: .*set that was made or changed"),
        (
            lambda m: setattr(m, "number", Number(2)),
            r"model\.number: .*an object of type Number that was made or changed",
        ),
    ],
)
def test_what_changed_and_no_file_can_hold_is_named_and_the_history_kept(
    change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    def start(model: Any) -> None:
        model.file, model.act, model.words, model.number = io.StringIO(), max, {"a", Word("x")}, Number(1)

    model = of(start, lambda m: 1.0)
    with pytest.raises(CheckpointError, match=message) as caught:
        train(model, checkpoint=tmp_path / "run.json", callbacks=at(2, lambda event: change(event.model)))
    assert len(caught.value.history) == 4
    assert str(tmp_path / "run.json") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_iterator_that_advances_is_refused(tmp_path: Path) -> None:
    model = of(lambda m: setattr(m, "count", itertools.count()), lambda m: next(m.count))
    # Before the first epoch in a Python where it cannot be pickled, and so not compared.
    with pytest.raises((CheckpointError, TypeError), match=r"model\.count: .*(type count that was|an iterator)"):
        train(model, checkpoint=tmp_path / "run.json")


LIST, SPACE = [0], types.SimpleNamespace()


def with_settings(**settings: Any) -> Any:
    usual = {
        "rate": 0.5,
        "act": max,
        "sizes": [1, 2],
        "rates": [0.5, 0.25],
        "mask": np.ones(2),
        "window": deque([1.0], maxlen=2),
        "part": functools.partial(max, 1),
        "phase": Phase.WARM,
        "one": LIST,
        "two": LIST,
        "three": types.SimpleNamespace(),
        "four": types.SimpleNamespace(),
    }
    return of(lambda model: vars(model).update({**usual, **settings}), lambda model: 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_settings(rate=0.25), "a run with model.rate 0.5, and this one has 0.25"),
        (lambda: with_settings(rate=None), "a run with model.rate 0.5, and this one has None"),
        (lambda: with_settings(act=min), "a run with model.act 'max', and this one has <built-in function min>"),
        (lambda: with_settings(act=lambda x: x), "a run with model.act 'max', and this one has <function"),
        (lambda: with_settings(sizes=[1, 3]), r"a run with model.sizes\[1\] 2, and this one has 3"),
        (lambda: with_settings(sizes=[1, 2, 3]), "a run with 2 items in model.sizes, and this one has 3"),
        (lambda: with_settings(rates=[0.5]), "a run with 2 items in model.rates, and this one has 1"),
        (lambda: with_settings(part=functools.partial(max, 2)), "a run with model.part.args .*1.*, and this one has"),
        (lambda: with_settings(two=[0]), "a run where model.two is model.one, and here it is another object"),
        (lambda: with_settings(three=SPACE, four=SPACE), "a run with model.four of type SimpleNamespace"),
        (lambda: with_settings(phase=Phase.MAIN), r"a run with model.phase 'Phase.WARM', and this one has <Phase.MAIN"),
        (lambda: with_settings(sizes=(1, 2)), "a run with model.sizes of type list"),
        (lambda: with_settings(mask=np.ones(3)), r"a run with model.mask of type ndarray of shape \(2,\)"),
        (lambda: with_settings(more=1), "a run without model.more"),
        (lambda: with_settings(more=[1]), "a run without model.more"),
        (lambda: with_settings(window=deque([1.0], maxlen=3)), "a run with model.window of type deque"),
        (lambda: MLP(2, [1]), "a run with model of type .*Special, and this one has one of type MLP"),
    ],
)
def test_a_model_with_other_settings_is_refused_and_left_alone(
    make: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    train(with_settings(), checkpoint=tmp_path / "run.json", epochs=1)
    model = make()
    model.parameters()[0].data = 9.0
    before = repr(vars(model))
    with pytest.raises(ModelFileError, match=message):
        train(model, checkpoint=tmp_path / "run.json", resume=True)
    assert repr(vars(model)) == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"activation": "relu"}, r"activation\.name 'tanh', and this one has 'relu'"),
        ({"activation": Value.tanh}, r"activation\.name 'tanh', and this one has None"),
        ({"output": "tanh"}, "a run with model"),
    ],
)
def test_a_tanh_network_does_not_resume_as_another(other: dict[str, Any], message: str, tmp_path: Path) -> None:
    train(MLP(2, [3, 1], activation="tanh"), checkpoint=tmp_path / "run.json", epochs=1)
    with pytest.raises(ModelFileError, match=message):
        train(MLP(2, [3, 1], **{"activation": "tanh", **other}), checkpoint=tmp_path / "run.json", resume=True)


def test_lambdas_are_told_apart_by_what_they_mention(tmp_path: Path) -> None:
    def run(act: Any, **others: Any) -> None:
        train(MLP(2, [3, 1], activation=act, rng=0), checkpoint=tmp_path / "run.json", epochs=1, **others)

    run(lambda x: x.tanh() * 2)
    run(lambda x: x.tanh() * 2, resume=True)
    with pytest.raises(
        ModelFileError, match="of the function <lambda> tanh 2, and this one has that of <lambda> sin 2"
    ):
        run(lambda x: x.sin() * 2, resume=True)


def test_other_settings_of_a_parameter_group_are_refused(tmp_path: Path) -> None:
    def run(rate: float, **others: Any) -> None:
        model = MLP(2, [1], rng=0)
        groups = [{"params": model.parameters()[:1], "lr": rate}, {"params": model.parameters()[1:]}]
        train(model, optimizer=SGD(groups, lr=0.1), checkpoint=tmp_path / "run.json", **others)

    run(0.2)
    with pytest.raises(ModelFileError, match=r"optimizer\.param_groups\[0\].*lr.* 0\.2, and this one has 0\.3"):
        run(0.3, resume=True, epochs=4)


def test_the_same_objects_may_go_on_in_one_session(tmp_path: Path) -> None:
    whole = STATEFUL["generators"]()
    expected = train(whole, epochs=5)
    model = STATEFUL["generators"]()
    optimizer = Adam(model.parameters(), lr=1e-3)
    train(model, optimizer=optimizer, epochs=2, checkpoint=tmp_path / "run.json")
    history = train(model, optimizer=optimizer, epochs=5, checkpoint=tmp_path / "run.json", resume=True)
    assert history == expected
    assert model.state_dict() == whole.state_dict()

    def scheduled(optimizer: Optimizer, model: Any, epochs: int, **others: Any) -> History:
        return train(model, optimizer=optimizer, schedule=lambda o: StepLR(o, 1, 0.5), epochs=epochs, **others)

    one, other = MLP(2, [1], rng=0), MLP(2, [1], rng=0)
    expected = scheduled(SGD(one.parameters(), lr=0.1), one, 4)
    sgd = SGD(other.parameters(), lr=0.1)
    scheduled(sgd, other, 2, checkpoint=tmp_path / "b.json")
    assert scheduled(sgd, other, 4, checkpoint=tmp_path / "b.json", resume=True) == expected
