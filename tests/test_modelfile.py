"""Model files restore models bit for bit, are written completely or not at all, and report any damage clearly."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import random
import stat
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arrays import np
from hypothesis import given, strategies as st

from microgrud import Value, tanh
from microgrud.common.jsonfile import checksum, read_json, write_json_atomically
from microgrud.nn import (
    ACTIVATIONS,
    MLP,
    Dropout,
    Layer,
    Linear,
    ModelFileError,
    Module,
    Neuron,
    Sequential,
    load_model,
    load_state,
    save_model,
)

MODELS: list[Callable[[], Module]] = [
    lambda: MLP(3, [4, 2], rng=0),
    lambda: MLP(2, [3, 3], activation="tanh", output="softmax", bias=False, rng=1),
    lambda: MLP(2, [2, 1], activation=tanh, output="sigmoid", init="he_normal", rng=2),
    lambda: MLP(2, [1], activation=lambda x: x * x, rng=2),  # a single layer does not use the activation
    lambda: Layer(3, 2, nonlin=False, rng=3),
    lambda: Layer(1, 2, activation="gelu", bias=False, rng=4),
    lambda: Neuron(4, rng=5),
    lambda: Neuron(2, nonlin=False, bias=False, activation="elu", rng=6),
]


class Line(Module):
    """A module of the user's own."""

    def __init__(self, slope: float, offset: float) -> None:
        self.slope, self.offset = Value(slope), Value(offset)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.json"


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


def signed(document: dict[str, Any]) -> bytes:
    """Return the bytes of a file with this content and its checksum."""
    content = {**document, "checksum": checksum(document)}
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()


# --- saving and loading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MODELS)
def test_a_model_comes_back_as_it_was(make: Callable[[], Module], path: Path) -> None:
    model = make()
    model.save(path)
    loaded, extra = load_model(path)

    assert type(loaded) is type(model)
    assert repr(loaded) == repr(model)
    assert loaded.state_dict() == model.state_dict()
    assert extra == {}
    assert type(model).load(path).state_dict() == model.state_dict()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation_comes_back(activation: str, path: Path) -> None:
    model = MLP(2, [3, 1], activation=activation, output=activation, init="he_uniform", rng=0)
    model.save(path)

    assert MLP.load(path)([0.5, 0.25]).data == model([0.5, 0.25]).data


