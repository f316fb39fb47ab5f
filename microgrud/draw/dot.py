"""DOT as text: the part of `graphviz.Digraph` that drawings use, for where the package graphviz is not installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ..common.missing import what_to_install

#: Texts that DOT reads without quotes: names, numbers, and HTML between angle brackets.
_BARE = re.compile(r"(?:[A-Za-z_]\w*|-?(?:\.\d+|\d+(?:\.\d*)?)|<.*>)\Z", re.ASCII | re.DOTALL)
_KEYWORDS = {"node", "edge", "graph", "digraph", "subgraph", "strict"}
#: A quote, with the backslashes in front of it in pairs; a last one that escapes the quote already is replaced.
_QUOTE = re.compile(r'((?:\\\\)*)\\?"')


class Digraph:
    """A directed graph that is written as the package graphviz writes it, line by line; it cannot render itself."""

    def __init__(self, name: str | None = None, format: str = "svg") -> None:
        self.name, self.format, self.directory = name, format, ""
        self.body: list[str] = []

    @property
    def source(self) -> str:
        """The graph as DOT."""
        return "".join([f"digraph {quote(self.name)} {{\n" if self.name else "digraph {\n", *self.body, "}\n"])

    def attr(self, kw: str | None = None, **attributes: str) -> None:
        """Set attributes of the graph, or of all later nodes or edges if `kw` is "node" or "edge"."""
        if attributes:
            self.body.append(f"\t{kw}{_listed(attributes)}\n" if kw else f"\t{_listed(attributes)[2:-1]}\n")

    def node(self, name: str, label: str | None = None, **attributes: str) -> None:
        """Add a node."""
        self.body.append(f"\t{quote(name)}{_listed(attributes, label)}\n")

    def edge(self, tail_name: str, head_name: str, label: str | None = None, **attributes: str) -> None:
        """Add an edge."""
        self.body.append(f"\t{quote(tail_name)} -> {quote(head_name)}{_listed(attributes, label)}\n")

    @contextmanager
    def subgraph(self, name: str | None = None) -> Iterator[Digraph]:
        """Yield a graph that is added to this one at the end of the `with`."""
        inner = Digraph(name)
        yield inner
        head = f"\tsubgraph {quote(name)} {{\n" if name else "\t{\n"
        self.body += [head, *(f"\t{line}" for line in inner.body), "\t}\n"]

    def pipe(self, *args: Any, **options: Any) -> NoReturn:
        """Raise an ImportError that says what to install."""
        raise graphviz_is_missing()

    render = view = _view = _repr_image_svg_xml = pipe

    def _repr_svg_(self) -> str:
        return self._repr_image_svg_xml()


def graphviz_is_missing() -> ImportError:
    """Return the error of a drawing that is to be rendered without the package graphviz."""
    what = what_to_install("pictures of graphs need", "graphviz", "graphviz-pure")
    return ImportError(f"{what}; or give a function that renders DOT as SVG: microgrud.draw.use_renderer(render)")


def quote(text: str) -> str:
    r"""Return a text as DOT: in quotes, except for names, numbers and HTML.

    >>> print(quote("v1"), quote("<B>x</B>"), quote("<<B>x</B>>"), quote("a b"), quote('"'), quote(r'\"'))
    v1 <B>x</B> <<B>x</B>> "a b" "\"" "\""
    """
    if _BARE.match(text) and text.lower() not in _KEYWORDS:
        return text
    return '"' + _QUOTE.sub(r'\1\\"', text) + '"'


def _listed(attributes: dict[str, str], label: str | None = None) -> str:
    words = [] if label is None else [f"label={quote(label)}"]
    words += [f"{quote(key)}={quote(value)}" for key, value in sorted(attributes.items())]
    return f" [{' '.join(words)}]" if words else ""
