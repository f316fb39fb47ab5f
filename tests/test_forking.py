"""A fork while other threads are at work: in the child all locks are free, and the collector and recordings work."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import microgrud
from microgrud import Value, compile
from microgrud.common.forking import CachedAttribute, Lock
from microgrud.testing import check_gradients

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(work: Callable[[], bool], seconds: float = 20.0) -> None:
    """Fork, and call the function in the child; fail if it returns False, or does not end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"the child hangs after {seconds} seconds")
        time.sleep(0.002)


@contextmanager
def another_thread(work: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """Let another thread run a function up to the call of its argument, and let it continue at the end."""
    reached, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        reached.set()
        go_on.wait()

    thread = threading.Thread(target=work, args=(pause,))
    thread.start()
    assert reached.wait(20.0)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


def in_recording(pause: Callable[[], None]) -> tuple[Any, Callable[[], object]]:
    """Return a compiled function that pauses while it is recorded in a thread that is not the main one."""
    w = Value(2.0)

    def f(x: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            pause()
        return x * w

    return compile(f), w


USES: dict[str, Callable[[Any], bool]] = {
    "call": lambda f: f(3.0) == 6.0,
    "gradient": lambda f: f.value_and_grad(3.0) == (6.0, 2.0),
    "batch of another structure": lambda f: f([3.0, 4.0][0]) == 6.0 and f(np.float64(1.0)) == 2.0,
    "copy": lambda f: copy.copy(f)(3.0) == 6.0 and copy.deepcopy(f)(3.0) == 6.0,
    "pickle": lambda f: len(pickle.dumps(f)) > 0,
    "listing": lambda f: f.stats["paths"] == 0 and "recording" in repr(f),
    "collector": lambda f: gc.isenabled() and f(3.0) == 6.0 and gc.isenabled(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_child_uses_what_another_thread_was_recording(use: Callable[[Any], bool]) -> None:
    made: list[Any] = []

    def record(pause: Callable[[], None]) -> None:
        compiled, _ = in_recording(pause)
        made.append(compiled)
        compiled(1.0)

    with another_thread(record):
        in_child(lambda: use(made[0]))
    assert made[0](3.0) == 6.0


def test_a_thread_that_forks_continues_its_recording() -> None:
    w = Value(2.0)

    def f(x: Any) -> Any:
        in_child(lambda: True)
        return x * w

    compiled = compile(f)
    assert compiled(3.0) == 6.0

    def child(x: Any) -> Any:
        pids.append(os.getpid())
        forks.append(os.fork() if len(forks) < 1 else -1)
        return x * w

    forks: list[int] = []
    pids: list[int] = []
    compiled = compile(child)
    result = compiled(3.0)  # in both processes
    if forks[0] == 0:
        os._exit(0 if result == compiled(3.0) == 6.0 and gc.isenabled() else 1)
    assert os.waitpid(forks[0], 0)[1] == 0
    assert result == 6.0


def test_a_child_checks_gradients_while_another_thread_does() -> None:
    def check(pause: Callable[[], None]) -> None:
        def f(x: Any) -> Any:
            if hasattr(x[0], "_mpf_"):
                pause()
            return x[0] * x[0]

        check_gradients(f, [3.0])

    with another_thread(check):
        in_child(lambda: bool(check_gradients(lambda x: x[0] * x[0], [3.0])) or True)


def test_forks_at_any_moment() -> None:
    """Two threads record all the time; forty children record too, at whatever point the threads were."""
    w = Value(2.0)
    shared = compile(lambda xs: sum((x * w for x in xs), Value(0.0)))
    stop = threading.Event()

    def work(first: int) -> None:
        size = first
        while not stop.is_set():
            size = size % 80 + 1  # more than the cache holds: each is recorded again
            assert shared([1.0] * size) == 2.0 * size
            compile(lambda x: x * w, batched="x").value_and_grad(np.ones(3))

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 40)]
    for thread in threads:
        thread.start()
    try:
        for k in range(40):
            in_child(lambda k=k: shared([1.0] * (100 + k)) == 2.0 * (100 + k) and gc.isenabled())
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_lock_is_renewed_unless_the_thread_that_forks_holds_it() -> None:
    lock = Lock()
    with another_thread(lambda pause: hold(lock, pause)):
        in_child(lambda: hold(lock, lambda: None))
        assert not lock.is_own()

    with lock, lock:
        in_child(lambda: lock.is_own() and hold(lock, lambda: None) and lock.is_own())
    in_child(lambda: hold(lock, lambda: None) and not lock.is_own())
    assert hold(lock, lambda: None)


def hold(lock: Lock, meanwhile: Callable[[], None]) -> bool:
    with lock:
        meanwhile()
    return True


def test_a_cached_attribute_is_computed_once_and_has_no_lock() -> None:
    class Machine:
        pause: Callable[[], None] = staticmethod(lambda: None)

        @CachedAttribute
        def part(self) -> object:
            """Make a new object."""
            self.pause()
            return object()

    machine, other = Machine(), Machine()
    assert machine.part is machine.part
    assert machine.part is not other.part
    slow = Machine()

    def look(pause: Callable[[], None]) -> object:
        slow.pause = pause
        return slow.part

    with another_thread(look):
        in_child(lambda: Machine().part is not None)


def test_the_package_has_no_other_locks() -> None:
    other = re.compile(r"threading\.(R?Lock|Condition|Semaphore|Event|Barrier)\b|\bcached_property\b|import queue\b")
    root = Path(microgrud.__file__).parent
    assert [path.name for path in root.rglob("*.py") if other.search(path.read_text("utf-8"))] == ["forking.py"]