@given(numbers=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3))
def test_numbers_come_back_bit_for_bit(numbers: tuple[float, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bits.json"
    neuron = Neuron(2)
    neuron.load_state_dict(dict(zip(("w.0", "w.1", "b"), numbers)))
    neuron.save(path)

    assert [bits(p.data) for p in Neuron.load(path).parameters()] == [bits(x) for x in numbers]


def test_the_strangest_numbers_come_back_bit_for_bit(path: Path) -> None:
    strange = [-0.0, 5e-324, -2.2250738585072009e-308, 1.7976931348623157e308, 0.1]
    save_model(path, Neuron(4, init="zeros"), extra={"numbers": strange})

    assert [bits(x) for x in load_model(path)[1]["numbers"]] == [bits(x) for x in strange]


def test_extra_content_comes_back(path: Path) -> None:
    extra = {"columns": ["a", "ä", "\ud800", "雪"], "scale": [0.1, 1], "nested": {"none": None, "yes": True}, "": []}
    save_model(path, Neuron(1), extra={**extra, "numpy": np.float64(0.1), "text": np.str_("x"), "pair": (1, 2)})

    assert load_model(path)[1] == {**extra, "numpy": 0.1, "text": "x", "pair": [1, 2]}


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_model(
            tmp_path / name, MLP(2, [3, 1], rng=0), extra={"b": 1, "a": 2} if name == "one" else {"a": 2, "b": 1}
        )

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_loading_draws_no_random_numbers(path: Path) -> None:
    MLP(2, [3, 1]).save(path)
    before = random.getstate()
    load_model(path)

    assert random.getstate() == before


def test_a_class_of_the_users_own_keeps_its_state_in_a_file(path: Path) -> None:
    Line(2.0, 1.0).save(path)
    line = Line(0.0, 0.0)
    line.load_state_dict(load_state(path))

    assert line.state_dict() == {"slope": 2.0, "offset": 1.0}
    for load in (load_model, Line.load):
        with pytest.raises(ModelFileError, match=r"model.json: holds only the parameters of a Line.*load_state_dict"):
            load(path)


def test_a_subclass_with_other_arguments_is_another_class(path: Path) -> None:
    class Small(MLP):
        def __init__(self) -> None:
            super().__init__(1, [1])

    class OneNeuron(Neuron):
        pass

    class OneLayer(Layer):
        pass

    for model in (Small(), OneNeuron(1), OneLayer(1, 1)):
        model.save(path)
        assert load_state(path) == model.state_dict()
        with pytest.raises(ModelFileError, match="a class of its author's own"):
            load_model(path)


def test_the_class_must_fit(path: Path) -> None:
    Layer(2, 2).save(path)

    with pytest.raises(ModelFileError, match="expected a model of class MLP, got one of class Layer"):
        MLP.load(path)


# --- content that cannot be stored ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_numbers_that_are_not_finite_are_refused(number: float, path: Path) -> None:
    neuron = Neuron(2)
    neuron.w[1].data = number

    with pytest.raises(ValueError, match=f"Neuron: parameter w.1 is {number}; a model file holds finite numbers"):
        neuron.save(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Neuron(1, activation=lambda x: x),
        lambda: Layer(1, 2, activation=lambda x: x),
        lambda: MLP(1, [2, 1], activation=lambda x: x),
        lambda: MLP(1, [2, 1], output=lambda x: x),
    ],
)
def test_a_function_of_the_users_own_is_refused(make: Callable[[], Module], path: Path) -> None:
    with pytest.raises(ValueError, match="activation Custom: a model file cannot hold a function of your own"):
        make().save(path)
    assert not path.exists()


def rewire(model: MLP) -> None:
    model.layers[0].neurons[0].nonlin = False


def lengthen(model: MLP) -> None:
    model.layers[1].neurons[0].w.append(Value(1.0))


def empty(model: MLP) -> None:
    model.layers.clear()


def replace(model: MLP) -> None:
    model.layers[0] = Line(1.0, 2.0)


def subclass(model: MLP) -> None:
    class Special(Neuron):
        pass

    model.layers[0].neurons[0] = Special(2)


def subclass_layer(model: MLP) -> None:
    class Special(Layer):
        pass

    model.layers[0].__class__ = Special


def reactivate(model: MLP) -> None:
    neuron = model.layers[0].neurons[0]
    neuron.activation = dataclasses.replace(neuron.activation, function=tanh)


@pytest.mark.parametrize("change", [rewire, lengthen, empty, replace, subclass, subclass_layer, reactivate])
def test_a_network_that_was_changed_manually_is_refused(change: Callable[[MLP], None], path: Path) -> None:
    model = MLP(2, [2, 1])
    change(model)

    with pytest.raises(ValueError, match="MLP: its layers were changed after it was made"):
        model.save(path)
    assert not path.exists()


loop: list[Any] = []
loop.append(loop)


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ({"a": {"b": [1, math.nan]}}, ValueError, r"extra.a.b\[1\]: expected a finite number, got nan"),
        ({"a": {1: 2}}, TypeError, "extra.a: expected strings as keys, got 1"),
        ({"a": np.int64(3)}, TypeError, "extra.a: expected None, a bool, .* got an object of type int64"),
        ({"a": {1, 2}}, TypeError, "extra.a: .* got an object of type set"),
        ({"a": np.zeros(2)}, TypeError, "extra.a: .* got an object of type ndarray"),
        ({"a": loop}, ValueError, "nested more than 100 levels deep"),
    ],
)
def test_what_json_cannot_hold_is_refused(
    extra: dict[str, Any], error: type[Exception], message: str, path: Path
) -> None:
    path.write_text("old")
    with pytest.raises(error, match=message):
        save_model(path, Neuron(1), extra)

    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.json"
    neuron = Neuron(2, rng=0)
    neuron.w[0].data = 1e-05  # "1E-05" is another spelling of it, one bit away
    save_model(path, neuron, extra={"note": "fine"})
    return path.read_bytes()


def test_a_file_cut_off_anywhere_is_refused(good: bytes, path: Path) -> None:
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(ModelFileError, match=r"model\.json: "):
            load_model(path)


def test_a_file_with_any_one_bit_flipped_is_refused(good: bytes, path: Path) -> None:
    for i in range(len(good)):
        for bit in range(8):
            path.write_bytes(good[:i] + bytes([good[i] ^ 1 << bit]) + good[i + 1 :])
            with pytest.raises(ModelFileError, match=r"model\.json: "):
                load_model(path)


