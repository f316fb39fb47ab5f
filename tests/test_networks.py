"""Sequential and its parts: formulas of PyTorch, tables, freezing, files, copies."""

from __future__ import annotations

import copy
import math
import pickle
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import microgrud
from microgrud import CompileError, Value, no_grad
from microgrud.draw import draw
from microgrud.nn import (
    MLP,
    BatchNorm1d,
    Dropout,
    Elementwise,
    Embedding,
    Layer,
    LayerNorm,
    Linear,
    ModelFileError,
    Module,
    Neuron,
    PReLU,
    Sequential,
    functional_call,
    load_model,
    load_state,
    save_model,
)
from microgrud.optim import SGD
from microgrud.testing import check_gradients

RNG = random.Random(11)
TABLE = [[RNG.uniform(-2.0, 2.0) for _ in range(3)] for _ in range(6)]
rows = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3)


def numbers(x: Any) -> Any:
    """Return nested lists with the numbers of Values."""
    return [numbers(item) for item in x] if isinstance(x, (list, tuple)) else float(getattr(x, "data", x))


def network(*parts: Any) -> Sequential:
    return Sequential(Linear(3, 4, rng=1), "tanh", *parts, Linear(4, 2, rng=2))


PARTS: list[Callable[[], Any]] = [
    lambda: Linear(3, 2, rng=1),
    lambda: Linear(3, 2, bias=False, rng=1),
    lambda: Elementwise("tanh"),
    lambda: PReLU(),
    lambda: PReLU(3, init=0.1),
    lambda: Dropout(0.25, rng=3),
    lambda: LayerNorm(3),
    lambda: LayerNorm(3, eps=1e-3, elementwise_affine=False),
    lambda: BatchNorm1d(3, momentum=0.3),
    lambda: BatchNorm1d(3, affine=False),
    lambda: network(LayerNorm(4), Dropout(0.5, rng=1), BatchNorm1d(4), PReLU(), "log_softmax"),
    lambda: Sequential(MLP(3, [4, 3], rng=0), Layer(3, 2, rng=0), Sequential(Linear(2, 2, rng=0), microgrud.relu)),
    lambda: Embedding(7, 2, rng=4),
]


# --- formulas, those of torch.nn --------------------------------------------------------------------------------------


