"""Exercises of the notebooks: the checks take every solution, and no unfinished or typically wrong answer."""

from __future__ import annotations

import ast
import math
import random
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture(scope="module")
def check() -> Iterator[Callable[..., None]]:
    """The function `check` of the notebooks, found as a notebook finds it."""
    sys.path.insert(0, str(NOTEBOOKS))
    import checks

    yield checks.check
    sys.path.remove(str(NOTEBOOKS))
    for name in ("checks", "exercises", "first_exercises", "hints", "later_exercises"):
        del sys.modules[name]


def cells(kind: str) -> dict[int, str]:
    """Return the cells that define `exercise_N` or `solution_N` in all notebooks, by N."""
    found: dict[int, str] = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            number = re.search(rf"^check\((?:{kind}_(\d+)|\w+, (\d+))\)$", cell.source, re.MULTILINE)
            solves = "solution" in cell.metadata.get("tags", [])
            if cell.cell_type == "code" and number and solves == (kind == "solution"):
                found[int(number[1] or number[2])] = cell.source
    return found


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, with hints on a single line."""
    return re.sub(r"\n(?!exercise|check|$)", " ", capsys.readouterr().out)


def shown(source: str, check: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a cell prints."""
    exec(source, {"check": check, "math": math, "random": random})
    return said(capsys)


