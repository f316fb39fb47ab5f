"""The modules that run inside the playground, on the engine that runs there; test_playground.py tests the page."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import microgrud
from microgrud import Value

pytestmark = pytest.mark.skipif(microgrud.backend != "python", reason="the playground runs the Python engine")
FOLDER = Path(__file__).parents[1] / "docs" / "playground"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"playground_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


programs, training = loaded("programs"), loaded("training")


def run(source: str, changes: dict[str, float] | None = None) -> dict[str, Any]:
    """Run a program, with changed numbers for leaves by their keys."""
    asked = {"source": source, "changes": changes or {}}
    return dict(json.loads(programs.run(json.dumps(asked))))


def rows(shown: dict[str, Any]) -> dict[str, tuple[float, float]]:
    return {row["name"]: (float(row["data"]), float(row["grad"])) for row in shown["rows"]}


@pytest.mark.parametrize(
    ("source", "root"),
    [
        ("a = Value(1.0) * 2.0\nloss = a * 3.0\nb = loss + 1.0", "loss"),
        ("a = Value(1.0) * 2.0\nb = a + 1.0\nn = 3", "b"),
        ("loss = Value(1.0) * 2.0\na = loss + 1.0\na", "a"),
        ("loss = 0.5\na = Value(1.0)", "a"),
        ("a = Value(1.0) * 2.0\nb = Value(4.0)\na.backward()", "a"),
    ],
)
def test_the_graph_is_that_of_the_last_line_or_of_loss_or_of_the_last_variable(source: str, root: str) -> None:
    shown = run(f"from microgrud import Value\n{source}")
    assert shown["rows"][-1]["name"] == root
    assert shown["rows"][-1]["grad"] == "1.0"


def test_a_changed_number_stays_with_its_leaf_where_a_branch_makes_more_leaves() -> None:
    source = "from microgrud import Value\nw = Value(2.0)\nif w > 3.0:\n    v = Value(7.0)\nz = Value(1.0)\ny = w * z"
    key = next(leaf["key"] for leaf in run(source)["leaves"] if leaf["name"] == "z")
    assert rows(run(source, {"2.0": 5.0, key: 9.0}))["y"] == (45.0, 1.0)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_leaf_that_is_no_finite_number_has_no_slider(number: str) -> None:
    source = f"from microgrud import Value\nx, y = Value(2.0), Value(float('{number}'))\nz = x * y"
    shown = run(source)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown  # the page reads strict JSON
    assert [leaf["name"] for leaf in shown["leaves"]] == ["x"]
    assert shown["left_out"] == 1


def test_a_changed_leaf_starts_from_its_new_number_and_branches_follow() -> None:
    source = "from microgrud import Value\nx, y = Value(2.0), Value(5.0)\nz = x * y if x > 0.0 else x + y"
    assert rows(run(source))["z"] == (10.0, 1.0)
    shown = run(source, {"2.0": -1.0})
    assert rows(shown) == {"x": (-1.0, 1.0), "y": (5.0, 1.0), "z": (4.0, 1.0)}
    assert shown["leaves"][0] == {"key": "2.0", "name": "x", "first": 2.0, "now": -1.0}
    assert Value(3.0).data == 3.0  # values made elsewhere are what they were


def test_random_numbers_are_the_same_in_each_run() -> None:
    source = "import random\nfrom microgrud import Value\nx = Value(random.random())\ny = x * random.random()"
    assert run(source)["rows"] == run(source)["rows"]


def test_gradients_are_those_of_one_pass_and_others_are_noted() -> None:
    source = "from microgrud import Value\nx = Value(3.0)\ny = x * x\ny.backward()\n"
    once, twice = run(source), run(source + "y.backward()")
    assert rows(once) == rows(twice) == {"x": (3.0, 6.0), "y": (9.0, 1.0)}
    assert (once["others"], twice["others"]) == ([], [["x", "12.0"]])
    assert rows(run("from microgrud import Value\nx = Value(3.0)\nloss = x * x"))["x"] == (3.0, 6.0)


def test_a_step_downhill_after_the_loss_leaves_the_numbers_that_the_loss_was_computed_from() -> None:
    source = "from microgrud import Value\nw = Value(1.0)\nfor _ in range(3):\n    loss = w * w\n    w.zero_grad()\n"
    source += "    loss.backward()\n    w.data -= 0.25 * w.grad\nprint(w.data)"
    shown = run(source)
    assert (shown["output"], shown["moved"], shown["error"]) == ("0.125\n", [["w", "0.125"]], None)
    assert rows(shown) == {"w": (0.25, 0.5), "loss": (0.0625, 1.0)}
    assert "player" in shown


def test_numbers_that_were_set_while_the_graph_was_computed_are_an_error_beside_the_output() -> None:
    source = "from microgrud import Value\nw = Value(1.0)\ny = w * 2.0\nw.data = 5.0\nprint('here')\nz = y + w * 3.0"
    shown = run(source)
    assert shown["output"] == "here\n"
    assert ".data was set after y was computed from w" in shown["error"]["message"]


def test_every_example_of_the_page_runs_and_has_steps() -> None:
    script = (FOLDER / "program.js").read_text(encoding="utf-8")
    examples = re.findall(r'^  "([\w ]+)": `([^`]+)`,$', script, re.MULTILINE)
    assert len(examples) >= 4
    for name, source in examples:
        shown = run(source)
        assert shown["error"] is None, name
        assert "player" in shown, name


def test_nodes_are_named_by_variables_elements_of_lists_and_parameters() -> None:
    source = "from microgrud.nn import Neuron\nfrom microgrud import Value\nxs = [Value(1.0), Value(2.0)]\n"
    source += "v1 = Value(0.5)\nn = Neuron(2, rng=0)\nout = n(xs) * v1"
    assert set(rows(run(source))) == {"xs[0]", "xs[1]", "v1", "w.0", "w.1", "b", "v2", "v3", "out"}


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("x = 1\ny = 1 / 0", 2, "ZeroDivisionError: division by zero"),
        ("from microgrud import Value\ndef f(x):\n    return x.log()\nf(Value(-1.0))", 3, "ValueError: "),
        ("x = 1\nx = = 2", 2, "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", 1, "SystemExit: 3"),
        ("{}['a']", 1, "KeyError: 'a'"),
        ("x = Value(2)", 1, "NameError: name 'Value' is not defined; write above it: from microgrud import Value"),
        ("x = 2\ny = value(x)", 2, "NameError: name 'value' is not defined"),
        ("import nympy", 1, "ModuleNotFoundError: No module named 'nympy'; programs here have"),
        ("", None, "the program makes no Value; begin with: from microgrud import Value"),
    ],
)
def test_an_error_names_its_line(source: str, line: int | None, message: str) -> None:
    error = run(source)["error"]
    assert error["line"] == line
    assert error["message"].startswith(message)


def test_output_is_kept_before_an_error() -> None:
    shown = run("print('so far')\n1 / 0")
    assert shown["output"] == "so far\n"
    assert "rows" not in shown


def request(do: str, **asked: Any) -> dict[str, Any]:
    usual = {"hidden": [4], "activation": "tanh", "seed": 1, "optimizer": "adam", "rate": 0.1, "batch": 0}
    points = [[-0.6, -0.6, 0], [-0.6, 0.6, 1], [0.6, -0.6, 1], [0.6, 0.6, 0]]
    asked = usual | {"do": do, "points": points, "most": 1, "seconds": 60.0} | asked
    return dict(json.loads(training.handle(json.dumps(asked))))


def test_training_learns_exclusive_or_and_a_new_network_begins_as_the_first() -> None:
    first = request("new", most=0)
    assert first["losses"] == []
    answer = request("train", most=150)
    assert len(answer["losses"]) == 150
    assert float(answer["losses"][-1]) < 0.05
    assert request("new", most=0)["layers"] == first["layers"]
    assert [len(layer) for layer in first["layers"]] == [4, 1]
    assert [len(neuron) for layer in first["layers"] for neuron in layer] == [3, 3, 3, 3, 5]


def test_mini_batches_of_an_epoch_have_each_point_once() -> None:
    trained = training.Training([], "tanh", 0)
    drawn = [trained.next_batch(10, 4) for _ in range(3)]
    assert [len(batch) for batch in drawn] == [4, 4, 2]
    assert sorted(k for batch in drawn for k in batch) == list(range(10))


def test_training_stops_at_a_loss_that_is_not_finite() -> None:
    request("new", hidden=[8, 8], activation="relu", optimizer="sgd", most=0)
    answer = request("train", activation="relu", optimizer="sgd", rate=1e200, most=50)
    assert answer["bad_loss"] in ("inf", "nan")
    assert 0 < len(answer["losses"]) < 50
    assert all(math.isfinite(float(loss)) for loss in answer["losses"])
    assert request("new", most=0)["bad_loss"] is None