@given(row=rows)
def test_layer_norm_has_the_formula_of_pytorch(row: list[float]) -> None:
    norm = LayerNorm(3)
    for k, (w, b) in enumerate(zip(norm.weight or (), norm.bias or ())):
        w.data, b.data = 0.5 + k, 0.1 * k

    mean, variance = statistics.fmean(row), statistics.pvariance(row)
    expected = [(x - mean) / math.sqrt(variance + 1e-5) * (0.5 + k) + 0.1 * k for k, x in enumerate(row)]
    assert numbers(norm(row)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_batch_norm_has_the_formulas_of_pytorch_in_both_modes() -> None:
    norm = BatchNorm1d(3, eps=1e-3, momentum=0.25)
    columns = list(zip(*TABLE))
    means, variances = [statistics.fmean(c) for c in columns], [statistics.pvariance(c) for c in columns]

    expected = [[(x - m) / math.sqrt(v + 1e-3) for x, m, v in zip(row, means, variances)] for row in TABLE]
    np.testing.assert_allclose(numbers(norm(TABLE)), expected, rtol=1e-12)
    running_means = [0.25 * m for m in means]
    running_variances = [0.75 + 0.25 * statistics.variance(c) for c in columns]
    assert numbers(norm.running_mean.values) == pytest.approx(running_means, rel=1e-14)
    assert numbers(norm.running_var.values) == pytest.approx(running_variances, rel=1e-14)

    norm.eval()
    expected = [
        [(x - m) / math.sqrt(v + 1e-3) for x, m, v in zip(row, running_means, running_variances)] for row in TABLE
    ]
    np.testing.assert_allclose(numbers(norm(TABLE)), expected, rtol=1e-12)
    assert numbers(norm(TABLE[0])) == numbers(norm(TABLE))[0]


def test_batch_norm_refuses_one_row_in_training_and_other_widths() -> None:
    for given_, got in (([[1.0, 2.0]], "one row"), ([1.0, 2.0], "one sample")):
        with pytest.raises(ValueError, match=f"expected a table of at least 2 rows in training mode.*got {got}; call"):
            BatchNorm1d(2)(given_)
    with pytest.raises(ValueError, match="BatchNorm1d: expected 2 inputs, the numbers of one sample, got 3"):
        BatchNorm1d(2)(TABLE)
    norm = BatchNorm1d(2)
    assert norm.running_mean.values[0].data == 0.0


def test_dropout_multiplies_by_0_or_the_reciprocal_of_what_is_kept() -> None:
    dropout = Dropout(0.25, rng=5)
    masks = [dropout([1.0] * 50) for _ in range(200)]

    assert set(np.ravel(masks)) == {0.0, 1.0 / 0.75}
    assert np.mean(masks) == pytest.approx(1.0, abs=0.02)
    assert masks[0] != masks[1]
    assert dropout.draw(0) == []


def test_dropout_is_the_identity_in_evaluation_mode_and_for_probability_0() -> None:
    state = random.getstate()
    assert Dropout(0.5).eval()(TABLE[0]) == Dropout(0.0)(TABLE[0]) == TABLE[0]
    assert Dropout(1.0)([1.0, 2.0]) == [0.0, 0.0]
    assert Dropout(0.5).eval()(2.0) == 2.0
    random.setstate(state)


def test_a_seed_or_a_generator_determines_the_masks_of_dropout() -> None:
    x = [1.0] * 64
    assert Dropout(rng=3)(x) == Dropout(rng=random.Random(3))(x)
    random.seed(3)
    assert Dropout()(x) == Dropout(rng=3)(x)
    dropout = Dropout(rng=3)
    other = copy.deepcopy(dropout)
    assert dropout(x) == other(x) == pickle.loads(pickle.dumps(Dropout(rng=3)))(x)


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (1.5, ValueError, "Dropout: p: expected a finite number .*, got 1.5"),
        (-0.1, ValueError, "Dropout: p"),
        ("half", TypeError, "Dropout: p"),
    ],
)
def test_the_probability_of_dropout_is_checked(p: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Dropout(p)


def test_prelu_has_the_formula_of_pytorch_with_one_slope_or_one_for_each() -> None:
    one, three = PReLU(), PReLU(3, init=0.5)
    three.slopes[0].data = -1.0
    assert numbers(one([-2.0, 0.0, 3.0])) == [-0.5, 0.0, 3.0]
    assert numbers(three([-2.0, -2.0, 3.0])) == [2.0, -1.0, 3.0]
    one(-2.0).backward()
    assert one.slopes[0].grad == -2.0
    with pytest.raises(ValueError, match="PReLU: expected 3 inputs, one for each slope, got 2"):
        three([1.0, 2.0])
    assert microgrud.grad(PReLU(init=2.0))(0.0).data == 1.0  # the subgradient of least norm, as that of `prelu`


def test_linear_is_a_layer_without_activation_and_sequential_applies_one_after_another() -> None:
    linear = Linear(3, 2, rng=5)
    weights = [[w.data for w in neuron.w] for neuron in linear.neurons]
    np.testing.assert_allclose(numbers(linear(TABLE)), np.array(TABLE) @ np.transpose(weights), rtol=1e-14)
    model = Sequential(linear, "tanh", Linear(2, 1, rng=6), lambda y: y * y)
    hidden = [math.tanh(x) for x in numbers(linear(TABLE[0]))]
    weights = [w.data for w in model.layers[2].neurons[0].w]  # type: ignore[union-attr]
    assert model(TABLE[0]).data == pytest.approx(sum(w * h for w, h in zip(weights, hidden)) ** 2, rel=1e-14)
    assert len(model) == 4
    assert model[0] is linear


def test_an_embedding_looks_up_and_only_what_it_found_gets_a_gradient() -> None:
    embedding = Embedding(4, 2, rng=1)
    assert embedding(2) == embedding.weight[2]
    assert embedding([3, 0]) == [embedding.weight[3], embedding.weight[0]]
    microgrud.sum(embedding(2)).backward()
    assert [w.grad for row in embedding.weight for w in row] == [0.0] * 4 + [1.0] * 2 + [0.0] * 2
    with pytest.raises(IndexError, match="expected an index from 0 to 3"):
        embedding(4)
    with pytest.raises(TypeError, match=r"index: expected an integer, got 1\.0; give a table .* as lists or"):
        embedding(1.0)
    mixed = microgrud.compile(lambda row: embedding(row[0])[0] * row[1], batched="row")
    with pytest.raises(TypeError, match="index: expected an integer, got a Value; .* an argument of their own"):
        mixed([[1, 0.5], [2, 1.5]])


@pytest.mark.parametrize("make", [lambda: LayerNorm(3), PReLU, lambda: network(LayerNorm(4), PReLU(4))])
def test_gradients_and_second_derivatives_are_right(make: Callable[[], Any]) -> None:
    model = make()

    def cubes(*xs: Any) -> Any:
        return microgrud.sum([y * y * y for y in model(xs)])

    assert check_gradients(cubes, 0.3, -0.8, 1.1)
    assert check_gradients(cubes, 0.3, -0.8, 1.1, order=2)


# --- the convention of forward ----------------------------------------------------------------------------------------


class Scaled(Module):
    def __init__(self) -> None:
        self.inner, self.scale = Linear(3, 1, rng=1), 2.0

    def forward(self, x: Any, shift: float = 0.0) -> Any:
        return self.inner(x) * self.scale + shift


def test_a_call_of_a_module_calls_its_forward() -> None:
    model = Scaled()
    assert model(TABLE[0], shift=1.0).data == model.forward(TABLE[0]).data + 1.0

    class Nothing(Module):
        pass

    with pytest.raises(TypeError, match=r"^Nothing: expected a method forward\(self, x\) that computes the output"):
        Nothing()(1.0)


# --- tables and predictions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make", [lambda: MLP(3, [4, 2], rng=0), lambda: MLP(3, [1], rng=0), lambda: Layer(3, 2, rng=0), lambda: Neuron(3)]
)
@pytest.mark.parametrize("table", [TABLE, np.array(TABLE), tuple(map(tuple, TABLE)), list(np.array(TABLE))])
def test_a_table_gives_a_prediction_for_each_row(make: Callable[[], Any], table: Any) -> None:
    model = make()
    assert numbers(model(table)) == [numbers(model(row)) for row in TABLE]