@given(junk=st.binary(max_size=60), at=st.integers(0, 400))
def test_junk_anywhere_is_refused(junk: bytes, at: int, good: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "junk.json"
    damaged = good[:at] + junk + good[at + len(junk) :]
    path.write_bytes(damaged)
    if damaged != good:
        with pytest.raises(ModelFileError):
            load_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\xff\xfe{}", "not a microgrud model file, or damaged: 'utf-8' codec"),
        (b"\xef\xbb\xbf{}", "not a microgrud model file, or damaged or truncated: .*BOM"),
        (b"PK\x03\x04 a zip archive", "not a microgrud model file, or damaged or truncated"),
        (b"[1, 2]", "not a microgrud model file$"),
        (b"null", "not a microgrud model file$"),
        (b'{"format": "other", "a": 1}', "not a microgrud model file, but a 'other'"),
        (b'{"format": ["microgrud model"]}', "not a microgrud model file$"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": "microgrud model", "format_version": 1, "a": ' + b"[" * 400 + b"]" * 400 + b"}", "model.json: "),
        (b"9" * 5000, "model.json: "),
        (b'{"format": "microgrud model"}', "damaged: format_version None is not a version number"),
        (b'{"format": "microgrud model", "format_version": true}', "format_version True is not a version number"),
        (b'{"format": "microgrud model", "format_version": 0}', "format_version 0 is not a version number"),
        (b'{"format": "microgrud model", "format_version": 2}', "version 2 .* newer microgrud; .* upgrade microgrud"),
        (b'{"format": "microgrud model", "format_version": 1, "x": NaN}', "damaged"),
        (b'{"format": "microgrud model", "format_version": 1}', "does not agree with its checksum"),
    ],
)
def test_foreign_newer_and_damaged_files_give_different_errors(content: bytes, message: str, path: Path) -> None:
    path.write_bytes(content)

    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def set_entry(*keys_and_value: Any) -> Callable[[dict[str, Any]], None]:
    *keys, last, value = keys_and_value

    def change(document: dict[str, Any]) -> None:
        for key in keys:
            document = document[key]
        if value is None:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_entry("architecture", [1]),
            r"architecture: expected a dict with the keys 'class', 'arguments', got \[1\]",
        ),
        (set_entry("architecture", None), "the file: expected a dict with the keys 'architecture', .*, got 'checksum'"),
        (set_entry("architecture", "class", 3), "architecture.class: expected a string, got 3"),
        (set_entry("architecture", "class", ["MLP"]), r"architecture.class: expected a string, got \['MLP'\]"),
        (
            set_entry("architecture", "class", "Net"),
            "architecture.class: expected one of Neuron, Layer, MLP, .*Sequential, got 'Net'",
        ),
        (
            set_entry("architecture", "class", "MLP"),
            "architecture.arguments: expected a dict with the keys 'nin', 'nouts'",
        ),
        (set_entry("architecture", "more", 1), "architecture: expected a dict with the keys"),
        (set_entry("architecture", "arguments", 3), "architecture.arguments: expected a dict or null, got 3"),
        (set_entry("architecture", "arguments", [["nin", 2]]), "architecture.arguments: expected a dict or null"),
        (
            set_entry("architecture", "arguments", "nin", None),
            "architecture.arguments: expected a dict with the keys 'nin'",
        ),
        (set_entry("architecture", "arguments", "more", 1), "expected a dict with the keys .*, got .*'more'"),
        *(
            (set_entry("architecture", "arguments", "nin", nin), "arguments.nin: expected a whole number of 1 or more")
            for nin in (0, -2, 2.0, "2", True, [2], {}, -(10**300))
        ),
        *(
            (set_entry("architecture", "arguments", name, flag), f"arguments.{name}: expected true or false, got")
            for name in ("bias", "nonlin")
            for flag in (-4, 0, 1, "no", 0.0, [])
        ),
        (set_entry("architecture", "arguments", "nin", 10**15), "architecture: it has 1000000000000001 parameters"),
        (set_entry("architecture", "arguments", "nin", 10**4000), "architecture: it has 1000+1 param"),
        (set_entry("architecture", "arguments", "activation", "swish"), "activation: expected one of"),
        (set_entry("architecture", "arguments", "activation", "\ud800"), "activation: expected one of"),
        (set_entry("architecture", "arguments", "activation", 1), "arguments.activation: expected a string, got 1"),
        (set_entry("state", None), "the file: expected a dict with the keys 'architecture'"),
        (set_entry("state", [1.0, 2.0, 3.0]), r"state: expected a dict, got \[1.0, 2.0, 3.0\]"),
        *(
            (set_entry("state", "w.0", number), "state.w.0: expected a number with a decimal point or an exponent, got")
            for number in ([1.0], {"w": 1.0}, True, 1, "nan", 10**400)
        ),
        (set_entry("state", "w.0", None), "architecture: it has 3 parameters, and state has 2"),
        (set_entry("state", {"a": 0.0, "b": 0.0, "c": 0.0}), "state: .*missing: w.0, w.1; unexpected: a, c"),
        (set_entry("extra", "text"), "extra: expected a dict, got 'text'"),
        (set_entry("microgrud_version", 1), "microgrud_version: expected a string, got 1"),
        (set_entry("format_version", 1.0), "format_version 1.0 is not a version number"),
        (set_entry("format_version", [1]), r"format_version \[1\] is not a version number"),
        (set_entry("format_version", 10**300), "by a newer microgrud"),
    ],
)
def test_content_that_does_not_hang_together_is_refused_in_spite_of_its_checksum(
    change: Callable[[dict[str, Any]], None], message: str, good: bytes, path: Path
) -> None:
    document = json.loads(good)
    path.write_bytes(signed(document))
    load_model(path)
    change(document)
    path.write_bytes(signed(document))

    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (3, r"layers\[1\]: expected a dict with the keys 'class', 'arguments', got 3"),
        ("rleu", "architecture or state: activation: expected one of"),
        ({"class": ["PReLU"], "arguments": {}}, r"layers\[1\].class: expected one of Neuron.* got \['PReLU'\]"),
        ({"class": "Net", "arguments": {}}, "class: expected one of"),
        ({"class": "PReLU", "arguments": None}, r"layers\[1\].arguments: expected a dict, got None"),
        ({"class": "PReLU", "arguments": {"count": 10**300}}, "it has 10+2 parameters, and state has 2"),
        ({"class": "PReLU", "arguments": {"count": 2}}, "it has 4 parameters, and state has 2"),
        ({"class": "Dropout", "arguments": {"p": 2.0}}, "architecture or state: Dropout: p: expected a finite number"),
        ({"class": "LayerNorm", "arguments": {"size": 1, "eps": -1.0, "elementwise_affine": False}}, "LayerNorm: eps"),
        ({"class": "Sequential", "arguments": {"layers": [3]}}, r"layers\[1\].arguments.layers\[0\]: expected a dict"),
        ({"class": "Sequential", "arguments": {"layers": []}}, "Sequential: expected at least one layer, got none"),
    ],
)
def test_a_layer_of_a_sequential_that_does_not_fit_is_refused(layer: Any, message: str, path: Path) -> None:
    Sequential(Linear(1, 1, init="zeros"), Dropout()).save(path)
    document = json.loads(path.read_bytes())
    path.write_bytes(signed(document))
    load_model(path)
    document["architecture"]["arguments"]["layers"][1] = layer
    path.write_bytes(signed(document))
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_layers_inside_layers_without_end_are_refused(path: Path) -> None:
    Sequential("relu").save(path)
    document = json.loads(path.read_bytes())
    for _ in range(500):
        inner = document["architecture"]
        document["architecture"] = {"class": "Sequential", "arguments": {"layers": [inner]}}
    try:
        path.write_bytes(signed(document))
    except RecursionError:  # `json` cannot write it either
        return
    with pytest.raises(ModelFileError):
        load_model(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"note": "fine"', '"note": "fine",\n  "note": "fine"'),
        ('"b": 0.0', '"b": 0.0,\n  "b": 1.0'),
        ('"b": 0.0', '"b": NaN'),
        ('"b": 0.0', '"b": -Infinity'),
        ('"b": 0.0', '"b": 1e400'),
        ('"b": 0.0', '"b": 0.0000'),
        ('"b": 0.0', '"b": -0.0'),
        ('"nin": 2', '"nin": 02'),
        ('"fine"', '"f\\u0069ne"'),
        ('"fine"', '"\\ud800"'),
        ('"fine"', '"\\ud83d\\ude00"'),
        ('"fine"', "[" * 900 + "]" * 900),
        ('"fine"', '{"a":' * 3000 + "1" + "}" * 3000),
        ('"fine"', "[" * 800 + "0," * 100_000 + "0" + "]" * 800),
    ],
)
def test_other_spellings_and_deep_nesting_are_refused(old: str, new: str, good: bytes, path: Path) -> None:
    text = good.decode()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))

    with pytest.raises(ModelFileError, match=r"model\.json: .*damaged"):
        load_model(path)


