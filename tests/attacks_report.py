"""Evidence that files withstand attacks: `python tests/attacks_report.py` in the root of the repository.

Processes that save are killed at random moments (`--kills 200 --seed 0`); files and pickles are truncated, or get bits
flipped (`--flips 4000`). Prints counts, and a line for each problem; with problems the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import microgrud
from microgrud import compile, relu, softmax, take, where
from microgrud.common.files import write_folder_atomically
from microgrud.nn import MLP, ModelFileError, load_model

Counts = collections.Counter[str]

#: Models of about 90 KB, which take a few milliseconds to write.
MODELS = [MLP(20, [40, 40, 1], rng=seed) for seed in (0, 1)]
#: Memory limit: a pickle with one changed bit may request a table of 32 GB.
MOST_MEMORY = 4 << 30


# --- kills ------------------------------------------------------------------------------------------------------------


def save_model_again_and_again(folder: Path) -> None:
    while True:
        for model in MODELS:
            model.save(folder / "model.json")


def save_run_again_and_again(folder: Path) -> None:
    """Write folders, each of which replaces the one before."""
    while True:
        for model in MODELS:
            with write_folder_atomically(folder / "run") as partial:
                model.save(partial / "model.json")
                (partial / "report.html").write_text("whole")
            (folder / "run").rename(folder / "old")
            (folder / "old" / "report.html").unlink()
            (folder / "old" / "model.json").unlink()
            (folder / "old").rmdir()


def started(save: Callable[[Path], None], folder: Path) -> tuple[int, int]:
    """Fork a process that saves until it is killed; return its id, and the pipe to which it writes errors."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        save(folder)
    except BaseException:
        os.write(writing, traceback.format_exc().encode())
    finally:
        os._exit(1)


def killed(process: tuple[int, int]) -> str:
    """Kill a process, and return its errors."""
    child, reading = process
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(reading, "rb") as file:
        return file.read().decode()


def kill_savers(folder: Path, kills: int, rng: random.Random, counts: Counts) -> Iterator[str]:
    """Kill, again and again, one of two processes that save to the same file, while the other continues."""
    path = folder / "model.json"
    MODELS[0].save(path)
    states = [model.state_dict() for model in MODELS]
    savers = [started(save_model_again_and_again, folder) for _ in range(2)]
    for k in range(kills):
        time.sleep(rng.uniform(0.002, 0.03))
        said = killed(savers[k % 2])
        if said:
            yield f"a saver failed while another was killed: {said}"
        if load_model(path)[0].state_dict() not in states:
            yield f"kill {k}: the file holds neither of the two models"
        counts["temporary files seen"] += sum(name != "model.json" for name in os.listdir(folder))
        savers[k % 2] = started(save_model_again_and_again, folder)
    for saver in savers:
        killed(saver)
    counts["kills of a process that saves a model"] += kills
    yield from left_behind(folder, "model.json", lambda: MODELS[0].save(path))


def kill_runs(folder: Path, kills: int, rng: random.Random, counts: Counts) -> Iterator[str]:
    """Kill processes that write whole folders."""
    for k in range(kills):
        saver = started(save_run_again_and_again, folder)
        time.sleep(rng.uniform(0.002, 0.03))
        said = killed(saver)
        if said:
            yield f"a writer of folders failed: {said}"
        run = folder / "run"
        if run.exists():
            if sorted(os.listdir(run)) != ["model.json", "report.html"] or load_model(run / "model.json")[1]:
                yield f"kill {k}: the folder is not whole"
            for name in ("report.html", "model.json"):
                (run / name).unlink()
            run.rmdir()
        counts["temporary folders seen"] += sum(name.endswith(".partial") for name in os.listdir(folder))
        if (folder / "old").exists():  # between two folders
            for name in os.listdir(folder / "old"):
                (folder / "old" / name).unlink()
            (folder / "old").rmdir()
    counts["kills of a process that writes a folder"] += kills

    def write() -> None:
        with write_folder_atomically(folder / "run") as partial:
            (partial / "report.html").write_text("whole")

    yield from left_behind(folder, "run", write)


def left_behind(folder: Path, name: str, save: Callable[[], None]) -> Iterator[str]:
    """Yield a problem if a save leaves more than its target in the folder."""
    save()
    if os.listdir(folder) != [name]:
        yield f"after another save the folder still holds {sorted(os.listdir(folder))}"


