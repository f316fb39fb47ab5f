"""Rows of the matrix: modules, called with one sample and with a table."""

from __future__ import annotations

from typing import Any

from agreement_programs import LEAVES, LIST, program

import microgrud
from microgrud.nn import BatchNorm1d, Dropout, Embedding, LayerNorm, Linear, Module, PReLU, Sequential, functional_call

TABLES = (
    ([[0.5, -0.3], [1.2, 0.4], [-0.7, 0.9]],),
    ([[1.5, 0.2], [-0.4, 0.6], [0.3, -0.8]],),
    ([[-0.6, 0.9], [0.1, 1.4], [0.8, -0.2]],),
)


def linear(w: Any, b: Any) -> Linear:
    """Return a linear layer of three inputs with two leaves as its parameters, each several times."""
    made = Linear(3, 2, init="zeros")
    for neuron, weights in zip(made.neurons, ([w, b, w], [b, b, w])):
        neuron.w, neuron.b = weights, b
    return made


@program(*LIST, leaves=LEAVES)
def layer_norm(w, b):
    norm = LayerNorm(3, eps=0.1)
    norm.weight, norm.bias = [w, b, w], [b, w, w]
    return norm


@program(*LIST, leaves=LEAVES)
def prelu_with_slopes(w, b):
    made = PReLU(3)
    made.slopes = [w, b, w]
    return made


@program(*LIST, leaves=LEAVES)
def batch_norm_in_evaluation_mode(w, b):
    norm = BatchNorm1d(3, affine=False)
    norm.running_mean.values, norm.running_var.values = [b, w, b], [w, w, w]
    return norm.eval()


@program(*LIST, leaves=LEAVES)
def sequential_of_a_sample(w, b):
    return Sequential(
        linear(w, b), "tanh", LayerNorm(2, elementwise_affine=False), lambda xs: microgrud.sum(xs) * xs[0]
    )


@program(*TABLES, leaves=LEAVES)
def sequential_of_a_table(w, b):
    embedding, norm, prelu = Embedding(2, 2, init="zeros"), LayerNorm(2, 0.1, elementwise_affine=False), PReLU()
    embedding.weight, prelu.slopes = [[w, b], [b, b]], [w]
    model = Sequential(norm, prelu, Dropout(0.5).eval(), "softplus")

    def f(rows):
        shift = embedding(1)
        return [[y * s for y, s in zip(row, shift)] for row in model(rows)]

    return f


@program(*((xs, [2.0, 0.0, 2.0]) for (xs,) in LIST), leaves=LEAVES)
def dropout_with_a_mask(w, b):
    dropout, after = Dropout(0.5), linear(w, b)
    return lambda xs, mask: after(dropout(xs, mask))


class Gated(Module):
    """A module of a user's own, with forward."""

    def __init__(self, w: Any, b: Any) -> None:
        self.inner, self.gate = linear(w, b), b

    def forward(self, xs: Any) -> Any:
        return [microgrud.sigmoid(self.gate * y) * y if y > 0.1 else y for y in self.inner(xs)]


@program(*LIST, leaves=LEAVES)
def module_with_forward(w, b):
    return Gated(w, b)


@program(*LIST, leaves=LEAVES)
def frozen_module(w, b):
    return Gated(w, b).freeze()


class Line(Module):
    """A module of two parameters."""

    def __init__(self, w: Any, b: Any) -> None:
        self.slope, self.offset = w, b

    def forward(self, xs: Any) -> Any:
        return [self.slope * x * x + self.offset * y for x, y in zip(xs, reversed(xs))]


@program(*LIST, leaves=LEAVES)
def module_called_with_other_parameters(w, b):
    line = Line(microgrud.Value(9.0), microgrud.Value(9.0))
    return lambda xs: functional_call(line, {"slope": w * xs[0], "offset": b + xs[1]}, xs)
