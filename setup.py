"""Build the two optional extensions in C, and the description of the package, which pyproject.toml cannot describe.

`MICROGRUD_PURE=1 pip wheel --no-deps .` builds a wheel without extensions for all machines, py3-none-any.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("microgrud", "_native", "src")
#: The folders whose .c files make each extension; any of them may include headers of all folders.
FOLDERS = {"engine": ["engine", "builder"], "tape": ["ops", "tape", "replay"]}
#: No contraction into fused multiply-adds: both engines must compute the same bits. GCC vectorises square roots only if
#: they need not set errno.
UNIX = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
OPTIONS = {"unix": UNIX, "mingw32": UNIX, "msvc": ["/std:c11", "/fp:precise"]}
#: GCC vectorises selections only if it may ignore floating-point traps.
VECTORS = {"unix": ["-fno-trapping-math"], "mingw32": ["-fno-trapping-math"]}
NAMES = {"engine": "the C engine", "tape": "the tape's interpreter in C"}
#: These run where an extension was not built.
SUBSTITUTES = {"engine": "the Python engine", "tape": "the interpreter in NumPy"}


class BuildIfPossible(build_ext):
    """Build the extensions, compiling only what has changed; without a compiler, print a line and continue."""

    def build_extension(self, ext: Extension) -> None:
        """Compile with the options for the compiler in use, several files at a time."""
        kind = self.compiler.compiler_type
        name = ext.name.rpartition(".")[2]
        options = OPTIONS.get(kind, []) + (VECTORS.get(kind, []) if name == "tape" else [])
        ext.libraries = ["m"] if kind == "unix" else []
        sources = ext.sources
        try:
            if kind == "msvc" and name == "tape":
                raise NotImplementedError("it needs the vector extensions of GCC or Clang")
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                ext.extra_objects = list(pool.map(lambda source: self._object(source, options), sources))
            ext.sources = []
            super().build_extension(ext)
        except Exception as error:  # anything can keep a compiler from working
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if reason.startswith("Command '["):  # the whole command line; the compiler has printed its errors already
                reason = "the compiler failed"
            print(f"microgrud: {NAMES[name]} was not built ({reason}); {SUBSTITUTES[name]} will run")
        finally:
            ext.sources = sources

    def run(self) -> None:
        """Build the extensions that can be built; tag a wheel without any of them for all machines."""
        if os.environ.get("MICROGRUD_PURE", "0") not in ("", "0"):
            self.extensions = []
        super().run()
        self.extensions = self.distribution.ext_modules = [ext for ext in self.extensions if self._is_built(ext)]
        wheel = self.distribution.get_command_obj("bdist_wheel", create=False)
        if wheel is not None:
            wheel.root_is_pure = not self.extensions

    def get_source_files(self) -> list[str]:
        """Return the source files for a source distribution."""
        return [str(path) for path in sorted(SOURCES.rglob("*.[ch]"))]

    def copy_extensions_to_source(self) -> None:
        """Copy the built extensions for an editable install."""
        self.extensions = [ext for ext in self.extensions if self._is_built(ext)]
        super().copy_extensions_to_source()

    def _is_built(self, ext: Extension) -> bool:
        return Path(self.build_lib, self.get_ext_filename(self.get_ext_fullname(ext.name))).exists()

    def _object(self, source: str, options: list[str]) -> str:
        """Return the object file of a source, compiled unless it is newer than all that it is made of.

        Objects stay in build/, in a folder for each compiler command. GCC and Clang write what an object is made of, as
        a rule of make, into a file with the same name.
        """
        include_dirs = [str(SOURCES), *self.include_dirs]
        command = repr([getattr(self.compiler, "compiler_so", ""), options, include_dirs, Path(__file__).read_text()])
        folder = Path("build", f"objects-{hashlib.sha256(command.encode()).hexdigest()[:8]}")
        (name,) = self.compiler.object_filenames([source], output_dir=str(folder))
        rule = Path(name).with_suffix(".d")
        if rule.exists() and _is_newer(name, rule.read_text().replace("\\\n", " ").split()[1:]):
            return name
        if self.compiler.compiler_type != "msvc":
            options = [*options, "-MMD", "-MF", str(rule)]
        self.compiler.compile([source], output_dir=str(folder), include_dirs=include_dirs, extra_postargs=options)
        return name


def _is_newer(name: str, others: list[str]) -> bool:
    """Return whether a file exists and is newer than all others, which must exist too."""
    try:
        return os.stat(name).st_mtime > max(os.stat(other).st_mtime for other in others)
    except OSError:
        return False


def description() -> str:
    """Return the README with absolute addresses, at the tag of this version: the package index has no other files."""
    (source,) = re.findall(r'^Source = "(.+)"$', Path("pyproject.toml").read_text(encoding="utf-8"), re.M)
    (version,) = re.findall(r'^__version__ = "(.+)"$', Path("microgrud/version.py").read_text(encoding="utf-8"), re.M)
    text = Path("README.md").read_text(encoding="utf-8")
    relative = r"\]\((?!https?:|#)([^)]+)\)"
    text = re.sub(rf"(!\[[^]]*){relative}", rf"\1]({source}/raw/v{version}/\2)", text)
    return re.sub(relative, rf"]({source}/blob/v{version}/\1)", text)


# Each build has its own folder, so that files left by an earlier build cannot enter it. Objects are in build/.
build_base = tempfile.mkdtemp(prefix="microgrud-build-")
atexit.register(shutil.rmtree, build_base, ignore_errors=True)

setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    options={"build": {"build_base": build_base}},
    ext_modules=[
        Extension(
            f"microgrud._native.{name}",
            sources=[str(path) for folder in folders for path in sorted((SOURCES / folder).glob("*.c"))],
        )
        for name, folders in FOLDERS.items()
    ],
    cmdclass={"build_ext": BuildIfPossible},
)
