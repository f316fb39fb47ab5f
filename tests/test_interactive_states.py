"""Pictures of the states of a model: residuals, and regions of classes."""

from __future__ import annotations

import copy
import math
import os
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib
from base64 import b64decode

import pytest
from svgs import SVG, XS, YS, paths, trained

from microgrud import Value
from microgrud.interactive import Residuals, curves, regions, residuals
from microgrud.interactive.heatmap import contour
from microgrud.losses import squared_error
from microgrud.nn import MLP, Dropout, Linear, Sequential


def outlines_of_sticks(picture: Residuals, state: int) -> list[float]:
    """Return the heights of the sticks in pixels."""
    (sticks,) = paths(picture.svg(state), "c1")
    return [abs(float(b) - float(a)) for a, b in re.findall(r"M\S+ (\S+?)L\S+ ([-\d.]+)", sticks)]


# --- residuals ---


def test_residuals_are_predicted_less_expected_numbers_at_the_time_of_the_record() -> None:
    picture = trained()
    assert [picture.errors(k) for k in range(3)] == [[-3.0, -1.0, 3.0], [-1.5, -0.5, 1.5], [0.0, 0.0, 0.0]]
    assert [picture.mean_squared_error(k) for k in range(3)] == [19 / 3, 4.75 / 3, 0.0]
    assert str(picture).splitlines()[1] == "step 1 of 2: mean squared error 1.583"


def test_sticks_are_as_long_as_residuals_on_one_scale_for_all_states() -> None:
    first, second, last = (outlines_of_sticks(trained(), k) for k in range(3))
    assert first[0] / first[1] == pytest.approx(3.0, abs=0.01)
    assert [a / b for a, b in zip(first, second)] == pytest.approx([2.0] * 3, abs=0.02)
    assert last == [0.0] * 3


def test_a_straight_line_is_drawn_by_its_ends_and_a_network_by_a_curve() -> None:
    assert [line.count("L") for line in paths(trained().svg(), "c0")] == [1]
    network = MLP(1, [4, 1], activation="tanh", rng=1)
    (line,) = paths(residuals(network, XS, YS).svg(), "c0")
    assert line.count("L") > 10
    picture = residuals(network, XS, YS)
    assert picture.errors() == [network([x]).data - y for x, y in zip(XS, YS)]


def test_a_list_of_copies_shows_each_and_a_list_of_one_changing_model_is_refused() -> None:
    network = MLP(1, [1], rng=1)
    states = []
    for parameter in (1.0, 2.0):
        network.parameters()[0].data = parameter
        states.append(copy.deepcopy(network))
    errors = [residuals(states, [1.0], [0.0]).errors(k)[0] for k in range(2)]
    assert errors[1] - errors[0] == 1.0
    with pytest.raises(
        ValueError, match=r"^residuals: states 0 and 1 are one function .* append copy.deepcopy\(model\)"
    ):
        residuals([network, network], [1.0], [0.0])
    with pytest.raises(ValueError, match=r"^residuals: states 0 and 2 are one function"):
        residuals([network, abs, network], [1.0], [0.0])
    assert len(residuals([state.__call__ for state in states], [1.0], [0.0])) == 2
    w = Value(1.0)
    with pytest.raises(ValueError, match=r"both show the present numbers"):
        residuals([lambda x: w * x for _ in range(2)], [1.0], [0.0])  # each reads the w of the end
    kept = [lambda x, w=w.data + k: w * x for k in range(2)]
    assert [residuals(kept, [1.0], [0.0]).errors(k) for k in range(2)] == [[1.0], [2.0]]


