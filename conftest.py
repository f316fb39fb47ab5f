"""What holds for the tests and for the doctests alike."""

from __future__ import annotations

import signal

# A shell starts what it runs in the background with Ctrl-C ignored; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
