"""Programs of recordings: merged sums, equal programs from C and Python, and results that equal the engine's."""

from __future__ import annotations

import contextlib
import math
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from builders import compared
from hypothesis import given, strategies as st
from inside import recordings, thresholds

import microgrud
from microgrud import CompileError, Value, compile, custom_op, softmax, take, where
from microgrud.engine import native, topological_order
from microgrud.engine.ops import DOT, IDENTITY, LOG_SOFTMAX, PROD, SUM, TABLE
from microgrud.tape import building, executors, program
from microgrud.tape.building import KNOWN, LINEAR
from microgrud.tape.native import native_tape
from microgrud.tape.program import Instruction, Instructions, Program, build
from microgrud.tape.recorder import TAKE, record
from microgrud.tape.signature import read_arguments

IN_C = native.engine is not None
NATIVE: Any = native_tape
CUBE = custom_op("cube", lambda x: x * x * x, lambda z, x: 3.0 * x * x)
SHIFT = custom_op("shift", lambda x, y: x + y, (lambda z, x, y: 1.0, lambda z, x, y: 1.0))


def program_of(f: Callable[..., Any], *args: Any) -> Program:
    """The program of one call."""
    names = [f"x{k}" for k in range(len(args))]
    arguments = read_arguments(names, args, {}, ())
    first, second = (record(f, arguments, *arguments.sample(0)) for _ in range(2))
    assert first is not None
    assert second is not None
    return build(first, second)


def operations(built: Program) -> list[str]:
    """The names of the operations of the instructions, in order."""
    return [instruction.operation.name for instruction in built.instructions]


# --- what a program is ---


def test_sums_of_products_are_one_instruction() -> None:
    built = program_of(lambda x, y: x * 2.0 + y * x + 1.0, 1.5, 2.0)
    (instruction,) = built.instructions
    assert instruction.operation is LINEAR
    numbers = {slot: built.constants.get(slot, slot) for slot in range(built.slots)}
    assert [numbers[slot] for slot in instruction.operands[: instruction.plain]] == [1.0]
    xs, ys = instruction.pairs
    assert [(numbers[x], numbers[y]) for x, y in zip(xs, ys)] == [(0, 2.0), (1, 0)]
    assert built.outputs == [instruction.out]


def test_equal_operations_are_one_and_what_nobody_uses_is_none() -> None:
    def f(x: Any) -> Any:
        unused = x.tanh()
        return (x.sin() * x.sin(), unused.data if False else x.cos())

    assert operations(program_of(f, 0.5)) == ["sin", "multiply", "cos"]


def test_an_unused_result_that_may_have_raised_is_a_guard() -> None:
    built = program_of(lambda x: (x.log(), x.sin())[1], 0.5)
    assert operations(built) == ["sin", "log"]
    assert [(guard.symbol, guard.x == guard.y, guard.outcome) for guard in built.guards] == [("==", True, True)]


def test_what_is_made_of_constants_is_a_constant() -> None:
    built = program_of(lambda x: Value(2.0) * 3.0 + x.exp() * Value(0.0).cos(), 0.5)
    assert operations(built) == ["exp", "linear"]
    assert 6.0 in built.constants.values()


def test_zeros_of_both_signs_are_two_constants_and_all_nan_are_one() -> None:
    built = program_of(lambda x: [x * 0.0, x * -0.0, x * math.nan, x + math.nan, x + float("nan")], 0.5)
    signs = [math.copysign(1.0, x) for x in built.constants.values() if x == 0.0]
    assert signs == [1.0, -1.0]
    assert sum(x != x for x in built.constants.values()) == 1


def test_a_sum_of_one_number_is_drawn_into_a_sum_of_two() -> None:
    f = compile(lambda x, y: SUM(x) + y)
    assert f(1.0, 2.0) == 3.0
    assert f.value_and_grad(1.0, 2.0, argnums=(0, 1)) == (3.0, (1.0, 1.0))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_long_sum_is_one_instruction_in_linear_time(reverse: bool) -> None:
    count = 100_000 if IN_C else 2_000

    def f(x: Any, total: Any) -> Any:
        for k in range(count):
            total = x * float(k) + total if reverse else total + x * float(k)
        return total

    start = time.perf_counter()
    built = program_of(f, 1.5, 0.0)
    assert time.perf_counter() - start < 20.0  # 0.1 s; a copy of the sum at each step would take a minute
    assert operations(built) == ["linear"]
    (instruction,) = built.instructions
    expected = list(reversed(range(count))) if reverse else list(range(count))
    assert [built.constants[slot] for slot in instruction.pairs[1]] == expected


