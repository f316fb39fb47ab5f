"""Atomic writes: full disks, unusual targets, killed writers, and several writers at once."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from microgrud import Value, tanh
from microgrud.common import files
from microgrud.draw import backprop_steps, draw_dot
from microgrud.nn import MLP
from microgrud.train import History

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


CURVES = ("loss", "metric", "learning_rate", "gradient_norm")


def a_root() -> Value:
    return tanh(Value(0.5, label="x") * Value(2.0, label="w"))


def write_the_predictions(path: Path) -> None:
    import pandas as pd

    from microgrud.tables import write_table

    write_table(pd.DataFrame({"predicted": [0.5] * 200}), path)


def write_a_film(path: Path) -> None:
    from microgrud.plot import Trajectory, animate, loss_surface, ravine

    x, y = Value(2.0, label="x"), Value(1.0, label="y")
    trajectory = Trajectory([x, y])
    for x.data in (2.0, 1.0):
        trajectory.record(ravine(x, y))
    animate(loss_surface(lambda: ravine(x, y), [x, y], trajectory=trajectory, points=5), trajectory, path)


#: All functions that write a file, by the name of the file.
WRITERS: dict[str, Callable[[Path], Any]] = {
    "whole.bin": lambda path: files.write_atomically(path, b"whole" * 1000),
    "model.json": MLP(8, [8, 1], rng=0).save,
    "history.csv": History(epoch=[1] * 99, **{name: [0.5] * 99 for name in CURVES}).save,
    "predictions.csv": write_the_predictions,
    "steps.html": lambda path: backprop_steps(a_root()).save(path),
    "graph.svg": lambda path: draw_dot(a_root()).render(outfile=path),
    "walk.gif": write_a_film,
}
writers = pytest.mark.parametrize("name", WRITERS)


# --- targets that are not files ---


@writers
@posix
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link to a device", "file in no folder"])
def test_a_target_that_is_not_a_file_is_refused_by_name_and_left_alone(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "file in no folder":
        path.write_bytes(b"")
        path = path / name
    elif kind == "link to a device":
        path.symlink_to("/dev/full")
    else:
        path = Path("/dev/full")
        if name not in ("whole.bin", "model.json", "history.csv", "predictions.csv"):
            pytest.skip("the name says what kind of picture it is")
    with pytest.raises(OSError, match=re.escape(str(path.parent if kind == "file in no folder" else path))):
        WRITERS[name](path)

    assert sorted(os.listdir(tmp_path)) == ([] if kind == "device" else [name])
    assert kind != "pipe" or stat.S_ISFIFO(path.stat().st_mode)


# --- full disks ---


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@writers
@posix
def test_a_write_that_is_cut_off_names_the_file_and_keeps_the_old_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    named = "film.gif" if name == "walk.gif" else str(path)  # frames are collected under that name
    with files_of_at_most(600), pytest.raises(OSError, match=re.escape(named)) as caught:
        WRITERS[name](path)

    assert "File too large" in str(caught.value)
    assert ".tmp" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]


ON_A_FULL_DISK = """
import errno, os, sys
from pathlib import Path
import matplotlib.pyplot, test_files
folder = Path(sys.argv[1])
assert os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize < 1e6
for name, write in test_files.WRITERS.items():
    path = folder / name
    write(path)
    whole = path.read_bytes()
    with open(folder / "filling", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    try:
        write(path)
    except OSError as error:
        assert str(path) in str(error), error
        assert "No space left on device" in str(error)
    else:
        raise AssertionError(f"{path}: a full disk took it")
    assert path.read_bytes() == whole
    (folder / "filling").unlink()
    write(path)
    path.unlink()
    assert os.listdir(folder) == []
print("done")
"""


@pytest.mark.slow("8 s: another process")
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=512k tmpfs "$0"'
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "sh", "-c", mount, tmp_path]).returncode:
        pytest.skip("takes a file system of its own: Linux, and the right to mount one")
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', tmp_path, sys.executable, "-c", ON_A_FULL_DISK]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    run = subprocess.run([*command, tmp_path], capture_output=True, text=True, env=environment, timeout=120)

    assert (run.stderr, run.stdout) == ("", "done\n")


# --- killed writers, and several at once ---


def test_a_temporary_file_that_another_process_deletes_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    path, lock, deleted = tmp_path / "a.txt", fcntl.flock, []
    path.write_bytes(b"old")

    def delete_before_the_first_lock(descriptor: int, kind: int) -> None:
        if not deleted:
            deleted.extend(tmp_path.glob(".a.txt.*.tmp"))
            deleted[0].unlink()
        lock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", delete_before_the_first_lock)
    files.write_atomically(path, b"new")
    assert (len(deleted), path.read_bytes(), os.listdir(tmp_path)) == (1, b"new", ["a.txt"])


@posix
@pytest.mark.slow("3 s: other processes")
def test_killed_writers_and_damaged_files_do_no_harm() -> None:
    """A sample of the attacks; `python tests/attacks_report.py` makes ten times as many."""
    report = Path(__file__).with_name("attacks_report.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    seen = 0
    for seed in range(5):  # until some were killed while writing, which depends on the machine
        command = [sys.executable, report, "--kills", "20", "--flips", "300", "--seed", str(seed)]
        run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "     0 problems" in run.stdout
        assert "    20 kills of a process that saves a model" in run.stdout
        seen += int(run.stdout.partition(" temporary files seen")[0].split()[-1])
        if seen:
            break
    assert seen


def leave(folder: Path, name: str) -> Path:
    """Make the temporary file that a killed process leaves behind."""
    with tempfile.TemporaryDirectory() as other, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda source, target: written.append(source.name))
        written: list[str] = []
        files.write_atomically(Path(other, name), b"part")
    left = folder / written[0]
    left.write_bytes(b"part")
    return left


@pytest.mark.parametrize("name", ["model.json", "a[b]*?.json" if sys.platform != "win32" else "a[b].json", "ä" * 120])
def test_leftovers_of_killed_writers_of_this_target_are_deleted_and_nothing_else(name: str, tmp_path: Path) -> None:
    kept = [leave(tmp_path, other) for other in ("other.json", "model", "x.model.json", f"{'ä' * 119}b")]
    kept += [tmp_path / f".{name[:20]}.tmp", tmp_path / f".{name[:20]}.0123456789abcde.tmp"]
    for path in kept[4:]:
        path.write_bytes(b"the user's own")
    left = [leave(tmp_path, name) for _ in range(3)]
    assert len({*kept, *left}) == 9
    files.write_atomically(tmp_path / name, b"whole")

    assert set(tmp_path.iterdir()) == {tmp_path / name, *kept}


@posix
def test_a_temporary_file_that_is_being_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other saves to the same target begin and end while one of them writes."""
    path, fsync = tmp_path / "model.json", os.fsync
    writing, go_on = threading.Event(), threading.Event()

    def slow_fsync(descriptor: int) -> None:
        if threading.current_thread().name == "slow":
            writing.set()
            assert go_on.wait(30)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", slow_fsync)
    slow = threading.Thread(target=files.write_atomically, args=(path, b"slow"), name="slow")
    slow.start()
    assert writing.wait(30)
    (temporary,) = tmp_path.iterdir()
    for content in (b"one", b"two"):
        files.write_atomically(path, content)
        assert path.read_bytes() == content
        assert temporary.read_bytes() == b"slow"
    go_on.set()
    slow.join()

    assert path.read_bytes() == b"slow"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_whose_temporary_file_was_deleted_writes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The situation of a network folder whose locks do not hold between machines."""
    path, rename, deleted = tmp_path / "model.json", os.replace, []

    def deleting_replace(source: Path, target: Path) -> None:
        if len(deleted) < 2:
            os.unlink(source)
            deleted.append(source)
        rename(source, target)

    monkeypatch.setattr(os, "replace", deleting_replace)
    files.write_atomically(path, b"whole")

    assert len(set(deleted)) == 2
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_folders_that_killed_writers_left_are_deleted_and_no_others(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files.write_folder_atomically(tmp_path / "run") as left:
        raise KeyboardInterrupt
    left.mkdir()
    (left / "part").write_bytes(b"part")
    with files.write_folder_atomically(tmp_path / "run") as partial:
        assert not left.exists()
        with files.write_folder_atomically(tmp_path / "run") as other:
            assert partial.is_dir()
            (other / "a").write_bytes(b"other")
        (partial / "a").write_bytes(b"whole")
        (tmp_path / "run" / "a").unlink()

    assert (tmp_path / "run" / "a").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_cannot_be_filled_or_placed_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill() -> None:
        with files.write_folder_atomically(tmp_path / "run") as partial:
            (partial / "a").write_bytes(b"a")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fill()
    assert os.listdir(tmp_path) == []
    (tmp_path / "run").write_bytes(b"the user's own")
    with pytest.raises(OSError, match="run"), files.write_folder_atomically(tmp_path / "run") as partial:
        (partial / "a").write_bytes(b"a")

    assert (tmp_path / "run").read_bytes() == b"the user's own"
    assert os.listdir(tmp_path) == ["run"]