@pytest.mark.parametrize("state", [{"slope": 1.0}, {"slope": 1.0, "offset": 10**400}, {"slope": 2.0, "offset": "1"}])
def test_a_model_is_unchanged_by_a_state_that_does_not_fit(state: dict[str, Any]) -> None:
    line = Line(0.5, 0.25)
    with pytest.raises(ValueError, match="offset"):
        line.load_state_dict(state)

    assert line.state_dict() == {"slope": 0.5, "offset": 0.25}


HOSTILE = """
import pathlib, sys, tracemalloc
from microgrud.nn import ModelFileError, load_model, load_state
tracemalloc.start()
for load in (load_model, load_state):
    try:
        load(sys.argv[1])
    except ModelFileError as error:
        print(error)
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize(
    "changes",
    [
        {"nin": 4, "nouts": [10**9], "bias": -4},  # (4 - 4) * 10**9 parameters
        {"nin": 1, "nouts": [10**9, 1], "bias": -1},
        {"nin": 2, "nouts": [10**9, -(10**9)], "bias": False},
        {"nin": 0, "nouts": [10**9], "bias": False},
        {"nin": 10**9, "nouts": [1], "bias": True},
    ],
)
def test_a_hostile_file_is_refused_in_little_memory(changes: dict[str, Any], path: Path) -> None:
    MLP(1, [1], rng=0).save(path)
    document = json.loads(path.read_bytes())
    document["architecture"]["arguments"].update(changes)
    document["state"] = {}
    path.write_bytes(signed(document))
    assert path.stat().st_size < 400

    run = subprocess.run([sys.executable, "-c", HOSTILE, path], capture_output=True, text=True, check=True, timeout=60)
    *errors, peak = run.stdout.splitlines()
    assert len(errors) == 2
    assert all(f"{path}: damaged: architecture" in error for error in errors)
    assert int(peak) < 10e6


def test_nested_entries_take_no_more_memory_than_the_file(good: bytes, path: Path) -> None:
    """Check a thousand levels with a list of 100,000 numbers at the bottom: with indentation that would be 100 MB."""
    path.write_bytes(good.replace(b'"fine"', b"[" * 900 + b"0," * 100_000 + b"0" + b"]" * 900))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_ends_of_lines_may_be_those_of_another_system(good: bytes, path: Path) -> None:
    path.write_bytes(good.replace(b"\n", b"\r\n"))

    assert load_model(path)[1] == {"note": "fine"}


def test_a_file_that_is_not_there_is_the_usual_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_model(path)


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    failing: str, error: BaseException, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Neuron(1, init="zeros").save(path)
    old = path.read_bytes()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(type(error)):
        MLP(2, [3, 1]).save(path)

    assert path.read_bytes() == old
    assert os.listdir(path.parent) == [path.name]


def test_content_is_on_the_disk_before_it_takes_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, rename = os.fsync, os.replace

    def recording_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("folder flushed" if is_folder else "file flushed")
        fsync(descriptor)

    def recording_replace(source: Path, target: Path) -> None:
        calls.append("renamed")
        assert Path(source).parent == Path(target).parent
        rename(source, target)

    monkeypatch.setattr(os, "fsync", recording_fsync)
    monkeypatch.setattr(os, "replace", recording_replace)
    Neuron(1).save(path)

    assert calls[:2] == ["file flushed", "renamed"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_permissions_are_those_of_the_file_replaced_or_of_any_new_file(path: Path) -> None:
    Neuron(1).save(path)
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode

    path.chmod(0o640)
    Neuron(2).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege")
def test_a_symbolic_link_is_followed(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path.symlink_to(folder / "real.json")
    for model in (Neuron(1), Neuron(2)):  # first a link to nothing, then one to a file
        model.save(path)
        assert path.is_symlink()
        assert Neuron.load(folder / "real.json").state_dict() == model.state_dict()


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(OSError, match="expected the name of a file to write, got a folder of that name"):
        Neuron(1).save(tmp_path / "runs")
    with pytest.raises(FileNotFoundError, match="expected a path in a folder that exists: .*missing"):
        Neuron(1).save(tmp_path / "missing" / "model.json")

    assert os.listdir(tmp_path) == ["runs"]


def test_a_file_that_may_not_be_written_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Neuron(1).save(path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # the superuser may write to anything

    with pytest.raises(PermissionError, match="the file exists and is not writable") as caught:
        Neuron(2).save(path)
    assert (caught.value.errno, caught.value.filename) == (errno.EACCES, str(path))


def test_other_documents_can_be_kept_the_same_way(path: Path) -> None:
    document = {"format": "diary", "format_version": 3, "days": [1, 2]}
    write_json_atomically(path, document)

    assert read_json(path, "diary", newest_version=3) == {**document, "checksum": checksum(document)}
    with pytest.raises(ModelFileError, match="not a microgrud model file, but a 'diary'"):
        load_model(path)
