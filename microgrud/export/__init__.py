"""Trained models in the formats of other libraries.

* `to_torch`, `from_torch`: modules of PyTorch; `torch_state_dict`, `load_torch_state_dict`: their parameters alone.
"""

from __future__ import annotations

from .torch_models import load_torch_state_dict, to_torch, torch_state_dict
from .torch_reading import from_torch

__all__ = [
    "from_torch",
    "load_torch_state_dict",
    "to_torch",
    "torch_state_dict",
]
