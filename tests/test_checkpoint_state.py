"""State other than parameters: a resumed run has all of it, or is refused with the name of the missing part."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import io
import logging
import random
import re
import sys
import threading
import types
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microgrud import Value, checkpoint, compile
from microgrud.common.jsonfile import ModelFileError
from microgrud.losses import squared_error
from microgrud.nn import MLP, Module
from microgrud.optim import LBFGS, SGD, Adam, Optimizer, StepLR
from microgrud.train import CheckpointError, EarlyStopping, History, TrainingEvent, fit

ROWS = [[i / 10, (i % 3) / 3] for i in range(8)]
TARGETS = [2 * a * b + 1 for a, b in ROWS]


class Net(Module):
    """A line with a hook: `factor()` may keep and change state, and its result scales the prediction."""

    def __init__(self) -> None:
        self.w, self.b = [Value(0.5), Value(-0.25)], Value(0.125)

    def factor(self) -> Any:
        return 1.0

    def __call__(self, row: list[float]) -> Value:
        out: Value = (self.w[0] * row[0] + self.w[1] * row[1] + self.b) * self.factor()
        return out


class CrashError(Exception):
    """An error that ends a run and that `fit` does not expect."""


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
    """Check that whole and resumed runs agree to the bit in parameters, history and the next `model.factor()`."""

    def prepared() -> tuple[Any, dict[str, Any]]:
        random.seed(7)
        np.random.seed(7)
        return make()

    def end_of(model: Any) -> tuple[list[str], str]:
        return [p.data.hex() for p in model.parameters()], repr(model.factor()) if isinstance(model, Net) else ""

    whole, settings = prepared()
    expected = train(whole, **settings), end_of(whole)
    cut_off, others = prepared()
    with pytest.raises(CrashError) if end == "crash" else contextlib.nullcontext():
        train(cut_off, checkpoint=path, callbacks=at(cut, crash if end == "crash" else TrainingEvent.stop), **others)
    resumed, others = prepared()
    assert (train(resumed, checkpoint=path, resume=True, **others), end_of(resumed)) == expected


# --- models with state ---

STATEFUL: dict[str, Callable[[], Any]] = {}


def stateful(make: Callable[[], Any]) -> Callable[[], Any]:
    STATEFUL[make.__name__] = make
    return make


def of(start: Callable[[Any], Any], factor: Callable[[Any], Any]) -> Any:
    """Return a Net with this factor and the attributes that `start` sets."""

    class Special(Net):
        def factor(self) -> Any:
            return factor(self)

    model = Special()
    start(model)
    return model


@stateful
def generators() -> Any:
    def start(model: Any) -> None:
        model.inner = types.SimpleNamespace(rng=random.Random(0))
        model.numpy, model.old = np.random.default_rng(0), np.random.RandomState(0)
        model.philox, model.draw = np.random.Generator(np.random.Philox(3)), random.Random(1).random
        model.rng = model.inner.rng  # one generator in two places

    def factor(model: Any) -> float:
        if not hasattr(model, "late"):
            model.late, model.later = random.Random(0), np.random.Generator(np.random.SFC64(4))
        drawn = model.numpy.normal() + model.old.standard_normal() + model.philox.random() + model.later.random()
        drawn += random.random() + np.random.rand() + model.inner.rng.random() + model.late.random() + model.draw()
        return float(model.rng.gauss(1, 0.1) + 0.1 * drawn)

    return of(start, factor)


@stateful
def arrays() -> Any:
    def start(model: Any) -> None:
        model.mean, model.count = np.zeros(2), np.array(0)
        model.window = np.zeros((2, 3), dtype=np.float32)
        model.view, model.fixed, model.now = model.window[0], np.ones(2), np.ones(2)
        model.fixed.flags.writeable = model.now.flags.writeable = False

    def factor(model: Any) -> float:
        model.mean *= 0.9
        model.mean[0] += 0.1
        model.count = model.count + 1
        model.view += model.mean[0]
        model.now = model.now * 1.01
        model.now.flags.writeable = False
        return float(model.now.sum() + model.mean.sum() + 0.01 * model.count + 0.01 * model.window.sum())

    return of(start, factor)


@stateful
def containers() -> Any:
    def start(model: Any) -> None:
        model.list, model.dict, model.deque = [0.0], {"n": 0, (1, "a"): [1]}, deque([1.0], maxlen=3)
        model.set, model.tuple, model.moments = {1}, (0, [1.0], max), dict.fromkeys(model.parameters(), 0.0)
        model.once = 1.0

    def factor(model: Any) -> float:
        model.list.append(model.list[-1] + 0.01)
        model.dict["n"] += 1
        model.dict[(1, "a")].append(2)
        model.dict[f"new {model.dict['n']}"] = {"inner": [model.dict["n"]]}
        model.deque.append(model.list[-1])
        model.set.add(len(model.set) + 1)
        model.tuple[1][0] *= 1.01
        model.tuple = (model.tuple[0] + 1, *model.tuple[1:])
        for p in model.moments:
            model.moments[p] = 0.9 * model.moments[p] + 0.1 * p.data
        if model.dict["n"] == 5:
            del model.once
            model.window, model.kinds, model.pair = deque([1.0], maxlen=2), {1.0, 2.0}, (1.0, [2.0])
            model.scale, model.array = Value(1.0), np.ones((2, 1))
        if model.dict["n"] >= 5:
            model.window.append(model.window[-1] * 1.01)
            model.pair[1][0] *= 1.01
            model.scale.data *= 1.01
            model.array *= 1.01
            return float(sum(model.window) + model.pair[1][0] + model.scale.data + model.array.sum() + sum(model.kinds))
        counted = sum(model.set) + len(model.dict) + model.tuple[0] + len(model.dict[(1, "a")]) + model.tuple[1][0]
        return 1.0 + sum(model.deque) + 0.001 * counted + sum(model.moments.values()) + model.once

    return of(start, factor)


@dataclasses.dataclass
class Stats:
    __slots__ = ("count", "inner")
    count: int
    inner: Any


@dataclasses.dataclass(frozen=True)
class Frozen:
    counts: list[int]


@stateful
def objects_in_a_ring() -> Any:
    def start(model: Any) -> None:
        model.stats, model.frozen = Stats(0, Stats(1, model)), Frozen([0])
        model.inner = [types.SimpleNamespace(parent=model, calls=0) for _ in range(2)]

    def factor(model: Any) -> float:
        model.stats.count += 1
        model.stats.inner.count += model.stats.count
        model.frozen.counts[0] += 1
        for each in model.inner:
            each.calls += model.frozen.counts[0]
        return float(sum(each.parent.inner[0].calls for each in model.inner) + model.stats.inner.inner.stats.count)

    return of(start, lambda model: 1.0 + 0.001 * factor(model) + 0.001 * model.stats.inner.count)


class Phase(enum.Enum):
    WARM = 1
    MAIN = 2


@stateful
def numbers_of_all_kinds() -> Any:
    def start(model: Any) -> None:
        model.best, model.small, model.flag, model.text, model.zero = float("inf"), np.float32(1.0), False, "", 0.0
        model.scale = Value(1.0)  # `parameters` below leaves it out
        model.parameters = functools.partial(list, [*model.w, model.b])

    def factor(model: Any) -> float:
        model.best = min(model.best, 3.0) - 0.01
        model.small, model.flag = model.small * np.float32(1.01), not model.flag
        model.text, model.zero = model.text[:5] + "a", -model.zero
        model.scale.data *= 1.01
        model.scale.grad += 0.01
        kept = model.best + model.small + model.flag + 0.1 * float(np.copysign(1.0, model.zero))
        return float(kept + model.scale.data + model.scale.grad + 0.01 * len(model.text))

    return of(start, factor)


class Moving(Value):
    """A parameter that stores its moment, as in programs for micrograd."""

    def __init__(self, data: float) -> None:
        super().__init__(data)
        self.m = 0.0


@stateful
def moments_on_parameters() -> Any:
    def start(model: Any) -> None:
        model.w, model.b = [Moving(0.5), Moving(-0.25)], Moving(0.125)

    def factor(model: Any) -> float:
        for p in model.parameters():
            p.m = 0.9 * p.m + 0.1 * p.data
        return float(1.0 + sum(p.m for p in model.parameters()))

    return of(start, factor)


@stateful
def what_cannot_change_and_no_file_can_hold() -> Any:
    def start(model: Any) -> None:
        model.lock, model.log, model.pattern = threading.Lock(), logging.getLogger(__name__), re.compile("a")
        model.sets = {10, 9, 2, "b", "a", None, (1, 2)}, frozenset([10, 9, 2, "b"]), {model.b, model.w[0]}
        model.file, model.act, model.kind, model.compiled = io.StringIO("x"), lambda x: x, Net, compile(squared_error)
        model.bound, model.method, model.calls = functools.partial(max, 1), model.parameters, 0
        model.derived, model.phase, model.log_file = Value(1.5) * 2.0, Phase.MAIN, sys.__stderr__

    def factor(model: Any) -> float:
        model.calls += 1
        return 1.0 + 0.01 * model.calls

    return of(start, factor)


# There are 12 steps, 4 in an epoch.
@pytest.mark.parametrize(("cut", "end"), [(1, "stop"), (4, "stop"), (7, "stop"), (11, "crash")])
@pytest.mark.parametrize("name", STATEFUL)
def test_a_model_with_state_ends_the_same(name: str, cut: int, end: str, tmp_path: Path) -> None:
    ends_the_same(lambda: (STATEFUL[name](), {}), tmp_path / "run.json", cut, end)


# --- state elsewhere ---


class Annealing(StepLR):
    """A schedule with a counter of its own, in addition to `steps`, which `progress` does not name."""

    seen = 0

    def step(self, metric: float | None = None) -> None:
        self.seen += 1
        self.base_rates[0] /= 1 + self.seen
        super().step(metric)


class Jittered(SGD):
    """A metric that draws random numbers and counts them."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.05, momentum=0.5)
        self.rng, self.count = random.Random(3), 0

    def _update(self, group: Any, state: Any, data: Any, grad: Any) -> Any:
        self.count += 1
        return super()._update(group, state, data, grad * self.rng.uniform(0.5, 1.5) / self.count)


