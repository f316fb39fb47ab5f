"""What holds for the tests and for the examples in docstrings and documents alike."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from hypothesis import settings

from microgrud.testing.properties import PROFILES

# CI runs the same examples every time; `HYPOTHESIS_PROFILE=nightly` looks for new ones.
settings.register_profile("chosen", PROFILES[f"microgrud-{os.environ.get('HYPOTHESIS_PROFILE', 'ci')}"])
settings.load_profile("chosen")

# A shell starts what it runs in the background with Ctrl-C ignored; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Demand a reason of whatever is marked as slow."""
    for mark in item.iter_markers("slow"):
        if not mark.args or not isinstance(mark.args[0], str):
            raise pytest.UsageError(f"{item.nodeid}: pytest.mark.slow takes a reason")


def pytest_collection_finish() -> None:
    """Leave what was collected out of garbage collections, of which some tests demand many."""
    gc.collect()
    gc.freeze()
