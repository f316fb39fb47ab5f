"""Modules as ONNX: onnxruntime computes what they compute, in double precision."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arrays import np
from hypothesis import given, reject, settings, strategies as st
from random_networks import inputs_of, random_network

import microgrud as mg
from microgrud import Value
from microgrud.export import to_onnx
from microgrud.nn import (
    ACTIVATIONS,
    MLP,
    BatchNorm1d,
    Dropout,
    Elementwise,
    Embedding,
    LayerNorm,
    Linear,
    Module,
    Neuron,
    PReLU,
    Sequential,
)
from microgrud.testing.expressions import MOVES, expressions

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("numpy")
EDGES = [0.0, -0.0, 1e-300, 1e-9, 0.5, 1.0, 3.0, 6.0, 20.0, 30.0, 38.5, 700.0, 709.5, 710.2, 720.0, 800.0]
EDGES += [1e8, 1e16, 1e155, 1e300, math.inf]


def run(model: Module, folder: Path, samples: Any, **options: Any) -> Any:
    """Export a module, and return the output of the file for samples."""
    path = folder / "model.onnx"
    to_onnx(model, path, **options)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    first, again = (session.run(None, {"input": samples})[0] for _ in range(2))
    expect_close(first, again, 0.0)
    return first


def expect_close(found: Any, wanted: Any, tolerance: float = 1e-12) -> None:
    """Compare two arrays: relative to numbers above 1; infinities and NaN are equal to their like alone."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    assert found.shape == wanted.shape
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        assert (same | (np.abs(found - wanted) <= tolerance * np.maximum(1.0, np.abs(wanted)))).all()


def or_nan(f: Callable[[float], float], x: float) -> float:
    """Return f(x), NaN where it raises an error."""
    try:
        return f(x)
    except (ArithmeticError, ValueError):
        return math.nan


def test_a_file_gives_the_predictions_of_the_model(tmp_path: Path) -> None:
    model = MLP(3, [8, 1], activation="gelu", rng=0)
    rows = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -0.5]])
    expect_close(run(model, tmp_path, rows), model.predict(rows))


def test_a_layer_is_a_product_of_matrices(tmp_path: Path) -> None:
    to_onnx(MLP(3, [4, 2], rng=0), tmp_path / "model.onnx")
    file = onnx.load(tmp_path / "model.onnx")
    assert [node.op_type for node in file.graph.node] == ["MatMul", "Add", "Relu", "MatMul", "Add", "Identity"]
    assert [x.name for x in file.graph.initializer] == [
        f"layers.{k}/{name}" for k in (0, 1) for name in ("weight", "bias")
    ]
    assert [[d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] for x in file.graph.input] == [
        ["rows", 3]
    ]


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_agree_everywhere(name: str, tmp_path: Path) -> None:
    """Where microgrud raises an error, the file gives NaN."""
    rng = random.Random(0)
    numbers = [
        *EDGES,
        *(-x for x in EDGES),
        math.nan,
        *(rng.gauss(0.0, 10.0**k) for k in range(-3, 4) for _ in range(99)),
    ]
    found = run(Elementwise(name), tmp_path, np.array(numbers)[:, None], inputs=1)[:, 0]
    wanted = [or_nan(ACTIVATIONS[name], x) for x in numbers]
    expect_close(found, wanted, 1e-10 if name == "tan" else 2e-14)  # next to poles, where the cosine cancels


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_random_networks_agree(seed: int, tmp_path_factory: Any) -> None:
    model = random_network(seed)
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(8, inputs_of(model)))
    expect_close(run(model, tmp_path_factory.mktemp("file"), rows), model.eval().predict(rows))


def test_an_export_changes_nothing_in_the_model(tmp_path: Path) -> None:
    model = Sequential(Linear(2, 3, rng=0), Dropout(0.5, rng=1), BatchNorm1d(3), Linear(3, 1, rng=2)).train()
    model.layers[0].freeze()  # type: ignore[union-attr]
    dropout: Any = model.layers[1]
    before = model.state_dict(), dropout.rng.getstate(), [p.grad for p in model.parameters()]
    rows = np.array([[1.0, 2.0], [0.0, -1.0]])
    expect_close(run(model, tmp_path, rows), model.predict(rows))
    assert (model.state_dict(), dropout.rng.getstate(), [p.grad for p in model.parameters()]) == before
    assert [each.training for each in (model, *model.children())] == [True] * 5


