"""One picture of a graph for all steps of the backward pass: a script changes its numbers, tints and outlines.

Graphviz draws it once. The SVG is stripped down because notebooks store it: each box, circle and edge becomes one group
of shapes and texts, with a tooltip, and with the number of its node as an attribute for the script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

Element = ElementTree.Element

_TITLE = "{http://www.w3.org/1999/xlink}title"
#: Attributes that inline SVG does not need, or that are set once for all texts. Ids would clash between two pictures.
_DROPPED = {"id", "font-family", "{http://www.w3.org/XML/1998/namespace}space"}
#: The distance of text from the edge of its cell, in points: Graphviz's CELLPADDING of the boxes.
_PADDING = 3.0


def moving_picture(svg: str, exact: Mapping[int, str]) -> str:
    """Return the SVG of a picture in which a script can change the grads; without the script it is a plain picture.

    The group of a box has the attributes `data-node`, the number k of its node `vk`, and `data-says`, its tooltip
    without the grad. It contains the numbers `.data`, also in `data-data`, and `.grad`, which stay right-aligned
    whatever their length, and the cell `.tint`. Everything that is highlighted at the turn of a node has the number of
    the node as `data-turn`. The box of a group `gk` has such a group for each row j, with `gk-j` for the number.

    Args:
        svg: the output of Graphviz for a GraphWriter whose `marked` is True.
        exact: the grads in full, for the tooltips.
    """
    return stripped(svg, exact)


def stripped(svg: str, exact: Mapping[int, str] | None = None) -> str:
    """Return an SVG without what inline SVG does not need.

    Args:
        svg: the output of Graphviz.
        exact: the grads of a picture that moves: see `moving_picture`.

    Raises:
        ValueError: for the SVG of another program.
    """
    drawn = ElementTree.fromstring(svg)
    size = {name: drawn.attrib[name] for name in ("width", "height", "viewBox") if name in drawn.attrib}
    graphs = [child for child in drawn if _tag(child) == "g" and "transform" in child.attrib]
    if len(size) != 3 or len(graphs) != 1:
        raise ValueError(
            "use_renderer: expected the function to return the SVG of Graphviz, with a width, a height, a viewBox and "
            f"one group, got <{_tag(drawn)}> with {', '.join(map(_tag, drawn)) or 'nothing'} in it"
        )
    graph = graphs[0]
    picture = Element("svg", size | {"font-family": "Helvetica,sans-Serif", "font-size": "11"})
    picture.text = "\n"
    place = ElementTree.SubElement(picture, "g", {"transform": graph.attrib["transform"]})
    for child in graph:
        if _tag(child) == "g":
            place.append(_group(child, exact or {}))
        elif _tag(child) != "title":
            place.append(_bare(child))
        if len(place):
            place[-1].tail = "\n"
    return ElementTree.tostring(picture, encoding="unicode")


def _group(drawn: Element, exact: Mapping[int, str]) -> Element:
    """Return the stripped group of a box, a circle or an edge."""
    numbers = dict(re.findall(r"\b(box|turn|rows)-v?(g?\d+)", drawn.get("class", "")))
    group = Element("g")
    says = next((each.attrib[_TITLE] for each in drawn.iter() if _TITLE in each.attrib), "")
    if says:
        title = ElementTree.SubElement(group, "title")
        title.text = says
    seen = (each for each in drawn.iter() if _tag(each) not in ("g", "a", "title"))
    group.extend(_bare(each) for each in seen if _tag(each) != "text" or (each.text or "").strip())
    if opens := re.search(r"\bopen-(\d+)", drawn.get("class", "")):
        group.set("data-open", opens[1])
    if "turn" in numbers:
        group.set("class", drawn.attrib["class"].split()[0])
        group.set("data-turn", numbers["turn"])
    if "box" in numbers:
        group.set("class", "box")
        group.set("data-node", numbers["box"])
        group.set("data-says", says)
        if int(numbers["box"]) in exact:
            title.text = f"{says}, grad={exact[int(numbers['box'])]}"
        _free_grad(group, group.findall("text"), group.findall("polygon")[-1])
    elif "rows" in numbers:
        _free_rows(group, numbers["turn"], int(numbers["rows"]))
    return group


def _free_rows(box: Element, name: str, count: int) -> None:
    """Put each of the last rows in the box of a group into a group of its own: its data and its grads change."""
    box.set("class", "box")
    texts, cells = box.findall("text")[-4 * count :], box.findall("polygon")[-count:]
    for k, cell in enumerate(cells):
        row = texts[4 * k : 4 * k + 4]
        says = f"{row[0].text}: data {row[1].text}"
        inner = ElementTree.SubElement(box, "g", {"data-node": f"{name}-{k}", "data-says": says})
        ElementTree.SubElement(inner, "title").text = says
        for each in (cell, *row):
            box.remove(each)
            inner.append(each)
        _free_grad(inner, row, cell, 1)


def _free_grad(box: Element, texts: list[Element], cell: Element, data: int = -3) -> None:
    """Mark the parts of a box that change: the last text is the grad, in its cell, and the one at `data` the data.

    A new text takes its natural length if that is no more than its room, `data-room`.
    """
    xs = [float(point.split(",")[0]) for point in cell.attrib["points"].split()]
    right = max(xs) - _PADDING
    # In a row of a group, the data end before the word in front of the grads.
    ends = ((texts[data], "data", right if data < 0 else float(texts[2].attrib["x"]) - 2 * _PADDING),)
    for number, name, end in (*ends, (texts[-1], "grad", right)):
        number.set("x", f"{end:.2f}")
        number.set("text-anchor", "end")
        number.set("class", name)
        number.set("data-room", f"{right - _PADDING - min(xs):.1f}")
    box.set("data-data", texts[data].text or "")
    cell.set("class", "tint")
    for rounded in box.findall("path"):  # a rounded outline is drawn again, over the corners of the cells
        ElementTree.SubElement(box, "path", rounded.attrib | {"fill": "none"})
        rounded.set("stroke", "none")


def _bare(drawn: Element) -> Element:
    """Return a shape or a text with its visible attributes only."""
    attributes = {name: value for name, value in drawn.attrib.items() if name not in _DROPPED}
    if attributes.get("text-anchor") == "start":
        del attributes["text-anchor"]
    if attributes.get("font-size") == "11.00":  # that of the picture
        del attributes["font-size"]
    if attributes.get("stroke") == "transparent":  # older versions of Graphviz write this for "none"
        attributes["stroke"] = "none"
    bare = Element(_tag(drawn), attributes)
    bare.text = drawn.text
    return bare


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]
