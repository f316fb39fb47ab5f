"""Mistakes of users, each in a line that is marked: both type checkers report these lines and no other one."""

from __future__ import annotations

import math
import random

import numpy as np
from typed_program import Line, area, bell, energy, length, mixed

import microgrud as mg
from microgrud import Value, compile, grad, gradient, hessian, value_and_grad
from microgrud.draw import draw
from microgrud.losses import cross_entropy, huber, squared_error
from microgrud.nn import MLP, Sequential
from microgrud.optim import SGD, Adam
from microgrud.testing import check_gradients
from microgrud.train import fit


def in_arithmetic(x: Value) -> None:
    Value("2.0")  # mistake
    math.exp(x)  # mistake
    float(x)  # mistake
    print(x + "1")  # mistake
    mg.tahn(x)  # mistake
    mg.tanh("1")  # mistake
    mg.tanh(x, x)  # mistake
    mg.tanh(x).bakward()  # mistake
    mg.exp(np.ones(3)).bakward()  # mistake
    mg.tanh(0.5).backward()  # mistake: a float has no gradient
    mg.maximum(x)  # mistake
    mg.clip(x, 0.0)  # mistake
    mg.sum(x)  # mistake: a sum is over a sequence
    mg.dot([x])  # mistake
    mg.softmax([x, x]).backward()  # mistake
    x.data = "1"  # mistake
    x.grad()  # mistake
    gradient(x, 2.0)  # mistake
    length([x, x])  # mistake: a function of floats
    mixed(x, 1.0).backward()  # mistake: it may be a float
    number: float = bell(x)  # mistake
    print(number)


def in_derivatives() -> None:
    grad(area)("2.0")  # mistake
    grad(area)(2.0, 3.0)  # mistake
    grad(area)(2.0).backward()  # mistake
    grad(area, argnum=0)  # mistake
    print(*grad(area)(2.0))  # mistake: it takes value_and_grad
    value_and_grad(area)(2.0).backward()  # mistake
    grad(energy)(np.ones(3)).bakward()  # mistake
    hessian(area)()  # mistake


def in_recordings(line: Line) -> None:
    @compile
    def parabola(x: float) -> Value:
        return line.slope * x**2

    @compile(batched=("x", "y"))
    def loss(x: float, y: float) -> Value:
        return squared_error(line(x), y)

    compile(area).no_such_method()  # mistake
    compile(area)("1.0")  # mistake
    compile(area, errors="warn")  # mistake
    compile(area, batch="x")  # mistake
    parabola(1.0, 2.0)  # mistake
    parabola(1.0).backward()  # mistake: a call with floats returns a float
    parabola.backward("1.0")  # mistake
    parabola.value_and_grad()  # mistake
    loss([1.0], [2.0]).backward()  # mistake: it takes loss.backward([1.0], [2.0])
    parabola.stats.paths  # mistake # noqa: B018


def in_training(rows: list[list[float]], classes: list[int]) -> None:
    model = MLP("2", [8, 3])  # mistake
    MLP(2, [1], activation=mg.sum)  # mistake: it takes a function of one number
    model(rows[0], rows[1])  # mistake
    model(rows[0]).bakward()  # mistake
    Line(random.Random(0))(1.0).bakward()  # mistake
    squared_error(model(rows[0]))  # mistake
    squared_error(1.0, 2.0).backward()  # mistake: a float has no gradient
    huber(model(rows[0]), [0.0], dleta=0.5)  # mistake
    cross_entropy(model, 1)  # mistake: it takes model(row)
    SGD(model, lr=0.1)  # mistake: it takes model.parameters()
    Adam(model.parameters(), lr=0.1).stepp()  # mistake
    fit(model, rows, classes, loss=cross_entropy, epoch=2)  # mistake
    fit(model, rows, classes, loss=cross_entropy).losses  # mistake # noqa: B018
    Sequential("tanh")(rows[0]).bakward()  # mistake
    draw(3.5)  # mistake
    check_gradients(0.5)  # mistake
