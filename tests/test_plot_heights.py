"""All pictures of losses have one convention: the lower the loss, the darker the ground."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import numpy.typing as npt
from PIL import Image

from microgrud import Value
from microgrud.interactive import descent
from microgrud.optim import SGD
from microgrud.plot import LossSurface, loss_surface, race


def bowl(x: Value, y: Value) -> Value:
    return x**2 + y**2


def surface() -> LossSurface:
    x, y = Value(1.0, label="x"), Value(1.0, label="y")
    return loss_surface(lambda: bowl(x, y), [x, y], extent=(-2.0, 2.0), points=21)


def brightness(svg: str) -> npt.NDArray[np.float64]:
    """Return the brightness of each pixel of the image in a picture, on white paper."""
    (packed,) = re.findall(r'href="data:image/png;base64,([^"]*)"', svg)
    image = Image.open(io.BytesIO(base64.b64decode(packed)))
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("L"), dtype=float)


def assert_dark_in_the_middle(picture: npt.NDArray[np.float64]) -> None:
    rows, columns = picture.shape
    along = picture[rows // 2, columns // 2 :]
    assert (np.diff(along) >= 0.0).all()
    assert along[-1] > along[0] + 60.0


def test_contours_and_the_landscape_are_dark_where_the_loss_is_low() -> None:
    found = surface()
    (filled,) = [c for c in found.contour(colorbar=False).collections if len(c.get_facecolor()) > 1]
    assert (np.diff(filled.get_facecolor()[:, :3].mean(axis=1)) > 0.0).all()  # from the lowest level on
    relief = found.surface().collections[0].get_cmap()(np.linspace(0.0, 1.0, 9))
    assert (np.diff(relief[:, :3] @ [0.3, 0.6, 0.1]) > 0.0).all()


def test_a_race_and_a_descent_are_dark_where_the_loss_is_low() -> None:
    player = race(bowl, (1.0, 1.0), {"SGD": lambda p: SGD(p, lr=0.1)}, steps=5, extent=(-2.0, 2.0), points=21).animate()
    assert_dark_in_the_middle(brightness(player.svg()))
    assert_dark_in_the_middle(brightness(descent(bowl, (1.0, 1.0), steps=5, low=-2.0, high=2.0).html()))