# --- damage -----------------------------------------------------------------------------------------------------------


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return data that is truncated, has a flipped bit, or is overwritten by junk in one place."""
    at = rng.randrange(len(data))
    kind = rng.randrange(3)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    junk = rng.randbytes(rng.randrange(1, 9))
    return data[:at] + junk + data[at + len(junk) :]


def damage_model_files(folder: Path, times: int, rng: random.Random, counts: Counts) -> Iterator[str]:
    """Read damaged model files, each of which must be refused with a ModelFileError."""
    path = folder / "damaged.json"
    MLP(2, [3, 1], activation="tanh", rng=0).save(path)
    whole = path.read_bytes()
    for _ in range(times):
        data = damaged(whole, rng)
        path.write_bytes(data)
        try:
            load_model(path)
        except ModelFileError as error:
            counts["damaged model files refused"] += 1
            if "damaged.json" not in str(error):
                yield f"an error that does not name the file: {error}"
        except BaseException as error:
            yield f"a damaged model file: {error!r}"
        else:
            if data != whole:
                yield f"a damaged model file was read: {data!r}"


def recorded() -> Any:
    """Compile a function without leaves, whose numbers a pickle would not protect, and record two paths of it."""

    def f(x: Any, k: Any) -> Any:
        z = softmax([x[0] * x[1] + 0.5, x[1], x[0]])
        return where(x[0] > 0.25, z[0], z[2]) * take([1.0, 2.0, 3.0], k) + relu(x[1]) * (x[0] if x[0] > 0.0 else 1.0)

    compiled = compile(f)
    compiled([0.5, 0.75], 1)
    compiled([-0.5, 0.75], 1)
    return compiled


def damage_pickles(times: int, rng: random.Random, counts: Counts) -> Iterator[str]:
    """Load damaged pickles of a compiled function: refused, or the same numbers, or a call that was not recorded.

    Damage that no code of this package sees (in the name of a module, say) is refused by `pickle`, with many kinds of
    errors; for some of them CPython prints a SystemError about a bytearray.
    """
    function = recorded()
    whole = pickle.dumps(function)
    expected = function([0.5, 0.75], 1), function([-0.5, 0.75], 1)
    for _ in range(times):
        try:
            twin = pickle.loads(damaged(whole, rng))
        except pickle.UnpicklingError:
            counts["damaged pickles refused"] += 1
            continue
        except Exception as error:
            frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
            if os.path.dirname(microgrud.__file__) in "".join(map(os.path.dirname, frames)):
                yield f"a damaged pickle: {error!r}, raised in {frames[-1]}"
            counts["damaged pickles refused with another error"] += 1
            continue
        if not isinstance(twin, type(function)):
            counts["damaged pickles of something else"] += 1
            continue
        try:
            found = twin([0.5, 0.75], 1), twin([-0.5, 0.75], 1)
        except Exception as error:
            counts[f"damaged pickles whose calls are refused ({type(error).__name__})"] += 1
            continue
        counts["damaged pickles that give the same numbers"] += 1
        if found != expected:
            yield f"a damaged pickle gives {found} instead of {expected}"


# --- all of it --------------------------------------------------------------------------------------------------------


def attack(kills: int, flips: int, seed: int, counts: Counts) -> Iterator[str]:
    """Yield each problem that the attacks find."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        yield from damage_model_files(Path(folder), flips, rng, counts)
    yield from damage_pickles(flips, rng, counts)
    with tempfile.TemporaryDirectory() as folder:
        yield from kill_savers(Path(folder), kills, rng, counts)
    with tempfile.TemporaryDirectory() as folder:
        yield from kill_runs(Path(folder), kills // 4, rng, counts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--flips", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with contextlib.suppress(ValueError, OSError):  # not on macOS
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    counts: Counts = collections.Counter()
    problems = 0
    for problem in attack(given.kills, given.flips, given.seed, counts):
        problems += 1
        print(f"PROBLEM: {problem}")
    for what, count in sorted(counts.items()):
        print(f"{count:6} {what}")
    print(f"{problems:6} problems")
    return min(problems, 1)


if __name__ == "__main__":
    sys.exit(main())
