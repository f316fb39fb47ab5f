"""Promises of the C engine beyond its bits: memory, garbage collection, threads, and no crashes."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import importlib.util
import itertools
import math
import operator
import os
import subprocess
import sys
import sysconfig
import threading
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import microgrud as mg
from microgrud import Value
from microgrud.engine import native
from microgrud.nn import MLP

pytestmark = pytest.mark.skipif(mg.backend != "c", reason="tests the C engine")


def resident() -> int:
    """The resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# --- nodes ---


def test_a_node_with_two_operands_takes_80_bytes() -> None:
    x = Value(1.5)
    assert sys.getsizeof(x * x) <= 80
    assert sys.getsizeof(x * 2.0) <= 80
    assert sys.getsizeof(Value(1.0)) <= 80
    assert sys.getsizeof(mg.sum([x, x, x])) > 80


def test_a_plain_operand_is_not_stored_as_an_object() -> None:
    x, number = Value(1.5), 2.0**0.5
    before = sys.getrefcount(number)
    nodes = [x * number for _ in range(10)]
    assert sys.getrefcount(number) == before
    assert nodes[0]._operands == (x, number)


def test_results_keep_their_operands_alive_and_no_longer() -> None:
    x = Value(2.0)
    root, seen = x * x + 1.0, []
    seen.append(weakref.ref(root._prev[0], lambda ref: seen.append("gone")))
    assert seen[0]() is not None
    del root
    assert seen[1:] == ["gone"]


def test_nodes_have_their_count_of_references_whatever_their_memory_held_before() -> None:
    # Python's debugging allocator fills new memory with bytes that from Python 3.12 on read as an immortal object.
    code = (
        "import sys; from microgrud import Value; x = Value(1.0)\n"
        "print([sys.getrefcount(x * 2.0) for _ in range(3)] == [sys.getrefcount(object())] * 3)"
    )
    env = {**os.environ, "PYTHONMALLOC": "debug"}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("True\n", "")


def test_arithmetic_is_nothing_for_the_collector() -> None:
    x = Value(2.0)
    assert not gc.is_tracked(x)
    assert not gc.is_tracked(mg.tanh(x * x + 1.0))
    assert not gc.is_tracked(mg.dot([x, x], [1.0, x]))


def test_cycles_that_users_make_are_found() -> None:
    class Sub(Value):
        pass

    def micrograd_like() -> Value:
        x = Value(2.0)
        out = Value(x.data**2, (x,), "square")

        def backward() -> None:
            x.grad += 2 * x.data * out.grad

        out._backward = backward
        return out

    def through_a_result() -> Value:
        node = micrograd_like()
        held = node * 3.0
        node._backward = lambda: held.grad  # type: ignore[assignment, return-value]
        return node

    def subclass() -> Value:
        node = Sub(1.0)
        node.itself = node * 2.0  # type: ignore[attr-defined]
        return node

    def label() -> Value:
        node = Value(1.0)
        node.label = [node]  # type: ignore[assignment]
        return node

    def custom() -> Value:
        holder: list[Any] = []
        operation = mg.custom_op("held", lambda x: x, lambda z, x: float(len(holder)))
        node = operation(Value(1.0))
        holder.append(node)
        return node

    def closure_given_late() -> Value:
        leaf = Value(2.0)
        chain = leaf
        for _ in range(1_000):
            chain = chain * 1.0
        leaf._backward = lambda: chain.grad  # type: ignore[assignment, return-value]
        return leaf

    def label_given_late() -> Value:
        leaf = Value(2.0)
        leaf.label = [mg.dot([leaf, 1.0], [leaf * 2.0, leaf])]  # type: ignore[assignment]
        return leaf

    def operands_by_hand() -> Value:
        x = Value(1.0)
        y = x * 2.0
        x._operands = (y,)
        return x

    makers = (micrograd_like, through_a_result, subclass, label, custom, closure_given_late, label_given_late)
    for make in (*makers, operands_by_hand):
        ref = weakref.ref(make())
        gc.collect()
        assert ref() is None, make.__name__