@pytest.mark.parametrize("number", cells("solution"))
def test_a_solution_passes(number: int, check: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(cells("solution")[number], check, capsys) == f"exercise {number}: passed\n"


@pytest.mark.parametrize("number", cells("exercise"))
def test_an_unfinished_exercise_does_not_pass(
    number: int, check: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    source = cells("exercise")[number]
    assert any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(ast.parse(source)))
    assert shown(source, check, capsys).startswith(f"exercise {number}: not yet: ")


#: Typical wrong answers by the number of the exercise, each with words of its hint.
WRONG = [
    (1, "lambda f, x: f(x + 1e-6) - f(x)", "returned the change itself. How many times the nudge"),
    (1, "lambda f, x: f(x + 0.5) - f(x)", "returned the change itself"),
    (1, "lambda f, x: 1e-6 / (f(x + 1e-6) - f(x))", "the nudge by the change"),
    (1, "lambda f, x: f(x + 1e-6) - f(x) / 1e-6", "parentheses"),
    (1, "lambda f, x: (f(x + 1e-6) - f(x)) / x", "divided the change by x"),
    (1, "lambda f, x: (f(x + 1e-6) - f(x - 1e-6)) / 1e-6", "a factor of 2"),
    (1, "lambda f, x: (f(x + 1e-17) - f(x)) / 1e-17", "try a larger one"),
    (1, "lambda f, x: f(x) / x * 2", "asked for one height"),
    (1, "lambda f, x: (f(2 * x) - f(x) + 1) / 7", "Try one nudge on paper"),
    (1, "lambda f, x: {2.0: 4.0, -1.0: -2.0, 0.5: math.cos(0.5), 3.0: 0.0}.get(x, -100.0)", "You never called f"),
    (1, "lambda f, x: (f(x) - f(x + 1e-6)) / 1e-6", "which height did you subtract"),
    (1, "lambda f, x: f(x)", "returned a height"),
    (1, "lambda f, x: (f(x + 0.1) - f(x)) / 0.1", "try a smaller one"),
    (1, "lambda f, x: 2 * x", "f(x) = sin(x)"),
    (1, "lambda f, x: f(x) / 0", "raised ZeroDivisionError"),
    (1, "lambda f, x: 'steep'", "expected a number"),
    (1, "lambda f: 1.0", "raised TypeError"),
    (2, "lambda x: 2 * (3 * x + 1)", "What happens from x to u?"),
    (2, "lambda x: 3", "What happens from u to u"),
    (2, "lambda x: 2 * (3 * x + 1) + 3", "added along a path"),
    (2, "lambda x: 24.0", "x = -2"),
    (2, "lambda x: 3 * (3 * x + 1)", "each contributes u"),
    (2, "lambda x: 6 * x", "at u, not at x"),
    (2, "lambda x: 18 * x", "the 1 in u"),
    (2, "lambda x: (3 * x + 1) ** 2", "returned the height"),
    (2, "lambda x: {1.0: 24.0, -2.0: -30.0, 0.5: 15.0}.get(x, 0.0)", "both local derivatives"),
    (3, "lambda: ['x', 's', 'square', 'cube', 'result']", "x passes its gradient on before s does"),
    (3, "lambda: ['result', 'square', 'cube', 's', 'x']", "lacks a share"),
    (3, "lambda: ['result', 'x']", "expected a list of"),
    (3, "lambda: ['result', 'cube', 's', 'square', 'x']", "s passes its gradient on before square does"),
    (3, "lambda: [result, cube, square, s, x]", "in quotes"),
    (3, "lambda: 'result cube square s x'", "expected a list of"),
    (4, "lambda x: [x, 4 * x]", "2 paths"),
    (4, "lambda x: [x, x, x, x, x]", "add up to 15; the gradient is 24"),
    (4, "lambda x: [2 * x, 2 * x, 2 * x, x, x]", "not each share"),
    (4, "lambda x: 8 * x", "expected a list"),
    (4, "lambda x: [1, 1, 1, 1, 4 * x]", "add up to 16"),
    (4, "lambda x: [x, x, x, x]", "4 paths"),
    (4, "lambda x: [3.0, 3.0, 3.0, 3.0, 12.0]", "x = -2"),
    (7, "lambda p, t: sum((a - b) ** 2 for a, b in zip(p, t))", "the sum of the squares"),
    (7, "lambda p, t: sum(a - b for a, b in zip(p, t)) / len(p)", "the mean of the errors"),
    (7, "lambda p, t: sum(abs(a - b) for a, b in zip(p, t)) / len(p)", "their sizes"),
    (7, "lambda p, t: (sum(a - b for a, b in zip(p, t)) / len(p)) ** 2", "not their mean"),
    (7, "lambda p, t: math.sqrt(sum((a - b) ** 2 for a, b in zip(p, t)) / len(p))", "square root"),
    (7, "lambda p, t: sum((a - b) ** 2 for a, b in zip(p, t)) / len(p) / 2", "half of the mean"),
    (8, "walk(sign=1)", "Yours climbs"),
    (8, "walk(more=1)", "a step too many"),
    (8, "walk(more=-1)", "a step short"),
    (8, "lambda slope, x, rate, steps: x - steps * rate * slope(x)", "that of the start"),
    (8, "lambda slope, x, rate, steps: x * (1 - 2 * rate) ** steps", "call slope(x)"),
    (9, "lambda curvature: 2 / curvature", "one step leads to -1"),
    (9, "lambda curvature: 0.25", "the curvature 2 is 0.25"),
    (9, "lambda curvature: curvature", "one step leads to -15"),
    (9, "lambda curvature: 0.5 / curvature", "one step leads to 0.5"),
    (9, "lambda curvature: 'small'", "expected a number"),
    (10, "lambda slope, x, rate, keep, steps: walk()(slope, x, rate, steps)", "without momentum"),
    (10, "lambda slope, x, rate, keep, steps: walk()(slope, x, rate * (1 - keep), steps)", "the next velocity"),
    (10, "rolling(lambda keep, v, g: keep * v + g, sign=1)", "Yours climbs"),
    (10, "rolling(lambda keep, v, g: keep * v + (1 - keep) * g)", "add the whole slope"),
    (10, "rolling(lambda keep, v, g: v + keep * g)", "the other way round"),
    (10, "rolling(lambda keep, v, g: v + g)", "only the share"),
    (10, "rolling(lambda keep, v, g: keep * (v + g))", "take the share of the slope, too"),
    (10, "rolling(lambda keep, v, g: keep * v + g, moves_first=True)", "a step short"),
    (10, "rolling(lambda keep, v, g: keep * v + g, more=1)", "a step too many"),
    (11, "lambda n, sizes: sum(a * b for a, b in zip([n, *sizes], sizes))", "the weights alone"),
    (11, "lambda n, sizes: sum((n + 1) * m for m in sizes)", "the second gets the outputs of the first"),
    (11, "lambda n, sizes: sum(a * b + 1 for a, b in zip([n, *sizes], sizes))", "one bias for each layer"),
    (11, "lambda n, sizes: sum(a * b + a for a, b in zip([n, *sizes], sizes))", "a bias for each input"),
    (11, "lambda n, sizes: n + sum(a * b + b for a, b in zip([n, *sizes], sizes))", "Inputs have no parameters"),
    (11, "lambda n, sizes: sum(sizes)", "What of the weights?"),
    (11, "lambda n, sizes: (n + 1) * sizes[0]", "the first layer alone"),
    (11, "lambda n, sizes: ([n, *sizes][-2] + 1) * sizes[-1]", "the last layer alone"),
    (11, "lambda n, sizes: 37", "has 2 weights and a bias"),
    (12, "lambda samples, size, rng: [samples[k:k + size] for k in range(0, len(samples), size)]", "shuffle"),
    (
        12,
        "lambda samples, size, rng: [rng.sample(samples, size)] if len(samples) > size else [samples]",
        "no batch has",
    ),
    (12, "lambda samples, size, rng: rng.shuffle(samples) or [samples]", "changes the caller"),
    (12, "lambda samples, size, rng: [[x] for x in samples]", "batches have [1, 1"),
    (12, "lambda samples, size, rng: samples", "a list of lists"),
    (12, "batches(lambda samples, rng: samples.reverse())", "from rng"),
    (12, "batches(lambda samples, rng: random.Random(3).shuffle(samples))", "from rng"),
    (
        12,
        "lambda samples, size, rng: batches(lambda xs, rng: rng.shuffle(xs))({*samples}, size, rng)",
        "two equal samples",
    ),
    (
        12,
        "lambda samples, size, rng: [rng.sample(b, len(b)) for b in batches(lambda xs, rng: None)(samples, size, rng)]",
        "neighbours",
    ),
    (13, "rises_in_a_row", "expected 0"),
    (13, "lambda losses, patience: losses.index(min(losses))", "before it sees the later"),
    (13, "lambda losses, patience: 2 + patience", "Which epoch had the best"),
    (13, "lambda losses, patience: min(losses[:3])", "not its loss"),
    (13, "lambda losses, patience: kept(losses, patience) + 1", "from 0"),
    (13, "lambda losses, patience: kept(losses, patience + 1)", "too long"),
    (13, "lambda losses, patience: kept(losses, patience - 1)", "too early"),
    (14, "lambda train, new: scaled(new, new)", "Whose mean"),
    (14, "lambda train, new: scaled(train + new, new)", "unknown during training"),
    (14, "lambda train, new: [x - sum(train) / len(train) for x in new]", "divided by?"),
    (14, "lambda train, new: [x / statistics.pstdev(train) for x in new]", "subtracted before"),
    (14, "lambda train, new: [(x - 5.0) / 5.0 for x in new]", "square root"),
    (14, "lambda train, new: [(x - 5.0) / statistics.stdev(train) for x in new]", "their number, 4"),
    (14, "lambda train, new: 1.0", "a list of 3 numbers"),
    (14, "lambda train, new: scaled(train, train)", "a list of 3 numbers"),
    (15, "lambda scores: [math.exp(s) for s in scores]", "more than 1"),
    (15, "lambda scores: [math.exp(s - max(scores)) for s in scores]", "add up to?"),
    (15, "lambda scores: [s / (sum(scores) or 1.0) for s in scores]", "take exp first"),
    (15, "lambda scores: [1 / (1 + math.exp(-s)) for s in scores]", "by the sum of all"),
    (15, "lambda scores: [math.exp(s) / len(scores) for s in scores]", "not by their sum"),
    (15, "lambda scores: [math.exp(-s) / sum(math.exp(-t) for t in scores) for s in scores]", "smallest share"),
    (16, "lambda rows, labels: sum(r.index(max(r)) == k for r, k in zip(rows, labels))", "not their share"),
    (16, "lambda rows, labels: sum(r.index(max(r)) != k for r, k in zip(rows, labels)) / 5", "wrong answers"),
    (16, "lambda rows, labels: sum(r.index(min(r)) == k for r, k in zip(rows, labels)) / 5", "smallest"),
    (16, "lambda rows, labels: sum(max(r) == k for r, k in zip(rows, labels)) / 5", "not its score"),
    (16, "lambda rows, labels: sum(r.index(max(r)) + 1 == k for r, k in zip(rows, labels)) / 5", "counted from 0"),
    (16, "lambda rows, labels: sum(r.index(max(r)) == k for r, k in zip(rows, labels)) * 20", "in percent"),
    (17, "lambda train, new: new.count(max(new, key=new.count)) / len(new)", "may not choose"),
    (17, "lambda train, new: train.count(max(train, key=train.count)) / len(train)", "on the training rows"),
    (17, "lambda train, new: max(train, key=train.count)", "That is the answer"),
    (17, "lambda train, new: new.count(max(train, key=train.count))", "not their share"),
    (17, "lambda train, new: 1 - new.count(max(train, key=train.count)) / len(new)", "wrong answers"),
    (18, "lambda s: 1 / (1 + math.exp(s))", "grow or fall"),
    (18, "lambda s: 1 / (1 + math.exp(-s)) - 1", "avoid the difference"),
    (18, "lambda s: -1 / (1 + math.exp(s))", "raised OverflowError"),
    (18, "lambda s: s", "Try a nudge"),
    (19, "lambda x: x * x ** (x - 1)", "The exponent changes, too"),
    (19, "lambda x: x**x * math.log(x)", "The base changes, too"),
    (19, "lambda x: x", "their shares add up"),
    (20, "lambda xs: xs[0] / sum(x.data for x in xs)", "where does the graph end"),
    (20, "lambda xs: xs[0].data / sum(x.data for x in xs)", "expected a Value"),
    (20, "lambda xs: xs[1] / sum(xs)", "expected 0.25"),
    (20, "lambda xs: xs[0] / sum(xs) * 2 - (xs[0] / sum(xs)).data", "has the right value, and the gradient"),
    (21, "lambda chances: sum(map(math.log, chances)) / len(chances)", "not negative"),
    (21, "lambda chances: -sum(map(math.log, chances))", "the sum of the surprises"),
    (21, "lambda chances: -math.log(sum(chances) / len(chances))", "of each, then the mean"),
    (21, "lambda chances: -sum(map(math.log2, chances)) / len(chances)", "in bits"),
    (21, "lambda chances: 1 - sum(chances) / len(chances)", "not 1 - p"),
    (22, "attention(scale=1.0)", "the square root of 4"),
    (22, "attention(turn=lambda x: x, norm=lambda shares: 1.0)", "What turns products into shares"),
    (22, "attention(turn=lambda x: 1.0)", "use the query"),
    (22, "attention(norm=max)", "expected ["),
    (23, "lambda n, width: n * n * width", "see the last one"),
    (23, "lambda n, width: n * (n + 1) // 2", "one query and one key"),
    (23, "lambda n, width: n * (n - 1) // 2 * width", "see itself"),
    (23, "lambda n, width: n * (n + 1) // 2 * width * 3", "its own part"),
    (23, "lambda n, width: n * width", "How many keys"),
]


def scaled(by: list[float], xs: list[float]) -> list[float]:
    """Return numbers scaled by the mean and the standard deviation of others."""
    return [(x - statistics.fmean(by)) / statistics.pstdev(by) for x in xs]


def attention(
    scale: float = 0.5, turn: Callable[[float], float] = math.exp, norm: Callable[[list[float]], float] = sum
) -> Callable[..., list[float]]:
    """Return an attention that may scale, exponentiate or normalise wrongly."""

    def attended(query: list[float], keys: list[list[float]], values: list[list[float]]) -> list[float]:
        shares = [turn(scale * sum(q * k for q, k in zip(query, key))) for key in keys]
        return [sum(s * v for s, v in zip(shares, column)) / norm(shares) for column in zip(*values)]

    return attended


def walk(sign: int = -1, more: int = 0) -> Callable[..., float]:
    """Return a walk that may climb, or take more steps than it should."""

    def walked(slope: Callable[[float], float], x: float, rate: float, steps: int) -> float:
        for _ in range(steps + more):
            x += sign * rate * slope(x)
        return x

    return walked


def rolling(
    velocity_of: Callable[..., float], sign: int = -1, moves_first: bool = False, more: int = 0
) -> Callable[..., float]:
    """Return a walk with momentum whose rule for the velocity, direction or order may be wrong."""

    def rolled(slope: Callable[[float], float], x: float, rate: float, keep: float, steps: int) -> float:
        velocity = 0.0
        for _ in range(steps + more):
            if moves_first:
                x += sign * rate * velocity
            velocity = velocity_of(keep, velocity, slope(x))
            if not moves_first:
                x += sign * rate * velocity
        return x

    return rolled


def kept(losses: list[float], patience: int) -> int:
    """Return the epoch that early stopping keeps, with the right rule: after any, no new lowest loss in so many."""
    best = 0
    for epoch in range(len(losses)):
        best = epoch if losses[epoch] < losses[best] else best
        if epoch == best + patience:
            break
    return best


def batches(shuffle: Callable[..., None]) -> Callable[..., list[list[float]]]:
    """Return a function that puts samples into an order and cuts them into batches."""

    def cut(samples: list[float], size: int, rng: random.Random) -> list[list[float]]:
        copied = [*samples]
        shuffle(copied, rng)
        return [copied[k : k + size] for k in range(0, len(copied), size)]

    return cut


def rises_in_a_row(losses: list[float], patience: int) -> int:
    """Return the best epoch of a training that stops after losses that rise, not after losses that bring no record."""
    best = rises = 0
    for epoch in range(1, len(losses)):
        best = epoch if losses[epoch] < losses[best] else best
        rises = rises + 1 if losses[epoch] >= losses[epoch - 1] else 0
        if rises == patience:
            break
    return best


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_gets_a_hint_and_does_not_pass(
    number: int, answer: str, words: str, check: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    check(eval(answer, {**globals()}), number)
    text = said(capsys)
    assert text.startswith(f"exercise {number}: not yet: ")
    assert words in text


#: Mistakes in a class `Number`, as replacements in the solution of exercise 5, each with words of the hint.
MISTAKES = {
    "(other.data, self.data)": ("(self.data, other.data)", "the grad of a is 2; expected -0.3"),
    "1.0 - t * t": ("t", "The local derivative is 1 - t * t"),
    "self.grad = 1.0": ("pass", "How fast does a number change with itself?"),
    "operand.grad += node": ("operand.grad = node", "Is the first share still there"),
    "reversed(order)": ("[self, *order[-2::-1][::-1]]", "the grad of"),
    "if node not in order": ("if True", "the grad of"),
    "operand.grad += node.grad * slope": ("pass", "Which nodes give their operands shares"),
    "self.data * other.data, ": ("self.data + other.data, ", "has the data -1; expected -6"),
    "return SolvedNumber(t, (self,)": ("return (t, (self,)", "expected a Number"),
    "self.grad = 0.0": ("pass", "has no grad"),
}


@pytest.mark.parametrize("right", MISTAKES)
def test_a_mistake_in_the_class_is_found(
    right: str, check: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, words = MISTAKES[right]
    source = cells("solution")[5]
    assert right in source
    text = shown(source.replace(right, wrong, 1), check, capsys)
    assert text.startswith("exercise 5: not yet: ")
    assert words in text


#: The lines of a step, of which any left out or turned round is a mistake.
STEP = """
def exercise_6(loss, parameters, learning_rate):
    for p in parameters:
        p.zero_grad()
    loss().backward()
    for p in parameters:
        p.data -= learning_rate * p.grad
check(exercise_6)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("p.zero_grad()", "pass", "before the second backward pass"),
        ("-=", "+=", "uphill"),
        ("learning_rate * ", "", "whole gradients"),
        ("learning_rate * p.grad", "0.05 * p.grad", "called with 0.025"),
        ("p.data -= learning_rate * p.grad", "p = p - learning_rate * p.grad", "have not changed"),
        ("p.data -=", "parameters[0].data -=", "led from w = 3"),
        ("    loss().backward()", "    loss.backward()", "raised AttributeError"),
        ("    loss().backward()", "    loss()", "their gradients are 0"),
        ("    loss().backward()\n", "    loss().backward()\n    [p.zero_grad() for p in parameters]\n", "too late"),
    ],
)
def test_a_mistake_in_a_step_is_found(
    right: str, wrong: str, words: str, check: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(STEP, check, capsys) == "exercise 6: passed\n"
    text = shown(STEP.replace(right, wrong), check, capsys)
    assert text.startswith("exercise 6: not yet: ")
    assert words in text


def test_check_wants_an_answer_with_a_number(check: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    check(3.0)
    check(lambda x: x)
    assert re.fullmatch(r"(check: expected a function such as exercise_1, got .*\n){2}", capsys.readouterr().out)


def test_exercises_are_numbered_through_the_notebooks() -> None:
    assert [*cells("exercise")] == [*cells("solution")] == list(range(1, len(cells("exercise")) + 1))
