"""Entry point of the command line; if the extra is not installed, one line names the missing packages."""

from __future__ import annotations

import gc
import importlib.util
import io
import sys

from .loading import held_interrupts

__all__ = ["main"]

#: The packages that the commands import, with the names to install.
_NEEDED = {
    "typer": "typer",
    "openpyxl": "openpyxl",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "tqdm": "tqdm",
}


def main() -> None:
    """Run the command line on `sys.argv`, and exit.

    The exit code is 0; 1 if the report could not be written, 2 after an error in the input, 130 if Ctrl-C ended it.
    """
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        names = ", ".join(missing)
        print(f"error: the command line needs {names}; run: pip install 'microgrud[train]'", file=sys.stderr)
        sys.exit(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # like stderr: a narrow encoding is no reason to fail
    try:
        gc.disable()  # what is loaded stays: looking for garbage in it takes 0.2 of the 1.5 s
        with held_interrupts():
            from .commands import app

        gc.freeze()
        gc.enable()
        app(prog_name="microgrud")
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
