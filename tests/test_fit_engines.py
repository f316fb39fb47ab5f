"""`fit` with and without recordings: the same course up to rounding, the same errors, and the name of the engine."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from inside import thresholds
from lines import ROWS, TARGETS, Line, at_step, mean_absolute_error, train

from microgrud import CompileError, Value, compile, custom_op, detect_anomaly, exp, log, losses, no_grad
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP
from microgrud.optim import LBFGS, SGD, Adam, OneCycleLR, Optimizer, StepLR
from microgrud.train import EarlyStopping, History, TrainingDivergedError, TrainingEvent, objective

CLASSES = [0, 1, 2, 1, 0, 2, 2, 1, 0, 1]
SIGNS = [1.0, -1.0] * 5
SHARES = [[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]] * 5
BITS = [[0.0, 1.0, 0.25]] * 5 + [[1.0, 0.0, 0.0]] * 5


def network(outputs: int = 1, output: Any = "linear", seed: int = 3) -> MLP:
    return MLP(2, [4, outputs], activation="tanh", output=output, rng=seed)


def numbers(model: Any) -> list[float]:
    return [p.data for p in model.parameters()]


def figures(history: History) -> list[float]:
    """Return everything in a history, in one list."""
    of_epochs = [(r.loss, r.metric, r.validation_loss, r.validation_metric) for r in history.epochs]
    columns = [history.loss, history.metric, history.gradient_norm, history.learning_rate, *of_epochs]
    return [math.nan if x is None else x for column in columns for x in column]


def both(make: Callable[[], Any], y: Any = TARGETS, **settings: Any) -> tuple[Any, History]:
    """Train with the tape and without, compare the two, and return model and history of the run with the tape."""
    taped, eager = make(), make()
    settings = {"epochs": 3, "batch_size": 4, **settings}
    histories = [
        train(
            model,
            y=y,
            compile=way,
            **{k: v(model) if k == "optimizer" and callable(v) else v for k, v in settings.items()},
        )
        for model, way in ((taped, True), (eager, False))
    ]
    assert [history.engine for history in histories] == ["tape", "eager"]
    assert numbers(taped) == pytest.approx(numbers(eager), rel=1e-9, abs=1e-12)
    assert figures(histories[0]) == pytest.approx(figures(histories[1]), rel=1e-8, abs=1e-10, nan_ok=True)
    assert numbers(taped) != numbers(make())
    return taped, histories[0]


# --- the same course ---


@pytest.mark.parametrize(
    "optimizer", ["sgd", "adagrad", "rmsprop", "adam", "adamw", lambda m: LBFGS(m.parameters(), max_iter=4)]
)
@pytest.mark.parametrize("batch_size", [4, None])
def test_every_optimizer_takes_the_same_course(optimizer: Any, batch_size: int | None) -> None:
    both(network, optimizer=optimizer, batch_size=batch_size, epochs=3 if isinstance(optimizer, str) else 1)


@pytest.mark.parametrize(
    ("loss", "output", "y", "outputs"),
    [
        ("squared_error", "linear", TARGETS, 1),
        ("squared_error", "linear", SHARES, 3),
        ("absolute_error", "linear", SHARES, 3),
        ("huber", "linear", TARGETS, 1),
        ("hinge", "linear", SIGNS, 1),
        ("hinge", "linear", [int(sign) for sign in SIGNS], 1),
        ("binary_cross_entropy", "sigmoid", [sign > 0 for sign in SIGNS], 1),
        ("binary_cross_entropy", "sigmoid", BITS, 3),
        ("binary_cross_entropy_with_logits", "linear", [int(sign > 0) for sign in SIGNS], 1),
        ("binary_cross_entropy_with_logits", "linear", BITS, 3),
        ("cross_entropy", "linear", CLASSES, 3),
        ("cross_entropy", "linear", [float(k) for k in CLASSES], 3),
        ("cross_entropy", "linear", SHARES, 3),
        ("cross_entropy", "linear", [tuple(shares) for shares in SHARES], 3),
        ("negative_log_likelihood", "log_softmax", CLASSES, 3),
    ],
)
def test_every_loss_takes_the_same_course(loss: str, output: str, y: Any, outputs: int) -> None:
    both(lambda: network(outputs, output), y, loss=getattr(losses, loss))


@contextmanager
def recorded_losses() -> Iterator[list[Any]]:
    """Collect the recorded losses that `fit` makes."""
    made: list[Any] = []
    real = objective.RecordedLoss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective, "RecordedLoss", lambda *args: made.append(real(*args)) or made[-1])
        yield made


@pytest.mark.parametrize("optimizer", [partial(SGD, lr=0.1, momentum=0.9), partial(Adam, lr=0.01)])
@pytest.mark.parametrize(
    ("loss", "targets", "outputs"),
    [(squared_error, TARGETS, 1), (cross_entropy, CLASSES, 3)],
    ids=["floats", "classes"],
)
def test_a_run_has_the_bits_of_a_loop_with_a_compiled_loss(
    optimizer: Callable[..., Optimizer], loss: Any, targets: list[Any], outputs: int
) -> None:
    in_fit, by_hand = network(outputs), network(outputs)
    own = compile(lambda x, y: loss(by_hand(x), y), batched=("x", "y"))
    metric = {"metric": mean_absolute_error} if outputs == 1 else {}
    kept = optimizer(in_fit.parameters())
    history = train(in_fit, y=targets, loss=loss, optimizer=kept, shuffle=False, compile=True, **metric)
    steps = optimizer(by_hand.parameters())
    norms = []
    for _ in range(3):
        for start in range(0, len(ROWS), 4):
            steps.zero_grad()
            own.backward(np.array(ROWS[start : start + 4]), np.array(targets[start : start + 4]))
            norms.append(math.hypot(*[p.grad for p in by_hand.parameters()]))
            steps.step()
    assert history.engine == "tape"
    assert numbers(in_fit) == numbers(by_hand)
    assert [p.grad for p in in_fit.parameters()] == [p.grad for p in by_hand.parameters()]
    assert history.gradient_norm == norms


def test_rows_without_numbers_have_recordings_too() -> None:
    class Constant(Line):
        def __call__(self, row: list[float]) -> Value:
            return self.b * 1.0

    both(Constant, X=[[]] * 10)


def test_one_recording_serves_every_class() -> None:
    with thresholds(least_work=0, least_samples=0), recorded_losses() as made:
        assert train(network(3), y=CLASSES, loss=cross_entropy).engine == "tape"
    assert [len(each.recordings.branches.recordings) for each in made] == [1]


@pytest.mark.parametrize(
    "settings",
    [
        {"metric": mean_absolute_error},
        {"clip_norm": 0.05},
        {"schedule": lambda o: StepLR(o, 1, 0.5)},
        {"optimizer": lambda m: SGD(m.parameters(), lr=0.1, momentum=0.9), "schedule": lambda o: OneCycleLR(o, 0.2, 9)},
        {"validation": 0.3, "metric": mean_absolute_error, "early_stopping": 2},
        {"validation": (ROWS[:5], [1] * 5), "early_stopping": EarlyStopping(1, restore_best=True), "epochs": 6},
        {"shuffle": False, "batch_size": 3},
        {"optimizer": lambda m: SGD(m.parameters()[:9], lr=0.1)},
    ],
)
def test_everything_around_the_step_is_the_same_with_recordings(settings: dict[str, Any]) -> None:
    both(network, **settings)


SHAPES: dict[str, Callable[[Value], Any]] = {
    "a number": lambda x: x,
    "a list": lambda x: [x, 2 * x],
    "a tuple": lambda x: (x, 2 * x),
    "an array": lambda x: np.array([x, 2 * x]),
    "nested": lambda x: [[x], [2 * x, x]],
    "with plain numbers": lambda x: [x, 1.0],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_metric_gets_the_same_predictions_with_recordings(shape: str) -> None:
    class Shaped(Line):
        def __call__(self, row: list[float]) -> Any:
            return SHAPES[shape](super().__call__(row))

    seen: dict[bool, list[Any]] = {True: [], False: []}
    for way, given in seen.items():

        def metric(predictions: list[Any], targets: list[Any], given: list[Any] = given) -> float:
            given.append((predictions, targets))
            return 0.0

        model = Shaped(0.3, -0.2)
        train(model, loss=lambda p, t: (leaves(p)[0] - t) ** 2, metric=metric, compile=way, epochs=1)
    for (one, targets), (other, same) in zip(*seen.values()):
        assert targets == same
        assert leaves(one) == pytest.approx(leaves(other), rel=1e-9)
        assert kinds(one) == kinds(other)


def leaves(x: Any) -> list[Any]:
    return [leaf for item in x for leaf in leaves(item)] if isinstance(x, (list, tuple, np.ndarray)) else [x]


def kinds(x: Any) -> Any:
    return [kinds(item) for item in x] if isinstance(x, list) else type(x)


def test_gradients_of_others_add_up_with_recordings_too() -> None:
    grads = []
    for way in (True, False):
        model = network()
        train(model, optimizer=SGD(model.parameters()[:5], lr=0.1), compile=way)
        grads.append([p.grad for p in model.parameters()[5:]])
    assert grads[0] == pytest.approx(grads[1], rel=1e-9)


def test_modes_have_recordings_of_their_own() -> None:
    class Moody(MLP):
        def __call__(self, x: Any) -> Any:
            out = super().__call__(x)
            return out if self.training else 2 * out

    _, history = both(lambda: Moody(2, [3, 1], rng=0), validation=(ROWS, TARGETS))
    assert history.epochs[0].validation_loss is not None


def test_a_path_that_only_a_later_validation_takes_is_recorded_in_evaluation_mode() -> None:
    class Moody(MLP):
        def __call__(self, x: Any) -> Any:
            out = super().__call__(x)
            if out > 2.0:
                return out if self.training else 2 * out
            return out

    settings = {"optimizer": lambda model: SGD(model.parameters(), lr=0.02), "epochs": 20, "y": [3.0] * len(ROWS)}
    _, history = both(lambda: Moody(2, [1], rng=0), validation=([[1.0, 1.0]], [6.0]), **settings)
    losses = [record.validation_loss or 0.0 for record in history.epochs]
    assert losses[0] > 4.0**2  # the output was below 2
    assert losses[-1] < 4.0**2


def test_a_change_that_lasts_for_one_validation_is_seen_by_it_alone() -> None:
    class Scaled(MLP):
        scale = 1.0

        def __call__(self, x: Any) -> Any:
            return super().__call__(x) * self.scale

    def change(event: TrainingEvent) -> None:
        last = event.kind == "step" and event.batch == event.batches
        event.model.scale = 50.0 if last and event.epoch in (2, 4) else 1.0

    settings = {"validation": (ROWS, TARGETS), "epochs": 6, "callbacks": change}
    _, history = both(lambda: Scaled(2, [3, 1], rng=0), **settings)
    losses = [record.validation_loss or 0.0 for record in history.epochs]
    assert [loss > 10.0 for loss in losses] == [False, True, False, True, False, False]


@pytest.mark.parametrize("way", ["method", "property", "assignment"])
def test_code_that_runs_when_the_mode_is_set_runs_in_every_validation(way: str) -> None:
    class Averaged(MLP):
        def swap(self, training: bool) -> None:
            self.layers[0].neurons[0].b.data += 1.0 if training else -1.0
            swaps.append(training)

    class ByMethod(Averaged):
        def train(self, mode: bool = True) -> Any:
            self.swap(mode)
            return super().train(mode)

    class ByProperty(Averaged):
        training = property(lambda self: vars(self).get("mode", True), lambda self, mode: self.set(mode))

        def set(self, mode: bool) -> None:
            vars(self)["mode"] = mode
            self.swap(mode)

    class ByAssignment(Averaged):
        def __setattr__(self, name: str, x: Any) -> None:
            super().__setattr__(name, x)
            if name == "training":
                self.swap(x)

    kind = {"method": ByMethod, "property": ByProperty, "assignment": ByAssignment}[way]
    swaps: list[bool] = []
    both(lambda: kind(2, [3, 1], rng=0), validation=(ROWS, TARGETS), epochs=4)  # type: ignore[abstract]
    assert swaps == [True, *[False, True] * 4, True] * 2


def test_each_sample_takes_its_own_branch() -> None:
    def steep(p: Value, t: float) -> Value:
        return (p - t) ** 2 if p > t else 3 * (t - p) if t > 1.2 else (t - p) * t

    both(lambda: Line(1.0, 0.5), loss=steep, batch_size=None, epochs=5)


# --- resumed runs, with bit-identical results ---


def three_ways(p: Value, t: Any) -> Value:
    return (p - t) ** 2 if p > t else (t - p) * 0.3 if p > t - 0.5 else 0.7 * (t - p) + p * 0.1


@pytest.mark.parametrize("loss", [squared_error, three_ways])
def test_a_resumed_run_takes_the_same_engine_to_the_same_bits(loss: Any, tmp_path: Path) -> None:
    def run(epochs: int, resume: bool = False, stop: int = 0) -> tuple[list[float], History]:
        model = network(seed=1)
        history = train(
            model,
            loss=loss,
            lr=0.1,
            epochs=epochs,
            batch_size=5 if loss is squared_error else None,
            callbacks=at_step(stop, TrainingEvent.stop),
            checkpoint=tmp_path / "run.json" if epochs else None,
            resume=resume,
            validation=0.2,
            compile=True,
        )
        return numbers(model), history

    whole = run(12)
    assert whole[1].engine == "tape"
    for stop in (1, 4, 7):
        (tmp_path / "run.json").unlink()
        run(12, stop=stop)
        assert run(12, resume=True) == whole


def test_a_resumed_run_stays_eager_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    first = train(Line(0.0, 0.0), checkpoint=path)
    assert first.engine == "eager"
    assert str(first.eager_because).startswith("a batch of 4 samples with 11 operands each is too little work")
    second = train(Line(0.0, 0.0), checkpoint=path, resume=True, epochs=5)
    assert (second.engine, second.eager_because) == (first.engine, first.eager_because)
    assert train(Line(0.0, 0.0), checkpoint=path, resume=True, epochs=6, compile=True).engine == "tape"
    assert train(Line(0.0, 0.0), checkpoint=path, resume=True, epochs=7).engine == "tape"
    assert train(Line(0.0, 0.0), checkpoint=path, resume=True, epochs=8, compile=False).engine == "eager"


def test_a_history_says_which_engine_it_was() -> None:
    history = train(network(), compile=True)
    assert History.from_dict(history.to_dict()) == history
    with pytest.raises(ValueError, match="expected the engine 'tape' or 'eager', got 'steam'"):
        History.from_dict({**history.to_dict(), "engine": "steam"})
    assert train(network(), epochs=0).engine is None


# --- models that cannot be recorded ---


def read_data(p: Value, t: float) -> Value:
    return (p - t) ** 2 * (1.0 + abs(p.data))


def drop_out(p: Value, t: float) -> Value:
    return (p - t) ** 2 if random.random() < 0.5 else p * 0.0


def drop_out_of_numpy(p: Value, t: float) -> Value:
    return (p - t) ** 2 * np.random.random() if np.random.random() < 0.5 else (p - t) ** 2


def by_equality(p: Value, t: float) -> Value:
    return (p - t) ** 2 if t == TARGETS[-1] else abs(p - t)


def by_inequality_of_what_is_computed(p: Value, t: float) -> Value:
    return (p - t) ** 2 if -t + 1.0 != 0.0 else abs(p - t)


def by_table(p: Value, t: float) -> Value:
    return (p - t) ** 2 * {TARGETS[0]: 2.0}.get(t, 1.0)


def by_type(p: Value, t: Any) -> Value:
    return (p - t) ** 2 if isinstance(t, float) else p * 0.0


def without_a_graph(p: Value, t: float) -> Value:
    with no_grad():
        scale = 1.0 / (1.0 + p * p)
    return scale * (p - t) ** 2


def by_hand(p: Value, t: float) -> Value:
    out = Value(2.0 * p.item() if False else 2.0, (p,), "twice")

    def backward() -> None:
        p.grad += 2.0 * out.grad

    out._backward = backward
    return out


def caught(p: Value, t: float) -> Value:
    try:
        return log(p - 100.0)
    except ValueError:
        return (p - t) ** 2


def many_ways(p: Value, t: float) -> Value:
    return functools.reduce(lambda total, k: total + p if t > k / 10 else total, range(40), (p - t) ** 2)


REASONS: dict[str, tuple[Callable[[Value, Any], Value], str]] = {
    "reads .data": (read_data, ".data of"),
    "draws random numbers": (drop_out, "on something that has changed, or on random numbers"),
    "draws those of NumPy": (drop_out_of_numpy, "on something that has changed, or on random numbers"),
    "looks a number up": (by_table, "if its numbers are Values, and "),
    "asks for the type": (by_type, "if its numbers are Values, and "),
    "has no graph": (without_a_graph, "no_grad inside a compiled function"),
    "has a node by hand": (by_hand, "a node built by hand (twice)"),
    "catches errors": (caught, "the model or the loss catches the error that an operation raises"),
    "branches at will": (
        many_ways,
        "expected at most 4 different paths or integer arguments in one batch, got more; write",
    ),
    "converts Values": (lambda p, t: (p - math.sqrt(t)) ** 2, "float() of Value"),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_model_that_cannot_be_recorded_is_trained_eagerly_with_a_reason(case: str) -> None:
    loss, reason = REASONS[case]
    runs = []
    for way in ("auto", False):
        random.seed(5)
        np.random.seed(5)
        model = Line(*[0.1] * 2, b=0.4)
        with thresholds(least_work=0, least_samples=0):
            history = train(model, loss=loss, batch_size=5, compile=way)
        runs.append((model.numbers, figures(history), random.random(), np.random.random()))
    assert history.eager_because == "compile=False"
    assert repr(runs[0]) == repr(runs[1])  # to the bit; NaN included
    random.seed(5)
    with pytest.raises(CompileError, match="fit: compile: expected a model and a loss that can be recorded") as caught:
        train(Line(0.1, 0.1, b=0.4), loss=loss, batch_size=5, compile=True)
    assert reason in str(caught.value)


@thresholds(least_work=0, least_samples=0)
@pytest.mark.parametrize("loss", [by_equality, by_inequality_of_what_is_computed])
def test_equality_with_a_number_is_a_branch_like_any_other(loss: Callable[[Value, Any], Value]) -> None:
    ends = {}
    for way in ("auto", True, False):
        model = Line(*[0.1] * 2, b=0.4)
        history = train(model, loss=loss, batch_size=5, compile=way)
        assert history.engine == ("tape" if way else "eager")
        ends[way] = model.numbers
    assert ends["auto"] == ends[True] == pytest.approx(ends[False], rel=1e-9)


@thresholds(least_work=0)
def test_targets_that_are_not_numbers_are_trained_on_eagerly() -> None:
    history = train(
        Line(0.0, 0.0), y=["one", "two"] * 5, loss=lambda p, t: (p - len(t)) ** 2, batch_size=None, epochs=1
    )
    assert history.eager_because == "the targets are not numbers, or lists of the same number of numbers"
    assert train(network(3), y=[0, [0.5, 0.5, 0.0]] * 5, loss=cross_entropy).engine == "eager"


def test_a_custom_operation_is_recorded_with_its_derivative() -> None:
    cube = custom_op("cube", lambda x: x**3, lambda z, x: 3 * x * x)
    both(network, loss=lambda p, t: cube(p - t) + (p - t) ** 2)


def test_small_batches_are_faster_without_and_large_ones_on_the_tape() -> None:
    for size, engine in ((1, "eager"), (300, "tape")):
        history = train(network(), [[0.1, 0.2]] * size, [0.3] * size, epochs=1, batch_size=None)
        assert history.engine == engine
    assert train(network(), [[0.1, 0.2]] * 300, [0.3] * 300, epochs=1, batch_size=None, compile=False).engine == "eager"


def test_anomaly_detection_is_eager() -> None:
    with detect_anomaly():
        with pytest.raises(CompileError, match="detect_anomaly"):
            train(network(), compile=True)
        assert train(network(), batch_size=None, epochs=1).eager_because == "detect_anomaly() watches each operation"


def test_the_choice_is_checked() -> None:
    with pytest.raises(ValueError, match="fit: compile: expected one of True, False, 'auto', got 'tape'"):
        train(network(), compile="tape")


# --- state from call to call ---


class Counting(MLP):
    """A network that counts its calls, keeps running means, and draws noise from its own generator."""

    def __init__(self) -> None:
        super().__init__(2, [4, 1], activation="tanh", rng=3)
        self.calls, self.seen, self.means = 0, {"rows": 0}, np.zeros(2)
        self.rng, self.numpy_rng = random.Random(1), np.random.default_rng(1)
        self.kinds: set[int] = set()

    def __call__(self, x: Any) -> Any:
        return super().__call__(x)


def count(model: Counting) -> None:
    model.calls += 1


def count_in_a_dict(model: Counting) -> None:
    model.seen["rows"] += 1


def count_in_a_set(model: Counting) -> None:
    model.kinds.add(len(model.kinds))


def average(model: Counting) -> None:
    model.means *= 0.9
    model.means += 0.1


def draw(model: Counting) -> None:
    model.rng.random()


def draw_by_numpy(model: Counting) -> None:
    model.numpy_rng.random()


def grow(model: Counting) -> None:
    model.layers[0].neurons[0].history = [*getattr(model.layers[0].neurons[0], "history", []), 1.0]


@thresholds(least_work=0)
@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (count, "the code of model.__call__: keep (count) in line"),
        (count_in_a_dict, "a call changes model.seen, which a replay would not"),
        (count_in_a_set, "it uses model.kinds (an object of type set)"),
        (average, "the code of model.__call__: keep (average) in line"),
        (draw, "it uses model.rng (an object of type Random)"),
        (draw_by_numpy, "it uses model.numpy_rng (an object of type Generator)"),
        (grow, "the code of model.__call__: keep (grow) in line"),
    ],
)
def test_a_model_that_keeps_something_is_trained_as_before(keep: Callable[[Counting], None], why: str) -> None:
    class Keeping(Counting):
        def __call__(self, x: Any) -> Any:
            keep(self)
            return super().__call__(x)

    states = []
    for way in ("auto", False):
        model = Keeping()
        history = train(model, batch_size=None, compile=way)
        own = (model.calls, model.seen, model.kinds, model.means.tolist(), model.rng.random(), model.numpy_rng.random())
        states.append((numbers(model), own, getattr(model.layers[0].neurons[0], "history", None)))
        if way:
            assert str(history.eager_because).startswith(why)
            vouched = "; compile=True takes your word that it gives the same for the same numbers and changes nothing"
            assert str(history.eager_because).endswith(vouched) == (not why.startswith("a call changes"))
    assert states[0] == states[1]


def test_objects_made_at_the_first_call_are_no_reason() -> None:
    class Lazy(Line):
        scale: list[float] | None = None

        def __call__(self, row: list[float]) -> Any:
            if self.scale is None:
                self.scale = [1.0, 2.0]
            return super().__call__([x * k for x, k in zip(row, self.scale)])

    both(lambda: Lazy(0.1, 0.2))


def test_a_change_by_a_callback_is_recorded_again() -> None:
    settings = {"weight": 1.0}

    def weighed(p: Value, t: float) -> Value:
        return (p - t) ** 2 * settings["weight"]

    class Bent(MLP):
        bend = 0.0

        def __call__(self, x: Any) -> Any:
            out = super().__call__(x)
            return out + self.bend * out * out

    def bend(event: TrainingEvent) -> None:
        event.model.bend = 0.1 * event.step
        settings["weight"] = 1.0 + event.step

    def make() -> Bent:
        settings["weight"] = 1.0
        return Bent(2, [3, 1], rng=0)

    runs = [
        train(make(), loss=weighed, callbacks=f, compile=way) for f, way in ((bend, True), (bend, False), ((), True))
    ]
    assert [history.engine for history in runs] == ["tape", "eager", "tape"]
    assert figures(runs[0]) == pytest.approx(figures(runs[1]), rel=1e-9, nan_ok=True)
    assert runs[0].loss[0] == runs[2].loss[0]
    assert runs[0].loss[1] > 1.5 * runs[2].loss[1]


@thresholds(least_work=0)
@pytest.mark.parametrize(
    ("kind", "rows", "batch_size", "engine"),
    [
        ("step", 10, None, "eager"),
        ("step", 99, None, "eager"),
        ("step", 100, None, "tape"),
        ("step", 100, 10, "eager"),
        ("epoch", 100, 10, "tape"),
    ],
)
def test_a_changed_model_is_recorded_again_if_there_are_enough_replays(
    kind: str, rows: int, batch_size: int | None, engine: str
) -> None:
    weight = [1.0]

    def change(event: TrainingEvent) -> None:
        if event.kind == kind:
            weight[0] = 1.0 + event.step

    def run(compile: Any = "auto") -> tuple[list[float], History]:
        model, weight[0] = network(), 1.0
        history = train(
            model, [[i / rows, (i % 3) / 3] for i in range(rows)], [i / rows for i in range(rows)],
            loss=lambda p, t: (p - t) ** 2 * weight[0], callbacks=change, epochs=5, batch_size=batch_size,
            compile=compile,
        )  # fmt: skip
        return numbers(model), history

    whole = run()
    assert whole[1].engine == engine
    assert whole[1].eager_because == (
        None
        if engine == "tape"
        else f"loss: weight[0] changes too often for recordings of {batch_size or rows} samples"
    )
    assert whole[0] == pytest.approx(run(compile=False)[0], rel=1e-9)


def test_each_whole_target_that_a_loss_uses_has_a_recording_if_they_are_few() -> None:
    def chosen(p: Any, t: int) -> Value:
        return -p[t]

    both(lambda: network(3, "log_softmax"), CLASSES, loss=chosen)
    with pytest.raises(CompileError, match="a recording for each of 10 integer targets; look up with microgrud.take"):
        train(network(10, "log_softmax"), y=list(range(10)), loss=chosen, compile=True)


def test_a_callback_may_prune_parameters() -> None:
    def prune(event: TrainingEvent) -> None:
        event.model.parameters()[0].data = 0.0

    model, _ = both(network, callbacks=prune)
    assert model.parameters()[0].data == 0.0


# --- errors ---


@pytest.mark.parametrize(
    ("loss", "settings"),
    [
        (lambda p, t: -exp(p), {"lr": 1e4}),
        (lambda p, t: p * 1.0 + 0.0 * log(p), {"lr": 100.0}),
        (lambda p, t: p * math.inf, {}),
        (lambda p, t: (p - p.detach()) ** 0.5, {}),
        (lambda p, t: 1e160 * p, {"lr": 1e160}),
        (squared_error, {"lr": 1e80, "epochs": 9}),
        (lambda p, t: log(p - 100.0), {}),
        (lambda p, t: p.nonsense, {}),
        (lambda p, t: 1.0, {}),
    ],
)
def test_errors_have_the_same_text_and_leave_the_same_state(loss: Any, settings: dict[str, Any]) -> None:
    left = []
    for way in (True, False):
        model = Line(1.0, 2.0, b=1.0)
        optimizer = SGD(model.parameters(), lr=settings.get("lr", 0.1))
        with pytest.raises((ArithmeticError, ValueError, AttributeError, TypeError)) as caught:
            train(model, loss=loss, optimizer=optimizer, compile=way, epochs=settings.get("epochs", 3))
        left.append((type(caught.value), str(caught.value)[:60], str(type(caught.value.__cause__)), model.numbers))
    assert left[0][:3] == left[1][:3]
    assert left[0][3] == pytest.approx(left[1][3], rel=1e-9)


def test_an_index_out_of_range_is_said_to_be_one() -> None:
    for bad in ([3], [*CLASSES[:9], -1]):
        with pytest.raises(ValueError, match="cross_entropy: expected a") as caught:
            train(network(3), ROWS[: len(bad)], bad, loss=cross_entropy, compile=True)
        assert not isinstance(caught.value, TrainingDivergedError)


@thresholds(least_work=0)
def test_a_branch_that_cannot_be_recorded_ends_the_replays_from_there_on() -> None:
    seen: list[float] = []

    def loss(p: Value, t: float) -> Value:
        if p < 0.15:
            seen.append(t)
        return (p - t) ** 2

    ends = []
    for way in ("auto", False):
        seen.clear()
        engines: list[Any] = []
        model = Line(0.0, 0.0, b=1.0)
        history = train(
            model, y=[-1.0] * 10, loss=loss, batch_size=None, epochs=8, lr=0.2, compile=way,
            callbacks=lambda e, engines=engines: engines.append(e.history.engine),
        )  # fmt: skip
        ends.append((model.numbers, len(seen)))
        if way:
            assert (engines[0], engines[-1]) == ("tape", "eager")
            assert str(history.eager_because).startswith("a call changes loss: seen, which a replay would not")
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-9)
    assert ends[0][1] == ends[1][1] > 0


def test_recordings_of_later_branches_are_compared_with_the_model_as_well() -> None:
    def typed(p: Value, t: float) -> Value:
        return (p - t) ** 2 if p > 0.15 or not isinstance(t, float) else 2.0 * (p - t) ** 2

    settings: dict[str, Any] = {"y": [-1.0] * 9 + [-0.5], "batch_size": None, "epochs": 8, "lr": 0.2}
    with pytest.raises(
        CompileError, match="the loss of a sample is .* if its numbers are Values, and .* if they are floats"
    ):
        train(Line(0.0, 0.0, b=1.0), loss=typed, compile=True, **settings)


@thresholds(least_work=0)
def test_new_and_known_paths_are_counted_in_the_same_way(tmp_path: Path) -> None:
    def steps(p: Value, t: float) -> Value:  # the lower the prediction, the more branches
        return sum([0.1 * p if p > k / 5 else 0.0 for k in range(8)], (p - t) ** 2)

    def run(**settings: Any) -> tuple[list[float], History]:
        model = Line(0.3, 0.3, b=0.0)
        settings = {"batch_size": None, "epochs": 12, "lr": 0.1, "checkpoint": tmp_path / "run.json", **settings}
        history = train(model, loss=steps, **settings)
        return model.numbers, history

    engines: list[Any] = []
    whole = run(callbacks=lambda event: engines.append(event.history.engine))
    assert {"tape", "eager"} == set(engines)
    last = engines.index("eager") // 2  # one event per step, and one per epoch
    for stop in (1, last - 1, last, last + 2):
        (tmp_path / "run.json").unlink()
        run(callbacks=at_step(max(stop, 1), TrainingEvent.stop))
        again = run(resume=True)
        assert again[0] == whole[0]
        assert again[1].to_dict() == whole[1].to_dict()


def test_few_recordings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with thresholds(most_recordings=2), recorded_losses() as made:
        train(Line(0.3, 0.3), loss=three_ways, batch_size=2, lr=0.3, epochs=4, compile=True)
    assert len(made[0].recordings.branches.recordings) == 2


@thresholds(least_work=0)
def test_a_reason_found_in_validation_says_so() -> None:
    class Counting(MLP):
        seen: ClassVar[list[float]] = []

        def __call__(self, x: Any) -> Any:
            if not self.training:
                self.seen.append(1.0)
            return super().__call__(x)

    history = train(Counting(2, [3, 1], rng=0), batch_size=None, validation=(ROWS, TARGETS))
    assert history.engine == "eager"
    assert str(history.eager_because).startswith("in validation, a call changes model.seen")
    assert len(Counting.seen) == 3 * len(ROWS)


def test_the_progress_bar_says_which_engine_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    for way, engine in ((True, "tape"), (False, "eager")):
        train(network(), compile=way, progress=True)
        assert f"engine={engine}" in capsys.readouterr().err
