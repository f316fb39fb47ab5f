"""The report of a training run: one self-contained HTML page, to be read, sent and printed.

Every text from the table is escaped; pictures are inlined, each for light and for dark pages.
"""

from __future__ import annotations

import html
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.resources import files
from string import Template

from ..common.words import counted
from ..tables.plans import CategoryPlan, Plan
from ..version import __version__
from .charts import Picture
from .markup import Bar, meanings, side_by_side, table
from .predicting import layers, size_of
from .run import Run
from .scores import LABELS, setting, spread_meaning, with_spread
from .settings import RunSettings, option_name, option_text

#: Number of rows in the table of the worst predictions, and of columns in that of the importance.
_SHOWN_ROWS = 15
_SHOWN_COLUMNS = 25
#: Number of categories or classes that are listed.
_SHOWN_NAMES = 12
#: The settings in the report, with their labels.
_SHOWN_SETTINGS = {
    **{"task": "task", "activation": "activation", "optimizer": "optimizer", "lr": "learning rate"},
    **{"schedule": "learning rate schedule", "weight_decay": "weight decay", "epochs": "most epochs"},
    **{"batch_size": "batch size", "estimators": "networks", "time": "most seconds"},
    **{"test_size": "share of rows held out", "cv": "folds", "repeats": "cross-validations", "seed": "seed"},
}
#: The meaning of each score, for those who meet it for the first time.
_MEANINGS = {
    "accuracy": "the share of rows whose predicted class is right; higher is better.",
    "macro_f1": "the mean of F1 over the classes: rare classes count as much as frequent ones; higher is better.",
    "log_loss": "the mean of -log(probability of the true class): confident mistakes cost most. 0 is perfect, "
    "guessing costs 0.693 for two classes and 1.099 for three; lower is better.",
    "roc_auc": "the probability that a row of a class has a higher probability of it than a row of another: 0.5 is "
    "guessing, 1 is perfect.",
    "pr_auc": "the mean precision while a falling threshold finds more rows of a class: guessing has the share of the "
    "class, 1 is perfect.",
    "r2": "the share of the variance that the predictions explain: 1 is perfect, 0 is no better than always answering "
    "the mean.",
    "rmse": "the root of the mean squared error, in the units of the target: large errors weigh most; lower is better.",
    "mae": "the mean absolute error, in the units of the target; lower is better.",
}
_F1 = {
    "precision": "the share of the rows predicted to be of a class that are of it.",
    "recall": "the share of the rows of a class that are found.",
    "F1": "the harmonic mean of precision and recall: it is high only if both are.",
}
_THRESHOLDS = {"0.5": "the usual one", "f1": "best F1", "youden": "most recall per false alarm (Youden's J)"}


_OF_RESULTS = ("confusion", "predictions", "regions", "roc", "precision_recall", "reliability")


def report_page(run: Run, pictures: Mapping[str, Picture]) -> str:
    """Return the report of `run` as one HTML page, with `pictures` from `draw_pictures`, or without any."""

    def shown(*names: str) -> str:
        return side_by_side(*(pictures[name] for name in names if name in pictures))

    sections = {
        "Results on held-out rows": _results(run),
        "Which columns matter": _importance(run),
        "Pictures of the results": shown(*_OF_RESULTS),
        "The choice of a threshold": _thresholds(run),
        "The worst predictions": _worst(run),
        "The data": _data(run),
        "The network": shown("network") + _network(run),
        "The walk down the loss surface": shown("loss", "surface", "flow"),
        "How it was trained": _training(run),
        "Use the model": _usage(run),
    }
    page = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html.escape(run.title),
        lead=html.escape(run.summary),
        notes=_notes(run),
        sections="\n".join(_section(title, body) for title, body in sections.items() if body),
        version=__version__,
    )


def _section(title: str, body: str) -> str:
    return f'<section id="{title.split()[-1]}">\n<h2>{title}</h2>\n{body}\n</section>'


def _notes(run: Run) -> str:
    """Return the notes, without those on columns that the table of the data repeats."""
    left_out = {f"column {plan.name!r} is {plan.said}" for plan in run.preparation.columns_}
    items = [f"<li>{html.escape(note)}</li>" for note in run.notes if note not in left_out]
    more = len(run.notes) - len(items)
    if more:
        items.append(f'<li>{counted(more, "column")} left out: see <a href="#data">the data</a></li>')
    return f'<ul class="notes">{"".join(items)}</ul>' if items else ""


def _results(run: Run) -> str:
    columns = run.score_columns
    keys = [key for key in LABELS if key in run.scores]
    unseen = "each answered by a network that has not seen it" if run.settings.cv else "which training did not see"
    caption = f"On {counted(len(run.predictions), 'row')}, {unseen}; {spread_meaning(run.scores['method'])}"
    rows = [
        (LABELS[key][0], *(with_spread(scores, key) if key in scores else "" for scores in columns.values()))
        for key in keys
    ]
    found = table(caption, ["score", *columns], rows) + meanings({LABELS[key][0]: _MEANINGS[key] for key in keys})
    if "per_class" in run.scores:
        per_class = [tuple(entry.values()) for entry in run.scores["per_class"]]
        found += table("Class by class", ["class", "precision", "recall", "F1", "rows"], per_class) + meanings(_F1)
    return found


