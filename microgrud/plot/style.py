"""Colours, markers, dashes and hatches; the forms make the same distinctions as the colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.patches import Patch


class Style(NamedTuple):
    """The style of one of several walks, classes or curves."""

    color: str
    marker: str
    dashes: Any
    hatch: str
    tint: str


#: The colours are those of Okabe & Ito, "Color universal design", 2008; neighbours differ in lightness as well.
STYLES = (
    Style("#0072B2", "o", "-", "", "#cfe3f5"),
    Style("#D55E00", "s", (0, (5, 1.5)), "///", "#f7d9c4"),
    Style("#009E73", "^", (0, (1, 1)), "...", "#c5ebdf"),
    Style("#CC79A7", "D", (0, (5, 1.5, 1, 1.5)), "\\\\\\", "#f5dfec"),
    Style("#000000", "v", (0, (8, 2)), "x", "#dcdcdc"),
    Style("#E69F00", "P", (0, (3, 1, 1, 1, 1, 1)), "oo", "#fbe8c3"),
    Style("#56B4E9", "X", (0, (2, 2)), "--", "#e0f2fc"),
    Style("#7A5C00", "*", (0, (4, 1)), "||", "#ece3c8"),
)
#: The colour of grids and other things in the background.
FAINT = "#8a8a8a"
#: The colour of the hatches of regions.
HATCH = "#b4b4b4"
#: The hatch over places without a finite number.
UNDEFINED_HATCH = "xxxx"


def style(index: int) -> Style:
    """Return the style with an index; from the ninth on the markers have other colours."""
    first = STYLES[index % len(STYLES)]
    rounds = index // len(STYLES)
    return first if not rounds else first._replace(color=STYLES[(index + rounds) % len(STYLES)].color)


def outline(width: float, color: str = "white") -> list[Any]:
    """Return path effects that draw a line or a text with a border, so that it stands out from any background."""
    from matplotlib.patheffects import Normal, Stroke

    return [Stroke(linewidth=width, foreground=color), Normal()]  # two effects, so that no border covers a marker


def pale_greys() -> Colormap:
    """Return a colour map from middle grey for the lowest to white, on which lines of any colour are visible."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("microgrud_greys", ["#8c8c8c", "#dcdcdc", "#ffffff"])


def undefined_patch(what: str) -> Patch:
    """Return the entry of a legend for places without a finite number, a `what`."""
    from matplotlib.patches import Patch

    return Patch(
        facecolor="white", edgecolor=FAINT, hatch=UNDEFINED_HATCH, label=f"no finite {what} here", linewidth=0.5
    )


def hatch_ground(ax: Axes) -> None:
    """Hatch the whole background; finite numbers are drawn over it later."""
    from matplotlib.patches import Rectangle

    look: Any = {"facecolor": "white", "edgecolor": FAINT, "hatch": UNDEFINED_HATCH, "linewidth": 0.0, "zorder": 0.1}
    ax.add_patch(Rectangle((0.0, 0.0), 1.0, 1.0, transform=ax.transAxes, **look))
