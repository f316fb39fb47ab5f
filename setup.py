"""Build the two optional extensions in C, which pyproject.toml cannot describe."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("microgrud", "_native")
#: No contraction into fused multiply-adds: both engines must compute the same bits.
UNIX = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"]
OPTIONS = {"unix": UNIX, "mingw32": UNIX, "msvc": ["/std:c11", "/fp:precise"]}
#: GCC vectorises selections only if it may ignore floating-point traps.
VECTORS = {"unix": ["-fno-trapping-math"], "mingw32": ["-fno-trapping-math"]}
NAMES = {"engine": "the engine", "tape": "the tape's interpreter"}
#: These run where an extension was not built.
SUBSTITUTES = {"engine": "the one in Python", "tape": "the one in NumPy"}


class BuildIfPossible(build_ext):
    """Build the extension; without a compiler, print a line and continue."""

    def build_extension(self, ext: Extension) -> None:
        """Compile with the options for the compiler in use."""
        kind = self.compiler.compiler_type
        name = ext.name.rpartition(".")[2]
        ext.extra_compile_args = OPTIONS.get(kind, []) + (VECTORS.get(kind, []) if name == "tape" else [])
        ext.libraries = ["m"] if kind == "unix" else []
        try:
            if kind == "msvc" and name == "tape":
                raise NotImplementedError("it needs the vector extensions of GCC or Clang")
            super().build_extension(ext)
        except Exception as error:  # anything can keep a compiler from working
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if reason.startswith("Command '["):  # the whole command line; the compiler has printed its errors already
                reason = "the compiler failed"
            print(f"microgrud: {NAMES[name]} in C was not built ({reason}); {SUBSTITUTES[name]} will run")

    def run(self) -> None:
        """Build the extensions that can be built; tag a wheel without any of them for all machines."""
        super().run()
        self.extensions = self.distribution.ext_modules = [ext for ext in self.extensions if self._is_built(ext)]
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None:
            wheel.root_is_pure = not self.extensions

    def get_source_files(self) -> list[str]:
        """Return the source files for a source distribution."""
        return [str(path) for path in sorted(SOURCES.glob("*.[ch]"))]

    def copy_extensions_to_source(self) -> None:
        """Copy the built extensions for an editable install."""
        self.extensions = [ext for ext in self.extensions if self._is_built(ext)]
        super().copy_extensions_to_source()

    def _is_built(self, ext: Extension) -> bool:
        return Path(self.build_lib, self.get_ext_filename(self.get_ext_fullname(ext.name))).exists()


# Each build has its own folder, so that files left by an earlier build cannot enter it.
build_base = tempfile.mkdtemp(prefix="microgrud-build-")
atexit.register(shutil.rmtree, build_base, ignore_errors=True)

setup(
    options={"build": {"build_base": build_base}},
    ext_modules=[
        Extension(
            f"microgrud._native.{name}",
            sources=[str(SOURCES / f"{name}.c")],
            depends=[str(path) for path in sorted(SOURCES.glob("*.h"))],
        )
        for name in NAMES
    ],
    cmdclass={"build_ext": BuildIfPossible},
)
