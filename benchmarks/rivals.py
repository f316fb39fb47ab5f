"""Adapters of the measured engines: how each makes a number, differentiates, and names its functions."""

from __future__ import annotations

import importlib
import importlib.metadata
import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Engine:
    """The interface of an engine to the workloads.

    Attributes:
        version: the version of the engine.
        number: makes a leaf from a float.
        read: returns the number of a root.
        slope: returns the gradient of a leaf after a backward pass.
        tanh: the engine's function of that name.
        exp: the same.
        log: the same.
        relu: the same.
        backward: runs the backward pass from a root; None for plain floats.
        dot: the sum of products as one operation; None if the engine has none.
        no_grad: a context that disables recording; None if the engine has none.
        begin: prepares the engine for a new graph; None if nothing has to be prepared.
    """

    version: str
    number: Callable[[float], Any]
    read: Callable[[Any], float]
    slope: Callable[[Any], float]
    tanh: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    relu: Callable[[Any], Any]
    backward: Callable[[Any], None] | None
    dot: Callable[[Sequence[Any], Sequence[Any], Any], Any] | None = None
    no_grad: Callable[[], AbstractContextManager[Any]] | None = None
    begin: Callable[[], None] | None = None


def _floats() -> Engine:
    return Engine("", float, float, float, math.tanh, math.exp, math.log, lambda x: max(x, 0.0), None, _dot_of_floats)


def _dot_of_floats(xs: Sequence[float], ys: Sequence[float], bias: float) -> float:
    return sum((x * y for x, y in zip(xs, ys)), bias)


def _microgrud(backend: str) -> Callable[[], Engine]:
    def load() -> Engine:
        os.environ["MICROGRUD_BACKEND"] = backend
        import microgrud

        value = microgrud.Value
        return Engine(
            microgrud.__version__,
            value,
            value.item,
            lambda leaf: leaf.grad,
            value.tanh,
            value.exp,
            value.log,
            value.relu,
            value.backward,
            microgrud.dot,
            microgrud.no_grad,
        )

    return load


def _micrograd() -> Engine:
    from micrograd.engine import Value

    class Node(Value):  # micrograd has no logarithm, and not every release has tanh
        pass

    def unary(x: Any, data: float, slope: float) -> Any:
        out = Value(data, (x,), "f")

        def backward() -> None:
            x.grad += slope * out.grad

        out._backward = backward
        return out

    def tanh(x: Any) -> Any:
        t = math.tanh(x.data)
        return unary(x, t, 1.0 - t * t)

    def exp(x: Any) -> Any:
        e = math.exp(x.data)
        return unary(x, e, e)

    def log(x: Any) -> Any:
        return unary(x, math.log(x.data), 1.0 / x.data)

    return Engine(
        _version("micrograd"),
        Value,
        lambda root: root.data,
        lambda leaf: leaf.grad,
        tanh,
        exp,
        log,
        Value.relu,
        Value.backward,
    )


def _torch() -> Engine:
    import torch

    torch.set_num_threads(1)

    def number(x: float) -> Any:
        return torch.tensor(x, dtype=torch.float64, requires_grad=True)

    return Engine(
        torch.__version__,
        number,
        torch.Tensor.item,
        lambda leaf: leaf.grad.item(),
        torch.tanh,
        torch.exp,
        torch.log,
        torch.relu,
        lambda root: root.backward(),
        None,
        torch.no_grad,
    )


def _xad() -> Engine:
    import xad.adj_1st as adj
    from xad import math as functions

    tape = adj.Tape()
    tape.activate()

    def number(x: float) -> Any:
        made = adj.Real(x)
        tape.registerInput(made)
        return made

    def backward(root: Any) -> None:
        tape.registerOutput(root)
        root.derivative = 1.0
        tape.computeAdjoints()

    return Engine(
        _version("xad"),
        number,
        adj.Real.getValue,
        adj.Real.getDerivative,
        functions.tanh,
        functions.exp,
        functions.log,
        lambda x: functions.max(x, 0.0),
        backward,
        begin=tape.newRecording,
    )


def _hips_autograd() -> Engine:
    import autograd.numpy as functions
    from autograd.core import VJPNode, backward_pass
    from autograd.tracer import new_box

    def number(x: float) -> Any:
        return new_box(x, 0, VJPNode.new_root())

    found = [0.0]

    def backward(root: Any) -> None:
        found[-1] = float(backward_pass(1.0, root._node))

    return Engine(
        _version("autograd"),
        number,
        lambda root: float(root._value),
        lambda leaf: found[-1],  # a leaf has no attribute for its gradient
        functions.tanh,
        functions.exp,
        functions.log,
        lambda x: functions.maximum(x, 0.0),
        backward,
    )


def _version(package: str) -> str:
    return importlib.metadata.version(package)


BASE = "plain floats"
RIVALS: dict[str, Callable[[], Engine]] = {
    BASE: _floats,  # measured against themselves: the distance from 1 is noise
    "microgrud c": _microgrud("c"),
    "microgrud python": _microgrud("python"),
    "micrograd": _micrograd,
    "xad": _xad,
    "hips autograd": _hips_autograd,
    "torch": _torch,
}
