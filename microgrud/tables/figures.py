"""Figures: medians, scales and categories, learned by scikit-learn, whose transformers are rebuilt from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ..engine.vectors import Vector
from .column import Column, shortened
from .plans import OTHER, PLANS, CategoryPlan, LeftOutPlan, Plan, Reading
from .spelling import in_order
from .table import counted

#: A plan with the column that it was applied to, and the result.
Read: TypeAlias = "tuple[Plan, Column, Reading]"


class Figures:
    """The figures of a preparation, and the transformer that is built from them alone.

    A preparation that was just learned and one that was stored are thus the same to the bit.

    Args:
        plans: the plan for each column.
        numbers: for each input that is a number, its median, mean and scale.
        fills: for each column of categories, the most frequent one.
    """

    def __init__(self, plans: Sequence[Plan], numbers: Sequence[dict[str, float]], fills: Sequence[str]) -> None:
        self.plans = list(plans)
        self._numbers = list(numbers)
        self._most_frequent = list(fills)
        used = [plan for plan in plans if not isinstance(plan, LeftOutPlan)]
        encoded = [plan for plan in used if isinstance(plan, CategoryPlan)]
        labels = [(label, plan.name) for plan in used for label in plan.number_labels]
        marked = [(f"{plan.name} is missing", plan.name) for plan in used if plan.missing]
        one_hot = [(label, plan.name) for plan in encoded for label in plan.category_labels]
        self.inputs = [*labels, *one_hot, *marked]
        self.fills = {
            name: f"{figure['median']:g}" if label == name else "the medians of its parts"
            for (label, name), figure in zip(labels, numbers)
        }
        self.fills |= {plan.name: shortened(fill) for plan, fill in zip(encoded, fills)}
        self._transformer = self._assemble(encoded, len(marked))

    def transform(self, reads: Sequence[Read]) -> Vector:
        """Return the inputs of the network."""
        result: Vector = np.asarray(self._transformer.transform(_cells(reads)), dtype=float)
        return result

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        plans = [plan.to_json() for plan in self.plans]
        return {"columns": plans, "numbers": self._numbers, "most_frequent": self._most_frequent}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Figures:
        """Rebuild what `to_json` wrote."""
        plans = [
            PLANS[entry["kind"]](**{key: value for key, value in entry.items() if key != "kind"})
            for entry in document["columns"]
        ]
        return cls(plans, document["numbers"], document["most_frequent"])

    def _assemble(self, encoded: Sequence[CategoryPlan], marks: int) -> ColumnTransformer:
        """Fit scikit-learn's transformers on a row of medians and most frequent categories, and set the scales."""
        first, last = len(self._numbers), len(self._numbers) + len(encoded)
        categories = [np.array([*plan.categories, *[OTHER] * plan.others], object) for plan in encoded]
        steps = [("fill", SimpleImputer(strategy="median")), ("scale", StandardScaler())]
        encode = [
            ("fill", SimpleImputer(strategy="most_frequent", missing_values=None)),
            ("encode", OneHotEncoder(categories=categories, handle_unknown="ignore", sparse_output=False)),
        ]
        transformer = ColumnTransformer(
            [
                ("numbers", Pipeline(steps), list(range(first))),
                ("categories", Pipeline(encode), list(range(first, last))),
                ("missing", "passthrough", list(range(last, last + marks))),
            ]
        )
        medians = [[figure["median"]] for figure in self._numbers]
        frequent = [pd.Series([fill], dtype=object) for fill in self._most_frequent]
        transformer.set_output(transform="default").fit(_frame([*medians, *frequent, *[[0.0]] * marks]))
        if self._numbers:
            scaler = transformer.named_transformers_["numbers"].named_steps["scale"]
            scaler.mean_, scaler.scale_ = (np.array([each[key] for each in self._numbers]) for key in ("mean", "scale"))
            scaler.var_ = scaler.scale_**2
        return transformer


