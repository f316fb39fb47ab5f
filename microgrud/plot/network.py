"""The parameters of a network and their gradients, by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..common.checks import whole
from ..engine.vectors import Vector, read_data, read_gradients
from ..nn.module import Module
from .axes import Axes, axes_for, several_axes
from .parameters import layers_of
from .scales import LARGEST, LOG_NOTE, drawable
from .style import style

#: Gradients vanish if the mean of the first layer is below that of the last one times this factor.
VANISHING = 1e-3


def parameter_histograms(model: Module, axes: Sequence[Axes] | None = None, *, bins: int = 25) -> Sequence[Axes]:
    """Draw the distribution of the parameters of each layer, weights and biases apart, all on one scale.

    Args:
        model: a Module; its layers are its `Layer`s, and the parameters that other modules hold themselves.
        axes: one Axes for each layer; those of a new Figure, which show themselves in a notebook, if None.
        bins: the number of bars, at least 1.

    Returns:
        The Axes, one for each layer, labelled.

    Raises:
        TypeError, ValueError: for anything but a Module with finite parameters, and another number of Axes.
        ImportError: without matplotlib.

    >>> from microgrud.nn import MLP
    >>> [ax.get_title() for ax in parameter_histograms(MLP(2, [3, 1], rng=0))]
    ['layer 1 (9 parameters)', 'layer 2 (4 parameters)']
    """
    where = "parameter_histograms"
    layers = layers_of(where, model)
    numbers = [read_data(parameters) for _, parameters in layers]
    everything = np.concatenate(numbers)
    beyond = everything[~(np.abs(everything) <= LARGEST)]
    if len(beyond):
        raise ValueError(f"{where}: model: expected finite parameters up to {LARGEST:g}, got {beyond[0]}")
    edges = np.histogram_bin_edges(everything, whole(1)(f"{where}: bins", bins))
    columns = min(len(layers), 3)
    rows = -(-len(layers) // columns)
    drawn = several_axes(where, axes, rows, columns, len(layers), (3.6 * columns, 2.9 * rows))
    from matplotlib.ticker import MaxNLocator

    biases = {id(p) for name, p in model.named_parameters() if name.rpartition(".")[2] == "b"}  # those of neurons
    for ax, (name, parameters), own in zip(drawn, layers, numbers):
        is_bias = np.array([id(p) in biases for p in parameters])
        series: tuple[tuple[str, Vector, dict[str, Any]], ...] = (
            ("weights", own[~is_bias], {"color": style(0).color, "edgecolor": "white", "linewidth": 0.4}),
            ("biases", own[is_bias], {"facecolor": "none", "edgecolor": style(1).color, "hatch": style(1).hatch}),
        )
        for label, chosen, options in series:
            counts, _ = np.histogram(chosen, edges)
            filled = counts > 0  # an empty bar would be a line
            if filled.any():
                ax.bar(
                    edges[:-1][filled], counts[filled], np.diff(edges)[filled], align="edge",
                    label=f"{label} ({len(chosen)})", **options,
                )  # fmt: skip
        ax.set_xlim(edges[0], edges[-1])
        ax.set_ylim(0.0, 1.45 * ax.dataLim.ymax)  # room for the legend
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.set_title(f"{name} ({len(parameters)} parameters)", fontsize="medium", parse_math=False)
        ax.set(xlabel="value of the parameter", ylabel="count")
        ax.legend(fontsize="small")
    return drawn  # type: ignore[no-any-return]


def gradient_flow(model: Module, ax: Axes | None = None) -> Axes:
    """Draw the mean and the largest |gradient| of each layer, from the inputs to the outputs, on a logarithmic axis.

    If gradients vanish, the bars of the first layers are orders of magnitude shorter than those of the last; if they
    explode, the bars are longer. The title names either case from a factor of 1000 between the means of the first and
    the last layer. A layer whose gradients are all 0, or not finite, has that number in the place of a bar.

    Source: the diagnosis of Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, section 4.

    Args:
        model: a Module, after `backward()`.
        ax: the Axes to draw on; those of a new Figure, which show themselves in a notebook, if None.

    Returns:
        The Axes, labelled.

    Raises:
        TypeError, ValueError: for anything but a Module with gradients.
        ImportError: without matplotlib.

    >>> from microgrud.nn import MLP
    >>> model = MLP(2, [3, 1], activation="tanh", rng=0)
    >>> model([1.0, 2.0]).backward()
    >>> ax = gradient_flow(model)
    >>> [text.get_text() for text in ax.get_xticklabels()], ax.get_yscale()
    (['layer 1', 'layer 2'], 'log')
    """
    where = "gradient_flow"
    layers = layers_of(where, model)
    sizes = [drawable(np.abs(read_gradients(parameters))) for _, parameters in layers]
    if not any(np.any(size != 0.0) for size in sizes):
        raise ValueError(f"{where}: model: expected gradients, got 0 everywhere; call backward() on the loss first")
    means = np.array([float(size.mean()) for size in sizes])
    largest = np.array([float(size.max()) for size in sizes])
    ax = axes_for(where, ax, max(5.0, 1.6 + 0.8 * len(layers)), 4.0)
    _draw_flow(ax, [name for name, _ in layers], means, largest)
    ax.set_title(_verdict(means), fontsize="medium")
    return ax


def _draw_flow(ax: Axes, names: list[str], means: Vector, largest: Vector) -> None:
    places = np.arange(len(names))
    shown = np.concatenate([means, largest])
    shown = shown[np.isfinite(shown) & (shown > 0.0)]
    floor = max(float(shown.min()) / 3.0, 1.0 / LARGEST) if len(shown) else 1e-3
    for offset, heights, look, label in ((-0.2, means, style(0), "mean"), (0.2, largest, style(1), "largest")):
        bars = np.where(np.isfinite(heights) & (heights > 0.0), heights, np.nan)
        ax.bar(
            places + offset, bars, width=0.38, color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0.0,
            label=label,
        )  # fmt: skip
        for place, height in zip(places + offset, heights):
            if not (math.isfinite(height) and height > 0.0):
                ax.text(place, floor * 1.15, f"{height:g}", ha="center", va="bottom", weight="bold")
    ax.set_xlim(-0.6, len(names) - 0.4)  # a layer without bars keeps its place
    ax.set_yscale("log")
    ax.set_ylim(floor, 8.0 * float(shown.max()) if len(shown) else 1.0)
    long = max(map(len, names)) * len(names) > 90
    slant: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if long else {}
    ax.set_xticks(places, names, parse_math=False, **slant)
    ax.set(xlabel="layer, from the inputs to the outputs", ylabel=f"|gradient|{LOG_NOTE}")
    ax.grid(axis="y", alpha=0.4, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(title="over the layer", fontsize="small")


def _verdict(means: Vector) -> str:
    """Return a line that compares the gradients of the first layer with those of the last one."""
    if not np.isfinite(means).all():
        return "gradients are not finite"
    if len(means) == 1:
        return f"mean |gradient| {means[0]:.2g}"
    if means[-1] == 0.0:
        return "the last layer has no gradient"
    ratio = means[0] / means[-1]
    if ratio < VANISHING:
        word = "gradients vanish towards the inputs"
    else:
        word = "gradients explode towards the inputs" if ratio > 1.0 / VANISHING else "gradients reach all layers"
    return f"{word}: first / last layer = {ratio:.2g}"
