"""`use_renderer`: SVG by a given function, with neither NumPy nor the package graphviz."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graphviz
import pytest
from hypothesis import given, strategies as st

from microgrud import Value
from microgrud.draw import Drawing, backprop_steps, draw, use_renderer
from microgrud.draw.dot import Digraph, quote

SVG = '<svg width="8pt" height="8pt" viewBox="0 0 8 8"><g transform="translate(0 8)"></g></svg>'

#: Drawings of all kinds, as a program that prints their sources.
SOURCES = """
from microgrud import Value, dot, nn
from microgrud.draw import draw, explain, summary
x = Value(2.0, label='a "quoted" \\\\ <b>')
y = (x * 3.0 + 1.0).tanh()
y.backward()
model = nn.MLP(2, [3, 1], rng=0)
loss = (model([0.5, -1.0]) - 1.0) ** 2
for drawing in (draw(y), draw(dot([x, y], [y, y]), expand="dot"), draw(model), draw(model, outputs=["p q"])):
    print(drawing.source)
for fold in ("neurons", "layers", "nothing"):
    print(draw(loss, model=model, fold=fold, rankdir="TB").source)
print(explain(y, x), summary(y))
"""


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    use_renderer(None)


def printed(program: str, *blocked: str) -> str:
    program = f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n{program}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_without_numpy_and_graphviz_drawings_have_the_same_source() -> None:
    assert printed(SOURCES, "numpy", "graphviz") == printed(SOURCES)


def test_without_numpy_and_graphviz_a_given_function_draws_everything() -> None:
    program = f"""
from microgrud import Value, draw
y = Value(2.0) * 3.0
draw.use_renderer(lambda source: {SVG!r} if source.startswith("digraph") else source)
print(draw.draw(y).pipe().decode())
print(y._repr_mimebundle_()["image/svg+xml"].count("<svg"))
print(draw.draw(y)._repr_svg_().count("<svg"))
"""
    assert printed(program, "numpy", "graphviz") == f"{SVG}\n1\n1\n"


def svg_of(source: str) -> str:
    use_renderer(None)
    drawing = Drawing(body=source.splitlines(keepends=True)[1:-1])
    return str(drawing.pipe("svg", encoding="utf-8"))


def test_the_player_draws_by_the_given_function() -> None:
    value = Value(2.0) * 3.0
    use_renderer(lambda source: svg_of(source).replace(">data<", ">number<"))
    assert ">number<" in backprop_steps(value).html()


@given(st.text(alphabet='ab1.-_<>"\\ é'))
def test_texts_are_quoted_as_by_the_package_graphviz(text: str) -> None:
    if not text.endswith("\\"):  # the package warns of these
        assert quote(text) == graphviz.quoting.quote(text)


def test_a_subgraph_is_written_as_by_the_package_graphviz() -> None:
    def write(graph: Any) -> str:
        graph.attr(rank="same")
        graph.attr("node")
        with graph.subgraph(name="cluster 1") as inner:
            inner.attr("edge", color="red")
            inner.edge("a b", "node", "x", weight="")
            with inner.subgraph() as innermost:
                innermost.node("c", "d e")
        return str(graph.source)

    assert write(Digraph()) == write(graphviz.Digraph())
    assert write(Digraph("a b")) == write(graphviz.Digraph("a b"))


def test_all_svg_is_made_by_the_given_function(tmp_path: Path) -> None:
    value = Value(2.0) * 3.0
    sources = []

    def render(source: str) -> str:
        sources.append(source)
        return SVG

    use_renderer(render)
    drawing = draw(value)
    assert drawing.pipe() == SVG.encode()
    assert drawing.pipe("SVG", encoding="utf-8") == SVG
    assert Path(drawing.render(tmp_path / "y.svg")).read_text() == SVG
    assert "<svg" in drawing._repr_image_svg_xml()
    assert "<svg" in value._repr_mimebundle_()["image/svg+xml"]
    assert sources == [drawing.source] * 5
    assert drawing.pipe("png").startswith(b"\x89PNG")
    use_renderer(None)
    assert b"<title>" in drawing.pipe()
    assert len(sources) == 5


@pytest.mark.parametrize(("returned", "shown"), [(None, "None"), (b"<svg></svg>", "b'<svg>"), ("digraph", "'digraph'")])
def test_a_renderer_that_returns_no_svg_is_an_error(returned: Any, shown: str) -> None:
    use_renderer(lambda source: returned)
    with pytest.raises(TypeError, match=f"use_renderer: expected the function to return SVG as a str, got {shown}"):
        draw(Value(2.0)).pipe()


def test_a_renderer_is_a_function() -> None:
    with pytest.raises(TypeError, match="render: expected a function from DOT to SVG, or None, got str"):
        use_renderer("dot")  # type: ignore[arg-type]


def test_a_renderer_writes_no_source() -> None:
    use_renderer(lambda source: SVG)
    with pytest.raises(ValueError, match=r"render: expected a name that ends in \.svg"):
        draw(Value(2.0)).render("graph.gv")


def test_the_player_needs_the_svg_of_graphviz() -> None:
    steps = backprop_steps(Value(2.0) * 3.0)
    for svg, found in (
        ('<svg width="8pt" height="8pt"/>', "<svg> with nothing"),
        ("<svg><g/><g/></svg>", "<svg> with g, g"),
    ):
        use_renderer(lambda source, svg=svg: svg)
        assert "<svg" in draw(Value(2.0)).pipe("svg", encoding="utf-8")  # a picture may be any
        with pytest.raises(ValueError, match=rf"^use_renderer: expected .* the SVG of Graphviz, .* got {found} in it$"):
            steps._repr_html_()
