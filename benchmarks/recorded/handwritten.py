"""The network in C: compiled when it is measured, and loaded with ctypes."""

from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import shutil
import subprocess
import sysconfig
import tempfile
from typing import Any

_SOURCE = pathlib.Path(__file__).with_name("mlp.c")


def compiler() -> str:
    """Return the name and version of the C compiler.

    Raises:
        ImportError: if there is none.
    """
    command = _command()
    if shutil.which(command) is None:
        raise ImportError(f"no C compiler ({command})")
    return subprocess.run([command, "--version"], capture_output=True, text=True).stdout.partition("\n")[0]


@functools.cache
def steps() -> Any:
    """Return the function `steps` of mlp.c, compiled for this processor."""
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "mlp.so")
        command = [_command(), "-O3", "-march=native", "-shared", "-fPIC", str(_SOURCE), "-o", library]
        subprocess.run(command, check=True, capture_output=True, text=True)
        function = ctypes.CDLL(library).steps
    array = ctypes.c_void_p
    function.argtypes = [ctypes.c_long, array, array, array, ctypes.c_long, array]
    function.restype = ctypes.c_double
    return function


def _command() -> str:
    return os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc").split()[0]
