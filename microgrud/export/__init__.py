"""Trained models in the formats of other libraries.

* `to_onnx`: files for onnxruntime, of a Module, an estimator, or a trained run of the command line with its
  preparation; `onnx_inputs`: the inputs of the latter for a table.
* `to_torch`, `from_torch`: modules of PyTorch; `torch_state_dict`, `load_torch_state_dict`: their parameters alone.
* `to_safetensors`, `from_safetensors`: files of tensors, one for each layer.
* `to_sklearn`, `from_sklearn`: the MLPs of scikit-learn.
"""

from __future__ import annotations

from .onnx_files import onnx_inputs, to_onnx
from .safetensors_files import from_safetensors, to_safetensors
from .sklearn_models import from_sklearn, to_sklearn
from .torch_models import load_torch_state_dict, to_torch, torch_state_dict
from .torch_reading import from_torch

__all__ = [
    "from_safetensors",
    "from_sklearn",
    "from_torch",
    "load_torch_state_dict",
    "onnx_inputs",
    "to_onnx",
    "to_safetensors",
    "to_sklearn",
    "to_torch",
    "torch_state_dict",
]