class Wary(EarlyStopping):
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


ELSEWHERE: dict[str, Callable[[Any], dict[str, Any]]] = {
    "loss: an object": lambda model: {"loss": CountingLoss()},
    "loss: a method": lambda model: {"loss": CountingLoss().as_method},
    "loss: a partial": lambda model: {"loss": functools.partial(CountingLoss().as_method)},
    "optimizer": lambda model: {"optimizer": Jittered(model.parameters())},
    "schedule": lambda model: {"optimizer": "sgd", "schedule": lambda o: Annealing(o, 1, interval="step")},
    "early stopping": lambda model: {"early_stopping": Wary(1)},
    "LBFGS": lambda model: {"optimizer": LBFGS(model.parameters(), max_iter=2, history_size=3), "batch_size": 4},
    "a part of the parameters": lambda model: {"optimizer": Adam(model.parameters()[:2])},
}


@pytest.mark.parametrize(("cut", "end", "compile_it"), [(2, "stop", False), (5, "crash", "auto")])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_state_of_loss_optimizer_schedule_and_stopping(
    name: str, cut: int, end: str, compile_it: bool | str, tmp_path: Path
) -> None:
    def make() -> tuple[Any, dict[str, Any]]:
        model = MLP(2, [3, 1], activation="tanh", rng=0)
        return model, {"compile": compile_it, **ELSEWHERE[name](model)}

    ends_the_same(make, tmp_path / "run.json", cut, end)


