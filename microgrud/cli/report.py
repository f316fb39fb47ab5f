"""The report of a training run: one self-contained HTML page, to be read, sent and printed.

Every text from the table is escaped; pictures are inlined, each for light and for dark pages.
"""

from __future__ import annotations

import html
import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib.resources import files
from string import Template
from typing import TypeAlias

from ..tables.table import counted
from ..version import __version__
from .charts import Picture
from .preprocessing import NumberColumn, Target
from .run import Run
from .scores import LABELS, figures, setting
from .settings import RunSettings, option_name, option_text

#: Number of rows in the table of the worst predictions.
_SHOWN_ROWS = 15
_SHOWN_CATEGORIES = 12
#: The settings in the report, with their labels.
_SHOWN_SETTINGS = {
    **{"task": "task", "activation": "activation", "optimizer": "optimizer", "lr": "learning rate"},
    **{"schedule": "learning rate schedule", "weight_decay": "weight decay", "epochs": "epochs"},
    **{"batch_size": "batch size", "test_size": "share of rows held out", "seed": "seed"},
}

Cell: TypeAlias = str | float | int


def report_page(run: Run, pictures: Mapping[str, Picture]) -> str:
    """Return the report of `run` as one HTML page, with `pictures` from `draw_pictures`."""
    result = pictures.get("confusion") or pictures.get("predictions")
    sections = [
        ("Results on held-out rows", _results(run)),
        ("Pictures of the results", _side_by_side(result, pictures.get("regions"))),
        ("The worst predictions", _worst(run)),
        ("The data", _data(run)),
        ("The network", _side_by_side(pictures.get("network")) + _network(run)),
        (
            "The walk down the loss surface",
            _side_by_side(*(pictures.get(name) for name in ("loss", "surface", "flow"))),
        ),
        ("How it was trained", _training(run)),
        ("Use the model", _usage(run)),
    ]
    page = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html.escape(run.title),
        lead=html.escape(run.summary),
        notes="\n".join(f'<p class="note">{html.escape(note)}</p>' for note in run.notes),
        sections="\n".join(f"<section>\n<h2>{title}</h2>\n{body}\n</section>" for title, body in sections),
        version=__version__,
    )


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table; the first cell of a row is its heading, and numbers are aligned on the right."""

    def cell(tag: str, value: Cell, number: bool, attributes: str = "") -> str:
        kind = ' class="number"' if number else ' class="long"' if tag == "td" else ""
        return f"<{tag}{attributes}{kind}>{html.escape(figures(value))}</{tag}>"

    body = [list(row) for row in rows]
    numeric = [all(not isinstance(row[i], str) for row in body) for i in range(len(header))]
    head = "".join(cell("th", name, numeric[i], ' scope="col"') for i, name in enumerate(header))
    lines = [
        cell("th", row[0], numeric[0], ' scope="row"')
        + "".join(cell("td", x, numeric[i + 1]) for i, x in enumerate(row[1:]))
        for row in body
    ]
    return (
        f'<div class="scroll"><table>\n<caption>{html.escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(f"<tr>{line}</tr>" for line in lines)
        + "\n</tbody></table></div>"
    )


def _results(run: Run) -> str:
    columns = run.score_columns
    tables = [
        _table(
            f"On the {len(run.predictions)} rows that training did not see",
            ["score", *columns, "better"],
            [
                (label, *(scores[key] for scores in columns.values()), "higher" if higher else "lower")
                for key, (label, higher) in LABELS.items()
                if key in run.scores
            ],
        )
    ]
    if "per_class" in run.scores:
        rows = [tuple(entry.values()) for entry in run.scores["per_class"]]
        tables.append(_table("Class by class", ["class", "precision", "recall", "F1", "rows"], rows))
    return f'<div class="side">{"".join(tables)}</div>'


def _side_by_side(*pictures: Picture | None) -> str:
    return f'<div class="side">{"".join(_figure(picture) for picture in pictures if picture is not None)}</div>'


def _figure(picture: Picture) -> str:
    if not picture.files:
        return f'<p class="missing">{html.escape(picture.caption)}</p>'
    themes = ("light", "dark") if len(picture.files) == 2 else ("both",)
    sources = (f"data:image/svg+xml;base64,{b64encode(svg).decode()}" for svg in picture.files)
    alt = html.escape(picture.alt)
    inlined = (f'<img class="{theme}" src="{source}" alt="{alt}">' for theme, source in zip(themes, sources))
    return f"<figure>{''.join(inlined)}<figcaption>{html.escape(picture.caption)}</figcaption></figure>"


def _worst(run: Run) -> str:
    frame = run.predictions.to_dict("list")
    if run.target.task == "regression":
        numbers = [(row, true, p, p - true) for row, true, p in zip(frame["row"], frame["true"], frame["predicted"])]
        numbers.sort(key=lambda entry: -abs(entry[3]))
        caption = f"The {min(_SHOWN_ROWS, len(numbers))} held-out rows with the largest errors"
        return _table(caption, ["row of the table", "true", "predicted", "error"], numbers[:_SHOWN_ROWS])
    wrong = [
        (row, true, predicted, frame[f"probability {predicted}"][i], frame[f"probability {true}"][i])
        for i, (row, true, predicted) in enumerate(zip(frame["row"], frame["true"], frame["predicted"]))
        if true != predicted
    ]
    if not wrong:
        return "<p>None: every held-out row was predicted correctly.</p>"
    wrong.sort(key=lambda entry: entry[4])
    caption = f"{len(wrong)} of {len(run.predictions)} held-out rows were predicted incorrectly"
    if len(wrong) > _SHOWN_ROWS:
        caption += f"; the {_SHOWN_ROWS} with the lowest probability of the true class"
    header = ["row of the table", "true", "predicted", "probability of predicted", "probability of true"]
    return _table(caption, header, wrong[:_SHOWN_ROWS])


def _data(run: Run) -> str:
    rows: list[tuple[Cell, ...]] = []
    for column in run.predictor.preprocessing.columns:
        if isinstance(column, NumberColumn):
            rows.append((column.name, "number", _mean_and_deviation(column)))
        else:
            more = len(column.categories) - _SHOWN_CATEGORIES
            names = ", ".join(column.categories[:_SHOWN_CATEGORIES]) + (f" and {more} more" if more > 0 else "")
            rows.append((column.name, f"category, {len(column.categories)} of them", names))
    target = run.target
    if target.task == "classification":
        rows.append((target.name, f"target, {len(target.classes)} classes", ", ".join(target.classes)))
    else:
        rows.append((target.name, "target, a number", _mean_and_deviation(target)))
    trained = counted(run.train_rows, "row")
    caption = f"{trained} to train on and {len(run.predictions)} held out; figures are of the training rows"
    return _table(caption, ["column", "kind", "values"], rows)


def _mean_and_deviation(column: NumberColumn | Target) -> str:
    return f"mean {figures(column.mean)}, standard deviation {figures(column.scale)}"


def _network(run: Run) -> str:
    layers = run.predictor.layers()
    header = ["layer", "inputs", "neurons", "activation", "parameters"]
    return _table(f"{counted(sum(layer[-1] for layer in layers), 'parameter')} in all", header, layers)


def _training(run: Run) -> str:
    rows = [(label, setting(getattr(run.settings, name))) for name, label in _SHOWN_SETTINGS.items()]
    # Without the duration, so that the same seed gives the same page.
    return _table(counted(len(run.history), "step"), ["setting", "value"], rows)


def _usage(run: Run) -> str:
    return (
        f"<p>Predict {html.escape(run.target.name)} for the rows of another table, in this folder:</p>\n"
        "<pre><code>microgrud predict model.json TABLE.csv --out new_predictions.csv\n"
        "microgrud show model.json</code></pre>\n"
        "<p>Train it again; on the same machine, the model is the same to the last bit:</p>\n"
        f"<pre><code>{html.escape(shlex.join(command(run)))}</code></pre>"
    )


def command(run: Run) -> list[str]:
    """Return the command that repeats `run`, with all defaults."""
    words = ["microgrud", "train", *([run.source] if run.source else [])]
    for each in fields(RunSettings):
        setting, option = getattr(run.settings, each.name), option_name(each.name)
        if each.default == ():
            words += [word for name in setting for word in (option, name)]
        elif isinstance(setting, bool):
            words += [option] if setting else []
        elif setting is not None:
            words += [option, option_text(setting)]
    return words