def test_what_a_branch_hangs_on_stays_as_it_was_written() -> None:
    def f(x: Any, y: Any) -> Any:
        z = x * y + 1.0
        return z * 2.0 if z > 0.0 else z

    assert operations(program_of(f, 1.0, 2.0)) == ["multiply", "add", "multiply"]
    assert operations(program_of(lambda x, y: (x * y + 1.0).floor(), 1.0, 2.0)) == ["multiply", "add", "floor"]
    chosen = program_of(lambda x, y: where(x * y + 1.0, x * x + 2.0, y), 1.0, 2.0)
    assert operations(chosen) == ["multiply", "add", "linear", "where"]


def test_the_parts_of_a_program() -> None:
    w = Value(3.0)

    def f(x: Any, k: Any, n: Any) -> Any:
        if x > 1.0 and w < x + 10.0:
            return take([x, w, 2.0, 5.0], k) + take([w, x], k) + n * x
        return x

    built = program_of(f, 2.0, 1, 7)
    assert built.numbers == [0]
    assert list(built.integers) == [1, -1]
    assert list(built.leaves.values()) == [w]
    assert built.static_integers == {1: 7}
    assert built.table_sizes == {0: 2}
    assert [(guard.symbol, guard.outcome) for guard in built.guards] == [(">", True), ("<", True)]
    assert built.nodes == 9  # x, k and w; two tables, two sums, a product, and x + 10


def test_a_node_built_by_hand_is_refused() -> None:
    def f(x: Any) -> Any:
        out = Value(2.0, (x,), "twice")
        out._backward = lambda: None
        return out

    with pytest.raises(CompileError, match=r"built by hand \(twice\).*custom_op"):
        compile(f)(1.0)


def test_gradients_and_graphs_outlive_a_recording() -> None:
    w = Value(2.0)
    outside = w * 3.0
    outside.backward()
    with pytest.raises(CompileError, match=r"closes over the result of an operation \('\*', with the number 6.0\)"):
        compile(lambda x: outside * x + w)(2.0)
    f = compile(lambda x: 3.0 * w * x + w)
    assert f(2.0) == 14.0
    assert (w.grad, outside.grad) == (3.0, 1.0)
    w.grad = 0.0
    outside.backward()
    assert w.grad == 3.0


@pytest.mark.skipif(not IN_C, reason="the Python engine does not look for cycles")
def test_a_node_that_depends_on_itself_is_refused() -> None:
    a = Value(1.0) + 1.0
    b = a * 2.0
    a._operands = (b, 1.0)  # type: ignore[misc]
    with pytest.raises(ValueError, match="depends on itself"):
        building.build_instructions((b,), (), (b,), (), 1)
    a._operands = (Value(1.0), 1.0)  # type: ignore[misc]
    b.backward()  # no mark is left behind
    assert b._prev == (a,)


# --- the sequence of instructions ---


def test_instructions_are_made_when_they_are_asked_for() -> None:
    made: list[Instruction] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "Instruction", lambda *parts: made.append(Instruction(*parts)) or made[-1])
        steps = program_of(lambda x, y: x.exp() * y + CUBE(x) + x.sin(), 1.0, 2.0).instructions
        assert isinstance(steps, Instructions)
        assert (len(steps), made) == (4, [])
        assert [step.out for step in reversed(steps)] == [step.out for step in steps][::-1]
        assert list(steps) == made
    assert steps[0] == Instruction(TABLE["exp"], steps[0].out, (0,))
    assert steps[-1].operation is LINEAR
    assert [step.operation for step in steps[1:3]] == [CUBE, TABLE["sin"]]
    assert steps[0] is next(iter(steps))


def test_instructions_of_objects_are_those_of_arrays() -> None:
    steps = program_of(lambda x, y: x.exp() * y + CUBE(x) + take([x, y], 1), 1.0, 2.0).instructions
    again = Instructions.of(list(steps))
    assert again == steps
    assert list(again) == list(steps)
    assert again is not steps
    assert Instructions.of(again) is again
    assert Instructions.of([]) == []
    assert len(Instructions.of([])) == 0
    assert again != list(steps)[:-1]