def test_neurons_of_a_layer_may_differ_and_layers_may_be_shared(tmp_path: Path) -> None:
    model = MLP(3, [3, 3, 2], "tanh", rng=0)
    model.layers[1] = model.layers[0]
    first = model.layers[0].neurons
    first[0].nonlin, first[1].activation, first[2].b = False, ACTIVATIONS["sin"], None
    rows = np.random.default_rng(0).normal(size=(5, 3))
    expect_close(run(model, tmp_path, rows), model.predict(rows))


def test_an_embedding_looks_up_integers(tmp_path: Path) -> None:
    model = Sequential(Embedding(5, 3, rng=0), Linear(3, 2, rng=1))
    found = run(model, tmp_path, np.array([4, 0, 2]))
    expect_close(found, [[y.data for y in model(k)] for k in (4, 0, 2)])
    assert np.isnan(run(model, tmp_path, np.array([5, -1]))).all()


class Residual(Module):
    """A block of the user's own, with an embedding and functions of microgrud."""

    def __init__(self) -> None:
        self.colour, self.inner, self.share = Embedding(4, 2, rng=0), MLP(3, [4, 3], "tanh", rng=1), Value(0.5)

    def forward(self, x: Any) -> list[Any]:
        numbers = [*self.colour(x[0]), x[1]]
        share = mg.sigmoid(self.share)
        return [
            mg.where(a > 0.0, a, 0.1 * b * mg.exp(-a * a)) + share * b for a, b in zip(numbers, self.inner(numbers))
        ]


def test_user_defined_modules_are_recorded(tmp_path: Path) -> None:
    model = Residual()
    rows = [[0, 0.5], [3, -2.0], [1, 1e3]]
    found = run(model, tmp_path, np.array(rows), inputs=2, integers=[0])
    expect_close(found, [[y.data for y in model(row)] for row in rows])
    assert np.isnan(run(model, tmp_path, np.array([[4.0, 1.0], [0.5, 1.0]]), inputs=2, integers=[0])).all()