def test_models_in_a_dict_are_called_by_their_names() -> None:
    picture = residuals({"at the start": lambda x: 0.0 * x, "trained": lambda x: -2.0 * x + 1.0}, XS, YS)
    assert str(picture) == "at the start: mean squared error 6.333\ntrained: mean squared error 0"
    assert 'aria-valuetext", steps[step].textContent' in picture.html()
    one = regions({"<first>": sum}, [(0.0, 1.0)], [1])
    assert str(one) == "<first>: 1 of 1 point in the region of their class"
    assert "&lt;first&gt;: 1 of 1" in one.svg()


def test_predictions_that_are_far_off_or_not_finite_neither_stretch_nor_break_the_picture() -> None:
    w = Value(1e300)
    picture = residuals(lambda x: w * x, [1.0, 2.0], [0.0, 1.0])
    for w.data in (math.inf, math.nan, 0.5):
        picture.record()
    assert picture.svg(-1).count("nan") == 0
    assert "(2 predictions outside of the picture)" in str(picture).splitlines()[0]
    assert [f"{picture.mean_squared_error(k):g}" for k in range(3)] == ["inf", "inf", "nan"]
    for k in range(4):
        ElementTree.fromstring(picture.svg(k))
        assert all(abs(float(x)) < 2000 for x in re.findall(r"-?[\d.]+", "".join(paths(picture.svg(k), "c1"))))


def test_the_curve_between_the_points_is_inside_the_picture_in_every_state() -> None:
    humps = [lambda x: 1.2 * math.sin(math.pi * x), lambda x: -1.2 * math.sin(math.pi * x)]
    picture = residuals(humps, [0.0, 1.0, 2.0], [0.0, 1.0, 0.0])
    for k in range(2):
        heights = [float(y) for y in re.findall(r" ([\d.]+)", paths(picture.svg(k), "c0")[0])]
        assert 54.0 < min(heights) < 90.0  # the axis ends at 54 and 284
        assert 240.0 < max(heights) < 284.0


def test_dropout_is_off_while_a_state_is_read_and_on_again_afterwards() -> None:
    network = Sequential(Linear(1, 4, rng=0), Dropout(0.5, rng=0), Linear(4, 1, rng=1))
    picture = residuals(network, [1.0], [0.0])
    picture.record()
    assert picture.errors(0) == picture.errors(1)
    assert network.training
    part = next(module for module in network.children() if isinstance(module, Dropout))
    part.eval()
    picture.record()
    assert (network.training, part.training) == (True, False)
    assert residuals(network.eval(), [1.0], [0.0]).errors() == picture.errors()
    assert not network.training
    part.train()  # alone
    assert residuals(network, [1.0], [0.0]).errors() == picture.errors()
    assert (network.training, part.training) == (False, True)


def test_fit_records_each_epoch() -> None:
    pytest.importorskip("numpy")
    from microgrud.train import fit

    network = MLP(1, [1], rng=0)
    picture = residuals(network, XS, YS)
    fit(network, [[x] for x in XS], YS, loss=squared_error, lr=0.05, epochs=4, callbacks=picture, progress=False)
    assert len(picture) == 5
    assert str(picture).splitlines()[3].startswith("epoch 3 of 4: mean squared error ")
    fit(network, [[x] for x in XS], YS, loss=squared_error, lr=0.05, epochs=2, callbacks=picture, progress=False)
    assert str(picture).splitlines()[5].startswith("epoch 5 of 6: ")
    assert picture.errors() == [network([x]).data - y for x, y in zip(XS, YS)]
    assert picture.mean_squared_error(-1) < picture.mean_squared_error(0)


def test_states_of_a_list_of_models_are_counted_from_1_and_are_no_steps() -> None:
    words = str(residuals([abs, float, lambda x: 2.0 * x], XS, YS)).splitlines()
    assert [line.partition(":")[0] for line in words] == ["state 1 of 3", "state 2 of 3", "state 3 of 3"]


# --- regions ---


