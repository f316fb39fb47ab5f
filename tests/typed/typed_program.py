"""A program of a user with all its types: mypy --strict and basedpyright in its strict mode accept it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import numpy.typing as npt

import microgrud as mg
from microgrud import Value, compile, grad, gradient, hessian, jacobian, no_grad, value_and_grad
from microgrud.draw import draw
from microgrud.losses import cross_entropy, huber, l2_penalty, squared_error
from microgrud.nn import MLP, Dropout, Linear, Module, Sequential
from microgrud.optim import SGD, Adam, CosineAnnealingLR
from microgrud.testing import check_gradients
from microgrud.train import fit
from microgrud.typing import AnyNumber, Number

Table = npt.NDArray[np.float64]


# Functions of numbers: of floats or Values, of Values, of both.
def bell(x: AnyNumber, width: float = 1.0) -> AnyNumber:
    return mg.exp(-mg.square(x / width))


def area(radius: float) -> float:
    return 3.14 * radius**2


def length(point: list[float]) -> float:
    return mg.sqrt(point[0] ** 2 + point[1] ** 2)


def energy(x: Table) -> float:
    return mg.dot(x, x)


def mixed(x: Number, y: Number) -> Number:
    return mg.maximum(x, y) + mg.where(x > y, x, 0.0) * y


class Line(Module):
    def __init__(self, rng: random.Random) -> None:
        self.slope = Value(rng.uniform(-1.0, 1.0), label="slope")
        self.offset = Value(0.0)

    def __call__(self, x: float) -> Value:
        return self.slope * x + self.offset


def arithmetic() -> list[Value]:
    x, y = Value(2.0), Value(-3, label="y")
    z = (x * y + 2.0) ** 2 / (1 + abs(y)) - 0.5 * x
    z += mg.tanh(x).exp() + max(x, y) + mg.norm([x, y]) + mg.logsumexp([x, y])
    z = z - mg.clip(x, 0.0, 1.0) * np.float32(2.0) + mg.leaky_relu(y) + bell(x)
    shares = mg.softmax([x, y, z])
    total = mg.sum(share * i for i, share in enumerate(shares))
    total.backward()
    slopes: list[float] = [x.grad, y.grad]
    x.data -= 0.1 * slopes[0]
    (first,) = gradient(z, [x])
    return [first, gradient(z, y), total]


def derivatives() -> float:
    once = grad(area)(2.0)
    twice = grad(grad(area))(2.0)
    value, direction = value_and_grad(length)([3.0, 4.0])
    array = mg.exp(grad(energy)(mg.maximum(np.ones(3), 2.0)))
    curvature = hessian(energy)(np.ones(3))
    slope = jacobian(area)(1.0)
    with no_grad():
        step = bell(0.5) * sum(direction)
    return once + twice + value + slope + step + float(array.sum() + curvature.sum())


def recordings(line: Line) -> float:
    @compile(batched=("x", "y"))
    def loss(x: float, y: float) -> Value:
        return squared_error(line(x), y)

    @compile
    def parabola(x: float) -> Value:
        return line.slope * x**2

    @compile(errors="ignore")
    def product(x: Value, y: Value) -> Value:
        return x * y

    xs, ys = np.linspace(0.0, 1.0, 5), [0.0, 0.5, 1.0, 1.5, 2.0]
    optimizer = SGD(line.parameters(), lr=0.1, momentum=0.9)
    schedule = CosineAnnealingLR(optimizer, t_max=20)
    history: list[float] = []
    for _ in range(20):
        optimizer.zero_grad()
        history.append(loss.backward(xs, ys))
        optimizer.step()
        schedule.step()
    node = product(Value(1.0), Value(2.0))
    node.backward()
    value, slope = parabola.value_and_grad(3.0)
    return history[-1] + loss(xs, ys) + value + slope + parabola(1.0) + parabola.hessian(1.0) + node.data


def training(folder: Path, rows: list[list[float]], classes: list[int]) -> float:
    model = MLP(2, [8, 3], activation="tanh", rng=0)
    optimizer = Adam(model.parameters(), lr=0.01)
    loss = cross_entropy(model(rows[0]), classes[0]) + l2_penalty(model.parameters(), 1e-4)
    loss.backward()
    optimizer.step()
    stack = Sequential(Linear(2, 4), "tanh", Dropout(0.5), Linear(4, 1))
    squared_error([stack(row) for row in rows], [0.0, 1.0]).backward()
    distance = huber([model(row)[0] for row in rows], [0.0] * len(rows), delta=0.5)
    history = fit(model, rows, classes, loss=cross_entropy, optimizer=optimizer, epochs=2, progress=False)
    model.save(folder / "model.json")
    scores = [out.data for out in MLP.load(folder / "model.json")(rows[0])]
    check_gradients(bell, 0.5)
    draw(distance, format="svg").render(folder / "loss")
    return max(scores) + history.loss[-1]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        numbers = [training(Path(name), [[0.0, 1.0], [1.0, 0.0]], [0, 2]), recordings(Line(random.Random(0)))]
    assert mixed(1.0, Value(2.0)) == 2.0
    print(len(arithmetic()), derivatives(), numbers)
