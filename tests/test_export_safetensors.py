"""Safetensors files restore models bit for bit, and report damage, foreign tensors and other models."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st
from random_networks import random_network

from microgrud import Value
from microgrud.export import from_safetensors, to_safetensors
from microgrud.nn import (
    MLP,
    BatchNorm1d,
    Embedding,
    LayerNorm,
    Linear,
    ModelFileError,
    Module,
    Neuron,
    PReLU,
    Sequential,
)

safetensors = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


class Net(Module):
    """A module of the user's own, with a parameter and layers."""

    def __init__(self, rng: int) -> None:
        self.scale, self.body = Value(float(rng)), MLP(2, [3, 1], rng=rng)
        self.heads = {"a": Linear(1, 2, rng=rng), "b": self.body.layers[0]}

    def forward(self, x: Any) -> Any:
        return self.scale * self.body(x)


def described(path: Path) -> dict[str, Any]:
    """Return the header of a file."""
    content = path.read_bytes()
    header: dict[str, Any] = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header


def hexadecimal(model: Module) -> dict[str, str]:
    return {name: x.hex() for name, x in model.state_dict().items()}


# --- writing and reading ----------------------------------------------------------------------------------------------


def test_a_file_has_a_tensor_for_each_layer_and_the_architecture(path: Path) -> None:
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    to_safetensors(model, path)

    tensors = safetensors.load_file(path)
    assert {name: x.shape for name, x in tensors.items()} == {
        "layers.0.weight": (3, 2),
        "layers.0.bias": (3,),
        "layers.1.weight": (1, 3),
        "layers.1.bias": (1,),
    }
    assert tensors["layers.0.weight"].dtype == np.float64
    assert tensors["layers.0.weight"].tolist() == [[w.data for w in neuron.w] for neuron in model.layers[0].neurons]
    metadata = described(path)["__metadata__"]
    assert (metadata["format"], metadata["format_version"]) == ("microgrud model", "1")
    arguments = {"activation": "tanh", "bias": True, "nin": 2, "nouts": [3, 1], "output": "linear"}
    assert json.loads(metadata["architecture"]) == {"class": "MLP", "arguments": arguments}
    assert repr(from_safetensors(path)) == repr(model)


@given(seed=st.integers(0, 2**32))
def test_random_networks_come_back_bit_for_bit(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "random.safetensors"
    model = random_network(seed)
    to_safetensors(model, path)
    back = from_safetensors(path)

    assert repr(back) == repr(model)
    assert dict(sorted(hexadecimal(back).items())) == dict(sorted(hexadecimal(model).items()))


@given(numbers=st.tuples(*[st.floats()] * 3))
def test_all_numbers_come_back_bit_for_bit(
    numbers: tuple[float, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "numbers.safetensors"
    neuron = Neuron(2)
    neuron.load_state_dict(dict(zip(("w.0", "w.1", "b"), numbers)))
    to_safetensors(neuron, path)

    assert hexadecimal(from_safetensors(path)) == hexadecimal(neuron)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential(Embedding(4, 3, rng=0), BatchNorm1d(3, affine=False), PReLU(3), Linear(3, 1, rng=1)),
        lambda: Sequential(MLP(2, [2], bias=False, output="softmax", rng=0), LayerNorm(2, eps=0.5), "log_softmax"),
        lambda: Linear(3, 2, rng=0),
    ],
)
def test_every_kind_of_module_comes_back(make: Callable[[], Module], path: Path) -> None:
    model = make()
    to_safetensors(model, path)

    assert repr(from_safetensors(path)) == repr(model)
    assert hexadecimal(from_safetensors(path)) == hexadecimal(model)
    assert hexadecimal(from_safetensors(path, make())) == hexadecimal(model)


def test_frozen_parameters_are_in_the_file(path: Path) -> None:
    model = MLP(2, [3, 1], rng=0)
    model.layers[0].freeze()
    to_safetensors(model, path)

    assert from_safetensors(path).get_vector().tolist() == model.unfreeze().get_vector().tolist()


def test_equal_models_give_equal_bytes_and_draw_no_random_numbers(tmp_path: Path) -> None:
    before = random.getstate()
    written = set()
    for k in range(8):
        to_safetensors(MLP(2, [3, 1], rng=0), tmp_path / str(k))
        from_safetensors(tmp_path / str(k))
        written.add((tmp_path / str(k)).read_bytes())

    assert len(written) == 1
    assert random.getstate() == before


def test_a_module_of_the_users_own_is_filled(path: Path) -> None:
    model, other = Net(1), Net(2)
    to_safetensors(model, path)

    assert described(path)["scale"]["shape"] == []
    assert "body.layers.0.weight" in described(path)
    assert "heads.b.weight" not in described(path)  # the same layer
    assert from_safetensors(path, other) is other
    assert hexadecimal(other) == hexadecimal(model)
    with pytest.raises(ModelFileError, match=r"holds only the parameters of a Net.*from_safetensors\(path, model\)"):
        from_safetensors(path)


# --- foreign files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_foreign_file_fills_a_model_exactly(dtype: str, path: Path) -> None:
    tensors = {"weight": np.array([[0.1, -3.0]], dtype), "bias": np.array([0.7], dtype)}
    safetensors.save_file(tensors, path)
    model = from_safetensors(path, Linear(2, 1, rng=0))

    assert [p.data for p in model.parameters()] == [float(np.dtype(dtype).type(x)) for x in (0.1, -3.0, 0.7)]
    with pytest.raises(ModelFileError, match="got one that does not describe its model; make the model"):
        from_safetensors(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"weight": np.zeros((1, 2))}, "missing: bias"),
        ({"weight": np.zeros((1, 2)), "bias": np.zeros(1), "x": np.zeros(1)}, "unexpected: x"),
        ({"weight": np.zeros((2, 1)), "bias": np.zeros(1)}, r"misshapen: weight \(expected \(1, 2\), got \(2, 1\)\)"),
        ({"weight": np.zeros((1, 2)), "bias": np.zeros(1, int)}, "bias: expected numbers of the type F64, .*, got I64"),
    ],
)
def test_other_tensors_are_named_and_change_nothing(tensors: dict[str, Any], message: str, path: Path) -> None:
    safetensors.save_file(tensors, path)
    model = Linear(2, 1, rng=0)
    before = hexadecimal(model)
    with pytest.raises(ModelFileError, match=message):
        from_safetensors(path, model)

    assert hexadecimal(model) == before


