"""The parts of a drawing as Graphviz lays it out, for tests of pictures of graphs."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from microgrud.draw import Drawing


def objects(drawing: Drawing) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Return the nodes by name, and the edges with the names of their ends."""
    found = json.loads(drawing.pipe("json", encoding="utf-8"))
    nodes = {o["_gvid"]: o for o in found.get("objects", []) if "nodes" not in o}
    edges = [e | {"tail": nodes[e["tail"]]["name"], "head": nodes[e["head"]]["name"]} for e in found.get("edges", [])]
    return {o["name"]: o for o in nodes.values()}, edges


def cells(node: dict[str, Any]) -> list[str]:
    """Return the texts of a box, cell by cell."""
    label = re.sub(r"<[^>]+>", "|", node["label"])
    return [text.strip() for text in label.split("|") if text.strip()]


def boxes(drawing: Drawing) -> dict[str, dict[str, Any]]:
    """Return the boxes that have a title, by title."""
    return {cells(node)[0]: node for node in objects(drawing)[0].values() if len(cells(node)) > 2}


def titled_edges(drawing: Drawing) -> list[tuple[str, str]]:
    """Return the visible edges, by the titles of their ends."""
    nodes, edges = objects(drawing)
    titles = {name: (cells(node) or [""])[0] for name, node in nodes.items()}
    return [(titles[e["tail"]], titles[e["head"]]) for e in edges if e.get("style") != "invis"]


def texts(drawing: Drawing) -> tuple[list[str], list[str]]:
    """Return the texts and the tooltips in the SVG of a picture."""
    root = ElementTree.fromstring(drawing.pipe("svg", encoding="utf-8").replace("\u200b", ""))
    written = [(text.text or "").replace("\xa0", " ") for text in root.iter("{http://www.w3.org/2000/svg}text")]
    links = root.iter("{http://www.w3.org/2000/svg}a")
    return written, [link.get("{http://www.w3.org/1999/xlink}title", "") for link in links]


def colours(node: dict[str, Any]) -> list[str]:
    """Return the background colours of a box, in the order of its cells."""
    return re.findall(r'BGCOLOR="(#\w+)"', html.unescape(node["label"]))


def is_warm(colour: str) -> bool:
    """Return whether a colour tends to orange, the colour of numbers below 0, rather than to blue."""
    return int(colour[1:3], 16) > int(colour[5:7], 16)