def test_gradients_of_parameters_that_are_not_moved_are_restored(tmp_path: Path) -> None:
    def run(**others: Any) -> list[str]:
        model = MLP(2, [3, 1], activation="tanh", rng=0)
        train(model, optimizer=SGD(model.parameters()[:2], lr=0.1), compile=False, **others)
        return [p.grad.hex() for p in model.parameters()]

    expected = run()
    run(checkpoint=tmp_path / "run.json", callbacks=at(6, TrainingEvent.stop))
    assert run(checkpoint=tmp_path / "run.json", resume=True) == expected


def test_objects_that_know_each_other(tmp_path: Path) -> None:
    def make() -> tuple[Any, dict[str, Any]]:
        model: Any = MLP(2, [3, 1], activation="tanh", rng=0)
        model.optimizer, model.loss = Jittered(model.parameters()), CountingLoss()
        return model, {"optimizer": model.optimizer, "loss": model.loss}

    ends_the_same(make, tmp_path / "run.json", 5, "stop")


def test_a_container_that_the_run_shared_no_longer_is_restored_apart(tmp_path: Path) -> None:
    def make() -> Any:
        model = of(lambda m: setattr(m, "one", [0.0]), lambda m: 1.0)
        model.two = model.one
        return model

    split = at(2, lambda event: setattr(event.model, "two", [*event.model.two, 1.0]))
    train(make(), checkpoint=tmp_path / "run.json", callbacks=split)
    again = make()
    train(again, checkpoint=tmp_path / "run.json", resume=True)
    assert (again.one, again.two) == ([0.0], [0.0, 1.0])


