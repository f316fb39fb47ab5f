"""The file of a checkpoint: torn, damaged, obstructed, on a full disk, after a kill; never lost, never misread."""

from __future__ import annotations

import errno
import itertools
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from inside import PLACES, thresholds
from kills import killed, uninterrupted

from microgrud.common.files import write_atomically
from microgrud.common.jsonfile import ModelFileError
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.train import CheckpointError, History, TrainingEvent, fit
from microgrud.train.checkpoint import FORMAT, VERSION
from microgrud.train.journal import Journal, check_target, read_journal

resource = pytest.importorskip("resource", reason="limits the size of files")

ROWS = [[i / 10, (i % 3) / 3] for i in range(8)]
TARGETS = [2 * a * b + 1 for a, b in ROWS]


def train(model: MLP, path: Path | None, epochs: int = 6, **others: Any) -> History:
    return fit(
        model, ROWS, TARGETS, loss=squared_error, batch_size=4, epochs=epochs, checkpoint=path, progress=False, **others
    )


def network(seed: int = 0) -> MLP:
    return MLP(2, [3, 1], activation="tanh", rng=seed)


@pytest.fixture
def every_epoch() -> Iterator[None]:
    """Save after each epoch, even after a short one."""
    with thresholds(pause=0):
        yield


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Make writes fail beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


def resumes_from(path: Path, epoch: int | None) -> None:
    """Check that a run continues from the end of this epoch (the start if None), and ends like an uninterrupted run."""
    whole, resumed, steps = network(), network(5), list[int]()
    expected = train(whole, None)
    assert train(resumed, path, resume=True, callbacks=lambda event: steps.append(event.step)) == expected
    assert resumed.state_dict() == whole.state_dict()
    assert steps[:1] == ([2 * epoch + 1] if epoch < 6 else [])


# --- torn and damaged ---


@pytest.mark.usefixtures("every_epoch")
def test_a_truncated_file_resumes_from_the_last_complete_record(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    train(network(), path, epochs=3)
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    assert len(ends) == 4  # the header, and three epochs
    for size in sorted(random.Random(0).sample(range(ends[1], len(content)), 25)):
        path.write_bytes(content[:size])
        whole = sum(end - 1 <= size for end in ends)  # the newline at the end is not needed
        assert len(read_journal(path, FORMAT, VERSION)[1]) == whole - 1
    for epoch in (1, 2, 3):
        path.write_bytes(content[: ends[epoch] + (7 if epoch < 3 else 0)])
        resumes_from(path, epoch)
    for size in (1, 50, ends[0] - 2, ends[0], ends[1] - 2):  # never torn there: these two lines are written at once
        path.write_bytes(content[:size])
        with pytest.raises(ModelFileError, match=r"run\.json: (damaged|not a)"):
            train(network(), path, resume=True)


@pytest.mark.usefixtures("every_epoch")
def test_any_changed_bit_is_noticed_and_its_line_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    train(network(), path, epochs=3)
    content = path.read_bytes()
    expected = read_journal(path, FORMAT, VERSION)
    rng = random.Random(0)
    for _ in range(150):
        place, bit = rng.randrange(len(content) - 1), 1 << rng.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        line = content[:place].count(b"\n") + 1
        found = "line 2, the first record" if line == 2 and content[place] == ord("\n") else f"line {line} "
        with pytest.raises(ModelFileError, match=rf"run\.json: (damaged: {found}|damaged: line|not a micro)"):
            read_journal(path, FORMAT, VERSION)
    path.write_bytes(content[:-1] + b" ")  # the last line is torn
    assert read_journal(path, FORMAT, VERSION) == (expected[0], expected[1][:-1])


@pytest.mark.usefixtures("every_epoch")
def test_a_lost_repeated_or_exchanged_line_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    train(network(), path, epochs=4)
    a, b, c, d, e = path.read_bytes().splitlines(keepends=True)
    for lines in ([a, c, d, e], [a, b, d, e], [a, b, c, c, e], [a, b, d, c, e], [b, c], [a, b, b, c]):
        path.write_bytes(b"".join(lines))
        with pytest.raises(ModelFileError, match=r"damaged|not a microgrud"):
            train(network(), path, resume=True)
    path.write_bytes(b"".join([a, b, c, d, e]).replace(b"\n", b"\r\n"))  # Git may do this
    resumes_from(path, 4)


# --- obstructed files ---


def never(event: TrainingEvent) -> None:
    raise AssertionError("a step was taken")


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    ("make", "number", "message"),
    [
        (lambda path: os.mkdir(path), errno.EISDIR, "expected the name of a file to write, got a folder"),
        (lambda path: os.mkfifo(path), errno.EINVAL, "got a pipe or a device"),
        (lambda path: os.symlink("/dev/full", path), errno.EINVAL, "got a pipe or a device"),
        (lambda path: os.symlink(path.parent / "no" / "folder", path), errno.ENOENT, "a folder that exists"),
    ],
)
def test_a_target_that_is_no_file_is_refused_before_the_first_epoch(
    make: Callable[[Path], Any], number: int, message: str, resume: bool, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    make(path)
    with pytest.raises(OSError, match=message) as caught:
        train(network(), path, resume=resume, callbacks=never)
    assert type(caught.value) is type(OSError(number, ""))
    assert (caught.value.errno, caught.value.filename) == (number, str(path))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_or_folder_that_may_not_be_written_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("")
    path.chmod(0o400)
    with pytest.raises(PermissionError, match=r"run\.json"):
        train(network(), path, callbacks=never)
    path.unlink()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"run\.json"):
            train(network(), path, callbacks=never)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_noticed_before_the_first_epoch_and_the_old_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    train(network(), path, epochs=2)
    before = path.read_bytes()
    with largest_file(1000), pytest.raises(OSError, match=r"cannot write \d+ bytes here: File too large: '.*run\.json"):
        train(network(), path, callbacks=never)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.json"]


