"""Exports need optional packages only when they are called, and then say what to install."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from microgrud import export
from microgrud.nn import Neuron


def test_the_package_loads_nothing_optional() -> None:
    program = "import sys, microgrud.export; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert {"torch", "safetensors", "sklearn", "scipy", "pandas", "onnx", "onnxruntime"}.isdisjoint(loaded.split())


def test_the_package_can_be_imported_without_numpy() -> None:
    program = "import sys; sys.modules['numpy'] = None; from microgrud.export import *; print(to_torch.__name__)"

    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.strip() == b"to_torch"
    )


@pytest.mark.parametrize(
    ("call", "package"),
    [
        (lambda: export.to_torch(Neuron(1)), "torch"),
        (lambda: export.from_torch(None), "torch"),
        (lambda: export.torch_state_dict(Neuron(1)), "torch"),
        (lambda: export.load_torch_state_dict(Neuron(1), {}), "torch"),
        (lambda: export.to_safetensors(Neuron(1), "none/model.safetensors"), "safetensors"),
        (lambda: export.from_safetensors("none/model.safetensors"), "safetensors"),
        (lambda: export.to_sklearn(Neuron(1)), "scikit-learn"),
        (lambda: export.from_sklearn(None), "scikit-learn"),
    ],
)
def test_a_function_says_what_to_install(
    call: Callable[[], Any], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, {"scikit-learn": "sklearn"}.get(package, package), None)
    with pytest.raises(ImportError, match=f"needs .*{package}.*not installed: pip install .*{package}"):
        call()


def test_public_names_are_sorted_and_there() -> None:
    assert export.__all__ == sorted(export.__all__)
    for name in export.__all__:
        assert f"`{name}`" in export.__doc__
        assert getattr(export, name).__doc__