def test_a_pandas_table_gives_a_prediction_for_each_row() -> None:
    pandas = pytest.importorskip("pandas")
    model = network()
    assert numbers(model(pandas.DataFrame(TABLE))) == [numbers(model(row)) for row in TABLE]
    np.testing.assert_array_equal(model.predict(pandas.DataFrame(TABLE)), model.predict(TABLE))


@pytest.mark.parametrize("make", PARTS[:-1])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_predict_gives_the_floats_of_evaluation_mode_and_restores_each_mode(
    make: Callable[[], Any], count: int
) -> None:
    model = make()
    table = [[RNG.uniform(-1.0, 1.0) for _ in range(3)] for _ in range(count)]
    if isinstance(model, Sequential):
        model.layers[0].eval()  # type: ignore[union-attr]
    state = random.getstate()
    found = model.predict(table)
    modes = [model.training, *(m.training for m in model.children())]

    assert found.dtype == np.float64
    assert random.getstate() == state
    assert modes[0]
    assert False in modes or not isinstance(model, Sequential)
    np.testing.assert_allclose(found, numbers(model.eval()(table)), rtol=1e-13, atol=1e-15)


def test_predict_reads_the_present_parameters_and_numbers_at_each_call() -> None:
    model, table = Scaled(), TABLE * 4
    first = model.predict(table)
    for p in model.parameters():
        p.data *= 3.0
    np.testing.assert_allclose(model.predict(table), 3.0 * first, rtol=1e-14)
    model.scale = 4.0
    np.testing.assert_allclose(model.predict(table), 6.0 * first, rtol=1e-14)
    model.inner = Linear(3, 1, rng=1)
    np.testing.assert_allclose(model.predict(table), 2.0 * first, rtol=1e-14)
    other = copy.copy(model)
    other.scale = 1.0
    np.testing.assert_allclose(other.predict(table), first / 2.0, rtol=1e-14)
    np.testing.assert_allclose(model.predict(table), 2.0 * first, rtol=1e-14)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(model)).predict(table), 2.0 * first, rtol=1e-14)