def _importance(run: Run) -> str:
    frame = run.importance
    if not len(frame):
        return ""
    largest = max(float((frame["importance"] + frame["spread"]).max()), 1e-300)
    shown = frame.head(_SHOWN_COLUMNS)
    rows = [
        (column, Bar(mean / largest, spread / largest), with_spread({"x": mean, "spread": {"x": spread}}, "x"))
        for column, mean, spread in zip(shown["column"], shown["importance"], shown["spread"])
    ]
    caption = f"The first {len(shown)} of {len(frame)} columns" if len(shown) < len(frame) else "All columns in use"
    worse = "the explained share of the variance falls" if run.target.task == "regression" else "the log loss rises"
    terms = {
        "importance": f"how far {worse} if the cells of the column are shuffled among the held-out rows (permutation "
        "importance): with about 0 the network would do as well without it. Columns that say the same share their "
        "importance.",
        "±": "the standard deviation over shuffles: columns that differ by less may be equally important.",
    }
    return table(caption, ["column", "", "importance"], rows) + meanings(terms)


def _thresholds(run: Run) -> str:
    found = run.scores.get("threshold")
    if not found:
        return ""
    keys = ("threshold", "precision", "recall", "f1")
    rows = [(_THRESHOLDS[name], *(scores[key] for key in keys)) for name, scores in found["held_out"].items()]
    return (
        "<p>The predicted class is the one with the larger probability. Where mistakes of one kind cost more than "
        f"those of the other, predict {html.escape(found['class'])} from another threshold on its probability.</p>"
    ) + table(
        f"Thresholds chosen on {found['chosen_on']}, with their scores on held-out rows",
        ["threshold", "probability", "precision", "recall", "F1"],
        rows,
    )


def _worst(run: Run) -> str:
    frame = run.predictions.to_dict("list")
    if run.target.task == "regression":
        numbers = [(row, true, p, p - true) for row, true, p in zip(frame["row"], frame["true"], frame["predicted"])]
        numbers.sort(key=lambda entry: -abs(entry[3]))
        caption = f"The {min(_SHOWN_ROWS, len(numbers))} held-out rows with the largest errors"
        return table(caption, ["row of the table", "true", "predicted", "error"], numbers[:_SHOWN_ROWS])
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
    return table(caption, header, wrong[:_SHOWN_ROWS])


def _data(run: Run) -> str:
    target = run.target
    values = f"classes: {_listed(target.classes)}" if target.classes else "a number"
    rows = [(plan.name, plan.kind, _done_with(plan)) for plan in run.preparation.columns_]
    held_out = "each held out once by the cross-validation" if run.settings.cv else f"{len(run.predictions)} held out"
    caption = f"{counted(run.train_rows, 'row')} to train on, {held_out}; {counted(len(run.inputs), 'input')}"
    return table(caption, ["column", "kind", "done with it"], [*rows, (target.name, "target", values)])


def _done_with(plan: Plan) -> str:
    return f"{plan.said}; the categories: {_listed(plan.categories)}" if isinstance(plan, CategoryPlan) else plan.said


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _network(run: Run) -> str:
    header = ["layer", "inputs", "neurons", "activation", "parameters"]
    return table(size_of(run.network), header, layers(run.model))


def _training(run: Run) -> str:
    history = run.history
    chosen = {} if history.best_epoch is None else {"epoch with the lowest validation loss": history.best_epoch}
    settings = {label: getattr(run.settings, name) for name, label in _SHOWN_SETTINGS.items()}
    for name in ("test_size",) if run.settings.cv else ("cv", "repeats"):
        del settings[_SHOWN_SETTINGS[name]]
    rows = [(label, setting(value)) for label, value in (settings | chosen).items() if value is not None]
    # Without the duration, so that the same seed gives the same page.
    caption = f"{counted(len(history), 'step')} in {counted(len(history.epochs), 'epoch')}"
    return table(caption, ["setting", "value"], rows)


def _usage(run: Run) -> str:
    alike = "on the same machine, the model is the same to the last bit"
    if run.given.scheduler is not None:
        alike = "with any number of workers, the model is the same up to rounding"
    return (
        f"<p>Predict {html.escape(run.target.name)} for the rows of another table, in this folder:</p>\n"
        "<pre><code>microgrud predict model.json TABLE.csv --out new_predictions.csv\n"
        "microgrud show model.json</code></pre>\n"
        "<p>In Python, from a DataFrame with the same columns:</p>\n"
        "<pre><code>microgrud.sklearn.load(&quot;model.json&quot;).predict(frame)</code></pre>\n"
        f"<p>Train it again; {alike}:</p>\n"
        f"<pre><code>{html.escape(shlex.join(command(run)))}</code></pre>"
    )


def command(run: Run) -> list[str]:
    """Return the command that repeats `run`."""
    words = ["microgrud", "train", *run.sources]
    for each in fields(RunSettings):
        setting, option = getattr(run.given, each.name), option_name(each.name)
        if each.default == ():
            words += [word for name in setting for word in (option, name)]
        elif isinstance(setting, bool):
            words += [option] if setting else []
        elif setting is not None and setting != each.default:
            words += [option, option_text(setting)]
    return words
