"""Modules find their parameters and return their state; neurons, layers and MLPs compute the right outputs."""

from __future__ import annotations

import copy
import math
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st

import microgrud
from microgrud import Value
from microgrud.nn import MLP, Layer, Module, Neuron
from microgrud.nn.activations import ACTIVATIONS

numbers = st.floats(-3.0, 3.0)


def names(module: Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


# --- the search for parameters ----------------------------------------------------------------------------------------


class Zoo(Module):
    """A module with one attribute of each kind that may hold parameters."""

    def __init__(self) -> None:
        self.one = Value(1.0)
        self.several = [Value(2.0), (Value(3.0), {"deep": Value(4.0)})]
        self.part = Neuron(1)
        self.parts = {"a": Neuron(1), "b": [Layer(1, 1)]}
        self.matrix = np.array([[Value(5.0), Value(6.0)]])
        self.name, self.size, self.table = "zoo", 3, np.zeros(2)


def test_parameters_are_found_in_attributes_containers_and_modules_in_order() -> None:
    zoo = Zoo()

    assert names(zoo) == [
        "one",
        "several.0",
        "several.1.0",
        "several.1.1.deep",
        "part.w.0",
        "part.b",
        "parts.a.w.0",
        "parts.a.b",
        "parts.b.0.neurons.0.w.0",
        "parts.b.0.neurons.0.b",
        "matrix.0.0",
        "matrix.0.1",
    ]
    assert zoo.parameters() == [p for _, p in zoo.named_parameters()]
    assert zoo.children() == [zoo.part, zoo.parts["a"], zoo.parts["b"][0]]


def test_a_shared_parameter_counts_once_under_its_first_name() -> None:
    class Tied(Module):
        def __init__(self) -> None:
            self.encoder = Layer(2, 2)
            self.decoder = self.encoder
            self.first_weight = self.encoder.neurons[0].w[0]
            self.extra = [self.first_weight, Value(0.0)]

    assert names(Tied()) == [*(f"encoder.{name}" for name in names(Layer(2, 2))), "extra.1"]
    assert len(Tied().children()) == 1


def test_results_that_a_module_keeps_are_no_parameters() -> None:
    class Remembering(Module):
        def __init__(self) -> None:
            self.w = Value(2.0)
            self.last: Value | None = None

        def __call__(self, x: float) -> Value:
            self.last = self.w * x
            return self.last

    module = Remembering()
    module(3.0)

    assert names(module) == ["w"]


def test_modules_and_containers_that_refer_to_each_other_end_the_search() -> None:
    class Child(Module):
        def __init__(self, parent: Module) -> None:
            self.parent, self.w = parent, Value(1.0)

        def parameters(self) -> list[Value]:
            return [self.w]

    class Parent(Module):
        def __init__(self) -> None:
            self.child, self.w = Child(self), Value(2.0)
            self.loop: list[Any] = [self.w]
            self.loop.append(self.loop)

    parent = Parent()

    assert names(parent) == ["child.w", "w"]
    assert parent.eval().child.training is False


def test_a_class_that_overrides_parameters_decides_what_they_are() -> None:
    class Partly(Module):
        def __init__(self) -> None:
            self.frozen, self.w, self.hidden = Value(1.0), Value(2.0), {Value(3.0)}

        def parameters(self) -> list[Value]:
            return [self.w, *self.hidden]

    class Outer(Module):
        def __init__(self) -> None:
            self.inner = Partly()

    class Extended(MLP):
        def __init__(self) -> None:
            super().__init__(1, [1])
            self.scale = Value(1.0)

        def parameters(self) -> list[Value]:
            return super().parameters()[:2]

    assert names(Partly()) == ["w", "parameters.1"]
    assert names(Outer()) == ["inner.w", "inner.parameters.1"]
    assert names(Extended()) == ["layers.0.neurons.0.w.0", "layers.0.neurons.0.b"]


def test_a_class_that_overrides_named_parameters_decides_their_names() -> None:
    class Renamed(Module):
        def __init__(self) -> None:
            self.w = Value(2.0)

        def named_parameters(self) -> list[tuple[str, Value]]:
            return [(f"my_{name}", p) for name, p in super().named_parameters()]

    class Outer(Module):
        def __init__(self) -> None:
            self.inner = Renamed()

    outer = Outer()

    assert names(outer) == ["inner.my_w"]
    assert outer.inner.parameters() == [outer.inner.w]


def test_zero_grad_clears_every_parameter() -> None:
    model = MLP(2, [3, 1], rng=0)
    (model([1.0, 2.0]) * 3.0).backward()
    model.zero_grad()

    assert {p.grad for p in model.parameters()} == {0.0}


def test_train_and_eval_reach_every_module_and_return_the_model() -> None:
    model = MLP(2, [3, 1])
    neuron = model.layers[0].neurons[0]

    assert model.training
    assert neuron.training
    assert model.eval() is model
    assert not neuron.training
    assert model.train().layers[1].training


# --- state ------------------------------------------------------------------------------------------------------------


def test_a_state_moves_from_one_model_to_another() -> None:
    source, target = MLP(2, [3, 1], rng=1), MLP(2, [3, 1], rng=2)
    target.load_state_dict(source.state_dict())

    assert target([0.3, -0.7]).data == source([0.3, -0.7]).data
    assert list(source.state_dict()) == names(source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b": None}, "missing: b"),
        ({"w.7": 1.0}, "unexpected: w.7"),
        ({3: 1.0}, "unexpected: 3"),
        ({"b": "nan"}, "misshapen: b \\(expected a real number, got the string 'nan'\\)"),
        ({"b": [1.0]}, "misshapen: b .* type list"),
        ({"b": np.zeros(2)}, "misshapen: b .* type ndarray"),
        ({"b": 1j}, "misshapen: b .* complex number"),
        ({"b": Value(1.0)}, "misshapen: b .* a Value"),
        ({"b": 10**400}, "misshapen: b .*within the range of a float"),
        ({"w.0": None, "w.2": 0.0, "b": []}, "missing: w.0; unexpected: w.2; misshapen: b "),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(changes: dict[Any, Any], message: str) -> None:
    neuron = Neuron(2, rng=0)
    before = neuron.state_dict()
    state: dict[Any, Any] = dict.fromkeys(before, 9.0)
    for name, number in changes.items():
        if number is None:
            del state[name]
        else:
            state[name] = number

    with pytest.raises(ValueError, match=f"^Neuron.load_state_dict: {message}"):
        neuron.load_state_dict(state)

    assert neuron.state_dict() == before


def test_a_state_need_not_fit_when_not_strict_but_must_hold_numbers() -> None:
    neuron = Neuron(2, init="zeros")
    neuron.load_state_dict({"w.1": 5, "more": 1.0}, strict=False)
    with pytest.raises(ValueError, match="misshapen: b"):
        neuron.load_state_dict({"w.0": 1.0, "b": "1"}, strict=False)

    assert neuron.state_dict() == {"w.0": 0.0, "w.1": 5.0, "b": 0.0}


def test_long_lists_of_misfits_are_shortened() -> None:
    with pytest.raises(ValueError, match=r"w\.9, and 91 more$"):
        Neuron(100).load_state_dict({})


def test_a_state_must_be_a_mapping_and_names_must_differ() -> None:
    class Ambiguous(Module):
        def __init__(self) -> None:
            self.table = {"a.b": Value(1.0), "a": {"b": Value(2.0)}}

    with pytest.raises(TypeError, match="expected a dict of numbers by name, got list"):
        Neuron(1).load_state_dict([1.0, 2.0])
    with pytest.raises(ValueError, match="two parameters are named 'table.a.b'"):
        Ambiguous().state_dict()
    assert len(Ambiguous().parameters()) == 2


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_models_can_be_copied_and_pickled(duplicate: Any) -> None:
    model = MLP(2, [3, 2], activation="tanh", output="softmax", rng=0)
    twin = duplicate(model)

    assert twin.state_dict() == model.state_dict()
    assert repr(twin) == repr(model)
    assert not set(twin.parameters()) & set(model.parameters())


# --- neurons, layers, networks ----------------------------------------------------------------------------------------


@given(w=st.lists(numbers, min_size=2, max_size=2), b=numbers, x=st.lists(numbers, min_size=2, max_size=2))
def test_a_neuron_applies_its_activation_to_a_weighted_sum(w: list[float], b: float, x: list[float]) -> None:
    neuron = Neuron(2, activation="tanh")
    neuron.load_state_dict({"w.0": w[0], "w.1": w[1], "b": b})

    assert neuron(x).data == pytest.approx(math.tanh(w[0] * x[0] + w[1] * x[1] + b), rel=1e-12, abs=1e-15)


def test_a_neuron_is_one_node_and_one_for_its_activation() -> None:
    out = Neuron(64, activation="tanh")([0.1] * 64)

    assert (out._op, out._prev[0]._op) == ("tanh", "dot")
    assert all(p.is_leaf for p in out._prev[0]._prev)


def test_a_neuron_may_have_no_bias() -> None:
    neuron = Neuron(2, bias=False, rng=0)

    assert neuron.b is None
    assert names(neuron) == ["w.0", "w.1"]
    assert neuron([0.0, 0.0]).data == 0.0


def test_nonlin_may_be_changed_as_in_micrograd() -> None:
    neuron = Neuron(1, init=lambda nin, nout, rng: -1.0)
    assert (repr(neuron), neuron([2.0]).data) == ("ReLUNeuron(1)", 0.0)
    neuron.nonlin = False
    assert (repr(neuron), neuron([2.0]).data) == ("LinearNeuron(1)", -2.0)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_activation_works_by_name_and_by_function(name: str) -> None:
    function = getattr(microgrud, name, None) or ACTIVATIONS["linear"].function
    by_name, by_function = Neuron(2, activation=name, rng=3), Neuron(2, activation=function, rng=3)
    weighted = by_name.w[0] * 0.25 + by_name.w[1] * -0.5

    assert by_name.activation is by_function.activation
    assert by_name([0.25, -0.5]).data == pytest.approx(function(weighted).data, rel=1e-15, abs=0.0)
    assert repr(by_name).lower() == f"{name.replace('_', '')}neuron(2)"


def test_an_activation_may_be_the_users_own_function() -> None:
    def half_wave(x: Value) -> Value:
        return 0.5 * x * x.sigmoid()

    neuron = Neuron(1, activation=half_wave, init="zeros")

    assert repr(neuron) == "HalfWaveNeuron(1)"
    assert repr(Neuron(1, activation=lambda x: x)) == "CustomNeuron(1)"
    assert neuron([1.0]).data == 0.0


def test_an_activation_that_drops_the_gradient_is_refused() -> None:
    neuron = Neuron(1, activation=lambda x: math.tanh(x.data))

    with pytest.raises(TypeError, match="activation Custom: expected it to return a Value, got .* type float"):
        neuron([1.0])


def test_reprs_name_the_activations() -> None:
    assert repr(MLP(1, [1, 1], activation="gelu", output="sigmoid")) == (
        "MLP of [Layer of [GELUNeuron(1)], Layer of [SigmoidNeuron(1)]]"
    )
    assert repr(Layer(2, 2, nonlin=False)) == "Layer of [LinearNeuron(2), LinearNeuron(2)]"
    assert repr(Neuron(2, activation="leaky_relu")) == "LeakyReLUNeuron(2)"


@pytest.mark.parametrize("x", [[1.0, 2.0], (1, 2), np.array([1.0, 2.0]), range(1, 3), [Value(1.0), 2], iter([1, 2])])
def test_inputs_may_be_any_sequence_of_numbers_and_values(x: Any) -> None:
    assert MLP(2, [3, 1], rng=0)(x).data == MLP(2, [3, 1], rng=0)([1.0, 2.0]).data


def test_gradients_reach_the_inputs() -> None:
    x = [Value(0.5), Value(-0.5)]
    MLP(2, [4, 1], activation="tanh", rng=0)(x).backward()

    assert all(v.grad != 0.0 for v in x)


def test_a_layer_of_one_may_stand_in_the_middle() -> None:
    model = MLP(3, [1, 2], activation="tanh", rng=0)

    assert len(model([1.0, 2.0, 3.0])) == 2
    assert MLP(1, [1], rng=0)(0.5).data == MLP(1, [1], rng=0)([0.5]).data


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1.0], ValueError, "^MLP: expected 2 inputs, the numbers of one sample, got 1"),
        (np.zeros((5, 3)), ValueError, "expected 2 inputs.* got 3; call it once for each sample"),
        ([1.0, [2.0]], TypeError, "^inputs: expected numbers.*, got an object of type list at index 1; call the"),
        ([1.0, "2"], TypeError, "^inputs: expected numbers, those of one sample, got '2' at index 1"),
        (None, TypeError, "inputs: expected a sequence of numbers, got an object of type NoneType"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MLP(2, [3, 1])(x)


@pytest.mark.parametrize("module", [Layer(2, 3), Neuron(2)])
def test_layers_and_neurons_speak_for_themselves(module: Any) -> None:
    with pytest.raises(ValueError, match=f"^{type(module).__name__}: expected 2 inputs"):
        module([1.0])


@given(x=st.lists(numbers, min_size=2, max_size=2))
def test_softmax_outputs_are_probabilities_and_log_softmax_their_logarithms(x: list[float]) -> None:
    probabilities = MLP(2, [4, 3], output="softmax", rng=0)(x)
    logarithms = MLP(2, [4, 3], output=microgrud.log_softmax, rng=0)(x)

    assert sum(p.data for p in probabilities) == pytest.approx(1.0, rel=1e-15, abs=0.0)
    assert [math.log(p.data) for p in probabilities] == pytest.approx([v.data for v in logarithms], abs=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Neuron(0), ValueError, "nin: expected an integer of at least 1, got 0"),
        (lambda: Neuron(2.0), TypeError, "nin: expected an integer, got 2.0"),
        (lambda: Layer(2, -1), ValueError, "nout: expected an integer of at least 1, got -1"),
        (lambda: MLP(2, []), ValueError, "nouts: expected at least one layer size"),
        (lambda: MLP(2, 3), TypeError, r"nouts: expected a list of layer sizes such as \[16, 1\], got 3"),
        (lambda: MLP(2, "31"), TypeError, "nouts: expected a list"),
        (lambda: MLP(2, [3, "1"]), TypeError, "nouts: expected an integer, got '1'"),
        (lambda: MLP(2, [3, 1], output="softmax"), ValueError, "softmax needs at least 2 outputs"),
        (lambda: MLP(2, [1], activation="swish"), ValueError, "activation: expected one of abs, .*, got 'swish'"),
        (lambda: Neuron(2, activation=3), TypeError, "activation: expected a name or a function, got .* type int"),
        (lambda: Layer(2, 1, init="he"), ValueError, "init: expected one of glorot_normal, .*, got 'he'"),
        (lambda: Layer(2, 1, rng="x"), TypeError, "rng: expected a random.Random, an integer seed"),
    ],
)
def test_bad_arguments_are_refused(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_seed_or_generator_leaves_the_global_one_alone() -> None:
    random.seed(5)
    before = random.getstate()
    by_seed, by_generator = MLP(3, [4, 2], rng=11), MLP(3, [4, 2], rng=random.Random(11))

    assert random.getstate() == before
    assert by_seed.state_dict() == by_generator.state_dict()
    assert len(set(by_seed.state_dict().values())) == 3 * 4 + 4 * 2 + 1  # one generator: all weights differ


@pytest.mark.parametrize("size", [0, -4, 2.0, "2", None, True, [2], np.float64(2.0), np.bool_(True)])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: Neuron(size),
        lambda size: Layer(size, 2),
        lambda size: Layer(2, size),
        lambda size: MLP(size, [1]),
        lambda size: MLP(2, [2, size]),
        lambda size: MLP(2, [size, 1]),
    ],
)
def test_sizes_are_whole_numbers_of_1_and_more(make: Callable[[Any], Module], size: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^(nin|nout|nouts): expected an integer( of at least 1)?, got"):
        make(size)
    assert make(np.int64(3)).parameters()
