"""NumPy for tests; where it is not installed, each use of it skips the test (`conftest.py`), and not the whole file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

#: The text of the object that stands for NumPy.
MISSING_NUMPY = "<NumPy is missing>"

if TYPE_CHECKING:
    import numpy as np
else:
    try:
        import numpy as np
    except ImportError as error:
        missing = error

        class _Missing:
            """NumPy, and each object of its: they make parameters of tests, which are skipped, and nothing else."""

            def _use(self, *arguments: Any, **options: Any) -> _Missing:
                if "PYTEST_CURRENT_TEST" in os.environ:
                    raise ImportError("this test takes NumPy", name="numpy") from missing
                return self

            __getattr__ = __call__ = __add__ = __or__ = __getitem__ = _use

            def __repr__(self) -> str:
                return MISSING_NUMPY

        np = _Missing()
