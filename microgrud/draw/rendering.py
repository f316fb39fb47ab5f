"""From a drawing to bytes: the system's `dot` where there is one, the graphviz-pure wheel where there is not."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ..common.files import write_atomically

try:
    import graphviz
except ImportError as error:
    raise ImportError("microgrud.draw needs graphviz; install it with: pip install 'microgrud[draw]'") from error

#: What graphviz-pure writes, of what people ask for.
_PURE_FORMATS = ("svg", "png", "jpeg", "jpg", "dot", "gv", "xdot", "json", "plain", "canon")
#: Endings of names that are those of pictures; the others are formats of the source.
_PICTURES = graphviz.FORMATS - {"dot", "gv"}

#: How small a picture may become to fit the width of a page: letters of 10 points are 9 pixels high then. Over what is
#: wider still the page scrolls.
_SMALLEST = 0.7
#: The width of what a notebook's page has room for, in points.
_PAGE = 700.0


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
        unknown = [name for name, given in kwargs.items() if name not in ("engine", "quiet") and given is not None]
        if args or unknown:
            raise TypeError(f"{', '.join(unknown) or 'these arguments'} cannot be given without Graphviz's dot")
        data = _by_wheel(self.source, kwargs.get("engine") or self.engine, format or self.format)
        return data if encoding is None else data.decode(encoding)

    def _repr_image_svg_xml(self) -> str:
        """Return the picture for a notebook, in which it takes no more than the width of the page."""
        return fitting(self.pipe("svg", encoding="utf-8"))

    def render(
        self,
        filename: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        view: bool = False,
        cleanup: bool | None = None,
        format: str | None = None,
        *,
        outfile: str | os.PathLike[str] | None = None,
        engine: str | None = None,
        quiet_view: bool = False,
        **options: Any,
    ) -> str:
        """Write the picture to a file, and return its path: `render("graph.svg")`, or `render(outfile="graph.svg")`.

        The ending is the format. The picture alone is written, unless `cleanup=False` or a `filename` beside the
        `outfile` asks for the source too. A filename with another ending is that of the source, as in
        `graphviz.Digraph.render`: `render("graph.gv")` writes the source there and the picture to `graph.gv.svg`.

        Args:
            filename: where to write: the picture, if the ending is a format, and the source otherwise.
            directory: where these lie.
            view: whether the picture is opened.
            cleanup: whether the source is removed; by default where the picture has a name of its own.
            format: by default the ending of the picture's name, or else the format of the drawing.
            outfile: where to write the picture.
            engine: how the graph is laid out.
            quiet_view: as `view`, without the messages of the program that shows the picture.
            **options: see `graphviz.Digraph.render`.

        Raises:
            ValueError: for a format that there is not.
            RuntimeError: for a format that takes Graphviz's own program, where that is not installed.
        """
        if outfile is None and filename is not None and _ending(filename) in _PICTURES:
            outfile, filename = filename, None
            alone = cleanup is not False
            if not alone:
                outfile, directory = Path(directory or self.directory or "", outfile), None
        else:
            alone = outfile is not None and (cleanup or (cleanup is None and filename is None))
        if outfile is not None:
            format = format or _ending(outfile) or self.format
            if format.lower() not in graphviz.FORMATS:
                raise ValueError(f"outfile: expected a name that ends in {_known()}, got {os.fspath(outfile)!r}")
        if alone:
            picture = Path(directory or self.directory or "", outfile or "")
            self._write_picture(picture, format, engine, **options)
        elif _has_dot():
            options |= {"view": view, "cleanup": bool(cleanup), "format": format, "outfile": outfile, "engine": engine}
            return str(super().render(filename, directory=directory, quiet_view=quiet_view, **options))
        else:
            picture = self._render_by_wheel(filename, directory, bool(cleanup), format, outfile, engine, **options)
        if view or quiet_view:
            self._view(os.fspath(picture), format=format or self.format, quiet=quiet_view)
        return os.fspath(picture)

    def _write_picture(
        self,
        picture: Path,
        format: str | None,
        engine: str | None,
        raise_if_result_exists: bool = False,
        **options: Any,
    ) -> None:
        """Write the picture and nothing else: no source that would have to be removed, or might replace a file."""
        options.pop("overwrite_source", None)
        if raise_if_result_exists and picture.exists():
            raise graphviz.FileExistsError(f"output file exists: {os.fspath(picture)!r}")
        data = self.pipe(format, engine=engine, **options)
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(picture, data)

    def _render_by_wheel(
        self,
        filename: Any,
        directory: Any,
        cleanup: bool,
        format: str | None,
        outfile: Any,
        engine: str | None,
        **options: Any,
    ) -> Path:
        """Write the source, and the picture beside it, as `graphviz.Digraph.render` does."""
        unknown = [name for name in options if name != "quiet"]
        if unknown:
            raise TypeError(f"render: {', '.join(unknown)} cannot be given without Graphviz's dot")
        format = format or self.format
        if outfile is not None:
            picture = Path(directory or "", outfile)
            source = picture.with_suffix(".gv") if filename is None else Path(directory or "", filename)
        else:
            source = Path(directory or self.directory or "", filename or self.filename)
            picture = source.with_name(f"{source.name}.{format}")
        if source == picture:
            raise ValueError(f"outfile: expected another file than that of the source, got {os.fspath(picture)!r}")
        data = _by_wheel(self.source, engine or self.engine, format)
        source.parent.mkdir(parents=True, exist_ok=True)
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(source, self.source.encode())
        write_atomically(picture, data)
        if cleanup:
            source.unlink()
        return picture


def fitting(svg: str) -> str:
    """Let a picture shrink with the page that it is on, down to a scale at which it can be read.

    On a page that takes no notice of the style, such as one of nbconvert, it is at most as wide as a page is.

    >>> fitting('<svg width="800pt" height="100pt" viewBox="0 0 800 100">')
    '<svg width="700pt" height="88pt" style="max-width: 100%; min-width: 560pt; height: auto" viewBox="0 0 800 100">'
    """

    def styled(match: re.Match[str]) -> str:
        width, height = map(float, match.groups())
        least = round(_SMALLEST * width)
        shown = min(width, max(_PAGE, least))
        return (
            f'<svg width="{shown:g}pt" height="{height * shown / width:.0f}pt" '
            f'style="max-width: 100%; min-width: {least}pt; height: auto"'
        )

    return re.sub(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', styled, svg, count=1)


def check_format(format: str) -> None:
    """Refuse a format that Graphviz does not have either."""
    if not isinstance(format, str):
        raise TypeError(f"format: expected a str, got {type(format).__name__}")
    if format.lower() not in graphviz.FORMATS:
        raise ValueError(f"format: expected {_known()}, got {format!r}")


def _ending(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lstrip(".").lower()


def _known() -> str:
    return f"{', '.join(_PURE_FORMATS[:4])} or, with Graphviz's own program installed, pdf"


def _has_dot() -> bool:
    return shutil.which("dot") is not None


def _by_wheel(source: str, engine: str, format: str) -> bytes:
    """Lay a graph out and draw it with the program of the graphviz-pure wheel."""
    check_format(format)
    format = format.lower()
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
