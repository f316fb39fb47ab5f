"""Drawings to bytes: by a given function, by Graphviz's own `dot`, or by the program of the graphviz-pure wheel."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..common.checks import instance
from ..common.files import write_atomically
from ..common.forking import Lock
from ..common.missing import what_to_install
from ..common.pages import save_page
from . import dot
from .framing import framed
from .metrics import fitted

try:
    import graphviz
    from graphviz.backend import dot_command

    _Digraph: Any = graphviz.Digraph
except ImportError:  # the text of a drawing, and its picture by a given function, need no other package
    graphviz, _Digraph = None, dot.Digraph

#: The program of the wheel, the common formats that it writes, and the options of graphviz that work with it.
_PURE = "graphviz-pure"
_PURE_FORMATS = ("svg", "png", "jpeg", "jpg", "dot", "gv", "xdot", "json", "plain", "canon")
_PURE_OPTIONS = ("quiet", "encoding", "raise_if_result_exists", "overwrite_source")
_FORMATS = frozenset([*_PURE_FORMATS, "pdf"]) if graphviz is None else graphviz.FORMATS
#: The formats of pictures; the others are formats of the source.
_PICTURES = _FORMATS - {"dot", "gv"}

#: Held while graphviz is set to the program of the wheel, which is a setting of the whole process.
_lock = Lock()

#: The function that renders SVG, if one was given.
_given: Callable[[str], str] | None = None

#: The smallest scale to which a picture shrinks to fit into a page. At this scale, 10-point text is 9 pixels high; the
#: page scrolls if the picture is still wider.
_SMALLEST = 0.7
#: The width of a notebook's page, in points.
_PAGE = 700.0


def use_renderer(render: Callable[[str], str] | None) -> None:
    """Set the function that renders the SVG of all drawings, such as one that calls Graphviz in a browser.

    With it, pictures as SVG, in notebooks and in the player need no other package and no program. Other formats are
    still rendered by Graphviz.

    Args:
        render: a function from DOT to SVG, both as text; None for Graphviz again.

    Raises:
        TypeError: if it is not callable.

    >>> use_renderer(lambda source: "<svg></svg>")
    >>> Drawing().pipe("svg", encoding="utf-8")
    '<svg></svg>'
    >>> use_renderer(None)
    """
    global _given
    if render is not None and not callable(render):
        raise TypeError(f"render: expected a function from DOT to SVG, or None, got {type(render).__name__}")
    _given = render


class Drawing(_Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that can be rendered even where Graphviz is not installed.

    `render`, `view`, `pipe` and the display in a notebook use the system's `dot`; where it is missing they use the
    program of the wheel `graphviz-pure`, which the extra `draw` installs. SVG is rendered by the function
    given to `use_renderer`, if any. Without the package graphviz, a drawing has its own text as `source`, and is
    rendered by such a function only.
    """

    #: The number of lines of the source when the function that makes the HTML was set, and the function.
    _opening: tuple[int, Callable[[], str]] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.body)} lines>"  # outputs can be compared without the address

    def pipe(self, format: str | None = None, *args: Any, engine: str | None = None, **options: Any) -> Any:
        """Return the picture as bytes, or as text if an encoding is given; see `graphviz.Digraph.pipe`."""
        if _given is not None and (format or self.format).lower() == "svg":
            return _rendered(_given, self.source, options.get("encoding"))
        given = [name for name, option in options.items() if option is not None]
        with _chosen_program(format or self.format, ["these arguments"] if args else given) as more:
            options |= more
            made = options.pop("format")
            picture = super().pipe(made, *args, engine=engine, **options)
        if made != "svg":
            return picture
        return fitted(picture) if isinstance(picture, str) else fitted(picture.decode()).encode()

    def opened_by(self, make: Callable[[], str]) -> None:
        """Set the function that makes HTML in which folded boxes open; it holds until the drawing is changed."""
        self._opening = len(self.body), make

    def html(self) -> str:
        """Return the picture as self-contained HTML, in which a folded box opens in place by a click or by Enter.

        It has light and dark colours, and scrolls if it is wider than its place. Without scripts it shows the folded
        picture.
        """
        return self._html(None)

    def _html(self, svg: str | None) -> str:
        """Return the HTML; `svg` is the picture, if it has been rendered already."""
        if self._opening is not None and self._opening[0] == len(self.body):
            return self._opening[1]()
        return framed(svg or self._repr_image_svg_xml())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **options: Any) -> dict[str, str]:
        svg = self._repr_image_svg_xml()
        return {"text/plain": repr(self), "image/svg+xml": svg, "text/html": self._html(svg)}

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

        The file extension selects the format; "graph.html" is a page in which folded boxes open by a click. Only the
        picture is written, unless `cleanup=False` or a `filename` in addition to `outfile` asks for the source too. A
        filename with another extension is that of the source, as in `graphviz.Digraph.render`: `render("graph.gv")`
        writes the source there and the picture to `graph.gv.svg`.

        Args:
            filename: the file to write: the picture if the extension is a format, or else the source.
            directory: the folder of both files.
            view: whether to open the picture.
            cleanup: whether to remove the source; by default it is removed if the picture has a name of its own.
            format: by default the extension of the picture's name, or else the format of the drawing.
            outfile: the file to write the picture to.
            engine: the layout program, such as "dot" or "neato".
            quiet_view: as `view`, without the messages of the program that shows the picture.
            **options: see `graphviz.Digraph.render`.

        Raises:
            ValueError: for an unknown format or layout program.
            graphviz.CalledProcessError: if the program fails.
            RuntimeError: for a format that needs Graphviz's own program if that is not installed.
        """
        names_page = outfile if outfile is not None else filename
        if names_page is not None and _extension(names_page) in ("html", "htm"):
            return self._render_page(Path(directory or self.directory or "", names_page))
        names_picture = outfile is None and filename is not None and _extension(filename) in _PICTURES
        if names_picture:
            outfile, filename = filename, None
        picture = Path(directory or self.directory or "", outfile or "")
        if outfile is not None:
            format = format or _extension(outfile) or self.format
            if format.lower() not in _FORMATS:
                raise ValueError(f"outfile: expected a name that ends in {_known()}, got {os.fspath(outfile)!r}")
        if outfile is None or cleanup is False or (filename is not None and not cleanup):
            if names_picture:
                outfile, directory = picture, None
            if _given is not None and (format or self.format).lower() == "svg":
                raise ValueError(
                    "render: expected a name that ends in .svg, since a function given to use_renderer makes the "
                    "picture only; drawing.source is the source"
                )
            with _chosen_program(format or self.format, options) as more:
                options |= {"view": view, "cleanup": bool(cleanup), "outfile": outfile, "engine": engine, **more}
                return str(super().render(filename, directory=directory, quiet_view=quiet_view, **options))
        self._render_alone(picture, format, engine, options)
        if view or quiet_view:
            self._view(os.fspath(picture), format=format or self.format, quiet=quiet_view)
        return os.fspath(picture)

    def _render_page(self, path: Path) -> str:
        """Write the picture as a page, and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        save_page(path, "A graph", self.html())
        return os.fspath(path)

    def _render_alone(self, picture: Path, format: str | None, engine: str | None, options: dict[str, Any]) -> None:
        """Write the picture only: a source file would have to be removed, and might replace a user's file."""
        options.pop("overwrite_source", None)
        if options.pop("raise_if_result_exists", False) and picture.exists():
            error = FileExistsError if graphviz is None else graphviz.FileExistsError
            raise error(f"output file exists: {os.fspath(picture)!r}")
        data = self.pipe(format, engine=engine, **options)
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(picture, data)


