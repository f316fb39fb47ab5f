"""One picture of a graph for all steps of the backward pass: a script changes its numbers, tints and outlines.

Graphviz draws it once. What it writes is made smaller here, for a notebook keeps it: each box, circle and edge becomes
one group of shapes and texts, with a tooltip, and with the numbers of the nodes that a script goes by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

Element = ElementTree.Element

_TITLE = "{http://www.w3.org/1999/xlink}title"
#: What inline SVG does without, or has once for all texts; ids would stand twice where two pictures are on a page.
_DROPPED = {"id", "font-family", "{http://www.w3.org/XML/1998/namespace}space"}
#: The distance of text from the edge of its cell, in points: Graphviz's CELLPADDING of the boxes.
_PADDING = 3.0


def moving_picture(svg: str, exact: Mapping[int, str]) -> str:
    """Return a picture of which a script can change the grads, and which is a picture without one too.

    The group of a box has `data-node`, the number k of its node `vk`, and `data-says`, its tooltip without the grad; in
    it are the number `.grad`, which keeps its place at the right whatever its length, and the cell `.tint`. Whatever is
    emphasised at the turn of a node has its number as `data-turn`.

    Args:
        svg: what Graphviz wrote of a Picture that is marked.
        exact: the grads that are shown, in full, for the tooltips.
    """
    drawn = ElementTree.fromstring(svg)
    (graph,) = (child for child in drawn if _tag(child) == "g")
    size = {name: drawn.attrib[name] for name in ("width", "height", "viewBox")}
    picture = Element("svg", size | {"font-family": "Helvetica,sans-Serif"})
    picture.text = "\n"
    place = ElementTree.SubElement(picture, "g", {"transform": graph.attrib["transform"]})
    for child in graph:
        if _tag(child) == "g":
            place.append(_group(child, exact))
        elif _tag(child) != "title":
            place.append(_bare(child))
        if len(place):
            place[-1].tail = "\n"
    return ElementTree.tostring(picture, encoding="unicode")


def _group(drawn: Element, exact: Mapping[int, str]) -> Element:
    """Return a box, a circle or an edge."""
    numbers = dict(re.findall(r"\b(box|turn)-v(\d+)", drawn.get("class", "")))
    group = Element("g")
    says = next((each.attrib[_TITLE] for each in drawn.iter() if _TITLE in each.attrib), "")
    if says:
        title = ElementTree.SubElement(group, "title")
        title.text = says
    seen = (each for each in drawn.iter() if _tag(each) not in ("g", "a", "title"))
    group.extend(_bare(each) for each in seen if _tag(each) != "text" or (each.text or "").strip())
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
    """Mark what changes in a box: the last row is that of the grad, and the row before it that of the data."""
    texts, cell = box.findall("text"), box.findall("polygon")[-1]
    right = max(float(point.split(",")[0]) for point in cell.attrib["points"].split())
    for number in (texts[-3], texts[-1]):
        number.set("x", f"{right - _PADDING:.2f}")
        number.set("text-anchor", "end")
    texts[-1].set("class", "grad")
    cell.set("class", "tint")
    for round_one in box.findall("path"):  # its corners are drawn over those of the cells, which would cut them
        ElementTree.SubElement(box, "path", round_one.attrib | {"fill": "none"})
        round_one.set("stroke", "none")


def _bare(drawn: Element) -> Element:
    """Return a shape or a text with what there is to see of it."""
    attributes = {name: value for name, value in drawn.attrib.items() if name not in _DROPPED}
    if attributes.get("text-anchor") == "start":
        del attributes["text-anchor"]
    if attributes.get("stroke") == "transparent":  # so older versions of Graphviz say that there is none
        attributes["stroke"] = "none"
    bare = Element(_tag(drawn), attributes)
    bare.text = drawn.text
    return bare


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]
