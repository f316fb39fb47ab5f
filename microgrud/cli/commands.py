"""The commands: `microgrud train`, `microgrud predict`, `microgrud show` and `microgrud export`.

Every error in the user's input (an option, a table, a model file) gives one line on stderr, and exit code 2.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer import Argument, Option
from typer.core import TyperGroup

from ..common.jsonfile import ModelFileError
from ..tables.reading import read_table
from ..tables.table import Table, TableError, closest, counted, iris_table, listed
from ..tables.writing import to_csv, write_table
from ..version import __version__
from .describing import description, document
from .exporting import FORMATS, export_model
from .loading import held_interrupts
from .output import check_output
from .predicting import Predictor, complete_rows, kept_columns, scores_of
from .printing import Notes, encodable, fail, note, one_line, os_message, print_json
from .scheduler import ClusterTable, connected
from .settings import RunSettings, SettingsError, option_name, option_text


class _OneLineErrors(TyperGroup):
    """A group of commands that reports each error in the user's input in one line."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command line; see `click.Command.main`."""
        try:
            result = super().main(*args, **{**options, "standalone_mode": False})
        except (TableError, SettingsError, ModelFileError) as error:
            fail(str(error))
        except OSError as error:
            fail(one_line(os_message(error)))
        except (KeyboardInterrupt, typer.Abort):
            fail("interrupted", 130)
        except Exception as error:
            # Errors in the options, found by typer; their classes are click's in some versions, and typer's in others.
            message = getattr(error, "format_message", None)
            if message is None:
                raise
            fail(one_line(message()))
        sys.exit(result if isinstance(result, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; see `click.Group.invoke`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # `main` of some versions of typer ends with 130, and says nothing
            fail("interrupted", 130)


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


def _with_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command an option for each of these settings, in place of its `**options`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        given = list(signature(command, eval_str=True).parameters.values())[:-1]
        options = []
        for each in (each for each in fields(RunSettings) if each.name in names):
            kind, empty = each.metadata["kind"], each.default in (None, MISSING, ()) or each.name == "cv"
            default = None if empty else each.default if kind is bool else option_text(each.default)
            option = Option(option_name(each.name), metavar=each.metadata["metavar"], help=each.metadata["help"])
            annotation: Any = Annotated[kind, option]
            options.append(Parameter(each.name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation))
        ordered = sorted([*options, *given], key=lambda parameter: parameter.kind)
        command.__signature__ = Signature(ordered)  # type: ignore[attr-defined]
        return command

    return decorate


_FORMATS = "CSV, TSV, Excel, Parquet or JSON lines, also compressed; - is stdin"


@app.command(short_help="Train a network on a table, and write a report.")
@_with_settings(*(each.name for each in fields(RunSettings)))
def train(
    tables: Annotated[
        list[str] | None,
        Argument(metavar="TABLE", help=f"Files with the same columns: {_FORMATS}.  [default: scikit-learn's iris]"),
    ] = None,
    *,
    out: Annotated[Path | None, Option(help="New folder for the results.  [default: runs/NAME-1, -2, ...]")] = None,
    pictures: Annotated[bool, Option("--pictures/--no-pictures", help="Draw pictures for the report.")] = True,
    as_json: Annotated[bool, Option("--json", help="Print the results as one JSON document.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="Show no progress bar and no table of results.")] = False,
    **options: Any,
) -> None:
    """Train a network to predict a column of TABLE from the others, and write a report."""
    with held_interrupts():
        from .training import train_and_write  # it draws pictures, and takes half a second to load

    started = time.perf_counter()
    if (scheduler := options["scheduler"]) is not None:
        settings = _settings_for_cluster(tables or [], options)
        with connected(scheduler) as client:
            cluster = ClusterTable.read(client, tables or [], settings)
            train_and_write(cluster.sample, settings, tables or [], out, pictures, as_json, quiet, started, cluster)
        return
    settings, data = _inputs(tables or [], options)
    train_and_write(data, settings, tables or [], out, pictures, as_json, quiet, started)


def _settings_for_cluster(tables: Sequence[str], options: dict[str, Any]) -> RunSettings:
    """Return the settings of a run on a cluster; raise for all that is wrong with the options."""
    problems = []
    if not tables:
        problems.append("TABLE: expected Parquet files with --scheduler, got none; give them, as in 'data/*.parquet'")
    if "-" in tables:
        problems.append("TABLE: expected Parquet files with --scheduler, got - (stdin), which no worker can read")
    if options["target"] is None:
        problems.append("--target: say which column to predict")
    try:
        settings = RunSettings.from_options({**options, "target": options["target"] or ""})
    except SettingsError as error:
        problems += str(error).splitlines()
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _inputs(tables: Sequence[str], options: dict[str, Any]) -> tuple[RunSettings, Table]:
    """Return the settings and the table; raise for all that is wrong with the options."""
    target = options["target"]
    if not tables:
        data, target = iris_table(), target or "species"
        if target not in data.columns:
            raise SettingsError(
                f"TABLE: no file was given, and the default table, iris, has no column {target!r}"
                f"{closest(target, data.columns)}; or give a file, as in microgrud train TABLE.csv --target {target!r}"
            )
        return RunSettings.from_options({**options, "target": target}), data
    settings = RunSettings.from_options({**options, "target": target or ""})
    if len(tables) > 1 and tables[-1] != "-" and not Path(tables[-1]).exists():
        raise SettingsError(
            f"TABLE: there is no file {tables[-1]!r}; the column to predict is given by name, as in "
            f"--target {tables[-1]!r}"
        )
    header = True if settings.header else False if settings.no_header else None
    data = read_table(tables, delimiter=settings.delimiter, header=header, encoding=settings.encoding)
    if target is None:
        names = listed(data.columns)
        raise SettingsError(f"--target: say which column of {tables[0]} to predict: one of {names}")
    return settings, data


@app.command(short_help="Predict the target for each row of a table.")
@_with_settings("keep", "drop_missing", "delimiter", "encoding")
def predict(
    model: Annotated[Path, Argument(metavar="MODEL", help="The folder of a run, or the model.json in it.")],
    tables: Annotated[
        list[str], Argument(metavar="TABLE", help=f"Files with the columns that the model takes: {_FORMATS}.")
    ],
    *,
    header: Annotated[
        bool | None,
        Option(
            "--header/--no-header", help="The first line holds the names of columns, or cells.  [default: detected]"
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        Option(
            metavar="NUMBER",
            help="Predict the second of two classes from this probability on: a number, or f1 or youden, the best ones "
            "on validation rows.  [default: the more probable class]",
        ),
    ] = None,
    out: Annotated[
        Path | None, Option(help="File to write, in the format of its suffix, or -.  [default: CSV on stdout]")
    ] = None,
    as_json: Annotated[
        bool, Option("--json", help="Print predictions, and scores if TABLE has the target, as one JSON document.")
    ] = False,
    **options: Any,
) -> None:
    """Predict the target for each row of TABLE: a class with the probability of each class, or a number."""
    out = None if out == Path("-") else out
    predictor = Predictor.load(model)
    with _details_of(model):
        least = _threshold(threshold, predictor)
    if out is not None:
        check_output(out, inputs=[model, model / "model.json", *map(Path, tables)])
    data = _rows(tables, predictor, header=header, **options)
    found, remarks = predictor.predict(data, least)
    Notes(note, remarks).tell("more notes are left out")
    keep = options["keep"] or ()
    kept = data.columns if "all" in keep else keep
    extra = [name for name in data.columns if name not in {*predictor.known, *kept}]
    if extra:
        note(f"columns that the model has not seen: {listed(extra)}")
    predictions = kept_columns(found, data.cells, keep)
    if out is not None:
        write_table(predictions, out)
    if as_json:
        where = {"predictions": predictions.to_dict("records")} if out is None else {"file": str(out)}
        scores = scores_of(found, data, predictor.target, least)
        if unknown := scores.get("unknown_targets"):
            wanted = "a class that the model knows" if predictor.target.classes else "a number that the model can read"
            note(f"the scores leave out {counted(unknown, 'row')} whose {predictor.target.name!r} is not {wanted}")
        print_json(where | scores)
    elif out is None:
        _print_exactly(to_csv(predictions))
    else:
        print(f"{counted(len(predictions), 'prediction')}: {out}")


def _rows(
    tables: Sequence[str], predictor: Predictor, *, keep: Sequence[str] | None, drop_missing: bool, **reading: Any
) -> Table:
    """Return the rows to predict; raise if a column to keep, or a name in the right letter case, is missing."""
    data = read_table(tables, known=predictor.known, **reading)
    spelled = {name.casefold() for name in data.columns}  # for other columns the preparation has an error
    misspelled = [name for name in predictor.preparation.input_columns_ if name.casefold() in spelled]
    data.require(*misspelled, *(name for name in keep or () if name != "all"))
    for text in data.notes:
        note(text)
    if drop_missing:
        data = complete_rows(data, set(predictor.known[:-1]).intersection(data.columns), note)
    return data


def _threshold(text: str | None, predictor: Predictor) -> float | None:
    """Return the threshold that an option gives: a number, or the name of a stored one."""
    if text is None:
        return None
    if len(predictor.target.classes) != 2:
        got = counted(len(predictor.target.classes), "class") if predictor.target.classes else "one of numbers"
        raise SettingsError(f"--threshold: expected a model of 2 classes, got {got}; leave the option out")
    stored = predictor.details["scores"].get("threshold", {})
    if text in ("f1", "youden") and text in stored:
        return float(stored[text])
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise SettingsError(f"--threshold: expected a probability from 0 to 1, f1 or youden, got {text!r}")
    return number


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
def show(
    model: Annotated[Path, Argument(metavar="MODEL", help="The folder of a run, or the model.json in it.")],
    as_json: Annotated[bool, Option("--json", help="Print the description as one JSON document.")] = False,
) -> None:
    """Describe a model: its layers, its columns, its target, its training, its scores, and all notes."""
    predictor = Predictor.load(model)
    if as_json:
        print_json(document(predictor.target, predictor.details))
        return
    with _details_of(model):
        text = "\n".join(description(predictor))
    print(encodable(text))


@app.command(short_help="Write a model in the format of another library.")
def export(
    model: Annotated[
        Path,
        Argument(
            metavar="MODEL",
            help="The folder of a run, the model.json in it, or a model file of a network, as its save writes it.",
        ),
    ],
    to: Annotated[str, Option(metavar="FORMAT", help=f"The format: {FORMATS}.")],
    out: Annotated[Path | None, Option(help="File to write.  [default: next to the model]")] = None,
) -> None:
    """Write MODEL in the format of another library.

    onnx holds a run with its preparation: its inputs are the columns of a table, its outputs classes with
    probabilities, or a number; before the file is written, its answers are compared with those of the model. The other
    formats hold a network alone: torch a state dict, which torch.load(FILE, weights_only=True) reads, safetensors the
    same and the architecture, sklearn a pickled MLPRegressor.
    """
    print(f"model for {to}: {export_model(model, to, out)}")


@contextmanager
def _details_of(model: Path) -> Iterator[None]:
    """Name the model file if the account of its training, which no prediction needs, is damaged."""
    try:
        yield
    except SettingsError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{model}: damaged: details: {type(error).__name__}: {error}") from None