def keep_in_order(drawing: Drawing, column: Sequence[str]) -> None:
    """Put nodes into one rank in their order, which invisible edges keep."""
    if len(column) > 1:
        with drawing.subgraph() as rank:
            rank.attr(rank="same")
            for upper, lower in itertools.pairwise(column):
                rank.edge(upper, lower, style="invis")


def fitting(svg: str) -> str:
    """Let a picture shrink with the page, down to a scale at which it is legible.

    A page that ignores the style, such as one produced by nbconvert, shows it at most as wide as a page.

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


def _rendered(render: Callable[[str], str], source: str, encoding: str | None) -> Any:
    """Return the SVG of a given function: as text if there is an encoding, as `graphviz.Digraph.pipe` does."""
    svg = render(source)
    if not isinstance(svg, str) or "<svg" not in svg:
        raise TypeError(f"use_renderer: expected the function to return SVG as a str, got {svg!r:.60}")
    return fitted(svg) if encoding else fitted(svg).encode()


def check_format(format: str) -> None:
    """Raise an error for a format that Graphviz does not know."""
    if instance(str, "a str")("format", format).lower() not in _FORMATS:
        raise ValueError(f"format: expected {_known()}, got {format!r}")


def _extension(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix.lstrip(".").lower()


def _known() -> str:
    return f"{', '.join(_PURE_FORMATS[:4])} or, with Graphviz's own program installed, pdf"


@contextmanager
def _chosen_program(format: str, options: Collection[str]) -> Iterator[dict[str, Any]]:
    """Let graphviz run the program of the wheel inside the `with` if `dot` is missing; yield options for the program.

    Raises:
        TypeError, ValueError, RuntimeError: for options and formats that the program does not have.
        ImportError: if there is no program.
    """
    check_format(format)
    if graphviz is None:
        raise dot.graphviz_is_missing()
    with _lock:  # another thread may be using the program of the wheel
        program = dot_command.DOT_BINARY
    if shutil.which(os.fspath(program)) is None:
        program = _pure_program()
    if Path(program).stem != _PURE:
        yield {"format": format}
        return
    unknown = [name for name in options if name not in _PURE_OPTIONS]
    if unknown:
        raise TypeError(f"{', '.join(unknown)} cannot be given without Graphviz's dot")
    if format.lower() not in _PURE_FORMATS:
        raise RuntimeError(
            f"drawing a {format.upper()} file needs Graphviz itself, whose program dot was not found; install it (on "
            f"Debian and Ubuntu: sudo apt-get install graphviz), or draw one of: {', '.join(_PURE_FORMATS[:3])}"
        )
    with _lock:
        usual, dot_command.DOT_BINARY = dot_command.DOT_BINARY, program
        try:
            yield {"format": format.lower(), "quiet": True}  # it warns of letters whose widths it does not know
        finally:
            dot_command.DOT_BINARY = usual


def _pure_program() -> Path:
    """Return the path of graphviz-pure: in the folder of the installed wheel, which may not be on PATH, or on PATH."""
    try:
        files = importlib.metadata.files(_PURE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    installed = (file for file in files if file.stem == _PURE and file.parent.name in ("bin", "Scripts"))
    found = next((str(file.locate()) for file in installed), None) or shutil.which(_PURE)
    if found is None:
        raise ImportError(what_to_install("without Graphviz's program dot, pictures of graphs need", _PURE))
    return Path(found).absolute()  # graphviz changes the working directory before it runs the program
