"""Networks: the neuron, the layer and the multilayer perceptron, the initialization of their weights, and model files.

* `Module`: holds parameters and finds them; the base class of the others and of user-defined modules.
* `Neuron`, `Layer`, `MLP`: networks built from Values.
* `functional_call`: a module as a function of its parameters.
* `Sequential`: modules one after another: `Linear`, `Elementwise` (an activation), `PReLU`, `Embedding`, `Dropout`,
  `LayerNorm`, `BatchNorm1d`.
* `ACTIVATIONS`, `INITIALIZERS`: activation functions and weight distributions, by name.
* `save_model`, `load_model`, `load_state`: model files.
"""

from __future__ import annotations

from ..common.jsonfile import ModelFileError
from .activations import ACTIVATIONS, Activation, get_activation
from .dropout import Dropout
from .functional import functional_call
from .initializers import (
    INITIALIZERS,
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Zeros,
    calculate_gain,
    get_initializer,
)
from .layers import MLP, Layer, Neuron
from .modelfile import load_model, load_state, save_model
from .module import Module
from .normalization import BatchNorm1d, LayerNorm
from .parts import Elementwise, Embedding, Linear, PReLU
from .sequential import Sequential

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "MLP",
    "Activation",
    "BatchNorm1d",
    "Constant",
    "Dropout",
    "Elementwise",
    "Embedding",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Layer",
    "LayerNorm",
    "Linear",
    "ModelFileError",
    "Module",
    "Neuron",
    "Normal",
    "Orthogonal",
    "PReLU",
    "Sequential",
    "TruncatedNormal",
    "Uniform",
    "Zeros",
    "calculate_gain",
    "functional_call",
    "get_activation",
    "get_initializer",
    "load_model",
    "load_state",
    "save_model",
]
