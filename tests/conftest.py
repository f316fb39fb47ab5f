"""What all tests share: the engine under test."""

from __future__ import annotations

import os

import pytest

import microgrud


@pytest.fixture(scope="session", autouse=True)
def engine() -> type[microgrud.Value]:
    """The `Value` class under test: that of the engine which MICROGRUD_BACKEND asks for, or of the one there is."""
    assert microgrud.backend == (os.environ.get("MICROGRUD_BACKEND") or microgrud.backend)
    return microgrud.Value
