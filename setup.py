"""The one part of the build that pyproject.toml cannot say: the two extensions in C, which are optional."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("microgrud", "_native")
#: No contraction into fused multiply-adds: the bits are to be those of the engine in Python.
UNIX = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"]
OPTIONS = {"unix": UNIX, "mingw32": UNIX, "msvc": ["/std:c11", "/fp:precise"]}
#: GCC makes vectors of selections only if no one asks which of them would have trapped.
VECTORS = {"unix": ["-fno-trapping-math"], "mingw32": ["-fno-trapping-math"]}
NAMES = {"engine": "the engine", "tape": "the tape's interpreter"}
#: These run where an extension was not built.
SUBSTITUTES = {"engine": "the one in Python", "tape": "the one in NumPy"}


class BuildIfPossible(build_ext):
    """Build the extension; without a compiler say so in a line, and go on."""

    def build_extension(self, ext: Extension) -> None:
        """Compile with the options of the compiler at hand."""
        kind = self.compiler.compiler_type
        name = ext.name.rpartition(".")[2]
        ext.extra_compile_args = OPTIONS.get(kind, []) + (VECTORS.get(kind, []) if name == "tape" else [])
        ext.libraries = ["m"] if kind == "unix" else []
        try:
            if kind == "msvc" and name == "tape":
                raise NotImplementedError("it takes the vector extensions of GCC or Clang")
            super().build_extension(ext)
        except Exception as error:  # whatever keeps a compiler from working
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if reason.startswith("Command '["):  # with all its options, after errors that the compiler has printed
                reason = "the compiler failed"
            print(f"microgrud: {NAMES[name]} in C was not built ({reason}); {SUBSTITUTES[name]} will run")

    def run(self) -> None:
        """Build what can be built; a wheel without any of it is tagged as one for all machines."""
        super().run()
        self.extensions = self.distribution.ext_modules = [ext for ext in self.extensions if self._is_built(ext)]
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None:
            wheel.root_is_pure = not self.extensions

    def get_source_files(self) -> list[str]:
        """Name what a source distribution needs."""
        return [str(path) for path in sorted(SOURCES.glob("*.[ch]"))]

    def copy_extensions_to_source(self) -> None:
        """Copy what was built, for an editable install."""
        self.extensions = [ext for ext in self.extensions if self._is_built(ext)]
        super().copy_extensions_to_source()

    def _is_built(self, ext: Extension) -> bool:
        return Path(self.build_lib, self.get_ext_filename(self.get_ext_fullname(ext.name))).exists()


# A folder of its own for every build: what an earlier one has left behind does not go into this one.
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