class Program(Module):
    """A function of a list as a module."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


EVERY = {
    "arithmetic": lambda x: [x[0] + x[1], x[0] - 2.0, x[0] * x[1], x[0] / x[1], -x[0], 1.0 / x[1], +x[0], 3.0],
    "powers": lambda x: [x[0] ** 2, x[0] ** -1.0, x[0] ** 0.5, x[0] ** x[1], 2.0 ** x[1], x[1] ** 0.0],
    "roots": lambda x: [mg.sqrt(x[0]), mg.cbrt(x[1]), mg.hypot(x[0], x[1]), mg.norm(x), mg.reciprocal(x[1])],
    "logarithms": lambda x: [mg.log(x[0]), mg.log1p(x[1]), mg.log2(x[0]), mg.log10(x[0]), mg.logsumexp(x)],
    "angles": lambda x: [mg.asin(x[0]), mg.acos(x[0]), mg.atan(x[1]), mg.tan(x[1]), mg.sin(x[0]), mg.cos(x[1])],
    "areas": lambda x: [mg.asinh(x[1]), mg.acosh(x[0]), mg.sinh(x[1]), mg.cosh(x[0])],
    "area tangent": lambda x: mg.atanh(x[0]),
    "steps": lambda x: [mg.sign(x[0]), mg.floor(x[0]), mg.ceil(x[1]), mg.trunc(x[1]), round(x[0])],
    "kinks": lambda x: [mg.maximum(x[0], x[1]), mg.minimum(x[0], 0.0), mg.clip(x[0], -1.0, x[1]), abs(x[0])],
    "slopes": lambda x: [mg.leaky_relu(x[0], x[1]), mg.elu(x[0], x[1]), mg.elu(x[1], 2.0), mg.relu(x[1])],
    "choices": lambda x: [mg.where(x[0] <= x[1], x[0], 2.0), (x[0] == x[1]) * x[0], (x[0] != x[1]) + 0.0],
    "sequences": lambda x: [mg.sum(x), mg.mean(x), mg.prod(x), mg.max(x), mg.min(x), mg.dot(x, x, 1.0)],
    "remainders": lambda x: [x[0] // x[1], x[0] % x[1], x[0] % -3.0, 3.0 // x[1]],
    "remainder": lambda x: mg.fmod(x[0], x[1]),
    "signs": lambda x: [mg.copysign(x[0], x[1]), mg.atan2(x[0], x[1]), mg.atan2(2.0, x[0]), mg.degrees(x[0])],
    "probabilities": lambda x: [mg.ndtr(x[0]), mg.radians(x[1])],
    "entropy": lambda x: [mg.xlogy(x[0], x[1]), mg.entr(x[1])],
    "logit": lambda x: mg.logit(x[0]),
    "unused": lambda x: [x[0], mg.log(x[1])][0],
    "caught in a choice": lambda x: mg.where(x[0] > 0.0, mg.sqrt(x[0]), 0.0),
    "shares": lambda x: [*mg.softmax(x), *mg.log_softmax(x), mg.dot([1.0, 2.0], x), mg.dot(x, [1.0, x[1]])],
}


@pytest.mark.parametrize("name", EVERY)
def test_operations_agree_with_the_engine_where_it_raises_errors_too(name: str, tmp_path: Path) -> None:
    """Only where a result overflows for finite operands or an operation is undefined, all outputs are NaN."""
    places = [*(s * x for x in (0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 40.0, 710.0, 1e9, 1e300, math.inf) for s in (1.0, -1.0))]
    rows = [[a, b] for a in [*places, math.nan] for b in [*places, math.nan]]
    model = Program(EVERY[name])
    found = run(model, tmp_path, np.array(rows), inputs=2)
    width = 1 if found.ndim == 1 else found.shape[1]
    for row, ours in zip(rows, found.reshape(len(rows), width)):
        try:
            result = model([Value(x) for x in row])
        except (ArithmeticError, ValueError):
            assert np.isnan(ours).all(), row
            continue
        wanted = [getattr(x, "data", x) for x in (result if isinstance(result, list) else [result])]
        expect_close(ours, wanted, 1e-12)


#: Operations of the engine for which there are no graphs.
REFUSED = {"beta", "betaln", "digamma", "erfinv", "gamma", "i0", "i1", "lgamma", "log_ndtr", "ndtri", "polygamma"}
REFUSED |= {"sinc", "xlog1py"}


@settings(max_examples=15, deadline=None)
@given(program=expressions(sorted(MOVES.keys() - REFUSED), max_nodes=12, inputs=[0.7, -1.3]))
def test_random_programs_agree(program: Any, tmp_path_factory: Any) -> None:
    """They are compared near numbers at which they are well-behaved."""
    rows = [[x + d for x in program.inputs] for d in (0.0, 1e-3, -1e-3)]
    model = Program(lambda x: program(*x))
    try:
        found = run(model, tmp_path_factory.mktemp("file"), np.array(rows), inputs=2, rows=rows)
    except ValueError as error:
        if "expected operations that" in str(error):
            reject()  # an operation that is new in the engine
        raise
    expect_close(found, [program(*map(Value, row)).data for row in rows])


def branching(x: Any) -> Any:
    """Return x or -x, by an `if`."""
    return x if x > 0.0 else -x


class Counting(Module):
    """A module whose state changes at each call."""

    count = 0.0

    def forward(self, x: Any) -> Any:
        self.count += 1.0
        return x[0] * self.count


def not_finite() -> MLP:
    """Return a network with an infinite weight."""
    model = MLP(2, [1])
    model.parameters()[0].data = math.inf
    return model


@pytest.mark.parametrize(
    ("model", "options", "kind", "message"),
    [
        (lambda: MLP(2, [1], branching, output=branching), {}, ValueError, "Branching: expected the same operations"),
        (lambda: Program(lambda x: x[0] * x[0].data), {"inputs": 1}, ValueError, "by data"),
        (lambda: Program(lambda x: x[0] * random.random()), {"inputs": 1}, ValueError, "draws random numbers"),
        (Counting, {"inputs": 1}, ValueError, "changes its own state"),
        (lambda: Program(lambda x: [[x[0]]]), {"inputs": 1}, TypeError, "nested lists"),
        (lambda: Program(lambda x: "no"), {"inputs": 1}, TypeError, "expected a real number"),
        (lambda: Program(lambda x: mg.gamma(x[0])), {"inputs": 1}, ValueError, "got gamma"),
        (lambda: Program(lambda x: x[0]), {}, ValueError, r"inputs: expected how many.*inputs=3"),
        (lambda: Program(lambda x: x[0]), {"inputs": 2, "integers": [2]}, ValueError, "integers: expected places"),
        (lambda: MLP(2, [1]), {"inputs": 3}, ValueError, "MLP: expected 2 inputs"),
        (not_finite, {}, ValueError, "parameter layers.0.neurons.0.w.0: expected a finite number, got inf"),
        (
            lambda: Program(lambda x: mg.log(-mg.exp(x[0]))),
            {"inputs": 1},
            ValueError,
            "errors for all: log.* give rows=",
        ),
        (lambda: MLP(2, [1]), {"rows": [1.0, 2.0]}, ValueError, r"rows: .* 2 dimensions, got the shape \(2,\)"),
        (lambda: MLP(2, [1]), {"rows": [[1.0, 2.0, 3.0]]}, ValueError, "MLP: expected 2 inputs"),
        (lambda: ".", {"inputs": 2}, TypeError, "leave them out"),
    ],
)
def test_what_has_no_graph_is_an_error_before_anything_is_written(
    model: Callable[[], Any], options: Any, kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        to_onnx(model(), tmp_path / "model.onnx", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("factor", [1.0 + 1e-11, 1.0 - 2e-8, 1.0, 1.0 + 2.0**-52])
def test_factors_near_1_count(factor: float, tmp_path: Path) -> None:
    """In onnxruntime, a constant that is 1 in single precision is 1."""
    model = Program(
        lambda x: [x[0] * factor, factor * x[0], x[0] / factor, factor / x[0], x[0] + factor, x[0] ** factor]
    )
    rows = np.array([[3.0], [7.0], [1e300], [1e-300]])
    found = run(model, tmp_path, rows, inputs=1)
    expect_close(found, model.predict(rows), 3e-16)
    norm = BatchNorm1d(1)
    norm.weight = [Value(factor)]
    expect_close(run(norm, tmp_path, rows), norm.eval().predict(rows)[:, :1])


def test_rows_say_for_what_numbers_a_model_is_made(tmp_path: Path) -> None:
    model = Program(lambda x: mg.acosh(x[0] - 1e6) / x[1])
    rows = [[1e6 + k, 1.0 + k] for k in range(1, 9)]
    with pytest.raises(ValueError, match="give rows="):
        to_onnx(model, tmp_path / "model.onnx", inputs=2)
    expect_close(run(model, tmp_path, np.array(rows), rows=rows), model.predict(rows))


def test_a_wrong_graph_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from microgrud.export import onnx_activations

    monkeypatch.setattr(
        onnx_activations.Composer, "square", lambda self, x: self.op("Mul", self.op("Mul", x, x), 1.0 + 1e-11)
    )
    with pytest.raises(ValueError, match=r"of the check in onnxruntime.*nothing was written"):
        to_onnx(MLP(3, [4, 1], "square", rng=0), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="folder that exists"):
        to_onnx(Neuron(2), tmp_path / "none" / "model.onnx")


def test_normalizations_keep_digits_where_numbers_are_large_and_close(tmp_path: Path) -> None:
    model = Sequential(LayerNorm(3), PReLU(3, init=-0.5))
    rows = np.array([[1e8, 1e8 + 1.0, 1e8 - 2.0], [1e-9, 2e-9, 0.0], [1e200, 1.0, 2.0], [0.7, 0.7, 0.7]])
    expect_close(run(model, tmp_path, rows), model.predict(rows))
