"""Compiled functions in pickles, in copies and in other processes, and from several threads at once."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import math
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from cells import every_cell
from inside import recordings
from truth import CONSTANTS, COUNTS

import microgrud
from microgrud import (
    CompileError,
    Value,
    compile,
    custom_op,
    exp,
    grad,
    log,
    log_softmax,
    relu,
    softmax,
    take,
    tanh,
    where,
)
from microgrud.engine.ops import TABLE
from microgrud.losses import cross_entropy, squared_error
from microgrud.nn import MLP, Module
from microgrud.tape import Compiled, executors
from microgrud.tape.building import LINEAR
from microgrud.tape.native import native_tape
from microgrud.tape.packing import pack_program, unpack_program
from microgrud.tape.program import Instruction, Program, SlotGuard, check_program
from microgrud.tape.recorder import DETACH, TAKE

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(150, 2)), RNG.normal(size=150)

#: An operation at the top level of a module, where a pickle finds it, though its value and its rule are lambdas.
cubed = custom_op("cubed", lambda x: x**3, lambda z, x: 3.0 * x * x)


def _bump(x: float) -> float:
    return math.exp(-x * x)


def _bump_slope(z: Any, x: Any) -> Any:
    return -2.0 * x * z


def through_pickle(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


def a_model() -> tuple[MLP, Compiled]:
    model = MLP(2, [5, 3, 1], activation="tanh", rng=random.Random(1))
    return model, compile(lambda x, t: squared_error(model(x), t), batched=("x", "t"))


def absolute(x: Any) -> Any:
    return x if x > 0.0 else -x


# --- what comes back ---


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_gives_the_same_bits_and_shares_the_parameters_of_its_model(protocol: int) -> None:
    model, f = a_model()
    f.map(X, Y)
    twin_model, twin = pickle.loads(pickle.dumps((model, f), protocol))
    assert twin(X, Y) == f(X, Y)
    assert twin.map(X, Y).tolist() == f.map(X, Y).tolist()
    value, gradients = f.value_and_grad(X, Y, argnums=(0, 1))
    twin_value, twin_gradients = twin.value_and_grad(X, Y, argnums=(0, 1))
    assert value == twin_value
    assert [g.tolist() for g in gradients] == [g.tolist() for g in twin_gradients]
    f.backward(X, Y)
    twin.backward(X, Y)
    assert any(p.grad for p in model.parameters())
    assert [p.grad for p in twin_model.parameters()] == [p.grad for p in model.parameters()]
    twin_model.parameters()[0].data += 1.0
    assert twin(X, Y) != f(X, Y)


def test_a_call_without_a_batch_and_a_step_of_training() -> None:
    model = MLP(2, [4, 1], activation="relu", rng=random.Random(2))
    f = compile(lambda x: model(x) * 2.0)
    f([0.5, -0.25])
    twin_model, twin = through_pickle((model, f))
    for owner, compiled in ((model, f), (twin_model, twin)):
        compiled.backward([0.5, -0.25])
        for p in owner.parameters():
            p.data -= 0.1 * p.grad
    assert twin([0.5, -0.25]) == f([0.5, -0.25])


@pytest.mark.parametrize("name", TABLE)
def test_every_operation_of_the_table_comes_back(name: str) -> None:
    operation = TABLE[name]
    point = [0.25, 0.5, 0.75, 0.5, 1.5][: COUNTS.get(name, operation.arity or 3)]
    point = [0.5, 0.25, 0.75] if name == "clip" else [1.5] if name == "acosh" else point
    f = compile(lambda x: operation(*CONSTANTS.get(name, ()), *x) * 2.0)
    expected = f.value_and_grad(point)
    twin = through_pickle(f)
    assert twin.value_and_grad(point) == expected


def test_no_function_comes_along() -> None:
    model, f = a_model()
    f(X, Y)
    f.notes = [lambda: None]  # type: ignore[attr-defined]
    data = pickle.dumps((model, f))
    assert b"lambda" in data  # the name
    assert b"test_compile_pickling" not in data.replace(f.__module__.encode(), b"")
    with pytest.raises(CompileError, match="came out of a pickle"):
        pickle.loads(data)[1].function()


def test_names_texts_and_settings_come_back() -> None:
    @compile(batched="x", reduction="sum", threads=3, errors="ignore", max_paths=7)
    def loss(x: Any, y: Any) -> Any:
        """Return a loss."""
        return x * y

    loss([1.0, 2.0], y=3.0)
    twin = through_pickle(loss)
    assert (twin.batched, twin.reduction, twin.threads, twin.errors, twin.max_paths) == (("x",), "sum", 3, "ignore", 7)
    assert (twin.__name__, twin.__doc__, repr(twin)) == ("loss", "Return a loss.", repr(loss))
    assert twin([1.0, 2.0], y=3.0) == 9.0
    assert twin.map([1.0], y=2.0).tolist() == [2.0]
    assert twin.stats == loss.stats


def test_a_second_pickle_is_that_of_the_first() -> None:
    model, f = a_model()
    f(X, Y)
    once = through_pickle((model, f))
    assert pickle.dumps(through_pickle(once)) == pickle.dumps(once)


def test_recordings_are_compact() -> None:
    model = MLP(2, [16, 16, 1], activation="tanh", rng=random.Random(1))
    f = compile(lambda x, t: squared_error(model(x), t), batched=("x", "t"))
    f(X, Y)
    beside_the_model = len(pickle.dumps((model, f))) - len(pickle.dumps(model))
    assert beside_the_model < 6_000  # of 407 nodes


class Point(NamedTuple):
    x: Any
    y: Any


def test_structures_of_arguments_and_results() -> None:
    def f(p: Any, table: Any, flag: Any = None, *, k: int = 0) -> Any:
        return {"both": Point(p.x + table["a"][0], p.y * table["b"][k]), (1, "z"): [table["a"].sum()], "n": (p.x,)}

    compiled = compile(f)
    args: tuple[Any, ...] = (Point(1.0, 2.0), {"a": np.array([1.0, 2.0]), "b": [3.0, 4.0]})
    expected = compiled(*args, flag="yes", k=1)
    twin = through_pickle(compiled)
    found = twin(*args, flag="yes", k=1)
    assert found == expected
    assert type(found["both"]) is Point
    with pytest.raises(CompileError, match=r"no recording for arguments of this structure; call it so once before"):
        twin(*args, flag="no", k=1)


def test_arrays_of_floats_and_integers_as_results_and_arguments() -> None:
    table = [Value(float(k)) for k in range(4)]
    f = compile(lambda x, k: np.array([[take(table, k) * x[0], x[1]]]), batched=("x", "k"))
    ks = np.array([0, 3, 1], dtype=np.int32)
    expected = f.map(X[:3], ks)
    twin_table, twin = through_pickle((table, f))
    assert twin.map(X[:3], ks).tolist() == expected.tolist()
    assert twin.map(X[:3], [2, 2, 0]).shape == (3, 1, 2)
    twin_table[2].data = 50.0
    assert twin.map(X[:1], [2])[0, 0, 0] == 50.0 * X[0, 0]


def test_an_index_that_is_out_of_range_is_an_error_also_of_what_came_back() -> None:
    table = [Value(1.0), Value(2.0)]
    f = compile(lambda x, k: x * take(table, k), batched=("x", "k"))
    f([1.0], [1])
    twin = through_pickle(f)
    with pytest.raises(CompileError, match="outside of its domain"):
        twin([1.0, 1.0], [1, 2])
    assert twin.map([1.0, 3.0], [1, 0]).tolist() == [2.0, 3.0]


def test_models_among_the_arguments_are_found_by_what_they_became() -> None:
    model, other = a_model()[0], a_model()[0]
    f = compile(lambda net, x: net(x))
    expected = f(model, [0.5, 0.25])
    twin, twin_model = through_pickle((f, model))
    assert twin(twin_model, [0.5, 0.25]) == expected
    with pytest.raises(CompileError, match="for arguments of this structure"):
        twin(other, [0.5, 0.25])


def test_second_derivatives_that_were_recorded() -> None:
    f = compile(lambda x: tanh(x[0]) * x[1] ** 2 + exp(x[0]))
    x, v = np.array([0.3, -0.5]), np.array([1.0, 2.0])
    product, hessian = f.hvp(x, v), f.hessian(x)
    twin = through_pickle(f)
    assert twin.hvp(x, v).tolist() == product.tolist()
    assert twin.hessian(x).tolist() == hessian.tolist()
    with pytest.raises(CompileError, match=r"no recording of the derivatives .* to argument \(0,\) \(gradient\)"):
        twin.hvp((x,), (v,), argnums=(0,))


# --- what does not ---


def test_what_was_not_recorded_is_an_error_that_says_so() -> None:
    f = compile(absolute)
    f(2.0)
    twin = through_pickle(f)
    assert twin(3.0) == 3.0
    message = (
        "absolute came out of a pickle, with its recordings and without its code: there is no recording for the path "
        "that these arguments take through its branches; call it so once before it is pickled, or compile the function "
        "again in this process"
    )
    with pytest.raises(CompileError) as caught:
        twin(-3.0)
    assert str(caught.value) == message
    assert twin(4.0) == 4.0
    f(-3.0)
    assert through_pickle(f).value_and_grad(-3.0) == (3.0, -1.0)


def test_integers_that_were_not_recorded() -> None:
    f = compile(lambda x, k: x**k)
    f(2.0, 3)
    twin = through_pickle(f)
    assert twin(3.0, 3) == 27.0
    with pytest.raises(CompileError, match="there is no recording for the integers 2;"):
        twin(3.0, 2)


def test_errors_are_for_the_function_to_raise() -> None:
    f = compile(lambda x: log(x) * 2.0, batched="x")
    f([1.0])
    g = compile(lambda x: log(x) * 2.0, batched="x", errors="ignore")
    g([1.0])
    twin, lenient = through_pickle((f, g))
    with pytest.raises(CompileError, match=r"not finite.*compile it again in this process, or with errors='ignore'"):
        twin.map([1.0, -1.0])
    assert math.isnan(lenient.map([1.0, -1.0])[1])


def test_higher_orders_and_compiled_functions_around_it_need_the_function() -> None:
    f = compile(absolute)
    f(2.0)
    twin = through_pickle(f)
    for call in (lambda: grad(grad(twin))(2.0), lambda: compile(lambda x: twin(x) * 2.0)(3.0)):
        with pytest.raises(CompileError, match="inside another function that is recorded, and for derivatives of"):
            call()
    x = Value(2.0)
    assert twin.backward(x) == 2.0
    assert x.grad == 1.0
    (3.0 * twin(x)).backward()
    assert x.grad == 4.0
    assert grad(twin)(2.0) == 1.0


def test_one_that_has_no_recording_can_be_pickled_and_says_so() -> None:
    with pytest.raises(CompileError, match="no recording for arguments of this structure"):
        through_pickle(compile(absolute))(1.0)


def test_what_is_not_recorded_pushes_no_recording_out() -> None:
    f = compile(lambda x: sum(x))
    f([1.0, 2.0])
    twin = through_pickle(f)
    for length in range(3, 100):
        with pytest.raises(CompileError):
            twin([1.0] * length)
    assert twin([3.0, 4.0]) == 7.0


# --- operations of one's own ---


def test_operations_at_the_top_of_a_module_come_back_as_they_are() -> None:
    f = compile(lambda x: cubed(x) + 1.0)
    f(2.0)
    twin = through_pickle(f)
    assert twin.value_and_grad(3.0) == (28.0, 27.0)
    (path,) = recordings(twin)
    assert any(instruction.operation is cubed for instruction in path.program.instructions)


def test_operations_made_of_functions_at_the_top_of_a_module_come_back() -> None:
    bump = custom_op("bump", _bump, _bump_slope)
    f = compile(lambda x: bump(x) * 2.0)
    expected = f.value_and_grad(0.5)
    assert through_pickle(f).value_and_grad(0.5) == expected


def test_other_operations_are_an_error_that_names_them() -> None:
    hidden = custom_op("hidden", lambda x: x * 2.0, lambda z, x: 2.0)
    f = compile(lambda x: hidden(x))
    f(1.0)
    with pytest.raises(pickle.PicklingError, match=r"operation 'hidden', which cannot be pickled .*top level of a mod"):
        pickle.dumps(f)


def test_an_operation_that_is_no_longer_there(monkeypatch: pytest.MonkeyPatch) -> None:
    f = compile(lambda x: cubed(x))
    f(1.0)
    data = pickle.dumps(f)
    monkeypatch.delattr(sys.modules[__name__], "cubed")
    with pytest.raises(pickle.UnpicklingError, match="operation cubed of the module .*which is not found here"):
        pickle.loads(data)


# --- copies ---


def test_a_copy_has_the_recordings_so_far_and_the_function() -> None:
    f = compile(absolute)
    f(1.0)
    for twin in (copy.copy(f), copy.deepcopy(f)):
        assert twin.function is f.function
        assert twin.stats == f.stats
        assert twin(-2.0) == 2.0
        assert (twin.stats["paths"], f.stats["paths"]) == (2, 1)


def test_a_deep_copy_of_a_function_is_one_of_its_own_parameters() -> None:
    w = Value(2.0)
    f = compile(lambda x: w * x)
    f(1.0)
    _, twin = copy.deepcopy((w, f))
    twin.backward(3.0)  # as a plain function, it closes over w
    assert w.grad == 3.0


class Regression(Module):
    """A module with compiled methods of three kinds: of the class, of the instance, and a function."""

    def __init__(self) -> None:
        self.w = Value(2.0)
        self.squared = compile(self._squared)

    def _squared(self, x: Any) -> Any:
        return (self.w * x) ** 2

    @compile
    def loss(self, x: Any) -> Any:
        return self.w * x if x > 0.0 else x


def test_deep_copies_of_modules_train_themselves() -> None:
    model = Regression()
    model.squared.backward(1.0)
    twin = copy.deepcopy(model)
    assert twin.w is not model.w
    twin.w.data, twin.w.grad = 5.0, 0.0
    assert twin.squared.backward(2.0) == 100.0
    assert (twin.w.grad, model.w.grad) == (40.0, 4.0)
    assert twin.loss(2.0) == 10.0
    assert model.loss(2.0) == 4.0
    assert twin.squared.function.__self__ is twin
    assert inspect.unwrap(twin.squared).__self__ is twin


def test_a_deep_copy_that_begins_at_the_compiled_method_is_one_object() -> None:
    model = Regression()
    squared = copy.deepcopy(model.squared)
    assert squared.function.__self__.squared is squared
    assert squared.function.__self__ is not model


def test_a_compiled_method_is_copied_with_its_instance() -> None:
    model = Regression()
    model.loss(1.0)
    twin, loss = copy.deepcopy((model, model.loss))
    assert loss == twin.loss
    twin.w.data = 7.0
    assert loss(1.0) == 7.0


def test_modules_with_compiled_functions_can_be_pickled() -> None:
    model = Regression()
    model.squared(1.0)
    model.loss(1.0)
    twin, loss = through_pickle((model, model.loss))
    assert list(twin.state_dict()) == ["w"]
    twin.w.data = 3.0
    assert twin.squared(1.0) == 9.0
    assert loss(1.0) == 3.0  # without code
    assert twin.loss(-1.0) == -1.0  # that of the class, which has its code
    with pytest.raises(CompileError):
        loss(-1.0)


def test_a_deep_copy_of_what_came_out_of_a_pickle_has_leaves_of_its_own() -> None:
    w = Value(2.0)
    f = compile(lambda x: w * x * x)
    f.hessian(1.0)
    f(1.0)
    twin_w, twin = through_pickle((w, f))
    again_w, again = copy.deepcopy((twin_w, twin))
    again_w.data = 10.0
    assert (again(1.0), again.hessian(1.0), twin(1.0)) == (10.0, 20.0, 2.0)
    again.backward(2.0)
    assert (again_w.grad, twin_w.grad) == (4.0, 0.0)
    assert copy.copy(twin)(1.0) == 2.0


# --- other processes ---

_CHILD = """
import pickle, sys
import microgrud
model, f, X, Y = pickle.load(sys.stdin.buffer)
value = f.backward(X, Y)
pickle.dump((microgrud.backend, value, [p.grad for p in model.parameters()], f.map(X, Y)), sys.stdout.buffer)
"""


def _in_another_process(backend: str, *parts: Any) -> Any:
    environment = {**os.environ, "MICROGRUD_BACKEND": backend}
    command = [sys.executable, "-c", _CHILD]
    run = subprocess.run(command, input=pickle.dumps(parts), capture_output=True, check=True, env=environment)
    return pickle.loads(run.stdout)


def test_another_process_gives_the_same_bits() -> None:
    model, f = a_model()
    each = f.map(X, Y)
    backend, value, gradient, found = _in_another_process(microgrud.backend, model, f, X, Y)
    assert backend == microgrud.backend
    assert value == f.backward(X, Y)
    assert gradient == [p.grad for p in model.parameters()]
    assert found.tolist() == each.tolist()


@pytest.mark.skipif(native_tape is None, reason="takes the interpreter in C")
def test_a_process_with_the_other_engine_gives_the_same_numbers() -> None:
    model, f = a_model()
    f(X, Y)
    backend, value, gradient, _ = _in_another_process("python", model, f, X, Y)
    assert backend == "python"
    assert value == pytest.approx(f.backward(X, Y), rel=1e-13)
    assert gradient == pytest.approx([p.grad for p in model.parameters()], rel=1e-11, abs=1e-14)


def test_a_pool_of_new_processes_shares_the_work() -> None:
    f = compile(absolute)
    f(1.0)
    f(-1.0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(f, [1.0, -2.0, 3.0]) == [1.0, 2.0, 3.0]
        assert pool.apply(f.value_and_grad, (-4.0,)) == (4.0, -1.0)


# --- damage ---


def a_state() -> tuple[Any, ...]:
    """A packed program with every kind of part except leaves."""
    table = [1.0, 2.0, 3.0]

    def f(x: Any, k: Any) -> Any:
        z = softmax([x[0] * x[1] + 0.5, x[1], x[0]])
        return where(x[0] > 0.25, z[0], z[2]) * take(table, k) + relu(x[1]) * (x[0] if x[0] > 0.0 else 1.0)

    compiled = compile(f)
    compiled([0.5, 0.75], 1)
    (path,) = recordings(compiled)
    return pack_program(path.program)


def test_what_is_whole_comes_back() -> None:
    state = a_state()
    program = unpack_program(state, [])
    check_program(program)
    assert pack_program(program) == state


@pytest.mark.parametrize("first", range(0, 300, 30))  # the name of the test is what a crash leaves
def test_damaged_programs_are_refused_or_run_and_nothing_crashes(first: int) -> None:
    with every_cell() as cell:
        for seed in range(first, first + 30):
            with cell(f"seed {seed}"):
                refuse_or_run_damage(random.Random(seed))


def refuse_or_run_damage(rng: random.Random) -> None:
    state = list(a_state())
    place = rng.randrange(len(state))
    state[place] = _damaged(state[place], rng)
    try:
        program = unpack_program(tuple(state), [])
    except pickle.UnpicklingError:
        return
    for varying in ([False, False], [True, True], [False, True]):
        executor = executors.executor_for(program, varying, [varying[0]], 1)
        numbers = [np.array([0.5] * 70) if varies else 0.5 for varies in varying]
        integers = [np.array([1] * 70) if varying[0] else 1]
        samples = 70 if any(varying) else None
        executor.run(numbers, integers, samples, np.ones((len(program.outputs), samples or 1)), True)


def _damaged(part: Any, rng: random.Random) -> Any:
    if isinstance(part, tuple) and part and rng.random() < 0.9:
        k = rng.randrange(len(part))
        return (*part[:k], _damaged(part[k], rng), *part[k + 1 :])
    if isinstance(part, bytes) and part and rng.random() < 0.9:
        k = rng.randrange(len(part))
        return part[:k] + bytes([rng.choice([0, 1, 2, part[k] ^ 1, 127, 128, 255])]) + part[k + 1 :]
    if isinstance(part, int) and rng.random() < 0.8:
        return part + rng.choice([-100, -1, 1, 2**40])
    return rng.choice([None, b"", (), "tanh", -1, b"b\x00\x01", ("math", "pi"), ("microgrud", "tanh")])


def test_damage_is_named() -> None:
    whole = a_state()
    for place, part, message in (
        (6, b"b" + bytes([77]), "expected a slot that has been written to, got 77"),
        (4, tuple("tanz" if name == "relu" else name for name in whole[4]), "name of an operation, got 'tanz'"),
        (0, (10**6, 10), "expected no more than .* slots for so many numbers, got 1000000"),
        (2, b"b\x00", "expected a slot for each of 0 leaves and .* constants, got 1"),
    ):
        with pytest.raises(pickle.UnpicklingError, match=f"damaged.*{message}"):
            unpack_program((*whole[:place], part, *whole[place + 1 :]), [])


def test_foreign_states_are_refused() -> None:
    _, f = a_model()
    f(X, Y)
    state = f.__getstate__()
    for damage in (
        {"version": 5},
        {"settings": ("x", "mean", 0, "raise", 64)},
        {"settings": (("x",), "median", 1, "raise", 64)},
        {"names": None},
        {"families": [(state["families"][0][0], [(b"", [], 0.0)])]},
        {"families": [((("number",), ()), state["families"][0][1])]},
        {"families": [([], state["families"][0][1])]},
        {"gradients": [(0, abs)]},
    ):
        twin = Compiled.__new__(Compiled)
        with pytest.raises(pickle.UnpicklingError, match="compiled function"):
            twin.__setstate__({**state, **damage})
    for foreign in (None, [], {}, {"version": 1}):
        with pytest.raises(pickle.UnpicklingError, match="compiled function"):
            Compiled.__new__(Compiled).__setstate__(foreign)


def test_a_pickle_that_is_cut_off_anywhere_is_refused() -> None:
    _, f = a_model()
    f(X, Y)
    f.value_and_grad(X, Y)
    whole = pickle.dumps(f)
    for length in range(3, len(whole)):  # of the number of the protocol alone pickle says EOFError
        with pytest.raises(pickle.UnpicklingError):
            pickle.loads(whole[:length])


def flipped(x: Any, rng: random.Random) -> Any:
    """Return a part of a state with one bit of it flipped, in bytes, numbers or texts."""
    if isinstance(x, (tuple, list)) and x:
        k = rng.randrange(len(x))
        return type(x)([*x[:k], flipped(x[k], rng), *x[k + 1 :]])
    if isinstance(x, bytes) and x:
        k = rng.randrange(len(x))
        return x[:k] + bytes([x[k] ^ 1 << rng.randrange(8)]) + x[k + 1 :]
    if isinstance(x, str) and x:
        k = rng.randrange(len(x))
        return x[:k] + chr(ord(x[k]) ^ 1 << rng.randrange(5)) + x[k + 1 :]
    return x ^ 1 << rng.randrange(40) if isinstance(x, int) else None


@pytest.mark.parametrize("part", ["version", "name", "settings", "names", "families", "gradients", "checksum"])
def test_a_flipped_bit_is_refused_or_makes_a_call_that_was_not_recorded(part: str) -> None:
    """Wrong names of arguments and functions fail at a call; the checksum covers everything that computes."""
    f = compile(lambda x, y: tanh(x[0] * y + 0.25) + softmax([x[1], y])[0])
    f.value_and_grad([0.5, 0.75], 1.25, argnums=(0, 1))
    expected = f([0.5, 0.75], 1.25)
    rng, state, refused = random.Random(part), f.__getstate__(), 0
    for _ in range(300):
        twin = Compiled.__new__(Compiled)
        try:
            twin.__setstate__({**state, part: flipped(state[part], rng)})
        except pickle.UnpicklingError:
            refused += 1
            continue
        with contextlib.suppress(CompileError):
            assert twin([0.5, 0.75], 1.25) == expected
    assert refused > (0 if part == "gradients" else 100)


@pytest.mark.parametrize("parts", [(), (list,), (Value, (), 1.0, 0.0, "", ("tanz",), (), None), (abs, 1.0)])
def test_damaged_parts_of_a_value_are_refused(parts: tuple[Any, ...]) -> None:
    function = Value(1.0).__reduce_ex__(5)[0]
    with pytest.raises(pickle.UnpicklingError, match="its pickle is damaged"):
        function(*parts)


# --- damage that only C would notice ---

needs_c = pytest.mark.skipif(native_tape is None, reason="takes the interpreter in C")


ADD, RELU, TANH, PRODUCTS, SOFTMAX = (TABLE[name] for name in ("add", "relu", "tanh", "dot", "softmax"))


@needs_c
@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"instructions": [Instruction(TANH, 4, (4,))]},
        {"instructions": [Instruction(TANH, 4, (-1,))]},
        {"instructions": [Instruction(TANH, 4, (6,))]},
        {"instructions": [Instruction(TANH, 4, (5,)), Instruction(TANH, 5, (4,))]},
        {"instructions": [Instruction(TANH, -1, (0,))]},
        {"instructions": [Instruction(TANH, 6, (0,))]},
        {"instructions": [Instruction(TANH, 0, (0,))]},
        {"instructions": [Instruction(TANH, 2, (0,))]},
        {"instructions": [Instruction(TANH, 4, (0,)), Instruction(RELU, 4, (0,))]},
        {"instructions": [Instruction(TANH, 4, (0, 0))]},
        {"instructions": [Instruction(TANH, 4, ())]},
        {"instructions": [Instruction(DETACH, 4, (0, 0))]},
        {"instructions": [Instruction(LINEAR, 4, (0, 0, 0), 2)]},
        {"instructions": [Instruction(LINEAR, 4, (0, 0, 0), 5)]},
        {"instructions": [Instruction(LINEAR, 4, (0, 0, 0), -1)]},
        {"instructions": [Instruction(TAKE, 4, (1,))]},
        {"instructions": [Instruction(TAKE, 4, (0, 0, 2))]},
        {"instructions": [Instruction(TANH, 4, (1,)), Instruction(TAKE, 5, (4, 0, 2))]},
        {"instructions": [Instruction(SOFTMAX, 4, (2, 0, 0))]},
        {"instructions": [Instruction(SOFTMAX, 4, (3, 0, 0))]},
        {"outputs": [4]},
        {"outputs": [-1]},
        {"guards": [SlotGuard(0, "<", 4, True)]},
        {"guards": [SlotGuard(6, "<", 0, True)]},
        {"numbers": [1]},
        {"numbers": [6]},
        {"constants": {0: 1.0}},
        {"constants": {2: 7.0, 3: -1.0, -1: 5.0}},
        {"leaves": {-1: Value(1.0)}},
        {"slots": 3},
    ],
)
def test_the_interpreter_takes_no_damaged_program(changes: dict[str, Any], varies: bool) -> None:
    """The check in C does not rely on the check of the pickle."""
    # A number, an integer, two constants, and two slots for results.
    program = Program(constants={2: 7.0, 3: -1.0}, numbers=[0], integers=[1], outputs=[0], slots=6)
    executors.NativeExecutor(program, [varies], [varies], 1)
    with pytest.raises(ValueError, match="slots are written once"):
        executors.NativeExecutor(dataclasses.replace(program, **changes), [varies], [varies], 1)


@needs_c
def test_a_softmax_without_a_constant_index_is_left_to_numpy() -> None:
    steps = [Instruction(SOFTMAX, 1, (0, 0, 0)), Instruction(PRODUCTS, 2, (1, 1, 1))]
    program = Program(numbers=[0], outputs=[2], instructions=steps, slots=3)
    assert type(executors.executor_for(program, [False], [], 1)) is executors.NumpyExecutor


@needs_c
@pytest.mark.parametrize("varies", [False, True])
def test_a_result_of_softmax_in_two_slots_is_left_to_numpy(varies: bool) -> None:
    steps = [Instruction(SOFTMAX, 3, (0, 1, 2)), Instruction(SOFTMAX, 4, (0, 1, 2)), Instruction(ADD, 5, (3, 4))]
    program = Program(constants={0: 0.0}, numbers=[1, 2], outputs=[5], instructions=steps, slots=6)
    executor = executors.executor_for(program, [varies, False], [], 1)
    outcome = executor.run([np.array([0.1]) if varies else 0.1, 0.0], [], 1, None, False)
    assert outcome.outputs[0, 0] == pytest.approx(2.0 / (1.0 + math.exp(-0.1)), rel=1e-15)


# --- threads ---


def run_together(work: list[Callable[[], None]]) -> None:
    """Run functions in threads that start together and switch as often as possible; raise the error of one of them."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(each: Callable[[], None]) -> None:
        start.wait()
        try:
            each()
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=run, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]


