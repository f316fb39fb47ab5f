"""`microgrud export`: a file in another format, or one line for each error, with nothing written."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
from typed import QUICK, a_table, contents, fails, succeed

from microgrud.export import from_safetensors, load_torch_state_dict, to_onnx
from microgrud.nn import MLP
from microgrud.tables import read_table

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.fixture
def run(in_an_empty_folder: None) -> Path:
    succeed("train", a_table(), "--target", "class", *QUICK, "--out", "run")
    return Path("run")


def test_a_run_is_exported_next_to_its_model_and_nothing_else_changes(run: Path) -> None:
    from microgrud.export import onnx_inputs

    before = contents(run)
    result = succeed("export", run, "--to", "onnx")
    assert result.output == f"model for onnx: {run / 'model.onnx'}\n"
    after = contents(run)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"model.onnx"}
    predicted = succeed("predict", run, "table.csv").stdout.splitlines()[1:]
    inputs = onnx_inputs(run, read_table(["table.csv"]))
    labels = onnxruntime.InferenceSession(after["model.onnx"]).run(["output_label"], inputs)[0]
    assert [line.split(",")[1] for line in predicted] == labels.tolist()


def test_an_earlier_export_is_replaced(run: Path) -> None:
    Path("other.onnx").write_text("earlier")
    succeed("export", run / "model.json", "--to", "onnx", "--out", "other.onnx")
    succeed("export", run, "--to", "onnx")
    assert Path("other.onnx").read_bytes() == Path("run/model.onnx").read_bytes()


def test_errors_are_one_line_each_and_nothing_is_written(run: Path) -> None:
    a_table()
    Path("broken.json").write_text("{")
    Path("folder").mkdir()
    fails(["export", run, "--to", "onxn"], "--to: there is no format 'onxn'; did you mean 'onnx'?")
    fails(["export", run], "Missing option '--to'")
    fails(["export", "nothing.json", "--to", "onnx"], "nothing.json: there is no such file")
    fails(["export", "folder", "--to", "onnx"], "there is no such file; give the path of a model.json")
    fails(["export", "table.csv", "--to", "onnx"], "table.csv: not a microgrud model file")
    fails(["export", "broken.json", "--to", "onnx"], "broken.json: not a microgrud model file")
    fails(["export", run, "--to", "onnx", "--out", "nowhere/a.onnx"], "nowhere/a.onnx cannot be written")
    fails(["export", run, "--to", "onnx", "--out", "folder"], "folder cannot be written")
    for name in ("model.json", "history.csv"):
        fails(["export", run, "--to", "onnx", "--out", run / name], f"{name} belongs to the run in its folder")
    text = Path("run/model.json").read_text()
    Path("run/model.json").write_text(text.replace('"days"', '"hours"').replace("0.", "1.", 1))
    fails(["export", run, "--to", "onnx"], "damaged or edited")
    assert not list(run.glob("*.onnx"))


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    fails(["export", run, "--to", "onnx"], "--to onnx: to_onnx needs onnx and onnxruntime")


def test_a_network_is_exported_as_onnx() -> None:
    model = MLP(2, [3, 2], activation="gelu", output="softmax", rng=0)
    model.save("net.json")
    succeed("export", "net.json", "--to", "onnx")
    to_onnx("net.json", "same.onnx")
    assert Path("same.onnx").read_bytes() == Path("net.onnx").read_bytes()
    found = onnxruntime.InferenceSession("net.onnx").run(None, {"input": [[0.5, -1.0]]})[0]
    assert found[0] == pytest.approx(model.predict([[0.5, -1.0]])[0], rel=1e-12)


def test_a_network_is_exported_as_safetensors_and_as_an_estimator_of_scikit_learn() -> None:
    pytest.importorskip("safetensors")
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    model.save("net.json")
    for to in ("safetensors", "sklearn"):
        succeed("export", "net.json", "--to", to)
    assert from_safetensors("net.safetensors").state_dict() == model.state_dict()
    estimator = pickle.loads(Path("net.pickle").read_bytes())
    assert estimator.predict([[0.5, -1.0]])[0] == pytest.approx(model([0.5, -1.0]).data, rel=1e-12)


def test_a_network_is_exported_as_a_state_dict_of_torch() -> None:
    torch = pytest.importorskip("torch")
    model = MLP(2, [3, 1], activation="tanh", rng=0)
    model.save("net.json")
    succeed("export", "net.json", "--to", "torch")
    same = MLP(2, [3, 1], activation="tanh", rng=1)
    load_torch_state_dict(same, torch.load("net.pt", weights_only=True))
    assert same.state_dict() == model.state_dict()


def test_what_a_format_cannot_carry_is_an_error_and_nothing_is_written(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MLP(2, [3, 1], activation="gelu", rng=0).save("gelu.json")
    for to in ("torch", "safetensors", "sklearn"):
        fails(["export", run, "--to", to], f"--to {to}: expected the model file of a network, got a run")
    fails(["export", "gelu.json", "--to", "sklearn"], "--to sklearn: to_sklearn: ")
    monkeypatch.setitem(sys.modules, "torch", None)
    fails(["export", "gelu.json", "--to", "torch"], "--to torch: torch_state_dict needs torch")
