"""What holds for the tests and for the examples in docstrings and documents alike."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

from microgrud.testing.properties import PROFILES

# CI runs the same examples every time; `HYPOTHESIS_PROFILE=nightly` looks for new ones.
settings.register_profile("chosen", PROFILES[f"microgrud-{os.environ.get('HYPOTHESIS_PROFILE', 'ci')}"])
settings.load_profile("chosen")

# A shell starts what it runs in the background with Ctrl-C ignored; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
