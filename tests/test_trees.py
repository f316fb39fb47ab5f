"""`flatten` splits nested structures of numbers, and its result rebuilds them with other numbers."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from arrays import np
from hypothesis import given, strategies as st

from microgrud import Value
from microgrud.autodiff.trees import as_array, flatten


class Point(NamedTuple):
    x: Any
    y: Any


structures = st.recursive(
    st.floats(allow_nan=False) | st.integers(-9, 9),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(st.text(max_size=2), parts, max_size=3)
        | st.tuples(parts, parts)
        | st.builds(Point, parts, parts)
    ),
    max_leaves=8,
)


@given(structures)
def test_rebuilding_from_the_same_numbers_gives_the_same_structure(tree: Any) -> None:
    numbers, structure = flatten(tree, "tree")
    assert structure.rebuild(numbers) == tree
    assert all(type(x) is float for x in numbers)
    assert structure.size == len(numbers) == len(structure.paths) == len(structure.shapes)


@given(structures)
def test_other_numbers_take_the_same_places(tree: Any) -> None:
    numbers, structure = flatten(tree, "tree")
    others = [float(i) for i in range(len(numbers))]
    again, same = flatten(structure.rebuild(others), "tree")
    assert again == others
    assert same.paths == structure.paths


def test_the_paths_give_the_place_of_each_number() -> None:
    tree = {"w": [1, (2, 3)], "b": Point(4, np.zeros(2)), 7: 5}
    numbers, structure = flatten(tree, "tree")
    assert numbers == [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 5.0]
    assert structure.paths == ("['w'][0]", "['w'][1][0]", "['w'][1][1]", "['b'][0]", "['b'][1]", "[7]")
    assert structure.shapes == (None, None, None, None, (2,), None)


@pytest.mark.parametrize("number", [2, 2.0, True + 1, np.float32(2.0), np.int8(2), Fraction(2)])
def test_any_real_scalar_is_a_leaf(number: Any) -> None:
    numbers, structure = flatten(number, "x")
    assert numbers == [2.0]
    assert structure.rebuild([5.0]) == 5.0


def test_a_value_is_a_leaf_and_stays_the_same_node() -> None:
    x = Value(2.0)
    numbers, structure = flatten([x, 1], "tree")
    assert numbers[0] is x
    rebuilt = structure.rebuild([3.0, x])
    assert rebuilt[0] == 3.0
    assert rebuilt[1] is x


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 2), (1, 1, 1)])
def test_arrays_come_back_as_arrays_of_the_same_shape(shape: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    numbers, structure = flatten(array, "x")
    assert numbers == array.ravel().tolist()
    rebuilt = structure.rebuild(numbers)
    assert (rebuilt.shape, rebuilt.dtype) == (shape, np.float64)
    np.testing.assert_array_equal(rebuilt, array)


def test_an_array_in_fortran_order_is_read_row_by_row() -> None:
    numbers, _ = flatten(np.asfortranarray([[1, 2], [3, 4]]), "x")
    assert numbers == [1.0, 2.0, 3.0, 4.0]


def test_an_array_that_holds_a_value_is_an_array_of_objects() -> None:
    x = Value(2.0)
    array = as_array([x, 1.0], (2, 1))
    assert (array.dtype, array.shape) == (object, (2, 1))
    assert array[0, 0] is x
    numbers, _ = flatten(array, "x")
    assert numbers[0] is x
    assert as_array([1.0], ()).shape == ()


def test_structures_without_numbers() -> None:
    trees: list[Any] = [[], {}, (), [[], {"a": ()}]]
    for tree in trees:
        numbers, structure = flatten(tree, "x")
        assert numbers == []
        assert structure.rebuild([]) == tree


def test_a_dict_of_another_kind_comes_back_as_a_plain_dict_in_the_same_order() -> None:
    _, structure = flatten(OrderedDict(b=1.0, a=2.0), "x")
    assert list(structure.rebuild([1.0, 2.0]).items()) == [("b", 1.0), ("a", 2.0)]


def test_anything_may_stand_in_for_the_leaves() -> None:
    _, structure = flatten({"a": [1.0, np.zeros(2)]}, "x")
    assert structure.assemble(["one", "array"]) == {"a": ["one", "array"]}
    assert structure.split("abc") == ["a", "bc"]


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        ("text", r"^p: expected a number, a NumPy array, or a list, tuple or dict of them, got str$"),
        (None, r"^p: expected a number, .* got NoneType$"),
        (1j, r"^p: expected a number, .* got complex$"),
        ([1.0, [2.0, {3.0}]], r"^p\[1\]\[1\]: expected a number, .* got set$"),
        ({"a": Point(1.0, b"")}, r"^p\['a'\]\[1\]: expected a number, .* got bytes$"),
        ([np.array(["x"])], r"^p\[0\]: expected a real number, got the string 'x'"),
        ((x for x in [1.0]), r"^p: expected a number, .* got generator$"),
    ],
)
def test_an_object_that_is_not_made_of_numbers_is_named_with_its_place(tree: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        flatten(tree, "p")


def test_an_array_inside_an_object_array_counts_as_the_number_it_holds() -> None:
    nested = np.empty(2, dtype=object)
    nested[0], nested[1] = np.array(1.0), 2.0
    numbers, structure = flatten(nested, "x")
    assert numbers == [1.0, 2.0]
    assert structure.shapes == ((2,),)