def test_threads_that_record_one_way_at_once_keep_one_recording() -> None:
    for _ in range(10):
        f = compile(lambda x: sum(tanh(a) for a in x), max_paths=1)
        found: list[float] = []
        run_together([lambda f=f, found=found: found.append(f([0.1] * 50))] * 8)  # type: ignore[misc]
        assert f.stats["paths"] == 1
        assert len(set(found)) == 1
        assert len(found) == 8


def test_threads_on_all_branches_at_once() -> None:
    model, _ = a_model()

    def f(x: Any, t: Any) -> Any:
        z = model(x)
        return (z - t) ** 2 if z > 0.0 else (absolute(t) - z if x[0] > x[1] else z * t)

    expected_f = compile(f, batched=("x", "t"))
    expected = expected_f.map(X, Y).tolist()
    value, gradient = expected_f.value_and_grad(X, Y)
    shared = compile(f, batched=("x", "t"))

    def work(seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(X))
        for k in range(6):
            own = order[k * 20 : k * 20 + 30]
            assert shared.map(X[own], Y[own]).tolist() == [expected[i] for i in own]
            found, by_x = shared.value_and_grad(X, Y)
            assert found == pytest.approx(value, rel=1e-12)
            assert by_x == pytest.approx(gradient, rel=1e-10, abs=1e-14)

    run_together([lambda seed=seed: work(seed) for seed in range(6)])  # type: ignore[misc]
    assert shared.stats["paths"] == expected_f.stats["paths"]


