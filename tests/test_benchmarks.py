"""The workloads of the benchmarks compute the same thing in every way; nothing is timed here."""

from __future__ import annotations

import itertools

import pytest

import microgrud
from benchmarks.recorded import digits, handwritten, mlp
from benchmarks.recorded.figure import draw
from benchmarks.recorded.suite import RECORDED, SUITES, WORKLOADS
from benchmarks.recorded.table import exponent, into, markdown, text
from benchmarks.recorded.worker import agree, repeated

SMALL = [
    ("mlp", "10"), ("transformer", "1 word"), ("transformer", "8 words"), ("barrier", "100 paths"),
    ("recording", "1,000"), ("lorenz", "6 derivatives"), ("rosenbrock", "gradient"), ("rosenbrock", "HVP"),
    ("digits", "40 6 5"), ("digits", "epoch at 16 6 5 40"), ("elementary", "tanh, 9"),
    ("mixture", "5 points 3 2"), ("kmeans", "gradient, 20 3"), ("kmeans", "HVP, 20 3"),
    ("logsumexp", "100"), ("logsumexp", "100 first"), ("elementwise", "tanh"), ("elementwise", "huber"),
    ("residuals", "3 by 4"), ("bounce", "5 simulations"),
    ("bundle", "7 observations"), ("outputs", "10 results"), ("outputs", "10, their sum"),
    ("ring", "gradient, 4"), ("ring", "JVP, 4"), ("layers", "4 by 4"), ("second", "Hessian, 5"), ("second", "HVP, 5"),
    ("training", "3 steps"), ("nested", "5"),
]  # fmt: skip
OURS = [(*case, who) for case in SMALL for who in WORKLOADS[case[0]].programs if who.startswith("microgrud")]
ROUNDS = {"version": "1", "first": 0.5, "seconds": 1e-3, "quartiles": [0.4, 0.6], "base_seconds": 2e-3}


def test_every_workload_runs_here():
    assert {name for name, _ in SMALL} == {name for suite in SUITES.values() for name in suite}


@pytest.mark.parametrize(("name", "case", "rival"), OURS)
def test_results_are_those_by_hand(name, case, rival):
    if microgrud.backend == "python" and name in ("lorenz", "rosenbrock"):
        pytest.skip("takes the Python engine seconds")
    workload = WORKLOADS[name]
    data = workload.data(case)
    by_hand, step = (workload.programs[who](data) for who in (workload.base, rival))
    for _ in range(2):  # as it is recorded, and as it is replayed
        truth = by_hand.read(by_hand.run())
        assert agree(step.read(step.run()), truth, workload.tolerance)


@pytest.mark.parametrize("case", ["1", "10", "100"])
def test_the_network_in_c(case):
    try:
        handwritten.compiler()
    except ImportError as error:
        pytest.skip(str(error))
    data = mlp.data(case)
    by_hand, step = mlp.by_numpy(data), mlp.by_c(data)
    assert agree(step.read(step.run()), by_hand.read(by_hand.run()), 1e-12)


def test_a_step_of_fit_is_timed_from_step_to_step():
    step = digits.by_fit(digits.data("40 6 5"))
    clock = itertools.count().__next__  # a second for each call
    assert step.seconds(1, clock) == 1.0
    assert repeated(step, clock)(3) == 3.0


def test_another_result_is_told():
    data = mlp.data("10")
    by_hand = mlp.by_numpy(data)
    truth = by_hand.read(by_hand.run())
    assert agree(truth, truth, 1e-8)
    assert not agree(truth * (1.0 + 1e-7), truth, 1e-8)
    assert not agree(truth[:-1], truth, 1e-8)


def figures():
    found = [
        {"rival": rival, "workload": name, "case": case, "multiple": 2.0 + k, **ROUNDS}
        for name, workload in RECORDED.items()
        for k, rival in enumerate(workload.programs)
        for case in workload.cases_of(rival)
    ]
    found[-1] = {"rival": "jax jit", "workload": "recording", "case": "1,000", "failed": "more than 60 s"}
    refused = "microgrud.CompileError: 64 paths, at most"
    found.append({"rival": "microgrud", "workload": "nested", "case": "10,000", "failed": refused})
    return [*found, {"rival": "torch", "missing": "No module named 'torch'"}]


def test_tables():
    for lines in (list(text(figures())), list(markdown(figures()))):
        assert any("torch was not measured: No module named 'torch'" in line for line in lines)
        assert any("more than 60 s" in line for line in lines)
        assert any("CompileError |" in line or line.endswith(" CompileError") for line in lines)  # a cell
        assert any("microgrud.CompileError: 64 paths, at most" in line for line in lines)  # a remark


def test_tables_in_a_document(tmp_path):
    document = tmp_path / "README.md"
    first, last = "<!-- the tables of recorded begin -->", "<!-- the tables of recorded end -->"
    document.write_text(f"before\n{first}\nold\n{last}\nafter\n", encoding="utf-8")
    for _ in range(2):
        into(document, "recorded", "a machine", figures())
    written = document.read_text(encoding="utf-8")
    assert written.startswith(f"before\n{first}\nMeasured on a machine, ")
    assert written.endswith(f"\n{last}\nafter\n")
    assert "old" not in written
    assert written.count("### Lorenz") == 1
    document.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        into(document, "recorded", "a machine", figures())


def test_the_exponent_of_growth():
    found = [
        {"rival": "casadi", "workload": "recording", "case": f"{n:,}", "multiple": 3.0 * n**0.5}
        for n in (1000, 100_000)
    ]
    assert exponent(found, "recording", "casadi") == pytest.approx(1.5)
    assert exponent(found, "recording", "microgrud") is None
    assert exponent(found, "nested", "casadi") is None


def test_the_figure(tmp_path):
    draw(figures(), tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text(encoding="utf-8").count("axes_") >= 6
