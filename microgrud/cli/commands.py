"""The commands: `microgrud train`, `microgrud predict` and `microgrud show`.

Every error in the user's input (an option, a table, a model file) gives one line on stderr and exit code 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pandas as pd
import typer
from typer import Argument, Option
from typer.core import TyperGroup

from ..common.jsonfile import ModelFileError
from ..tables import TableError, read_table
from ..tables.table import closest, counted, iris_table, left_out
from ..version import __version__
from .pipeline import train_on_table
from .predicting import Predictor
from .preprocessing import CategoryColumn, NumberColumn, Target
from .run import Run
from .runfolder import check_free, check_output, next_free, write_predictions, write_run
from .scores import LABELS, behind_baseline, behind_linear, figures, setting
from .settings import RunSettings, SettingsError, option_name, option_text


class _OneLineErrors(TyperGroup):
    """A group of commands that reports an error in the user's input in one line."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command line; see `click.Command.main`."""
        try:
            result = super().main(*args, **{**options, "standalone_mode": False})
        except (TableError, SettingsError, ModelFileError, OSError) as error:
            _fail(str(error) if isinstance(error, ValueError) else _os_message(error))
        except (KeyboardInterrupt, typer.Abort):
            _fail("interrupted", 130)
        except Exception as error:
            # Errors in the options, found by typer; their classes are click's in some versions, and typer's in others.
            message = getattr(error, "format_message", None)
            if message is None:
                raise
            _fail(message(), 2)
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int = 2) -> NoReturn:
    print(_one_line(f"error: {message}"), file=sys.stderr)
    sys.exit(code)


def _os_message(error: OSError) -> str:
    """Return the system's message without the number of the error; an error in printing has no file name."""
    return f"{error.filename or 'stdout'}: {error.strerror}" if error.strerror else str(error)


def _note(text: str) -> None:
    print(_one_line(f"note: {text}"), file=sys.stderr)


def _one_line(text: str) -> str:
    """Return the text with spaces for line breaks, and escapes for characters that stdout cannot encode."""
    encoding = sys.stdout.encoding or "utf-8"
    return " ".join(text.split()).encode(encoding, "backslashreplace").decode(encoding)