def test_another_path_than_a_path_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="fit: checkpoint: expected the path of a file, got an object of type float"):
        train(network(), 1.5)  # type: ignore[arg-type]


# --- errors during the run ---


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize("room", [0, 1, 500])
def test_a_disk_that_is_full_in_mid_run_loses_nothing(
    room: int, rewritten: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model, whole = tmp_path / "run.json", network(), network()
    if rewritten:
        monkeypatch.setattr(PLACES["slack"], -(1 << 40))
    limits = []

    def fill(event: TrainingEvent) -> None:
        if event.kind == "step" and event.step == 7:
            limits.append(largest_file((0 if rewritten else path.stat().st_size) + room))
            limits[0].__enter__()

    try:
        with pytest.raises(CheckpointError, match="File too large") as caught:
            train(model, path, callbacks=fill)
    finally:
        limits[0].__exit__(None, None, None)
    assert "at step 8" in str(caught.value)
    assert str(path) in str(caught.value)
    train(whole, None, epochs=4)
    assert model.state_dict() == whole.state_dict()
    assert len(caught.value.history) == 8
    assert os.listdir(tmp_path) == ["run.json"]
    assert path.read_bytes().endswith(b"\n")
    resumes_from(path, 3)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("act", [lambda p: p.unlink(), lambda p: p.write_bytes(b"x"), lambda p: p.write_bytes(b"")])
def test_a_file_that_another_program_touches_is_rewritten(act: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    train(network(), path, epochs=4, callbacks=lambda event: event.step == 5 and event.kind == "step" and act(path))
    assert len(read_journal(path, FORMAT, VERSION)[1]) == 2
    resumes_from(path, 4)


@pytest.mark.usefixtures("every_epoch")
def test_two_runs_with_one_file_leave_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"

    def other(event: TrainingEvent) -> None:
        if event.kind == "epoch":
            train(network(), path, epochs=event.epoch)
            read_journal(path, FORMAT, VERSION)

    train(network(), path, epochs=4, callbacks=other)
    resumes_from(path, 4)


@pytest.mark.usefixtures("every_epoch")
def test_ctrl_c_during_a_save_leaves_a_file_to_resume_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    synced, sync = [], os.fsync

    def interrupted(descriptor: int) -> None:
        synced.append(descriptor)
        sync(descriptor)
        if len(synced) in (6, 8):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "fsync", interrupted)
    history = train(network(), path)
    assert history.interrupted
    monkeypatch.setattr(os, "fsync", sync)
    resumes_from_anywhere = network(3)
    assert train(resumes_from_anywhere, path, resume=True) == train(network(), None)

    def twice(descriptor: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    path.unlink()
    train(network(), path, epochs=2)
    calls = iter(range(100))
    monkeypatch.setattr(os, "fsync", lambda d: twice(d) if next(calls) == 4 else sync(d))
    with pytest.raises(KeyboardInterrupt):
        train(network(), path, resume=True)
    monkeypatch.setattr(os, "fsync", sync)
    assert train(network(), path, resume=True) == train(network(), None)


@pytest.mark.usefixtures("every_epoch")
def test_the_file_grows_with_what_is_new_and_is_rewritten_at_twice_its_live_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    sizes: list[int] = []
    train(network(), path, epochs=30, callbacks=lambda e: path.exists() and sizes.append(path.stat().st_size))
    grown = [b - a for a, b in itertools.pairwise(sizes) if b != a]
    assert max(grown) < 6_000  # a record of the 13 parameters, of Adam's 26 numbers and of the shuffling
    assert sizes[-1] > 29 * min(grown)
    monkeypatch.setattr(PLACES["slack"], 0)
    rewritten = tmp_path / "small.json"
    largest = 0

    def watch(event: TrainingEvent) -> None:
        nonlocal largest
        largest = max(largest, rewritten.stat().st_size if rewritten.exists() else 0)

    train(network(), rewritten, epochs=30, callbacks=watch)
    header, records = read_journal(rewritten, FORMAT, VERSION)
    live = Journal(tmp_path / "live.json", header)
    live.rewrite(records[0])
    assert largest < 2 * live.size + 8_000 < sizes[-1]  # one more record, and keys of the history counted twice
    assert train(network(), rewritten, epochs=31, resume=True) == train(network(), None, epochs=31)


def test_a_check_of_the_target_does_not_change_the_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"a")
    check_target(tmp_path / "a", 10)
    assert (tmp_path / "a").read_bytes() == b"a"


# --- kills ---


@pytest.mark.parametrize(  # kills_report.py kills more runs, of more kinds
    "kind", ["stateful", pytest.param("rewritten", marks=pytest.mark.slow("3 s: other processes"))]
)
def test_a_run_that_is_killed_resumes_to_the_same_end(kind: str, tmp_path: Path) -> None:
    end, seconds = uninterrupted(tmp_path, kind)
    rng = random.Random(kind)
    for attempt in range(1, 9):  # where other work slowed the first run down, later runs end before a kill
        found, kills, _ = killed(tmp_path, kind, seconds / 4 / attempt, rng, most=2)
        assert found == end
        if kills:
            break
    assert kills
