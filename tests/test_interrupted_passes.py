"""Ctrl-C during a backward pass, a walk over a graph or a replay: it takes effect, and leaves no damage."""

from __future__ import annotations

import _thread
import operator
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arrays import np

import microgrud as mg
from microgrud import Value, backend, compile

#: Enough for a pass that takes some milliseconds.
LENGTH = 200_000 if backend == "c" else 2_000
#: Only functions in C send it, so that Python cannot handle it before the engine does.
press: Callable[[], None] = _thread.interrupt_main
call = operator.methodcaller("__call__")


@pytest.fixture
def presses() -> Iterator[list[int]]:
    """A handler that notes Ctrl-C and lets the program continue."""
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    yield noted
    signal.signal(signal.SIGINT, before)


def chain(first: Value, length: int = LENGTH) -> Value:
    y = first
    for _ in range(length):
        y = y * 1.0
    return y


def pressing(below: Value) -> Value:
    """Return a node built by hand that sends Ctrl-C in the backward pass."""
    node = Value(0.0, (below,))
    node._backward = press
    return node


def test_ctrl_c_ends_a_backward_pass_and_the_next_one_is_right() -> None:
    x = Value(3.0)
    x.grad = 0.5
    trigger = pressing(x)
    # The trigger comes first in the backward pass, since it is last in the order.
    y = mg.sum([chain(x * x), trigger])
    with pytest.raises(KeyboardInterrupt):
        y.backward()
    assert x.grad == 0.5
    trigger._backward = lambda: None
    y.backward()
    assert x.grad == 6.5


def test_a_handler_that_returns_lets_the_pass_continue(presses: list[int]) -> None:
    x = Value(3.0)
    mg.sum([chain(x * x), pressing(x)]).backward()
    assert x.grad == 6.0
    assert presses == [signal.SIGINT]


def test_ctrl_c_ends_a_walk_and_the_marks_are_gone() -> None:
    x = Value(3.0)
    y = chain(x * x)
    y.backward()
    with pytest.raises(KeyboardInterrupt):
        list(map(call, [press, y.zero_grad]))
    assert x.grad == 6.0
    y.backward()
    assert x.grad == 12.0
    y.zero_grad()
    assert x.grad == y.grad == 0.0


def test_a_handler_that_returns_lets_the_walk_begin_again(presses: list[int]) -> None:
    x = Value(3.0)
    y = chain(x * x)
    y.backward()
    list(map(call, [press, y.zero_grad]))
    assert (x.grad, y.grad) == (0.0, 0.0)
    assert presses == [signal.SIGINT]


def test_a_handler_may_differentiate_another_graph(presses: list[int]) -> None:
    x, z = Value(3.0), Value(5.0)
    y, other = chain(x * x), chain(z * z)
    signal.signal(signal.SIGINT, lambda number, frame: (presses.append(number), other.backward()))
    mg.sum([y, pressing(x)]).backward()
    assert presses == [signal.SIGINT]
    assert (x.grad, z.grad) == (6.0, 10.0)


@pytest.mark.skipif(backend != "c", reason="a handler runs in the middle of a pass of the Python engine")
def test_a_handler_may_differentiate_the_same_graph(presses: list[int]) -> None:
    x = Value(3.0)
    y = mg.sum([chain(x * x), pressing(x)])
    seen = []

    def handle(number: int, frame: Any) -> None:
        presses.append(number)
        if len(presses) == 1:  # its own pass sends Ctrl-C again
            seen.append(x.grad)
            y.backward()

    signal.signal(signal.SIGINT, handle)
    y.backward()
    assert presses == [signal.SIGINT] * 2
    assert seen == [6.0]
    assert x.grad == 12.0


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("samples", [4_000, 20_000])  # in one chunk, and in several
def test_ctrl_c_ends_a_replay_before_it_adds_to_a_gradient(samples: int, threads: int) -> None:
    w = Value(1.0)

    def loss(x: Any) -> Any:
        for _ in range(20_000 if backend == "c" else 2_000):
            x = mg.sin(x)
        return x * w

    compiled = compile(loss, batched="x", threads=threads)
    compiled.backward(np.array([0.5, 0.25]))
    w.grad = 0.0
    ended = False
    while not ended:  # with more work each time, until the signal comes in the middle of it
        batch = np.full(samples, 0.5)
        timer = threading.Timer(0.05, press)
        timer.start()
        try:
            compiled.backward(batch)
            timer.join()
        except KeyboardInterrupt:
            ended = w.grad == 0.0
        w.grad, samples = 0.0, 2 * samples
    expected = compiled([0.5])
    assert compiled.backward([0.5, 0.5]) == expected
    assert w.grad == expected


@pytest.mark.skipif(backend != "c", reason="the Python engine has one thread")
def test_threads_finish_what_they_are_in() -> None:
    w = Value(1.0)

    def loss(x: Any) -> Any:
        for _ in range(2_000):
            x = mg.sin(x)
        return x * w

    def results(threads: int) -> tuple[Any, float]:
        compiled = compile(loss, batched="x", threads=threads)
        values = compiled.map(batch)
        w.grad = 0.0
        compiled.backward(batch)
        return values, w.grad

    batch = np.linspace(0.1, 1.5, 20_000)
    expected, slope = results(1)
    for _ in range(10):
        values, found = results(3)
        assert np.array_equal(values, expected)
        assert found == slope
