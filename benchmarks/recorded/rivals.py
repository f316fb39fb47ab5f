"""Rivals of the second and the third suite: how to import each, and how to keep it on one core in float64."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import os
import platform
from collections.abc import Callable

#: Environment variables that limit each rival to one thread and disable caches of earlier runs.
ONE_CORE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",  # the time to compile is measured
    "JAX_PLATFORMS": "cpu",
    "PYTHONHASHSEED": "0",
}


def _version(package: str) -> Callable[[], str]:
    def load() -> str:
        importlib.import_module(package)
        return importlib.metadata.version(package)

    return load


def _python() -> str:
    return platform.python_version()


def _microgrud() -> str:
    import microgrud

    return f"{microgrud.__version__} ({microgrud.backend})"


def _c() -> str:
    from .handwritten import compiler

    return compiler()


def _torch() -> str:
    import torch

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    return str(torch.__version__)


def _torch_compile() -> str:
    version = _torch()
    importlib.import_module("torch._inductor")
    logging.getLogger("torch").setLevel(logging.ERROR)
    return version


def _jax() -> str:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # no second thread on the single core
    return str(jax.__version__)


#: For each rival, a function that imports it, sets it up and returns its version, or raises ImportError if it is not
#: installed.
RIVALS: dict[str, Callable[[], str]] = {
    "microgrud": _microgrud,
    "microgrud, 2 threads": _microgrud,
    "microgrud eager": _microgrud,
    "microgrud backward": _microgrud,
    "microgrud recording": _microgrud,
    "microgrud vector": _microgrud,
    "microgrud sparse": _microgrud,
    "microgrud fit": _microgrud,
    "microgrud compile(jacobian)": _microgrud,
    "microgrud compile(hessian)": _microgrud,
    "numpy": _version("numpy"),
    "c": _c,
    "floats": _python,
    "casadi": _version("casadi"),
    "casadi mapaccum": _version("casadi"),
    "jax scalars": _jax,
    "jax": _jax,
    "jax jit scalars": _jax,
    "jax jit": _jax,
    "jax jit vmap": _jax,
    "jax jit jacfwd": _jax,
    "torch compile": _torch_compile,
    "torch": _torch,
    "torch.func scalars": _torch,
    "torch.func": _torch,
    "hips autograd scalars": _version("autograd"),
    "hips autograd": _version("autograd"),
}


def pinned(rival: str) -> None:
    """Keep this process on one core, if the system supports it and the rival does not use several threads."""
    if hasattr(os, "sched_setaffinity") and "threads" not in rival:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