app = typer.Typer(
    cls=_OneLineErrors,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train a small network on a table, evaluate it, and predict with it.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"microgrud {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each setting, in place of its `**options`."""
    given, options = signature(command, eval_str=True).parameters, []
    for each in fields(RunSettings):
        kind, empty = each.metadata["kind"], each.default in (None, MISSING, ())
        default = None if empty else each.default if kind is bool else option_text(each.default)
        option = Option(option_name(each.name), metavar=each.metadata["metavar"], help=each.metadata["help"])
        annotation: Any = Annotated[kind, option]
        if each.name == "ignore":  # --out precedes the options on columns
            options.append(given["out"])
        options.append(Parameter(each.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation))
    parameters = [given["context"], given["table"], *options, given["quiet"]]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return command


@app.command(short_help="Train a network on a table, and write a report.", context_settings={"allow_extra_args": True})
@_with_settings
def train(
    context: typer.Context,
    table: Annotated[Path | None, Argument(metavar="TABLE", help="A CSV file.  [default: scikit-learn's iris]")] = None,
    *,
    out: Annotated[Path | None, Option(help="New folder for the results.  [default: runs/NAME-1, -2, ...]")] = None,
    quiet: Annotated[bool, Option("--quiet", help="Show no progress bar and no table of results.")] = False,
    **options: Any,
) -> None:
    """Train a network to predict a column of TABLE from the others, and write a report."""
    target = options["target"]
    if context.args:
        raise SettingsError(
            f"TABLE: expected one file, got {context.args[0]!r} too; the column to predict is given by name, as in "
            f"--target {context.args[0]!r}"
        )
    if table is None:
        data, target = iris_table(), target or "species"
        if target not in data.columns:
            raise SettingsError(
                f"TABLE: no file was given, and the default table, iris, has no column {target!r}"
                f"{closest(target, data.columns)}; or give a file, as in microgrud train TABLE.csv --target {target!r}"
            )
    elif target is None:
        raise SettingsError(f"--target: say which column of {table} to predict, as in --target NAME")
    else:
        data = read_table(table, delimiter=options["delimiter"])
    settings = RunSettings.from_options({**options, "target": target})
    folder = out or next_free(Path("runs"), data.name)
    check_free(folder)
    run = train_on_table(
        data,
        settings,
        source=None if table is None else str(table),
        progress=not quiet and sys.stderr.isatty(),
        say=_note,
    )
    write_run(run, folder)
    if not quiet:
        print(_result(run))
    print(f"Report: {folder / 'report.html'}")
    if run.history.interrupted:
        raise typer.Exit(130)


def _result(run: Run) -> str:
    """Return the results as text: a description of the run, and the scores."""
    preprocessing, keys = run.predictor.preprocessing, [key for key in LABELS if key in run.scores]
    columns, inputs = len(preprocessing.columns), len(preprocessing.inputs)
    how = f"{len(run.target.classes)} classes" if run.target.classes else "a number"
    lines = [
        f"\n{run.title} ({run.target.task}, {how}), from {counted(columns, 'column')}"
        + (f" ({counted(inputs, 'input')})" if inputs != columns else ""),
        f"{counted(run.train_rows, 'row')} trained on, {len(run.predictions)} held out; "
        f"{counted(len(run.history), 'step')} in {run.seconds:.1f} s, "
        + ("replayed from a recording\n" if run.history.engine == "tape" else "each sample by the network itself\n"),
        pd.DataFrame(
            {name: [scores[key] for key in keys] for name, scores in run.score_columns.items()},
            index=[LABELS[key][0] for key in keys],
            columns=pd.Index(run.score_columns, name="held-out rows"),
        ).to_string(float_format=figures),
    ]
    if "per_class" in run.scores:
        frame = pd.DataFrame(run.scores["per_class"]).set_index("class").rename_axis(None)
        lines.append("\n" + frame.to_string(float_format=figures))
    return "\n".join(lines) + "\n"


@app.command(short_help="Predict the target for each row of a table.")
def predict(
    model: Annotated[Path, Argument(metavar="MODEL", help="The model.json of a run.")],
    table: Annotated[
        Path, Argument(metavar="TABLE", help="A CSV file with the columns that the model was trained on.")
    ],
    out: Annotated[Path | None, Option(help="CSV file to write.  [default: stdout]")] = None,
    drop_missing: Annotated[bool, Option("--drop-missing", help="Leave out rows with missing cells.")] = False,
    delimiter: Annotated[str | None, Option(help="Character between cells.  [default: from the header]")] = None,
) -> None:
    """Predict the target for each row of TABLE: a class with the probability of each class, or a number."""
    predictor = Predictor.load(model)
    data = read_table(table, delimiter=delimiter)
    if out is not None:
        check_output(out, inputs=(model, table))
    complete = predictor.complete(data) if drop_missing else data
    predictions = predictor.predict(complete)
    used = {column.name for column in predictor.preprocessing.columns}
    extra = [name for name in data.columns if name not in used]
    for note in data.notes:
        _note(note)
    if len(complete) < len(data):
        _note(left_out(len(data) - len(complete), len(data)))
    if extra:
        _note(f"columns that the model does not use: {', '.join(map(repr, extra))}")
    if out is None:
        _print_exactly(predictions.to_csv(index=False, lineterminator="\n"))
    else:
        write_predictions(predictions, out)
        print(f"{counted(len(predictions), 'prediction')}: {out}")


def _print_exactly(text: str) -> None:
    """Print text for another program, without replacing any character."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"--out: stdout is in {sys.stdout.encoding}, which has no {text[error.start]!a}; give a file to write"
        ) from None
    sys.stdout.write(text)


@app.command(short_help="Describe a model and its training.")
def show(model: Annotated[Path, Argument(metavar="MODEL", help="The model.json of a run.")]) -> None:
    """Describe a model: its layers, its inputs, its target, and its training."""
    predictor = Predictor.load(model)
    target, details = predictor.preprocessing.target, predictor.details
    layers = pd.DataFrame(predictor.layers(), columns=["layer", "inputs", "neurons", "activation", "parameters"])
    print(layers.to_string(index=False))
    print(f"{counted(layers['parameters'].sum(), 'parameter')}\n")
    for column in predictor.preprocessing.columns:
        print(_one_line(f"takes {column.name}: {_values(column)}"))
    print(_one_line(f"predicts {target.name}: {_values(target)}"))
    trained, settings = details["trained"], details["settings"]
    state = ", interrupted" if trained["interrupted"] else ""
    rows, steps = counted(trained["rows"], "row"), counted(trained["steps"], "step")
    print()
    print(_one_line(f"trained on {rows} of {trained['table']}: {steps}{state}"))
    shown = ("optimizer", "lr", "schedule", "weight_decay", "epochs", "batch_size", "seed")
    print(_one_line("; ".join(f"{name.replace('_', ' ')} {setting(settings[name])}" for name in shown)))
    scores = details["scores"]
    behind = ", and ".join(filter(None, (behind_baseline(scores), settings["hidden"] and behind_linear(scores))))
    shown_scores = ", ".join(f"{LABELS[key][0]} {figures(scores[key])}" for key in LABELS if key in scores)
    print(f"on held-out rows: {shown_scores}" + (f"; {behind}" if behind else ""))


def _values(column: NumberColumn | CategoryColumn | Target) -> str:
    if isinstance(column, CategoryColumn):
        return f"one of {', '.join(column.categories)}"
    if isinstance(column, Target) and column.classes:
        return f"one of {', '.join(column.classes)}"
    return f"a number, about {figures(column.mean)} give or take {figures(column.scale)}"