def test_bfloat16_is_refused_by_name(path: Path) -> None:
    header = {"weight": {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]}}
    header["bias"] = {"dtype": "BF16", "shape": [1], "data_offsets": [8, 10]}
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + bytes(10))
    with pytest.raises(ModelFileError, match="bias: expected numbers of the type F64, F32, F16, got BF16; convert"):
        from_safetensors(path, Linear(1, 1))


def test_shared_parameters_need_one_number(path: Path) -> None:
    model = Sequential(Linear(1, 1), Linear(1, 1), lambda x: x)
    model.layers[1].neurons[0].w = model.layers[0].neurons[0].w  # type: ignore[union-attr]
    to_safetensors(model, path)
    tensors = safetensors.load_file(path)
    assert hexadecimal(from_safetensors(path, model)) == hexadecimal(model)
    tensors["layers.1.weight"] += 1.0
    safetensors.save_file(tensors, path)
    with pytest.raises(ModelFileError, match=r"layers.1.weight \(expected the numbers of layers.0.weight"):
        from_safetensors(path, model)


# --- damage -----------------------------------------------------------------------------------------------------------


def test_every_cut_and_every_changed_byte_is_noticed(path: Path) -> None:
    to_safetensors(MLP(1, [1], rng=0), path)
    content = path.read_bytes()
    damages = []
    for k in range(len(content)):
        damages += [content[:k], content[:k] + bytes([content[k] ^ 1]) + content[k + 1 :]]
    for damaged in damages:
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"model\.safetensors: "):
            from_safetensors(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": "2"}, "expected version 1 of the format, got '2'; upgrade microgrud"),
        ({"architecture": "["}, "damaged: "),
        ({"architecture": '{"class": "MLP"}'}, "damaged: 'arguments'"),
        ({"architecture": '{"class": "Mlp", "arguments": {}}'}, "architecture.class: expected one of Neuron, .*'Mlp'"),
        ({"architecture": '{"class": "Neuron", "arguments": {"nin": 2}}'}, "architecture.arguments: expected a dict"),
        ({"checksum": "0"}, "damaged or edited: its content does not agree with its checksum"),
        ({"format": "pt"}, "got one that does not describe its model"),
    ],
)
def test_damaged_metadata_are_named(change: dict[str, str], message: str, path: Path) -> None:
    to_safetensors(Neuron(1, rng=0), path)
    metadata = {**described(path)["__metadata__"], **change}
    safetensors.save_file(safetensors.load_file(path), path, metadata)
    with pytest.raises(ModelFileError, match=message):
        from_safetensors(path)


def test_a_huge_architecture_is_refused_before_it_is_made(path: Path) -> None:
    to_safetensors(Neuron(1, rng=0), path)
    huge = {"class": "Neuron", "arguments": {"nin": 10**12, "nonlin": True, "bias": True, "activation": "relu"}}
    metadata = {**described(path)["__metadata__"], "architecture": json.dumps(huge)}
    safetensors.save_file(safetensors.load_file(path), path, metadata)
    with pytest.raises(ModelFileError, match="it has 1000000000001 parameters, and the tensors have 2"):
        from_safetensors(path)


def test_another_model_than_the_given_one_is_refused(path: Path) -> None:
    to_safetensors(MLP(1, [2, 1], activation="tanh"), path)
    with pytest.raises(ModelFileError, match='expected .*"relu".*, as the given model, got .*"tanh"'):
        from_safetensors(path, MLP(1, [2, 1], activation="relu"))


# --- what is refused before anything is written -----------------------------------------------------------------------


def test_a_model_that_a_file_cannot_describe_leaves_the_old_file(path: Path) -> None:
    to_safetensors(Neuron(1, rng=0), path)
    before = path.read_bytes()
    changed = MLP(2, [2, 1])
    changed.layers[0].neurons.pop()
    for model, kind, message in (
        (MLP(2, [2, 1], activation=lambda x: x * x), ValueError, "Custom: a model file cannot hold a function"),
        (changed, ValueError, "its layers were changed"),
        (3.0, TypeError, "expected a Module, got an object of type float"),
    ):
        with pytest.raises(kind, match=message):
            to_safetensors(model, path)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_paths_that_are_no_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="folder that exists"):
        to_safetensors(Neuron(1), tmp_path / "none" / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="none.safetensors"):
        from_safetensors(tmp_path / "none.safetensors")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        from_safetensors(tmp_path)
    with pytest.raises(TypeError, match="model: expected a Module, got an object of type str"):
        from_safetensors(tmp_path, "MLP")  # type: ignore[arg-type]
