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
    without the grad. It contains the number `.grad`, which stays right-aligned whatever its length, and the cell
    `.tint`. Everything that is highlighted at the turn of a node has the number of the node as `data-turn`.

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
    """
    drawn = ElementTree.fromstring(svg)
    (graph,) = (child for child in drawn if _tag(child) == "g")
    size = {name: drawn.attrib[name] for name in ("width", "height", "viewBox")}
    picture = Element("svg", size | {"font-family": "Helvetica,sans-Serif"})
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
    numbers = dict(re.findall(r"\b(box|turn)-v(\d+)", drawn.get("class", "")))
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
        _free_grad(group)
    return group


def _free_grad(box: Element) -> None:
    """Mark the parts of a box that change: its last row is the grad, the row before it the data."""
    texts, cell = box.findall("text"), box.findall("polygon")[-1]
    right = max(float(point.split(",")[0]) for point in cell.attrib["points"].split())
    for number in (texts[-3], texts[-1]):
        number.set("x", f"{right - _PADDING:.2f}")
        number.set("text-anchor", "end")
    texts[-1].set("class", "grad")
    cell.set("class", "tint")
    for rounded in box.findall("path"):  # a rounded outline is drawn again, over the corners of the cells
        ElementTree.SubElement(box, "path", rounded.attrib | {"fill": "none"})
        rounded.set("stroke", "none")


def _bare(drawn: Element) -> Element:
    """Return a shape or a text with its visible attributes only."""
    attributes = {name: value for name, value in drawn.attrib.items() if name not in _DROPPED}
    if attributes.get("text-anchor") == "start":
        del attributes["text-anchor"]
    if attributes.get("stroke") == "transparent":  # older versions of Graphviz write this for "none"
        attributes["stroke"] = "none"
    bare = Element(_tag(drawn), attributes)
    bare.text = drawn.text
    return bare


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]