def test_predict_restores_the_modes_of_all_modules_at_a_replay_and_after_an_error() -> None:
    model = network(Dropout(0.5, rng=1), BatchNorm1d(4))
    model.layers[2].eval()  # type: ignore[union-attr]
    modes = [m.training for m in model.children()]
    first = model.predict(TABLE * 2)
    for table in (TABLE * 2, TABLE[:1], [[0.0] * 4], [[0.0, "1", 2.0]]):
        if table == TABLE * 2:
            np.testing.assert_array_equal(model.predict(table), first)
        elif table == TABLE[:1]:
            np.testing.assert_allclose(model.predict(table), first[:1], rtol=1e-14)
        else:
            with pytest.raises((ValueError, TypeError)):
                model.predict(table)
        assert [m.training for m in model.children()] == modes
    model.layers[2].p = 0.25  # type: ignore[union-attr]
    np.testing.assert_array_equal(model.predict(TABLE * 2), first)
    model.layers.pop(1)
    assert (model.predict(TABLE * 2) != first).any()
    np.testing.assert_allclose(model.predict(TABLE * 2), numbers(model.eval()(TABLE * 2)), rtol=1e-13)


def test_predict_reads_running_statistics_that_have_moved() -> None:
    model = network(BatchNorm1d(4))
    first = model.predict(TABLE * 2)
    model(TABLE)
    second = model.predict(TABLE * 2)
    assert (first != second).any()
    np.testing.assert_allclose(second, numbers(model.eval()(TABLE * 2)), rtol=1e-13)


def test_predict_calls_a_model_that_cannot_be_recorded() -> None:
    class Random(Scaled):
        def forward(self, x: Any, shift: float = 0.0) -> Any:
            return super().forward(x) * (2.0 if isinstance(x[0], float) else 5.0) + random.random()

    found = Random().predict(TABLE * 4)
    assert found.shape == (24,)
    assert len(set(found)) == 24


