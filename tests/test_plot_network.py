"""Histograms of parameters and the flow of gradients: the bars show the numbers of the network."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from microgrud import Value
from microgrud.nn import MLP, Layer, Module, Neuron
from microgrud.plot import gradient_flow, parameter_histograms
from microgrud.plot.parameters import layers_of


def network(sizes: tuple[int, ...] = (3, 1), activation: str = "tanh") -> MLP:
    model = MLP(2, list(sizes), activation=activation, rng=random.Random(0))
    outputs = model([0.5, -1.0])
    (sum(outputs) if isinstance(outputs, list) else outputs).backward()
    return model


def flat() -> Any:
    return Figure().add_subplot()


class Mixed(Module):
    def __init__(self) -> None:
        self.scale = Value(2.0)
        self.first = Layer(2, 2, rng=0)
        self.parts = {"end": Neuron(2, rng=0)}
        self.again = self.first

    def __call__(self, x: Any) -> Any:
        return self.scale * self.parts["end"](self.first(x))


def test_layers_are_found_in_modules_of_any_kind_each_parameter_once() -> None:
    model = Mixed()
    layers = layers_of("here", model)
    assert [(name, len(parameters)) for name, parameters in layers] == [("Mixed", 1), ("first", 6), ("parts.end", 3)]
    assert {id(p) for _, parameters in layers for p in parameters} == {id(p) for p in model.parameters()}
    assert [name for name, _ in layers_of("here", Neuron(2, rng=0))] == ["Neuron"]


def test_the_layers_of_an_mlp_are_called_as_in_the_pictures_of_graphs_and_others_by_their_path() -> None:
    class Autoencoder(Module):
        def __init__(self) -> None:
            self.encoder = MLP(2, [3, 1], rng=0)
            self.layers = [Layer(2, 2, rng=0)]

    class Extended(MLP):
        pass

    assert [name for name, _ in layers_of("here", Extended(2, [3, 1], rng=0))] == ["layer 1", "layer 2"]
    names = [name for name, _ in layers_of("here", Autoencoder())]
    assert names == ["encoder.layers.0", "encoder.layers.1", "layers.0"]


# --- histograms ---


def test_each_layer_has_a_histogram_of_its_weights_and_one_of_its_biases() -> None:
    model = network((4, 2))
    axes = parameter_histograms(model, bins=10)
    assert [ax.get_title() for ax in axes] == ["layer 1 (12 parameters)", "layer 2 (10 parameters)"]
    edges = np.histogram_bin_edges([p.data for p in model.parameters()], 10)
    for ax, layer in zip(axes, model.layers):
        weights = [w.data for neuron in layer.neurons for w in neuron.w]
        counts, _ = np.histogram(weights, edges)
        bars = ax.containers[0]
        assert [bar.get_height() for bar in bars] == counts[counts > 0].tolist()
        assert [bar.get_x() for bar in bars] == pytest.approx(edges[:-1][counts > 0].tolist())
        assert sum(bar.get_height() for bar in ax.containers[1]) == len(layer.neurons)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == [
            f"weights ({len(weights)})",
            f"biases ({len(layer.neurons)})",
        ]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("value of the parameter", "count")
        assert ax.get_xlim() == pytest.approx((edges[0], edges[-1]))


def test_histograms_are_drawn_on_given_axes_and_a_network_without_biases_has_none() -> None:
    given = Figure().subplots(1, 2)
    axes = parameter_histograms(MLP(2, [3, 1], bias=False, rng=0), given)
    assert tuple(axes) == tuple(given)
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["weights (6)"]
    with pytest.raises(ValueError, match="parameter_histograms: axes: expected 2 Axes, got 1"):
        parameter_histograms(network(), [flat()])


def test_parameters_that_have_run_away_are_refused() -> None:
    model = network()
    model.layers[0].neurons[0].w[0].data = math.inf
    with pytest.raises(ValueError, match="expected finite parameters up to .*, got inf"):
        parameter_histograms(model)


# --- gradients ---


def test_the_bars_are_the_mean_and_the_largest_gradient_of_each_layer() -> None:
    model = network((3, 2, 1))
    ax = flat()
    assert gradient_flow(model, ax) is ax
    means, largest = ax.containers
    sizes = [[abs(p.grad) for p in layer.parameters()] for layer in model.layers]
    assert [bar.get_height() for bar in means] == pytest.approx([np.mean(s) for s in sizes])
    assert [bar.get_height() for bar in largest] == [max(s) for s in sizes]
    assert means.patches[0].get_hatch() != largest.patches[0].get_hatch()
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "|gradient| (logarithmic scale)"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["layer 1", "layer 2", "layer 3"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mean", "largest"]


def test_vanishing_and_exploding_gradients_are_named() -> None:
    deep = network((6,) * 8 + (1,), activation="sigmoid")
    assert gradient_flow(deep).get_title().startswith("gradients vanish towards the inputs: first / last layer = ")
    for p in deep.parameters():
        p.grad = 1.0
    assert gradient_flow(deep).get_title() == "gradients reach all layers: first / last layer = 1"
    for p in deep.layers[0].parameters():
        p.grad = -1e5
    assert gradient_flow(deep).get_title() == "gradients explode towards the inputs: first / last layer = 1e+05"


def test_layers_without_gradients_or_with_infinite_ones_are_marked() -> None:
    model = network((3, 2, 1))
    for p in model.layers[0].parameters():
        p.grad = 0.0
    model.layers[1].neurons[0].w[0].grad = math.inf
    ax = gradient_flow(model)
    assert [text.get_text() for text in ax.texts] == ["0", "inf", "0", "inf"]
    assert ax.get_title() == "gradients are not finite"
    assert ax.get_xlim() == pytest.approx((-0.6, 2.6))
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    model.layers[1].neurons[0].w[0].grad = 1.0
    for p in model.layers[2].parameters():
        p.grad = 0.0
    assert gradient_flow(model).get_title() == "the last layer has no gradient"


def test_a_single_layer_has_its_mean_in_the_title() -> None:
    assert gradient_flow(network((1,))).get_title() == "mean |gradient| 0.83"


def test_long_names_of_layers_are_slanted() -> None:
    ax = gradient_flow(network((2,) * 14 + (1,)))
    assert ax.get_xticklabels()[0].get_rotation() == 40


@pytest.mark.parametrize("draw", [gradient_flow, parameter_histograms])
def test_what_is_no_network_is_refused(draw: Any) -> None:
    with pytest.raises(TypeError, match=f"{draw.__name__}: model: expected a Module, got an object of type list"):
        draw([Value(1.0)])
    with pytest.raises(ValueError, match=f"{draw.__name__}: model: expected a Module with parameters, got a Module"):
        draw(Module())


def test_a_network_before_backward_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match=r"expected gradients, got 0 everywhere; call backward\(\) on the loss first"):
        gradient_flow(MLP(2, [1], rng=0))