def learn(plans: Sequence[Plan], reads: Sequence[Read], max_categories: int, rarest: int, notes: list[str]) -> Figures:
    """Learn the figures with scikit-learn, and complete the plans with the categories to keep and a sentence.

    Args:
        plans: the plan for each column.
        reads: the plans that use their columns, with the results of reading them.
        max_categories: the largest number of inputs for one column of categories.
        rarest: the smallest number of rows of a category of its own.
        notes: gets a note on each column whose cells are mostly rare categories, as names of rows are.
    """
    vectors = [values for *_, reading in reads for values in reading.numbers.values()]
    numbers: list[dict[str, float]] = []
    if vectors:
        block = np.column_stack(vectors)
        imputer = SimpleImputer(strategy="median").fit(block)
        scaler = StandardScaler().fit(imputer.transform(block))
        found = (each.tolist() for each in (imputer.statistics_, scaler.mean_, scaler.scale_))
        numbers = [{"median": median, "mean": mean, "scale": scale} for median, mean, scale in zip(*found)]
    done: dict[str, Plan] = {plan.name: plan for plan, *_ in reads}
    fills: list[str] = []
    encoded = [(plan, np.asarray(reading.names)) for plan, _, reading in reads if isinstance(plan, CategoryPlan)]
    if encoded:
        texts = np.column_stack([names for _, names in encoded]).astype(object)
        frequent = SimpleImputer(strategy="most_frequent", missing_values=None).fit(texts)
        encoder = OneHotEncoder(
            max_categories=max_categories, min_frequency=rarest, handle_unknown="infrequent_if_exist"
        ).fit(frequent.transform(texts))
        columns = zip(encoder.categories_, encoder.infrequent_categories_, frequent.statistics_)
        for (each, names), (categories, infrequent, fill) in zip(encoded, columns):
            rare = set() if infrequent is None else set(infrequent)
            kept = in_order(name for name in categories.tolist() if name not in rare)
            fills.append(str(fill) if fill in kept else (kept or [OTHER])[0])  # of several most frequent ones
            said = "1 category" if len(kept) == 1 else f"{len(kept)} categories"
            said += f", and one input for {len(rare)} rarer" if rare else ""
            if len(rare) > len(kept) and pd.Series(names).dropna().isin(rare).mean() > 0.5:
                most = f"most of its {counted(len(rare) + len(kept), 'different text')} occur in a few rows only"
                advice = "leave it out (option ignore) if it only names rows"
                notes.append(f"column {each.name!r}: {most}, and share one input; {advice}")
            done[each.name] = replace(each, categories=kept, others=bool(rare), said=said)
    figures = Figures([done.get(plan.name, plan) for plan in plans], numbers, fills)
    gaps = {
        plan.name: int(column.missing.sum() + reading.odd[column.rows[~column.missing]].sum())
        for plan, column, reading in reads
    }
    for k, plan in enumerate(figures.plans):
        if plan.missing and plan.name in figures.fills:
            filled = f"{counted(gaps[plan.name], 'missing cell')} filled with {figures.fills[plan.name]} and marked"
            figures.plans[k] = replace(plan, said=f"{plan.said}; {filled}")
    return figures


def _cells(reads: Sequence[Read]) -> pd.DataFrame:
    """Return the cells that scikit-learn takes: numbers, names of categories, and marks of missing cells."""
    numbers = [values for *_, reading in reads for values in reading.numbers.values()]
    names = [pd.Series(reading.names, dtype=object) for *_, reading in reads if reading.names is not None]
    marks = []
    for plan, column, reading in reads:
        if plan.missing:
            odd = reading.odd & (reading.names is None)  # an unknown category is not missing
            marks.append(np.append(odd, True)[column.rows].astype(float))
    return _frame([*numbers, *names, *marks])


def _frame(columns: Sequence[Any]) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame({str(position): values for position, values in enumerate(columns)})
    return frame
