"""The decimal mark of a table in prediction: columns that allow two readings follow those that allow one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .column import Column
from .plans import OTHER_MARK, NumberPlan, Plan, numbers_in


def with_one_mark(learned: Sequence[Plan], plans: list[Plan], columns: Sequence[Column]) -> list[Plan]:
    """Return the plans for a table whose columns share a decimal mark, so that 1.234 is read as columns near it tell.

    Where columns have another mark than the one of all `learned` plans, those that both marks read follow, unless a
    column has cells that only the mark of training reads.

    Args:
        learned: the plans of training.
        plans: for each its plan for the cells of the table.
        columns: the columns of the table.
    """
    trained = {plan.decimal for plan in learned if isinstance(plan, NumberPlan)}
    changed = {plan.decimal for plan in plans if isinstance(plan, NumberPlan)} - trained
    if len(trained) > 1 or not changed:
        return plans
    result = list(plans)
    for k, (plan, column) in enumerate(zip(plans, columns)):
        if isinstance(plan, NumberPlan) and plan.decimal in trained:
            other = replace(plan, decimal=OTHER_MARK[plan.decimal])
            old, new = (numbers_in(column, each.decimal, plan.unit) for each in (plan, other))
            known, differs = np.isfinite(old), old != new
            if (known & np.isnan(new)).any():
                return plans
            result[k] = other if (known & differs).any() else plan
    return result
