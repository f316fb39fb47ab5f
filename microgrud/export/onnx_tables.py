"""The preparation of a table as a part of an ONNX graph: one input for each column, one matrix for the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tables.plans import LARGEST, OTHER, CategoryPlan, DatePlan, NumberPlan, Plan, PresencePlan
from ..tables.preparation import TablePreparation
from .onnx_graph import Graph
from .spellings import category_patterns, missing_pattern
from .table_inputs import KINDS, NO_DATE, used_plans

#: Microseconds of a day, and of an hour.
_DAY, _HOUR = 86_400_000_000, 3.6e9


def add_preparation(graph: Graph, preparation: TablePreparation) -> str:
    """Add an input for each column, and the nodes that make the inputs of the network of them; return their name."""
    for plan in used_plans(preparation):
        graph.input(plan.name, KINDS[plan.kind], 1)
    with graph.part("preparation"):
        return _Columns(graph, preparation).joined()


class _Columns:
    """The columns of a graph: their numbers, their categories and their marks of missing cells.

    Args:
        graph: gets the nodes.
        preparation: the fitted preparation.
    """

    def __init__(self, graph: Graph, preparation: TablePreparation) -> None:
        self.graph, self.plans = graph, used_plans(preparation)
        document = preparation.to_json()
        self._figures: dict[str, list[dict[str, float]]] = {}
        figures, fills = iter(document["numbers"]), iter(document["most_frequent"])
        self._fills: dict[str, str] = {}
        for plan in self.plans:
            self._figures[plan.name] = [next(figures) for _ in plan.number_labels]
            if isinstance(plan, CategoryPlan):
                self._fills[plan.name] = next(fills)
        #: For each part of the matrix its tensor (rows, columns), and for each of its columns what it holds.
        self._parts: list[tuple[str, list[tuple[str, str, int]]]] = []

    def joined(self) -> str:
        """Return the name of the matrix: numbers, then categories, then marks, each in the order of the columns."""
        self._add_numbers([plan for plan in self.plans if isinstance(plan, NumberPlan)])
        adders: dict[type[Plan], Callable[[Any], None]] = {
            DatePlan: self._add_date,
            CategoryPlan: self._add_category,
            PresencePlan: self._add_presence,
        }
        for plan in self.plans:
            if type(plan) in adders:
                adders[type(plan)](plan)
        found = [key for _, keys in self._parts for key in keys]
        places = {plan.name: place for place, plan in enumerate(self.plans)}
        kinds = ("number", "category", "mark")
        order = sorted(range(len(found)), key=lambda k: (kinds.index(found[k][0]), places[found[k][1]], found[k][2]))
        matrix = self._concatenated([tensor for tensor, _ in self._parts])
        if order == list(range(len(order))):
            return matrix
        return self.graph.add("Gather", matrix, self.graph.constant(np.array(order)), axis=1)

    def _add_numbers(self, plans: Sequence[NumberPlan]) -> None:
        if not plans:
            return
        graph = self.graph
        values = self._concatenated([plan.name for plan in plans])
        low = np.array([max(plan.low, -LARGEST) for plan in plans])
        high = np.array([min(plan.high, LARGEST) for plan in plans])
        usable = graph.add(
            "And",
            graph.add("GreaterOrEqual", values, graph.constant(low)),
            graph.add("LessOrEqual", values, graph.constant(high)),
        )
        figures = [figure for plan in plans for figure in self._figures[plan.name]]
        self._parts.append((self._scaled(values, usable, figures), [("number", plan.name, 0) for plan in plans]))
        marked = [k for k, plan in enumerate(plans) if plan.missing]
        if marked:
            marks = graph.add("Cast", graph.add("Not", usable), to=graph.kind(np.float64))
            keys = [("mark", plans[k].name, 0) for k in marked]
            self._parts.append((graph.add("Gather", marks, graph.constant(np.array(marked)), axis=1), keys))

    def _scaled(self, values: str, usable: str, figures: Sequence[dict[str, float]]) -> str:
        """Return numbers, filled with medians where they cannot be used, and scaled."""
        median, mean, scale = (self.graph.constant(np.array([each[key] for each in figures])) for key in _FIGURES)
        filled = self.graph.add("Where", usable, values, median)
        return self.graph.add("Div", self.graph.add("Sub", filled, mean), scale)

    def _add_date(self, plan: DatePlan) -> None:
        graph = self.graph
        missing = graph.add("Equal", plan.name, graph.constant(np.array(NO_DATE)))
        moments = graph.add("Where", missing, graph.constant(np.array(0)), plan.name)
        parts = parts_of_dates(graph, moments, int(np.datetime64(plan.first, "D").astype(np.int64)))
        values = self._concatenated([parts[name] for name in plan.parts])
        scaled = self._scaled(values, graph.add("Not", missing), self._figures[plan.name])
        self._parts.append((scaled, [("number", plan.name, k) for k in range(len(plan.parts))]))
        self._add_mark(plan, missing)

    def _add_category(self, plan: CategoryPlan) -> None:
        """Add an input for each category and one for all others: 1 where the cell is that, or missing and filled so."""
        graph, text = self.graph, plan.name
        missing = graph.add("RegexFullMatch", text, pattern=missing_pattern())
        found = []
        for own, others in category_patterns(plan.categories):
            hit = graph.add("RegexFullMatch", text, pattern=own)
            for other in others:
                hit = graph.add("And", hit, graph.add("Not", graph.add("RegexFullMatch", text, pattern=other)))
            found.append(hit)
        empty = graph.add("Cast", missing, to=graph.kind(np.float64))
        present = graph.add("Sub", graph.constant(np.array(1.0)), empty)
        inputs = []
        if found:
            hits = graph.add("Cast", self._concatenated(found), to=graph.kind(np.float64))
            inputs = [graph.add("Mul", hits, present)]
        if plan.others:
            rest = present
            if inputs:
                known = graph.add("ReduceSum", inputs[0], graph.constant(np.array([1])), keepdims=1)
                rest = graph.add("Sub", present, known)
            inputs.append(rest)
        names = [*plan.categories, *[OTHER] * plan.others]
        if names:
            fill = np.array([[float(name == self._fills[plan.name]) for name in names]])
            filled = graph.add("Mul", empty, graph.constant(fill))
            keys = [("category", plan.name, k) for k in range(len(names))]
            self._parts.append((graph.add("Add", self._concatenated(inputs), filled), keys))
        self._add_mark(plan, missing)

    def _add_presence(self, plan: PresencePlan) -> None:
        self._add_mark(plan, self.graph.add("RegexFullMatch", plan.name, pattern=missing_pattern()))

    def _add_mark(self, plan: Plan, missing: str) -> None:
        if plan.missing:
            mark = self.graph.add("Cast", missing, to=self.graph.kind(np.float64))
            self._parts.append((mark, [("mark", plan.name, 0)]))

    def _concatenated(self, tensors: Sequence[str]) -> str:
        return tensors[0] if len(tensors) == 1 else self.graph.add("Concat", *tensors, axis=1)


_FIGURES = ("median", "mean", "scale")


def parts_of_dates(graph: Graph, moments: str, first: int) -> dict[str, str]:
    """Return the tensors of the parts that `tables.dates.parts_of` gives, for microseconds since 1970.

    Years and months are counted from March, so that a leap day is the last day of a year, in eras of 400 years or
    146,097 days. All of it is exact, in whole numbers.

    Args:
        graph: gets the nodes.
        moments: the tensor of int64.
        first: the day from which days are counted, in days since 1970.
    """

    def number(value: int) -> str:
        return graph.constant(np.array(value, np.int64))

    def plus(x: str, value: int) -> str:
        return graph.add("Add", x, number(value))

    def times(x: str, value: int) -> str:
        return graph.add("Mul", x, number(value))

    def minus(x: str, y: str) -> str:
        return graph.add("Sub", x, y)

    def modulo(x: str, value: int) -> str:
        return graph.add("Mod", x, number(value))

    def over(x: str, value: int) -> str:  # rounded down, while Div rounds towards 0
        return graph.add("Div", minus(x, modulo(x, value)), number(value))

    def double(x: str) -> str:
        return graph.add("Cast", x, to=graph.kind(np.float64))

    clock, days = modulo(moments, _DAY), over(moments, _DAY)
    from_march = plus(days, 719_468)  # days since 0000-03-01
    era, day = over(from_march, 146_097), modulo(from_march, 146_097)
    leap_days = minus(graph.add("Add", over(day, 1_460), over(day, 146_096)), over(day, 36_524))
    year = over(minus(day, leap_days), 365)
    of_year = minus(day, minus(graph.add("Add", times(year, 365), over(year, 4)), over(year, 100)))
    month = over(plus(times(of_year, 5), 2), 153)  # 0 in March
    next_year = over(plus(month, 2), 12)  # 1 in January and February
    years = graph.add("Add", graph.add("Add", times(era, 400), year), next_year)
    return {
        "year": double(years),
        "month": double(plus(modulo(plus(month, 2), 12), 1)),
        "weekday": double(modulo(plus(days, 3), 7)),
        "hour": graph.add("Div", double(clock), graph.constant(np.array(_HOUR))),
        "days": double(plus(days, -first)),
    }