def test_predict_looks_up_by_columns_of_integers() -> None:
    class Named(Module):
        def __init__(self) -> None:
            self.names, self.out = Embedding(5, 2, rng=1), Linear(3, 1, rng=2)

        def forward(self, row: Any) -> Any:
            return self.out([*self.names(row[1]), row[0]])

    model, table = Named(), [[0.1 * k, k % 5] for k in range(30)]
    np.testing.assert_allclose(model.predict(table), [model(row).data for row in table], rtol=1e-13)
    with pytest.raises(TypeError, match="expected an integer, got 0.5"):
        model.predict([[0.0, 0.5]])
    with pytest.raises(IndexError):
        model.predict([[0.0, 9]] * 12)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1.0, 2.0, 3.0], TypeError, "MLP.predict: expected a table, a list of rows"),
        ([[1.0, 2.0, 3.0], [1.0]], ValueError, "MLP.predict: expected rows of 3 numbers as in row 0, got 1 in row 1"),
        ([[1.0, 2.0, "3"]], TypeError, "MLP.predict: row 0"),
        ([[1.0, 2.0, Value(3.0)]], TypeError, "MLP.predict: row 0"),
        ([[1.0, 2.0]], ValueError, "MLP: expected 3 inputs"),
    ],
)
def test_predict_refuses_what_is_no_table_of_numbers(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MLP(3, [2], rng=0).predict(x)


def test_predict_inside_a_recording_is_refused() -> None:
    model = MLP(3, [1], rng=0)
    with pytest.raises(CompileError, match=r"MLP.predict inside a recording: .* call the model instead"):
        microgrud.compile(lambda x: x * model.predict(TABLE)[0])(1.0)


def test_predict_passes_nan_on_and_leaves_an_infinite_row_to_the_model() -> None:
    model = MLP(3, [4, 1], activation="tanh", rng=0)
    table = [*TABLE, [math.nan, 0.0, 0.0], [math.inf, 0.0, 0.0], *TABLE]
    np.testing.assert_allclose(model.predict(table), numbers(model(table)), rtol=1e-13)


# --- recordings -------------------------------------------------------------------------------------------------------


def test_a_recording_of_a_training_network_with_dropout_is_refused_unless_the_mask_is_an_argument() -> None:
    dropout, linear = Dropout(0.5, rng=1), Linear(3, 1, rng=1)
    with pytest.raises(
        RuntimeError, match=r"^Dropout: expected evaluation mode inside a recording.*dropout\(x, mask\)"
    ):
        microgrud.compile(lambda x: linear(dropout(x)))(TABLE[0])
    compiled = microgrud.compile(lambda x, mask: linear(dropout(x, mask)))
    for _ in range(4):
        mask = dropout.draw(3)
        assert compiled(TABLE[0], mask) == pytest.approx(linear(dropout(TABLE[0], mask)).data, rel=1e-14)
    assert compiled.stats["paths"] == 1
    dropout.eval()
    assert microgrud.compile(lambda x: linear(dropout(x)))(TABLE[0]) == pytest.approx(linear(TABLE[0]).data)
    with pytest.raises(ValueError, match="mask: expected 3 numbers, one for each input, got 2"):
        dropout.train()(TABLE[0], [1.0, 0.0])
    with pytest.raises(ValueError, match="mask: expected the inputs of one sample, got a table"):
        dropout(TABLE, [1.0, 0.0, 2.0])


def test_a_recording_of_batch_norm_reads_the_running_statistics_at_each_call() -> None:
    norm = BatchNorm1d(3)
    compiled = microgrud.compile(lambda x: norm(x))
    with pytest.raises(RuntimeError, match="^BatchNorm1d: expected evaluation mode inside a recording"):
        microgrud.compile(lambda xs: norm(xs)[0][0])(TABLE)
    norm.eval()
    first = compiled(TABLE[0])
    norm.train()(TABLE)
    norm.eval()
    assert compiled(TABLE[0]) == pytest.approx(numbers(norm(TABLE[0])), rel=1e-13)
    assert compiled(TABLE[0]) != first


# --- freezing ---------------------------------------------------------------------------------------------------------


def test_frozen_parameters_are_no_parameters_but_part_of_the_state() -> None:
    model = MLP(2, [3, 2, 1], rng=0)
    everything, state = model.parameters(), model.state_dict()
    assert model.layers[1].freeze() is model.layers[1]

    assert model.parameters() == everything[:9] + everything[17:]
    assert [p for _, p in model.named_parameters()] == model.parameters()
    assert len(model.get_vector()) == len(model.parameters())
    assert model.state_dict() == state
    other = MLP(2, [3, 2, 1], rng=1)
    other.load_state_dict(model.state_dict())
    assert other.state_dict() == state
    model.load_state_dict({name: 2.0 * x for name, x in state.items()})
    assert model.layers[1].state_dict() == {
        name.removeprefix("layers.1."): 2.0 * x for name, x in state.items() if name.startswith("layers.1.")
    }
    assert model.unfreeze().parameters() == everything


def test_an_optimizer_does_not_move_frozen_parameters_and_unfreezing_clears_their_gradients() -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    frozen = model.layers[0].parameters()
    before = [p.data for p in frozen]
    model.layers[0].freeze()
    optimizer = SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model.zero_grad()
        model([1.0, 2.0]).backward()
        optimizer.step()

    assert [p.data for p in frozen] == before
    assert any(p.grad for p in frozen)
    model.unfreeze()
    assert [p.grad for p in frozen] == [0.0] * len(frozen)
    assert not set(frozen) - set(model.parameters())


def test_all_ways_to_find_parameters_agree_about_frozen_modules() -> None:
    class Held:
        def __init__(self) -> None:
            self.parts = {"a": Linear(2, 1, rng=0), "b": (Neuron(1), [Value(1.0)])}

    class Mixed(Module):
        shared = Value(7.0)

        def __init__(self) -> None:
            self.held, self.own, self.deep = Held(), Value(3.0), Sequential(Linear(1, 1), LayerNorm(2))

    model = Mixed()
    model.held.parts["a"].freeze()  # type: ignore[attr-defined]
    model.deep.layers[1].freeze()  # type: ignore[union-attr]
    named = model.named_parameters()
    assert model.parameters() == [p for _, p in named]
    assert len(named) == 7
    assert len(model.state_dict()) == 7 + 3 + 4
    for p in [*model.parameters(), *model.held.parts["a"].neurons[0].w]:  # type: ignore[attr-defined]
        p.grad = 1.0
    model.zero_grad()
    assert {p.grad for p in model.parameters()} == {0.0}
    assert model.freeze().parameters() == []
    assert model.unfreeze().state_dict().keys() == Mixed().state_dict().keys()


def test_a_class_with_parameters_of_its_own_cannot_be_frozen() -> None:
    class Own(Module):
        def __init__(self) -> None:
            self.norm = BatchNorm1d(2)

        def parameters(self) -> list[Value]:
            return self.norm.parameters()

    with pytest.raises(TypeError, match="Own.freeze: expected modules whose parameters are found by Module, got a Own"):
        Own().freeze()
    assert len(Own().state_dict()) == 8  # the running statistics too
    assert len(Own().parameters()) == 4


def test_running_statistics_are_never_parameters() -> None:
    norm = BatchNorm1d(2)
    assert len(norm.parameters()) == len(norm.named_parameters()) == 4
    assert len(norm.freeze().parameters()) == 0
    assert len(norm.unfreeze().parameters()) == 4
    assert norm.running_mean.values[0].is_leaf


# --- functions of parameters ------------------------------------------------------------------------------------------


def test_a_functional_call_draws_new_masks_and_takes_frozen_numbers_too() -> None:
    model, twin = network(Dropout(0.5, rng=1)), network(Dropout(0.5, rng=1))
    trained = {name: 2.0 * x for name, x in model.state_dict().items()}
    twin.load_state_dict(trained)
    found = [numbers(functional_call(model, trained, TABLE[0])) for _ in range(5)]
    assert found == [numbers(twin(TABLE[0])) for _ in range(5)]
    assert len(set(map(tuple, found))) > 1

    model, twin = network(BatchNorm1d(4).freeze()), network(BatchNorm1d(4))
    state = {name: 1.0 + 0.5 * x for name, x in model.state_dict().items()}
    twin.load_state_dict(state)
    assert numbers(functional_call(model.eval(), state, TABLE)) == numbers(twin.eval()(TABLE))
    assert numbers(functional_call(model.train(), state, TABLE)) == numbers(twin.train()(TABLE))
    assert model.layers[2].running_mean.values[0].data == 0.0  # type: ignore[union-attr]


def test_derivatives_with_respect_to_a_module_are_those_of_its_parameters_that_are_not_frozen() -> None:
    model = network(LayerNorm(4), PReLU())
    model.layers[0].freeze()  # type: ignore[union-attr]
    slopes = microgrud.grad(lambda m: microgrud.sum(m(TABLE[0])))(model)
    microgrud.sum(model(TABLE[0])).backward()
    assert {name: float(getattr(x, "data", x)) for name, x in slopes.items()} == pytest.approx(
        {name: p.grad for name, p in model.named_parameters()}, rel=1e-12
    )


# --- files, copies, pictures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", PARTS)
def test_a_module_comes_back_from_a_file_a_copy_and_a_pickle(make: Callable[[], Any], tmp_path: Path) -> None:
    model = make()
    for k, name in enumerate(state := model.state_dict()):
        state[name] = 0.5 + 0.1 * k
    model.load_state_dict(state)
    save_model(tmp_path / "model.json", model, extra={"a": 1})
    loaded, extra = load_model(tmp_path / "model.json")
    again = type(model).load(tmp_path / "model.json")

    assert extra == {"a": 1}
    for other in (loaded, again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert repr(other) == repr(model)
        assert other.state_dict() == state
        assert not set(other.parameters()) & set(model.parameters())
        assert [p.data for p in other.parameters()] == [p.data for p in model.parameters()]
        if not isinstance(model, Embedding):
            assert numbers(other.eval()(TABLE)) == numbers(model.eval()(TABLE))
    model.save(tmp_path / "again.json")
    other.save(tmp_path / "other.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_a_file_of_a_sequential_with_a_class_of_the_users_holds_its_state(tmp_path: Path) -> None:
    model = Sequential(Scaled(), lambda x: x * x)
    model.save(tmp_path / "model.json")
    assert load_state(tmp_path / "model.json") == model.state_dict()
    with pytest.raises(ModelFileError, match="holds only the parameters of a Sequential"):
        load_model(tmp_path / "model.json")
    with pytest.raises(ValueError, match="a model file cannot hold a function of your own"):
        Sequential(Elementwise(lambda x: x * x)).save(tmp_path / "model.json")


def test_shared_layers_are_refused_by_a_file_and_counted_once() -> None:
    linear = Linear(2, 2, rng=0)
    model = Sequential(linear, "tanh", linear)
    assert len(model.parameters()) == 6
    with pytest.raises(ValueError, match="a file cannot say how to make it again"):
        model.save("never.json")


def test_a_sequential_is_drawn_as_an_mlp_is() -> None:
    mlp = MLP(3, [4, 2], activation="tanh", output="softmax", rng=1)
    model = Sequential(Linear(3, 4), "tanh", Dropout(0.1), Linear(4, 2), "softmax")
    model.load_state_dict(dict(zip(model.state_dict(), mlp.state_dict().values())))
    assert draw(model).source == draw(mlp).source
    assert draw(model.freeze()).source == draw(mlp).source


@pytest.mark.parametrize("make", PARTS)
def test_every_module_has_a_text_in_a_notebook(make: Callable[[], Any]) -> None:
    assert "text/plain" in make()._repr_mimebundle_()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Sequential(), ValueError, "^Sequential: expected at least one layer, got none"),
        (lambda: Sequential(3), TypeError, "^Sequential: expected Modules, activations or functions, got .* type int"),
        (lambda: Sequential("rleu"), ValueError, "^activation: expected one of .*, got 'rleu'"),
        (lambda: LayerNorm(0), ValueError, "^LayerNorm: size: expected an integer of at least 1, got 0"),
        (lambda: LayerNorm(2, eps=-1.0), ValueError, "^LayerNorm: eps"),
        (lambda: LayerNorm(2)([1.0]), ValueError, "^LayerNorm: expected 2 inputs, the numbers of one sample, got 1"),
        (lambda: BatchNorm1d(2, momentum=2.0), ValueError, "^BatchNorm1d: momentum"),
        (lambda: BatchNorm1d(2, affine=1), TypeError, "^BatchNorm1d: affine"),
        (lambda: Embedding(0, 1), ValueError, "^Embedding: count"),
        (lambda: PReLU(0), ValueError, "^PReLU: count"),
        (lambda: Linear(2.0, 1), TypeError, "^nin: expected an integer, got 2.0"),
    ],
)
def test_invalid_arguments_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_modules_compute_without_a_graph_under_no_grad() -> None:
    model = network(LayerNorm(4), BatchNorm1d(4), Dropout(0.5, rng=1))
    with no_grad():
        outputs = model(TABLE)
    assert all(y.is_leaf for row in outputs for y in row)
