"""The rows that a worker of a cluster reads on its own, divided by a rule, and prepared as a sample has taught it.

A part of a table is read, prepared and forgotten: nothing here holds more than the rows of a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..engine.vectors import Vector
from ..tables.column import Column
from ..tables.preparation import TablePreparation
from ..tables.rowgroups import Part
from ..tables.target import Target
from .encoding import Encoding
from .scale import Scale

Flags = npt.NDArray[np.bool_]


def uniform(rows: Any, *key: int) -> Vector:
    """Return a number from 0 to 1 for each row number, at random by the key, whatever the other rows are.

    They are those of the generator splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    2014), of which row k has the k-th.

    >>> uniform([3, 5], 0).round(3).tolist(), uniform([5], 0).round(3).tolist()
    ([0.908, 0.544], [0.544])
    """
    start = np.random.SeedSequence(key).generate_state(1, np.uint64)
    x = start + (np.asarray(rows, np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    numbers: Vector = ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    return numbers


@dataclass(frozen=True)
class Division:
    """The rule by which rows are held out, or validate a network: by their numbers, and by chance.

    Args:
        seed: the seed.
        test_size: the share of the rows to hold out.
        folds: the number of folds of the other rows; a network is validated on one of them. 0 for no validation.
    """

    seed: int
    test_size: float
    folds: int = 8

    def held_out(self, rows: Any) -> Flags:
        """Return for each row number whether the row is held out."""
        flags: Flags = uniform(rows, self.seed, 1) < self.test_size
        return flags

    def validates(self, rows: Any, member: int) -> Flags:
        """Return for each row number whether the row, if it is not held out, validates this network."""
        if not self.folds:
            return np.zeros(len(rows), bool)
        fold = np.floor(uniform(rows, self.seed, 2 + member // self.folds) * self.folds)
        flags: Flags = fold == member % self.folds
        return flags


class Census(NamedTuple):
    """Numbers of rows of a part of a table, or of a whole one.

    Attributes:
        incomplete: rows with missing cells that are left out as asked.
        missing: rows without a target.
        unknown: rows whose target is a class, or a number, that is unlike all of the sample.
        held_out: rows to score the networks with.
        training: rows to train and validate the networks with.
        validation: those that validate each network.
    """

    incomplete: int
    missing: int
    unknown: int
    held_out: int
    training: int
    validation: tuple[int, ...]

    @classmethod
    def total(cls, parts: Sequence[Census]) -> Census:
        """Return the sums over parts.

        >>> Census.total([Census(0, 1, 0, 2, 8, (1, 2)), Census(1, 1, 0, 1, 8, (2, 0))])
        Census(incomplete=1, missing=2, unknown=0, held_out=3, training=16, validation=(3, 2))
        """
        *counts, validation = zip(*parts)
        incomplete, missing, unknown, held_out, training = map(sum, counts)
        return cls(incomplete, missing, unknown, held_out, training, tuple(map(sum, zip(*validation))))


@dataclass(frozen=True, eq=False)
class Recipe:
    """All that a worker needs to make samples of its rows.

    Args:
        preparation: the description of the fitted preparation.
        target: the column to predict.
        division: the rule that divides the rows.
        complete: columns whose cells have to be there; rows in which one is missing are left out.
        encoding: the encoding of prepared inputs; None for none.
        classes: the classes that the networks know; None in regression.
        scale: the scale of the target in regression.
    """

    preparation: dict[str, Any]
    target: Target
    division: Division
    complete: tuple[str, ...]
    encoding: Encoding | None
    classes: list[str] | None
    scale: Scale | None

    def targets(self, cells: pd.Series[Any]) -> tuple[Any, Flags, Flags]:
        """Return the target of each row as the networks take it, whether it is missing, and whether it is known."""
        values = self.target.values(cells)
        missing = np.asarray(pd.isna(values))
        if self.classes is not None:
            targets = pd.Index(self.classes, dtype=object).get_indexer(values)
            return targets, missing, targets >= 0
        assert self.scale is not None
        # A number out of the range of the sample counts as missing, as in a table that is read as a whole.
        empty = Column.of(cells, self.target.name).missing
        return self.scale.apply(np.asarray(values, float)[:, None])[:, 0], empty, ~missing

    def left_out(self, frame: pd.DataFrame) -> Flags:
        """Return for each row whether a cell is missing in a column where it has to be there."""
        found = np.zeros(len(frame), bool)
        for name in self.complete:
            found |= Column.of(frame[name], name).missing
        return found

    def inputs(self, frame: pd.DataFrame) -> Vector:
        """Return the prepared inputs of typed cells, before the encoding."""
        prepared: Vector = TablePreparation.from_json(self.preparation).transform(frame)
        return prepared

    def census(self, part: Part, members: int) -> Census:
        """Count the rows of a part."""
        frame = part.read()
        _, missing, known = self.targets(frame[self.target.name])
        left_out = self.left_out(frame)
        known &= ~left_out
        held_out = self.division.held_out(frame.index)
        learned = known & ~held_out
        return Census(
            int(left_out.sum()),
            int((missing & ~left_out).sum()),
            int((~known & ~missing & ~left_out).sum()),
            int((known & held_out).sum()),
            int(learned.sum()),
            tuple(int((learned & self.division.validates(frame.index, k)).sum()) for k in range(members)),
        )


@dataclass(frozen=True, eq=False)
class Loader:
    """Returns samples of a part to train a network with; called on a worker."""

    recipe: Recipe
    part: Part
    member: int

    def __call__(self) -> tuple[Vector, Any]:
        """Return encoded inputs and targets."""
        recipe, frame = self.recipe, self.part.read()
        targets, _, known = recipe.targets(frame[recipe.target.name])
        chosen = known & ~recipe.left_out(frame) & ~recipe.division.held_out(frame.index)
        chosen &= ~recipe.division.validates(frame.index, self.member)
        # Prepared as a whole: the cells of all its rows decide how numbers and dates are written.
        inputs = recipe.inputs(frame)[chosen]
        return inputs if recipe.encoding is None else recipe.encoding.apply(inputs), targets[chosen]
