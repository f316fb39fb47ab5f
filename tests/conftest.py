"""What all tests share: reproducible property tests, and the engine under test."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

import microgrud

# CI runs the same examples every time; `HYPOTHESIS_PROFILE=nightly` looks for new ones.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=100, database=None)
settings.register_profile("nightly", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", params=["python"])
def engine(request: pytest.FixtureRequest) -> type[microgrud.Value]:
    """The `Value` class under test, for the tests of the class itself; the others take the one that is exported."""
    assert microgrud.backend == request.param
    return microgrud.Value
