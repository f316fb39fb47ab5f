"""What all tests share: the engine under test."""

from __future__ import annotations

import importlib.util
import os

import pytest

import microgrud


@pytest.fixture(scope="session", autouse=True)
def engine() -> type[microgrud.Value]:
    """The `Value` class under test: that of the engine which MICROGRUD_BACKEND asks for, or of the one there is."""
    built = importlib.util.find_spec("microgrud._native.engine") is not None
    assert microgrud.backend == (os.environ.get("MICROGRUD_BACKEND") or ("c" if built else "python"))
    return microgrud.Value