def image_of(picture: str) -> list[list[bytes]]:
    """Return the rows of the image of regions, for each pixel red, green, blue and opacity."""
    (address,) = re.findall(r'href="data:image/png;base64,([^"]+)"', picture)
    content, chunks = b64decode(address)[8:], {}
    while content:
        (length,) = struct.unpack(">I", content[:4])
        chunks[content[4:8]] = content[8 : 8 + length]
        assert struct.unpack(">I", content[8 + length : 12 + length]) == (zlib.crc32(content[4 : 8 + length]),)
        content = content[12 + length :]
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    pixels = zlib.decompress(chunks[b"IDAT"])
    line = 4 * width + 1
    assert len(pixels) == height * line
    return [[pixels[k * line + 1 + 4 * i :][:4] for i in range(width)] for k in range(height)]


def test_each_pixel_has_the_class_of_the_model_at_its_place() -> None:
    points, labels = [(0.0, 0.0), (1.0, 2.0), (2.0, 0.0)], [0, 1, 2]
    resolution = 9
    picture = regions(lambda row: [1.03 - row[0], row[1], row[0] - 1.03], points, labels, resolution=resolution)
    rows = image_of(picture.svg())
    colours = [pixel[:3] for row in rows for pixel in row]
    assert len(set(colours)) == 3
    of_class: dict[int, bytes] = {}
    for j, row in enumerate(rows):
        y = -0.16 + 2.32 * (resolution - 1 - j) / (resolution - 1)
        for i, pixel in enumerate(row):
            x = -0.16 + 2.32 * i / (resolution - 1)
            scores = [1.03 - x, y, x - 1.03]
            assert of_class.setdefault(scores.index(max(scores)), pixel[:3]) == pixel[:3]
            assert 20 < pixel[3] <= 150


def test_the_border_is_where_the_output_is_at_the_threshold() -> None:
    points = [(0.0, 0.0), (1.0, 1.0)]
    for output, threshold, place in (
        (lambda row: row[0] - 0.25, None, 0.25),  # a score
        (lambda row: 0.25 + 0.5 * row[0], None, 0.5),  # a probability
        (lambda row: 0.25 + 0.5 * row[0], 0.3, 0.1),
    ):
        svg = regions(output, points, [0, 1], threshold=threshold).svg()
        (inside,) = ElementTree.fromstring(svg).findall(f"{SVG}svg")
        expected = float(inside.attrib["x"]) + (place + 0.08) / 1.16 * float(inside.attrib["width"])
        border = paths(svg, "ink")[0]
        xs = [float(x) for x in re.findall(r"[ML]([\d.]+) ", border)]
        assert len(xs) == 2  # the ends of a straight line
        assert xs == pytest.approx([expected] * 2, abs=0.06)


def test_the_border_of_the_classes_minus_1_and_1_is_at_0_even_if_all_outputs_are_between_0_and_1() -> None:
    points = [(0.0, 0.0), (1.0, 1.0)]
    for labels, right in (([0, 1], 2), ([-1, 1], 1), ([1, 1], 1)):  # labels without a -1 are those of 0 and 1
        assert regions(lambda row: 0.2 + 0.6 * row[0], points, labels).accuracy() == right / 2
    assert regions(lambda row: 0.2 + 0.6 * row[0], points, [-1, 1], threshold=0.5).accuracy() == 1.0


def test_a_network_gives_probabilities_if_it_ends_in_a_sigmoid() -> None:
    for output, bias, right in (("linear", 0.2, 1), ("sigmoid", -0.1, 2)):  # logits between 0 and 1, or probabilities
        network = MLP(2, [1], output=output, rng=0)
        for parameter, number in zip(network.parameters(), (0.2, 0.0, bias)):
            parameter.data = number
        picture = regions(network, [(0.0, 0.0), (1.0, 1.0)], [0, 1])
        assert picture.accuracy() == right / 2