def test_a_program_of_plain_objects_is_lowered_too() -> None:
    from microgrud.tape.executors import executor_for

    built = program_of(lambda x, y: x.exp() * y + x * y, 0.0, 2.0)
    built.instructions = list(built.instructions)
    outcome = executor_for(built, [False, True], [], 1).run([0.0, np.array([1.0, 2.0])], [], 2, None, False)
    assert outcome.outputs.tolist() == [[1.0, 2.0]]


# --- the builder in C and the builder in Python ---

MAX_STEPS = 40


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Draw what a random function does: choices of an operation and of its operands, near ones more often."""
    place = st.integers(0, 5) | st.integers(0, MAX_STEPS)
    step = st.tuples(st.integers(0, 99), st.lists(place, min_size=4, max_size=9))
    return draw(st.lists(step, min_size=1, max_size=MAX_STEPS))


class Random:
    """A function of numbers, an integer and parameters that does the drawn steps, most of which are sums."""

    def __init__(self, drawn: Sequence[tuple[int, list[int]]]) -> None:
        self.drawn = drawn
        self.parameters = [Value(0.5), Value(-1.25), Value(2.0)]

    def __call__(self, x: Any, y: Any, k: Any) -> Any:
        known: list[Any] = [x, y, *self.parameters, 0.5, -0.0, Value(1.5), Value(0.5), 3.0]
        for choice, places in self.drawn:
            xs = [known[-1 - place % len(known)] for place in places]
            known.append(self.step(choice, xs, k))
        made = [v for v in known[10:] if isinstance(v, Value)]
        inner = {id(operand) for v in made for node in topological_order(v) for operand in node._prev}
        ends = [v for v in made if id(v) not in inner]
        return (ends + [known[0] + 1.0] * 12)[:12]  # as many for every sample

    def step(self, choice: int, xs: list[Any], k: Any) -> Any:
        a, b, c, d = xs[:4]
        if choice < 25:
            return a + b
        if choice < 45:
            return a * b
        if choice < 55:
            half = len(xs) // 2
            return DOT(Value(0.0) if choice % 2 else a, *xs[:half], *xs[half : 2 * half])
        if choice < 65:
            return SUM(*xs) if any(isinstance(v, Value) for v in xs) else a
        few: list[Callable[[], Any]] = [
            lambda: SUM(a + 0.0),
            lambda: IDENTITY(a + 0.0),
            lambda: microgrud.tanh(a),
            lambda: microgrud.floor(a * 0.1 + b * 0.1),
            lambda: where(a * b + c, b, c),
            lambda: CUBE(microgrud.tanh(a + 0.0)),
            lambda: SHIFT(a + 0.0, b),
            lambda: (a + 0.0).detach() * 0.5 + a if isinstance(a + 0.0, Value) else a,
            # A Value that depends on all four, as it is in a recording.
            lambda: take([a, b, c, d], k) + 0.0 * SUM(a, b, c, d, self.parameters[0]),
            lambda: softmax([microgrud.tanh(a), microgrud.tanh(b), c])[1] if self.is_small(c) else a,
            lambda: microgrud.log_softmax([microgrud.tanh(a), microgrud.tanh(b)])[0],
            lambda: PROD(microgrud.tanh(a), microgrud.tanh(b), 2.0),
            lambda: microgrud.relu(a) if (a + 0.0) > (b + 0.0) else b + c * d,
            lambda: a - b,
            lambda: a * b + c * d,
            lambda: -a,
        ]
        return few[choice % len(few)]()

    @staticmethod
    def is_small(x: Any) -> bool:
        return not isinstance(x, Value)


SAMPLES: list[list[Any]] = [[0.3, 0.4, -0.9], [-0.7, 0.2, 0.5], [1, 1, 0]]
#: The largest number that is compared: beyond it, the effect of rounding may grow too large.
LARGEST = 1e3


def weighted(f: Random) -> Callable[..., Any]:
    """The sum of the results of a function, each times a weight of its own."""
    return lambda x, y, k: sum(result * (1.0 + 0.25 * n) for n, result in enumerate(f(x, y, k)))


def eagerly(f: Random, x: float, y: float, k: int) -> tuple[list[float], list[float], float]:
    """The engine's results, the gradient of their weighted sum with respect to x, y and the parameters, and a size.

    The size is the largest absolute number or derivative of a node of the graph.
    """
    inputs = [Value(x), Value(y)]
    for parameter in f.parameters:
        parameter.grad = 0.0
    results = [x.data if isinstance(x, Value) else x for x in f(*inputs, k)]
    total = weighted(f)(*inputs, k)
    total.backward()
    size = max(abs(x) for node in topological_order(total) for x in (node.data, node.grad))
    return results, [x.grad for x in (*inputs, *f.parameters)], size


def runs_in_c(compiled: Any) -> bool:
    """Return whether all recordings were run, and in C but for those with custom operations."""
    for path in recordings(compiled):
        is_custom = {step.operation for step in path.program.instructions} & {CUBE, SHIFT}
        expected = executors.NumpyExecutor if is_custom else executors.NativeExecutor
        if set(map(type, path.executors.values())) != {expected}:
            return False
    return True


@given(steps(), st.lists(st.booleans(), min_size=3, max_size=3), st.booleans())
def test_recordings_give_what_the_function_gives(
    drawn: list[tuple[int, list[int]]], varies: list[bool], in_numpy: bool
) -> None:
    f = Random(drawn)
    names = tuple(name for name, own in zip("xyk", varies) if own)
    args = [np.array(own) if flag else own[0] for own, flag in zip(SAMPLES, varies)]
    samples = [[own[i] if flag else own[0] for own, flag in zip(SAMPLES, varies)] for i in range(3 if names else 1)]
    with pytest.MonkeyPatch.context() as patch, compared() as counts:
        if in_numpy:
            patch.setattr(executors, "native_tape", None)
        results = compile(f, batched=names)
        total = compile(weighted(f), batched=names, reduction="sum")
        try:
            eager = [eagerly(f, *sample) for sample in samples]
        except (ValueError, ArithmeticError) as error:
            with pytest.raises(type(error)):
                total.backward(*args)
            return
        size = max(own for _, _, own in eager)
        if not size < LARGEST:
            return
        close = lambda x: pytest.approx(x, rel=1e-9, abs=1e-9 * size)  # noqa: E731
        found = results.map(*args).tolist() if names else [results(*args)]
        assert [list(row) for row in found] == [close(row) for row, _, _ in eager]
        gradients = np.array([gradient for _, gradient, _ in eager])
        for parameter in f.parameters:
            parameter.grad = 0.0
        _, slopes = total.value_and_grad(*args, argnums=(0, 1))
        total.backward(*args)
        for k in (0, 1):
            assert np.ravel(slopes[k]).tolist() == close(gradients[:, k] if varies[k] else [gradients[:, k].sum()])
        assert [p.grad for p in f.parameters] == close(gradients[:, 2:].sum(axis=0).tolist())
    if IN_C:
        assert counts["build"] >= 1
        assert in_numpy or all(map(runs_in_c, (results, total)))


@pytest.mark.skipif(not IN_C, reason="the interpreter in NumPy keeps what it needs")
@given(steps())
def test_runs_without_a_backward_pass_give_the_same_in_fewer_slots(drawn: list[tuple[int, list[int]]]) -> None:
    # Without custom operations, which only NumPy runs.
    drawn = [(choice, places) for choice, places in drawn if choice < 65 or choice % 16 not in (5, 6)]
    compiled = compile(Random(drawn), batched=("x", "k"), errors="ignore")
    x, k = np.linspace(-1.0, 1.0, 70), np.arange(70) % 4
    try:
        expected = compiled.map(x, 0.25, k)
    except (ValueError, ArithmeticError):
        return
    assert all(executor.tapes.reused == 0 for path in recordings(compiled) for executor in path.executors.values())
    compiled.max_paths = compiled.max_paths  # assigning a setting discards replays and executors
    with thresholds(fewest_to_reuse=0):
        assert repr(compiled.map(x, 0.25, k)) == repr(expected)
    for path in recordings(compiled):
        for executor in path.executors.values():
            assert executor.tapes.reused <= executor.tapes.varying


@pytest.mark.skipif(not IN_C, reason="the interpreter in NumPy keeps what it needs")
def test_a_long_program_runs_forward_in_few_slots() -> None:
    def f(x: Any, y: Any) -> Any:
        for _ in range(1_000):
            x, y = microgrud.tanh(x * y) + x, y + 0.5 * x
        return x

    compiled = compile(f, batched=("x", "y"))
    compiled.map([0.1, 0.2], [0.3, 0.4])
    (path,) = recordings(compiled)
    (executor,) = path.executors.values()
    assert executor.tapes.varying > 2_000
    assert 0 < executor.tapes.reused < 12


def test_c_and_python_build_the_same_of_whole_networks() -> None:
    model = microgrud.nn.MLP(3, [8, 8, 3])
    w, v = Value(2.0), Value(3.0)

    def loss(x: Any, k: Any) -> Any:
        scores = model(x)
        return -take(microgrud.log_softmax(scores), k) + sum(p * p for p in model.parameters()) * 0.01

    with compared() as counts:
        compiled = compile(loss, batched=("x", "k"))
        assert compiled(np.ones((5, 3)), np.array([0, 1, 2, 1, 0])) > 0.0
        product = compile(lambda xs: sum(a * b for a, b in zip(xs, reversed(xs))))
        assert product([1.0, 2.0, 3.0]) == 10.0
        twice = compile(lambda x: (x * w + x * v, x * 0.5 + x * 0.25), batched="x")
        assert twice([1.0, 2.0]) == (7.5, 1.125)
    assert not IN_C or counts["build"] == 3
    assert not IN_C or all(map(runs_in_c, (compiled, product, twice)))


@pytest.mark.skipif(not IN_C, reason="there is one builder without the C engine")
@pytest.mark.parametrize("operands", [(Value(2.0),), (Value(2.0), 3.0, Value(4.0))])
def test_a_product_without_exactly_two_operands_is_refused(operands: tuple[Any, ...]) -> None:
    def f(x: Any) -> Any:
        product = x * 2.0
        product._operands = operands
        return product + x

    with pytest.raises(ValueError, match="slots are written once"):
        compile(f)(1.0)


def tapes_arguments(built: Program, varies: bool) -> list[Any]:
    """The arguments of `Tapes` for the program of a function of x, y and k."""
    given: list[Any] = []

    def tapes(*own: Any) -> Any:
        given.extend(own)
        return NATIVE.Tapes(*own)

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(NotImplementedError):
        patch.setattr(executors, "native_tape", SimpleNamespace(**{**vars(NATIVE), "Tapes": tapes}))
        executors.NativeExecutor(built, [varies, False], [varies], 1)
    return given


@pytest.mark.skipif(not IN_C, reason="the interpreter in NumPy checks as it goes")
@given(st.data())
def test_arbitrary_arrays_are_refused_or_run_within_their_slots(data: st.DataObject) -> None:
    """A program stays within its slots, whatever its arrays hold: the sanitizers would report it."""
    arrays = tapes_arguments(program_of(Random(data.draw(steps())), 0.3, -0.7, 1), data.draw(st.booleans()))
    which = data.draw(st.sampled_from([k for k, array in enumerate(arrays) if isinstance(array, np.ndarray)]))
    spoilt = arrays[which].copy()
    if len(spoilt):
        for _ in range(data.draw(st.integers(1, 3))):
            spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(
                st.integers(-5, 90) | st.sampled_from([1000, 1001, 1002, 1003, 1007, 2**31 - 1, -(2**31)])
            )
    arrays[which] = spoilt if data.draw(st.booleans()) else spoilt[:-1]
    with contextlib.suppress(ValueError, NotImplementedError, OverflowError):
        tapes = NATIVE.Tapes(*arrays)
        uniform, outputs = np.frombuffer(tapes.constants).copy(), np.empty((len(arrays[13]), 3))
        inputs, status = np.zeros((tapes.inputs, 3)), np.empty(3, dtype=np.int32)
        slopes = np.zeros_like(uniform), np.zeros_like(inputs)
        tapes.run(uniform, inputs, np.ones_like(outputs), outputs, *slopes, status, 1, True)
        assert set(status.tolist()) <= {0, *range(1, len(arrays[14]) + 1)}


@pytest.mark.skipif(not IN_C, reason="the interpreter in NumPy takes all arrays")
@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("change", [lambda a: a.view("i8" if a.itemsize == 8 else "f4"), lambda a: a[:0]])
def test_a_run_takes_arrays_of_its_program_alone(which: int, change: Callable[[Any], Any]) -> None:
    tapes = NATIVE.Tapes(*tapes_arguments(program_of(lambda x, y, k: (x * y, x), 1.0, 2.0, 1), True))
    uniform, inputs = np.frombuffer(tapes.constants).copy(), np.ones((tapes.inputs, 3))
    arrays = [uniform, inputs, np.ones((2, 3)), np.ones((2, 3)), np.zeros_like(uniform), np.zeros_like(inputs)]
    arrays.append(np.zeros(3, dtype=np.int32))
    tapes.run(*arrays, 1, True)
    arrays[which] = change(arrays[which])
    with pytest.raises(ValueError, match="Tapes: run: expected arrays"):
        tapes.run(*arrays, 1, True)


@pytest.mark.skipif(not IN_C, reason="the interpreter in NumPy has no codes of its own")
@pytest.mark.parametrize("code", [0, -2, 1001, 1004, 1008, 2**31 - 1])
def test_codes_without_an_operation_are_refused(code: int) -> None:
    arrays = tapes_arguments(program_of(lambda x, y, k: x * y, 1.0, 2.0, 1), False)
    NATIVE.Tapes(*arrays)
    arrays[5] = np.append(arrays[5], np.int32(code))
    with pytest.raises(ValueError, match="slots are written once"):
        NATIVE.Tapes(*arrays)


def whole_program(x: Any, y: Any, k: Any) -> Any:
    """A function with sums, a matrix, a table, a softmax, wide instructions and guards."""
    scores = [x * float(i) + y for i in range(10)]
    rows = [y * x + 0.5 * microgrud.tanh(x), y * x + 0.25 * microgrud.tanh(x)]
    return sum(softmax(scores)) + sum(map(microgrud.sin, scores)) + take(rows, k) * (x if x > 0.0 else y)


def every_allocation_fails_once() -> None:
    testcapi = pytest.importorskip("_testcapi")
    x, w, again = Value(0.5), Value(2.0), Value(0.5)

    def ends_of(x: Value) -> tuple[Any, ...]:
        scores = [x * float(k) + w for k in range(100)]
        return (*(p * q for p in softmax(scores) for q in scores[:20]), CUBE(x), 1.5)

    ends, ends_again = ends_of(x), ends_of(again)
    given = tapes_arguments(program_of(whole_program, 0.5, -0.25, 1), True)
    fixed = tapes_arguments(program_of(whole_program, 0.5, -0.25, 1), False)
    calls: list[Callable[[], Any]] = [
        lambda: building.build_instructions(ends, (x,), ends_again, (again,), len(ends)),
        lambda: NATIVE.Tapes(*given[:15], 0).argument_slots,
        lambda: NATIVE.Tapes(*fixed).argument_slots,
    ]
    for call in calls:
        expected, failures = call(), 0
        for position in range(10_000):
            testcapi.set_nomemory(position, position + 1)
            try:
                found = call()
            except MemoryError:
                found = None
            finally:
                testcapi.remove_mem_hooks()
            failures += found is None
            assert found is None or found == expected
            if position > failures + 20:
                break
        assert failures > 10
    sum(ends[:-1], Value(0.0)).backward()  # no mark is left behind
    assert x.grad != 0.0


@pytest.mark.skipif(not IN_C, reason="there is one builder without the C engine")
def test_no_memory_is_an_error_wherever_it_is_missing() -> None:
    """In a separate process, since the lock is released meanwhile, and an allocation of another thread might fail."""
    pytest.importorskip("_testcapi")
    tests = pathlib.Path(__file__).parent
    code = (
        f"import sys; sys.path.append({str(tests)!r}); import test_program; test_program.every_allocation_fails_once()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tests.parent)


def test_many_nodes_are_ready_in_no_time() -> None:
    count = 100_000 if IN_C else 2_000

    def f(x: Any) -> Any:
        for _ in range(count):
            x = x * 1.0000001 + 0.1
        return x

    start = time.perf_counter()
    compiled = compile(f)
    result = compiled(1.0)
    taken = time.perf_counter() - start
    expected = f(1.0)
    assert result == pytest.approx(expected, rel=1e-9)
    assert compiled.stats["nodes"] == 2 * count + 1
    assert taken < 4.0  # 0.1 s on a laptop; a walk that is not linear, or objects for all nodes, take minutes


def test_every_role_is_that_of_a_known_operation() -> None:
    assert len(building.ROLES) == len(KNOWN) == len(set(KNOWN))
    assert KNOWN[: len(TABLE)] == tuple(TABLE.values())
    assert KNOWN[-1] is LINEAR
    assert building.ROLES[KNOWN.index(TAKE)] == "take"
    assert building.ROLES[KNOWN.index(LOG_SOFTMAX)] == "ordinary"
    if IN_C:
        assert set(building.ROLES) == set(native.engine.ROLES)  # type: ignore[union-attr]