# --- errors ---


def test_an_iterator_and_an_incomparable_object_are_refused_before_the_first_epoch(tmp_path: Path) -> None:
    for item, found in (((i for i in [1]), r"an iterator \(gen"), (collections.defaultdict(lambda: 0), "an object")):
        model = of(lambda m, item=item: setattr(m, "item", item), lambda m: 1.0)
        called: list[Any] = []
        with pytest.raises(TypeError, match=rf"model\.item: .*got {found}"):
            train(model, checkpoint=tmp_path / "run.json", callbacks=called.append)
        assert called == []
        assert list(tmp_path.iterdir()) == []


class Number(int):
    pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.file.write("more"), r"model\.file: .*\(StringIO\)"),
        (lambda m: setattr(m, "other", io.StringIO()), r"model\.other: .*\(StringIO\)"),
        (lambda m: setattr(m, "helper", Frozen([])), r"model\.helper: .*\(Frozen\)"),
        (lambda m: setattr(m, "act", abs), r"model\.act: .*\(abs\)"),
        (lambda m: setattr(m, "words", [lambda x: x]), r"model\.words\[0\]: .*\(<lambda>"),
        (lambda m: m.moved.add("b"), r"model\.moved: .*\(set\)"),
        (lambda m: setattr(m, "number", Number(2)), r"model\.number: .*\(Number\)"),
        (lambda m: m.counter.update("b"), r"model\.counter: .*\(Counter\)"),
        (lambda m: setattr(m, "state", m.w[0] * 2.0), r"model\.state: .*result .* of the operation \*\); .*\.detach"),
    ],
)
def test_changed_state_that_no_file_can_hold_is_named_and_the_history_kept(
    change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    def start(model: Any) -> None:
        model.file, model.act, model.number, model.words = io.StringIO(), max, Number(1), ["a"]
        model.moved, model.counter, model.state = {"a", Phase.MAIN}, collections.Counter("a"), Value(1.5) * 2.0

    model = of(start, lambda m: 1.0)
    with pytest.raises(CheckpointError, match=message) as caught:
        train(model, checkpoint=tmp_path / "run.json", callbacks=at(2, lambda event: change(event.model)))
    assert len(caught.value.history) == 4
    assert str(tmp_path / "run.json") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


LIST, SPACE = [0], types.SimpleNamespace()


def with_settings(**settings: Any) -> Any:
    usual = types.SimpleNamespace(
        rate=0.5, small=np.float32(0.5), derived=Value(1.5) * 2.0, act=max, twice=lambda x: x * 2, sizes=[1, 2],
        rates=[0.5, 0.25], mask=np.ones(2), window=deque([1.0], maxlen=2), part=functools.partial(max, 1),
        phase=Phase.WARM, one=LIST, two=LIST, three=types.SimpleNamespace(), four=types.SimpleNamespace(),
    )  # fmt: skip
    return of(lambda model: vars(model).update({**vars(usual), **settings}), lambda model: 1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0.25}, "a run with model.rate 0.5, and this one has 0.25"),
        ({"rate": None}, "a run with model.rate 0.5, and this one has None"),
        ({"small": np.float32(2.0)}, r"a run with model.small .*0\.5\)?, and this one has .*2\.0\)?"),
        ({"act": min}, "a run with model.act of type max.*, and this one has one of type min"),
        ({"act": lambda x: x}, "a run with model.act of type max.*, and this one has <lambda>"),
        ({"twice": lambda x: x * 3}, r"a run with model.twice <lambda> 2, and this one has <lambda> 3"),
        ({"sizes": [1, 3]}, r"a run with model.sizes\[1\] 2, and this one has 3"),
        ({"sizes": [1, 2, 3]}, r"a run without model.sizes\[2\]"),
        ({"rates": [0.5]}, r"a run with model.rates\[1\] 0.25, and this one has none"),
        ({"part": functools.partial(max, 2)}, "a run with model.part.args tuple .1., and this one has tuple .2."),
        ({"two": [0]}, r"model.two of type list \(model.one\), and this one has .* \(model.two\)"),
        ({"three": SPACE, "four": SPACE}, "a run with model.four of type SimpleNamespace"),
        ({"phase": Phase.MAIN}, "a run with model.phase <Phase.WARM.*, and this one has <Phase.MAIN"),
        ({"sizes": (1, 2)}, "a run with model.sizes of type list.*, and this one has tuple"),
        ({"mask": np.ones(3)}, r"model.mask of type ndarray <f8 \[2\].*, and this one has .* ndarray <f8 \[3\]"),
        ({"more": [1]}, "a run without model.more"),
        ({"window": deque([1.0], maxlen=3)}, "a run with model.window of type deque 2"),
        ({"derived": Value(2.5) * 2.0}, r"a run with model.derived result 3\.0 .*, and this one has result 5\.0"),
    ],
)
def test_a_model_with_other_settings_is_refused_and_left_alone(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    train(with_settings(), checkpoint=tmp_path / "run.json", epochs=1)
    model = with_settings(**settings)
    model.w[0].data = 9.0
    before = repr(vars(model))
    with pytest.raises(ModelFileError, match=message):
        train(model, checkpoint=tmp_path / "run.json", resume=True)
    assert repr(vars(model)) == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"activation": "relu"}, r"activation\.name 'tanh', and this one has 'relu'"),
        ({"activation": Value.tanh}, r"activation\.name 'tanh', and this one has None"),
        ({"activation": lambda x: x.tanh()}, r"activation\.name 'tanh', and this one has None"),
        ({"output": "tanh"}, "a run with model"),
        (None, "a run with model of type MLP .model., and this one has one of type of.<locals>.Special"),
    ],
)
def test_a_tanh_network_does_not_resume_as_another(other: dict[str, Any] | None, message: str, tmp_path: Path) -> None:
    train(MLP(2, [1, 1], bias=False, activation="tanh"), checkpoint=tmp_path / "run.json", epochs=1)
    model = with_settings() if other is None else MLP(2, [1, 1], bias=False, **{"activation": "tanh", **other})
    with pytest.raises(ModelFileError, match=message):
        train(model, checkpoint=tmp_path / "run.json", resume=True)