def test_arrays_without_dimensions_are_numbers() -> None:
    np = pytest.importorskip("numpy")
    picture = residuals(lambda x: np.where(x > 0.0, x, 0.0), [np.array(-1.0), 2.0], [0.5, np.array(2)])
    assert picture.errors() == [-0.5, 0.0]
    w = Value(3.0)
    assert residuals(lambda x: np.array(w * x), [1.0], [1.0]).errors() == [2.0]
    assert residuals(lambda x: [np.array(x)], [1.0], [1.0]).errors() == [0.0]
    assert curves([np.array(1.0), np.array(w)]).series == {"loss": [1.0, 3.0]}
    assert regions(lambda row: np.array(row[0]), [(np.array(0.0), 1)], [np.array(0)]).accuracy() == 1.0


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [-1, 1, 1, -1]])
def test_points_in_the_region_of_their_class_are_counted(labels: list[int]) -> None:
    points = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]
    network = MLP(2, [1], rng=0)
    picture = regions(network, points, labels)
    network.parameters()[0].data = 5.0
    picture.record(7)
    right = sum((network(point).data > 0.0) == (label == 1) for point, label in zip(points, labels))
    assert picture.accuracy() == right / 4
    assert str(picture).splitlines()[-1] == f"step 7 of 7: {right} of 4 points in the region of their class"
    shapes = [re.sub(r"[\d.]+", "", path) for kind in ("f0", "f1") for path in paths(picture.svg(), kind)]
    assert shapes[0] != shapes[1]


def test_places_without_a_finite_output_have_no_colour_and_are_counted() -> None:
    picture = regions(lambda row: math.nan if row[0] > 0.5 else row[1], [(0.0, 0.0), (1.0, 1.0)], [0, 1], resolution=4)
    rows = image_of(picture.svg())
    assert [row[2:] for row in rows] == [[bytes(4)] * 2] * 4
    assert all(pixel[3] > 0 for row in rows for pixel in row[:2])
    assert str(picture) == "1 of 2 points in the region of their class; 8 of 16 places without a finite output"


def test_places_with_equal_scores_belong_to_the_first_class() -> None:
    picture = regions(lambda row: max(row[0], 0.0), [(-1.0, 0.0), (1.0, 1.0)], [0, 1], resolution=5, threshold=0.0)
    (inside,) = ElementTree.fromstring(picture.svg()).findall(f"{SVG}svg")
    middle = float(inside.attrib["x"]) + 0.5 * float(inside.attrib["width"])
    border = paths(picture.svg(), "ink")[0]
    assert [float(x) for x in re.findall(r"[ML]([\d.]+) ", border)] == pytest.approx([middle] * 2, abs=0.06)
    assert len({pixel[:3] for row in image_of(picture.svg()) for pixel in row[:3]}) == 1


def test_contours_keep_the_corners_of_a_saddle_apart_or_together_by_its_middle() -> None:
    apart, together = contour([[1.0, -3.0], [-3.0, 1.0]], 0.0), contour([[3.0, -1.0], [-1.0, 3.0]], 0.0)
    assert {frozenset(piece) for piece in apart} == {
        frozenset({(0.25, 0.0), (0.0, 0.25)}), frozenset({(1.0, 0.75), (0.75, 1.0)}),
    }  # fmt: skip
    assert {frozenset(piece) for piece in together} == {
        frozenset({(0.75, 0.0), (1.0, 0.25)}), frozenset({(0.0, 0.75), (0.25, 1.0)}),
    }  # fmt: skip


def test_a_network_is_drawn_in_less_than_a_second_by_the_engine_in_python() -> None:
    code = (
        "import time, random; from microgrud.nn import MLP; from microgrud.interactive import regions\n"
        "network = MLP(2, [16, 16, 1], activation='tanh', rng=0); began = time.process_time()\n"
        "regions(network, [(0.0, 1.0), (1.0, 0.0)], [0, 1]).html(); print(time.process_time() - began)"
    )
    environment = {**os.environ, "MICROGRUD_BACKEND": "python", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert float(run.stdout) < 1.0