def test_a_million_nodes_are_freed_without_recursion_in_a_thread_with_a_small_stack() -> None:
    def build() -> None:
        y = Value(1.0)
        for _ in range(1_000_000):
            y = y * 1.0

    def differentiate() -> None:
        x = y = Value(1.0)
        for _ in range(100_000):
            y = y * 1.0
        y.backward()
        assert x.grad == 1.0

    # The smallest stack is 128 KiB on arm64, with pages of 64 KiB; one call per node would need 16 MB.
    threading.stack_size(256 * 1024)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(build).result()
            pool.submit(differentiate).result()
    finally:
        threading.stack_size(0)


def test_a_million_nodes_take_90_megabytes() -> None:
    code = (
        "import os; from microgrud import Value\n"
        "pages = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')\n"
        "x = y = Value(1.0); before = pages()\n"
        "for _ in range(1_000_000): y = y * 1.0\n"
        "y.backward(); print(pages() - before)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert int(out) <= 90e6


def test_a_sum_of_very_many_sizes_is_exact() -> None:
    xs = [2.0**52 + 1] + [4.0**k * (3 * 2.0**50 + 1) for k in range(1, 300)]
    assert mg.sum(xs) == math.fsum(xs)
    assert mg.sum([Value(x) for x in xs]).data == math.fsum(xs)
    assert mg.mean([Value(x) for x in xs]).data == pytest.approx(math.fsum(xs) / len(xs), rel=1e-15, abs=0.0)


@pytest.mark.parametrize("wrap", [lambda node: node, types.CellType, lambda node: [node], itertools.repeat])
def test_a_chain_of_labels_is_freed_without_recursion(wrap: Callable[[Value], Any]) -> None:
    node = Value(1.0)
    for _ in range(200_000):
        above = Value(1.0)
        above.label = wrap(node)
        node = above


def test_a_chain_of_closures_is_freed_without_recursion() -> None:
    node = Value(1.0)
    for _ in range(200_000):
        above = Value(1.0)
        above._backward = types.MethodType(print, node)  # type: ignore[assignment]
        node = above


def test_a_node_that_was_brought_back_to_life_by_its_class_is_freed_as_any_other() -> None:
    kept: list[Value] = []

    class Cat(Value):
        __slots__ = ()

        def __del__(self) -> None:
            kept.append(self)

    leaves = [Value(float(k)) for k in range(1_000)]
    nodes = [leaf * leaf for leaf in leaves]
    for node in nodes:
        node.__class__ = Cat
    del node, nodes
    assert len(kept) == 1_000
    for node in kept:
        node.__class__ = Value
    del node
    kept.clear()
    gc.collect()
    total = mg.sum([leaf * leaf for leaf in leaves])
    total.backward()
    assert leaves[3].grad == 6.0
    for _ in range(3):  # and at each address nothing remembers the earlier node
        node = Value(1.0)
        node.__class__ = Cat
        del node
    assert len(kept) == 3


def test_a_flag_that_changes_the_list_does_no_harm() -> None:
    parameters = [Value(1.0), Value(2.0)]

    class Flag:
        def __bool__(self) -> bool:
            parameters.extend(Value(3.0) for _ in range(1_000))
            return True

    vector = np.zeros(2)
    with pytest.raises(ValueError, match="expected a vector of 1002 doubles"):
        native.engine.read_numbers(parameters, Flag(), vector)


def test_a_finalizer_that_empties_the_list_of_operands_does_no_harm() -> None:
    xs = [Value(1.0) for _ in range(1_000)]

    class Emptying:
        def __del__(self) -> None:
            xs.clear()

    keep = [Value(0.0) for _ in range(70_000)]  # so that the next node is a new one
    thresholds = gc.get_threshold()
    gc.disable()
    try:
        gc.set_threshold(1)
        cycle = Emptying()
        cycle.itself = cycle  # type: ignore[attr-defined]
        del cycle
        gc.enable()
        root = mg.sum(xs)
        root.backward()
        assert root.data in (0.0, 1_000.0)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    del keep


# --- the module ---


def another_engine() -> ModuleType:
    """A second copy of the extension module, with a state and types of its own."""
    spec = importlib.util.find_spec("microgrud._native.engine")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("_pass_on", "backward", "detach"):
        setattr(module.Value, name, module.accelerate(vars(Value)[name].__wrapped__, name))
    return module


def test_a_second_copy_of_the_engine_has_types_of_its_own_and_dies_with_its_nodes() -> None:
    module = another_engine()
    value = module.Value
    assert value is not Value
    nodes = [value(3.0) for _ in range(1_000)]
    root = nodes[0] * 2.0 + type("Sub", (value,), {})(2.0)
    root.backward()
    assert nodes[0].grad == 2.0
    gone = [weakref.ref(module), weakref.ref(value)]
    del module, value
    gc.collect()
    assert (nodes[0] * 2.0).data == 6.0  # a node keeps what it needs
    with pytest.raises(ZeroDivisionError, match=r"divide\(3.0, 0.0\)"):
        nodes[0] / 0.0
    del nodes, root
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_cycle_of_a_module_and_its_nodes_is_found() -> None:
    module = another_engine()
    node = module.Value(1.0)
    node.label = [module, module.accelerate(abs, mg.engine.ops.TABLE["exp"]), node * 2.0, node]
    gone = weakref.ref(module)
    del module, node
    gc.collect()
    assert gone() is None


def test_every_interpreter_has_an_engine_of_its_own() -> None:
    # NumPy loads once in a process; the engine needs only the names of its types.
    work = """
import gc, sys, types
numpy = types.ModuleType("numpy")
numpy.ndarray = numpy.generic = type("ndarray", (), {})
sys.modules["numpy"] = numpy
import microgrud
from microgrud import Value
def work():
    x = Value(2.0)
    y = microgrud.tanh(x * x) + microgrud.dot([x, 3.0], [x, x])
    y.backward()
    try:
        Value("a")
    except TypeError:
        return microgrud.backend, x.grad
kept = [work(), Value(3.0) * 2.0]
"""
    main = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
def create():
    try:
        return interpreters.create("legacy")
    except TypeError:
        return interpreters.create(isolated=False)
exec(text)
others = [create() for _ in range(3)]
for other in others:
    interpreters.run_string(other, text)
check = f"assert work() == {work()!r}; kept.append(Value(1.0) * 3.0); gc.collect()"
for other in others:
    interpreters.run_string(other, check)
interpreters.destroy(others[1])
interpreters.run_string(others[0], check)
exec(check)
interpreters.destroy(others[0])
exec(check)
print(work()[0])
"""
    command = [sys.executable, "-c", f"text = {work!r}\n{main}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("c\n", "")


# --- no growth of memory ---


def a_round() -> None:
    model, row = MLP(2, [4, 1], activation="tanh", rng=0), [0.5, -1.0]
    loss = (
        (model(row) - 1.0) ** 2 + mg.logsumexp([*model.parameters()[:5], 3.0]) + mg.softmax(model.parameters()[:3])[0]
    )
    loss.backward()
    loss.zero_grad()
    mg.jvp(lambda x: mg.sin(x) * x, (2.0,), (1.0,))
    for wrong in (
        lambda: loss + "a",
        lambda: mg.log(loss * 0.0),
        lambda: mg.dot([loss], [1.0, 2.0]),
        lambda: mg.exp(loss, 3),
        lambda: Value("a"),
        lambda: Value(1.0, (2.0,)),
        lambda: (loss * 1e308) * 1e308 / 0.0,
        lambda: loss.backward(1),
        lambda: setattr(loss, "data", None),
        lambda: setattr(loss, "_operands", (1,)),
        lambda: native.engine.read_numbers([loss], False, np.zeros(2)),
        lambda: native.engine.read_numbers([3], False, np.zeros(1)),
        lambda: native.engine.write_numbers([loss], False, np.zeros(1, dtype=np.float32)),
        lambda: native.engine.update([loss], "adam", (0.0,) * 9, (np.zeros(1), np.zeros(2), None)),
        lambda: native.engine.update([loss, 3], "sgd", (0.0,) * 6, (np.zeros(2),)),
        lambda: native.engine.update([loss], "sgd", (0.0,) * 5 + ("a",), (None,)),
        lambda: native.engine.accelerate(abs, 3),
    ):
        with contextlib.suppress(TypeError, ValueError, ArithmeticError, AttributeError):
            wrong()
    with mg.no_grad():
        loss * 2.0
    with contextlib.suppress(mg.AnomalyError), mg.detect_anomaly():
        Value(1e200) * Value(1e200)


def test_rounds_of_everything_leave_no_memory_behind() -> None:
    for _ in range(300):
        a_round()
    gc.collect()
    before = resident()
    for _ in range(10_000):
        a_round()
    gc.collect()
    assert resident() - before <= 4 * 2**20


@pytest.mark.parametrize("make", ["x.label = y", "x._operands = (y,)", "x._backward = lambda y=y: y.grad"])
def test_cycles_made_late_are_found_again_and_again(make: str) -> None:
    code = f"""
import os
from microgrud import Value
resident = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
def cycles(count):
    for _ in range(count):
        x = Value(1.0)
        y = x * 2.0
        {make}
cycles(20_000)
before = resident()
cycles(200_000)  # 50 MB, if they stayed
print(resident() - before)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert int(out) <= 4 * 2**20


# --- misuse ---


def test_memory_that_runs_out_is_a_memory_error_and_leaks_nothing() -> None:
    testcapi = pytest.importorskip("_testcapi")
    order = [Value(1.0)] * 3

    def work() -> Any:
        x = Value(0.5, label="x")
        y = mg.dot([x, 2.0, x], [x, x, 3.0]) + mg.tanh(x) * 3 + mg.logsumexp([x, 1.0, 2.0]) + mg.clip(x, 0.0, 1.0)
        y.backward()
        z = Value(2.0, (x, y), "z")
        z.label = "z"
        z._operands = (x, y, 3.0)
        return [mg.engine.topological_order(y), y._operands, x.detach(), y > 2, -y, x**2, z, repr(y), mg.mean(order)]

    def fail_at(position: int) -> int:
        testcapi.set_nomemory(position, position + 1)
        try:
            work()
        except MemoryError:
            return 1
        finally:
            testcapi.remove_mem_hooks()
        return 0

    def alive() -> int:
        return sys.getallocatedblocks() + sys.getrefcount(Value)  # each node has a reference to its type

    work()
    positions = next(k for k in range(10_000) if not any(fail_at(k + j) for j in range(20)))
    assert positions > 20
    gc.collect()
    gc.freeze()
    try:
        for position in range(positions):
            fail_at(position)
            gc.collect()
            before = alive()
            for _ in range(10):
                fail_at(position)
            gc.collect()
            assert alive() - before < 10, position
    finally:
        gc.unfreeze()
    x = Value(3.0)
    (x * x).backward()
    assert x.grad == 6.0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 loses a MemoryError of its own")
@pytest.mark.parametrize(
    "make",
    [
        lambda fresh, kept: fresh(1.0),
        lambda fresh, kept: kept * 2.0,
        lambda fresh, kept: -kept,
        lambda fresh, kept: kept.detach(),
        lambda fresh, kept: kept.exp(),
    ],
)
def test_a_page_that_cannot_be_allocated_is_a_memory_error(make: Callable[[Any, Any], Any]) -> None:
    testcapi = pytest.importorskip("_testcapi")
    fresh = another_engine().Value
    kept = fresh(0.5)

    def without_memory(allocations: int) -> Any:
        """The result if the allocation after so many fails; None for a MemoryError."""
        testcapi.set_nomemory(allocations, allocations + 1)
        try:
            node = make(fresh, kept)
        except MemoryError:
            node = None
        finally:
            testcapi.remove_mem_hooks()
        return node

    def check() -> None:
        make(fresh, kept)
        # The memory that Python itself takes in a call: mostly none, but that depends on the place of its stack.
        own = next(k for k in range(20) if without_memory(k) is not None)
        nodes = [make(fresh, kept)]
        while nodes[-1] is not None and len(nodes) < 1_000:  # until the page is full
            nodes.append(without_memory(own))
        assert 100 < len(nodes) < 300
        before = sys.getrefcount(fresh)
        for _ in range(10):
            assert without_memory(own) is None
        assert sys.getrefcount(fresh) - before < 10
        assert (kept * 2.0).data == 1.0

    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # a thread has a stack of its own, which begins with it
        pool.submit(check).result()


class Meddler:
    """A number that changes the graph while it is converted."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def __float__(self) -> float:
        self.act()
        return 1.0


def test_operands_that_meddle_with_the_graph_do_no_harm() -> None:
    x = Value(2.0)
    y = x * x
    for act in (
        lambda: setattr(y, "_operands", ()),
        lambda: y.backward(),
        lambda: gc.collect(),
        lambda: setattr(x, "data", 5.0),
        lambda: 1 / 0,
    ):
        for apply in (operator.add, operator.mul, mg.hypot, lambda a, b: mg.dot([a, b], [b, a]), mg.maximum):
            with contextlib.suppress(ZeroDivisionError):
                apply(y, Meddler(act))
            with contextlib.suppress(ZeroDivisionError, TypeError):
                apply(Meddler(act), y)
    assert math.isfinite(y.data)


def test_a_symbol_that_meddles_with_its_node_does_no_harm() -> None:
    class Meddling:
        @property
        def symbol(self) -> str:
            node._operation = ""
            raise AttributeError

        def __getattr__(self, name: str) -> str:
            return name

    node = Value(1.0)
    node._operation = Meddling()  # type: ignore[assignment]
    assert node._op == "symbol"


def test_a_class_whose_names_meddle_with_the_graph_does_no_harm() -> None:
    class Key(str):
        def __hash__(self) -> int:
            return hash("_pass_on")

        def __eq__(self, other: object) -> bool:
            middle._operands = (1.0,)
            return False

    sub = type("Sub", (Value,), {Key("zzz"): 1})
    x = Value(3.0)
    middle = x * 2.0
    root = middle * 1.0 + sub(1.0)
    with contextlib.suppress(Exception):
        root.backward()
    assert x.grad in (0.0, 2.0)


def test_rules_that_meddle_with_the_graph_do_no_harm() -> None:
    for meddle in ("operands", "walk", "closure", "raise"):
        nodes: list[Any] = []

        def rule(z: float, x: float, meddle: str = meddle, nodes: list[Any] = nodes) -> float:
            if meddle == "operands":
                for node in nodes:
                    node._operands = ()
            elif meddle == "walk":
                nodes[0].backward()
                nodes[-1].zero_grad()
            elif meddle == "closure":
                nodes[-1]._backward = lambda: nodes.clear()
            else:
                raise ZeroDivisionError
            gc.collect()
            return 2.0

        operation = mg.custom_op("meddles", lambda x: 2.0 * x, rule)
        x = Value(1.5)
        nodes += [x * x, x + 1.0]
        root = operation(nodes[0]) * nodes[1]
        nodes.append(root * 2.0)
        del root
        with contextlib.suppress(ZeroDivisionError):
            nodes[-1].backward()


def test_a_callback_that_changes_a_node_while_its_operands_are_replaced_does_no_harm() -> None:
    x = Value(2.0)
    node = x * 3.0
    inner = x + 1.0
    node._operands = (inner, 2.0)
    seen: list[weakref.ref[Value]] = [
        weakref.ref(inner, lambda _: (setattr(node, "label", "late"), setattr(node, "_closure", None)))
    ]
    del inner
    node._operands = (x, 5.0)
    assert seen[0]() is None
    assert (node.label, node._operands) == ("late", (x, 5.0))
    node.backward()
    assert x.grad == 5.0


def test_a_node_whose_class_is_changed_stays_a_node() -> None:
    class Plain(Value):
        __slots__ = ()

    x = Value(2.0)
    node = x * 3.0
    node.__class__ = Plain
    node.backward()
    assert x.grad == 3.0
    del node
    other = Plain(4.0)
    other.__class__ = Value
    root = other * x
    del other
    root.backward()
    assert x.grad == 7.0
    for _ in range(1_000):  # the memory of both is reused
        root = root * 1.0
    root.backward()
    assert x.grad == 11.0


def test_a_node_with_operands_that_do_not_fit_its_operation_asks_the_rules() -> None:
    x, y = Value(2.0), Value(3.0)
    node = x * y
    node._operands = (x, y, x)
    with pytest.raises(TypeError, match="takes 3 positional arguments but 4 were given"):
        node.backward()
    node._operands = (x, y)
    node.backward()
    assert (x.grad, y.grad) == (3.0, 2.0)
    with pytest.raises(TypeError, match="expected Values and floats, got an object of type int"):
        node._operands = (x, 1)


def test_eight_threads_on_one_model_get_the_right_answers() -> None:
    model = MLP(2, [8, 1], activation="tanh", rng=0)
    rows = [[0.1 * k, -0.2 * k] for k in range(40)]
    expected = [model(row).data for row in rows]

    def work(k: int) -> list[float]:
        with mg.no_grad() if k % 2 else contextlib.nullcontext():
            outputs = [model(row) for row in rows]
        if k % 2 == 0:
            private = [Value(x) for x in rows[k]]
            (private[0] * private[1]).backward()
            assert private[0].grad == private[1].data
        return [output.data for output in outputs]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for answer in pool.map(work, range(32)):
            assert answer == expected


def test_backward_in_eight_threads_on_shared_leaves_adds_up() -> None:
    x = Value(1.0)

    def work(_: int) -> None:
        for _ in range(200):
            (x * 3.0 + mg.sin(x) * 0.0).backward()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert x.grad == 8 * 200 * 3.0


# --- the choice of the engine ---


@pytest.mark.parametrize(("choice", "expected"), [("python", "python"), ("c", "c"), ("", "c")])
def test_the_environment_chooses_the_engine(choice: str, expected: str) -> None:
    code = "import microgrud; print(microgrud.backend)"
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MICROGRUD_BACKEND": choice}, capture_output=True, text=True
    )
    assert run.stdout.strip() == expected


def test_a_missing_engine_is_an_error_that_says_so(tmp_path: Path) -> None:
    package = Path(mg.__file__).parent
    (tmp_path / "microgrud").mkdir()
    for path in package.rglob("*.py"):
        target = tmp_path / "microgrud" / path.relative_to(package)
        target.parent.mkdir(exist_ok=True, parents=True)
        target.write_bytes(path.read_bytes())

    def error(choice: str) -> str:
        env = {**os.environ, "MICROGRUD_BACKEND": choice, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        code = "import microgrud; print(microgrud.backend)"
        run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path)
        return run.stdout + run.stderr.strip().rpartition("\n")[2]

    assert error("") == "python\n"
    assert f"MICROGRUD_BACKEND=c asks for the C engine, which is not in {tmp_path / 'microgrud'}" in error("c")
    assert "expected python or c, got 'rust'" in error("rust")

    (tmp_path / "microgrud" / "_native" / f"engine{sysconfig.get_config_var('EXT_SUFFIX')}").write_bytes(b"")
    assert error("").startswith("python\n")
    assert "MICROGRUD_BACKEND=c asks for the C engine, which does not load here: " in error("c")