def test_other_settings_of_a_parameter_group_are_refused(tmp_path: Path) -> None:
    def run(rate: float, **others: Any) -> None:
        model = MLP(2, [1], rng=0)
        groups = [{"params": model.parameters()[:1], "lr": rate}, {"params": model.parameters()[1:]}]
        train(model, optimizer=SGD(groups, lr=0.1), checkpoint=tmp_path / "run.json", **others)

    run(0.2)
    with pytest.raises(ModelFileError, match=r"optimizer\.param_groups\[0\].*lr.* 0\.2, and this one has 0\.3"):
        run(0.3, resume=True, epochs=4)


def test_the_same_objects_may_continue_in_one_session(tmp_path: Path) -> None:
    whole = STATEFUL["arrays"]()
    expected = train(whole, epochs=5)
    model = STATEFUL["arrays"]()
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


class Rematerialized(Module):
    """A model that keeps a checkpointed part of itself."""

    def __init__(self) -> None:
        self.inner = MLP(1, [2, 1], activation="tanh", rng=0)
        self.light = checkpoint(self.inner)

    def forward(self, x: Any) -> Any:
        return self.light(x)


def test_a_model_that_keeps_a_checkpointed_part_of_itself_goes_on_from_a_file(tmp_path: Path) -> None:
    def trained(epochs: int, **options: Any) -> list[float]:
        model = Rematerialized()
        fit(model, [[0.1], [0.2], [0.7]], [0.0, 1.0, 0.5], loss=squared_error, epochs=epochs, **options)
        return model.get_vector().tolist()

    path = tmp_path / "checkpoint"
    trained(2, checkpoint=path)
    assert trained(4, checkpoint=path, resume=True) == trained(4)
