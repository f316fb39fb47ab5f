"""What all tests share: the engine under test."""

from __future__ import annotations

import pytest

import microgrud


@pytest.fixture(scope="session", params=["python"])
def engine(request: pytest.FixtureRequest) -> type[microgrud.Value]:
    """The `Value` class under test, for the tests of the class itself; the others take the one that is exported."""
    assert microgrud.backend == request.param
    return microgrud.Value
