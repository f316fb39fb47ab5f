"""From a drawing to bytes: the system's `dot` where there is one, the graphviz-pure wheel where there is not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

try:
    import graphviz
except ImportError as error:
    raise ImportError("microgrud.draw needs graphviz; install it with: pip install 'microgrud[draw]'") from error

#: What graphviz-pure writes, of what people ask for.
_PURE_FORMATS = ("svg", "png", "jpeg", "jpg", "dot", "gv", "xdot", "json", "plain", "canon")


class Drawing(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that is rendered also where no Graphviz is installed.

    `render`, `view`, `pipe` and the display in a notebook use the system's `dot`; where there is none they use the
    program of the wheel `graphviz-pure`, which pip installs with `microgrud[draw]`.
    """

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of {len(self.body)} lines>"  # without the address, so that outputs can be compared
        )

    def pipe(self, format: str | None = None, *args: Any, encoding: str | None = None, **kwargs: Any) -> Any:
        """Return the picture as bytes, or as text if an encoding is given; see `graphviz.Digraph.pipe`."""
        if _has_dot():
            return super().pipe(format, *args, encoding=encoding, **kwargs)
        data = _by_wheel(self.source, kwargs.get("engine") or self.engine, format or self.format)
        return data if encoding is None else data.decode(encoding)

    def render(self, filename: Any = None, directory: Any = None, *args: Any, **kwargs: Any) -> str:
        """Write the source and the picture to files, and return the path of the picture.

        See `graphviz.Digraph.render`. `outfile="graph.svg"` names the picture, and its ending the format.
        """
        if _has_dot():
            return str(super().render(filename, directory, *args, **kwargs))
        outfile, view = kwargs.pop("outfile", None), kwargs.pop("view", False)
        cleanup, engine = kwargs.pop("cleanup", False), kwargs.pop("engine", None) or self.engine
        ending = Path(outfile).suffix.lstrip(".") if outfile is not None else ""
        format = kwargs.pop("format", None) or ending or self.format
        unknown = [name for name in kwargs if name not in ("quiet", "quiet_view")]
        if args or unknown:
            raise TypeError(f"render: {', '.join(unknown) or 'these arguments'} cannot be given without Graphviz's dot")
        if outfile is not None:
            picture = Path(directory or "", outfile)
            source = picture.with_suffix(".gv") if filename is None else Path(directory or "", filename)
        else:
            source = Path(directory or self.directory or "", filename or self.filename)
            picture = source.with_name(f"{source.name}.{format}")
        data = _by_wheel(self.source, engine, format)
        source.parent.mkdir(parents=True, exist_ok=True)
        picture.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(self.source, encoding="utf-8")
        picture.write_bytes(data)
        if cleanup:
            source.unlink()
        if view or kwargs.get("quiet_view"):
            self._view(os.fspath(picture), format=format, quiet=bool(kwargs.get("quiet_view")))
        return os.fspath(picture)


def _has_dot() -> bool:
    return shutil.which("dot") is not None


def _by_wheel(source: str, engine: str, format: str) -> bytes:
    """Lay a graph out and draw it with the program of the graphviz-pure wheel."""
    if format not in _PURE_FORMATS:
        raise RuntimeError(
            f"drawing a {format.upper()} file takes Graphviz itself, whose program dot was not found; install it (on "
            f"Debian and Ubuntu: sudo apt-get install graphviz), or draw one of: {', '.join(_PURE_FORMATS[:3])}"
        )
    command = [_program(), f"-K{engine}", f"-T{format}"]
    run = subprocess.run(command, input=source.encode(), capture_output=True, check=False)
    if run.returncode:
        raise RuntimeError(f"graphviz-pure failed: {run.stderr.decode(errors='replace').strip()}")
    return run.stdout


def _program() -> str:
    """Return the path of graphviz-pure: where the wheel was installed, which need not be on PATH."""
    try:
        files = importlib.metadata.files("graphviz-pure") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == "graphviz-pure" and file.parent.name in ("bin", "Scripts"):
            return str(file.locate())
    found = shutil.which("graphviz-pure")
    if found is None:
        raise ImportError(
            "there is no program to draw graphs with, neither Graphviz's dot nor graphviz-pure; "
            "install one with: pip install 'microgrud[draw]'"
        )
    return found