def test_threads_with_more_structures_than_are_kept() -> None:
    f = compile(lambda x: sum(x))

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(60):
            count = rng.randrange(1, 100)
            assert f([1.0] * count) == float(count)
            assert f.stats["signatures"] <= 64
            assert repr(f)

    run_together([lambda seed=seed: work(seed) for seed in range(4)])  # type: ignore[misc]
    assert f.stats["signatures"] <= 64


def test_threads_that_pickle_while_others_record() -> None:
    f = compile(lambda x, k: x**k)
    f(2.0, 0)

    def record() -> None:
        for k in range(40):
            assert f(2.0, k) == 2.0**k

    def pickle_it() -> None:
        for _ in range(40):
            assert through_pickle(f)(3.0, 0) == 1.0

    run_together([record, record, pickle_it, pickle_it])
    assert f.stats["paths"] == 40


def test_threads_that_ask_for_a_method_of_an_instance_get_the_same() -> None:
    for _ in range(20):
        model = Regression()
        found: list[Any] = []
        run_together([lambda model=model, found=found: found.append(model.loss)] * 4)  # type: ignore[misc]
        assert len(set(found)) == 1


def test_a_loss_over_classes_in_a_pickle() -> None:
    model = MLP(3, [4, 3], activation="relu", rng=random.Random(1))
    f = compile(lambda x, k: cross_entropy([model(x)], [k]) - take(log_softmax(model(x)), k), batched=("x", "k"))
    xs, ks = RNG.normal(size=(40, 3)), RNG.integers(0, 3, size=40)
    each = f.map(xs, ks)
    twin = through_pickle(f)
    assert twin.map(xs, ks).tolist() == each.tolist()
