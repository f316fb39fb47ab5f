"""Atomic writes of files and folders: at every moment the old one or the new one is in place, and it is complete.

The new content is first written next to the target under a temporary name that contains the target's: `model.json` is
written as `.model.json.<16 hex digits>.tmp`. Its writer holds a lock on it. A process that is killed leaves the
temporary file behind without the lock, and the next write to the same target deletes it. On systems without such locks
(some network folders), it stays; on Windows a file that is open cannot be deleted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that at every moment the old one or the new one is there, and never a part of it.

    The bytes are written to a new file next to the old one and flushed to the disk; then the new file is renamed to the
    old name. A symbolic link is followed; the permissions of a replaced file are kept. If anything fails, the old file
    stays as it is. If several processes write to the same target at once, the last to finish wins.

    Args:
        path: the target.
        content: the complete content of the file.

    Raises:
        OSError: if the file cannot be written; the error names it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"whole")
    ...     (Path(folder) / "a.txt").read_bytes(), os.listdir(folder)
    (b'whole', ['a.txt'])
    """
    target = Path(os.path.realpath(path))
    mode = check_replaceable(path)
    with naming(path):
        _remove_abandoned(target, "tmp")
        while not _replaced(target, content, mode):
            pass
        _flush_folder(target.parent)


@contextmanager
def write_folder_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a new folder atomically: the body of the `with` fills it under a temporary name.

    Raises:
        OSError: if the folder cannot be made, or if its name is taken by anything but an empty folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with write_folder_atomically(Path(place) / "run") as folder:
    ...         (folder / "a.txt").write_text("whole") and (Path(place) / "run").exists()
    ...     os.listdir(place)
    False
    ['run']
    """
    target = Path(os.path.realpath(path))
    _remove_abandoned(target, "partial")
    partial, descriptor = _temporary_beside(target, "partial"), None
    try:
        while not partial.is_dir():  # until it is locked, another process may take it for abandoned and delete it
            if descriptor is not None:
                os.close(descriptor)
            partial.mkdir()
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(partial, os.O_RDONLY) if fcntl else None
                _lock(descriptor)
        yield partial
        if target.is_dir():
            target.rmdir()  # an empty folder; Windows does not rename over it
        os.rename(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make an OSError name the target, instead of the temporary file or, on a full disk, no file.

    >>> with naming("model.json"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device: 'model.json'
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _replaced(target: Path, content: bytes, mode: int | None) -> bool:
    """Write a temporary file and rename it to the target; return False if another process has deleted it meanwhile."""
    temporary = _temporary_beside(target, "tmp")
    try:
        # Not `tempfile`, whose files only their owner can read: this one gets the usual permissions of a new file.
        with open(temporary, "xb") as file:
            _lock(file.fileno())
            file.write(content)
            file.flush()
            if mode is not None:
                os.chmod(file.fileno() if fcntl else temporary, mode)  # its name may be deleted, as below
            os.fsync(file.fileno())
            if not fcntl:  # Windows cannot rename an open file
                file.close()
            try:
                os.replace(temporary, target)
            except FileNotFoundError:
                return False  # before it was locked, another process took it for abandoned and deleted it
            return True
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


# --- leftovers of killed processes ------------------------------------------------------------------------------------


def _temporary_beside(target: Path, suffix: str) -> Path:
    """Return an unused temporary name for the future target."""
    return target.with_name(f".{_label(target)}.{secrets.token_hex(8)}.{suffix}")


def _remove_abandoned(target: Path, suffix: str) -> None:
    """Delete the files and folders named by `_temporary_beside(target, suffix)` that killed processes have left."""
    pattern = re.compile(rf"\.{re.escape(_label(target))}\.[0-9a-f]{{16}}\.{suffix}")
    with contextlib.suppress(OSError):
        for name in filter(pattern.fullmatch, os.listdir(target.parent)):
            with contextlib.suppress(OSError):
                _remove_unless_locked(target.with_name(name))


def _label(target: Path) -> str:
    """Return the name of a target, or its checksum if a longer file name would exceed the system's limit."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= 200 else hashlib.sha256(name).hexdigest()


def _remove_unless_locked(path: Path) -> None:
    """Delete a file or a folder that no process is writing to; raise an OSError if one is, or if that is unknown."""
    is_folder = path.is_dir() and not path.is_symlink()
    if not fcntl:
        if not is_folder:  # Windows refuses to delete an open file, but not the folder of one
            path.unlink()
        return
    # Network file systems lock only files that are open for writing.
    descriptor = os.open(path, os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_RDONLY if is_folder else os.O_RDWR))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int | None) -> None:
    """Lock a file or a folder until it is closed, if the system has such locks."""
    if fcntl and descriptor is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


# --- the target -------------------------------------------------------------------------------------------------------


def check_replaceable(path: str | os.PathLike[str]) -> int | None:
    """Return the permissions of the file at this path, None if there is none; raise if no file can be written there.

    Raises:
        OSError: for a folder, device or pipe, a file that is read-only, and in a folder that does not exist; it names
            the path.
    """
    target = Path(os.path.realpath(path))
    try:
        status = target.stat()
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "expected a path in a folder that exists", os.fspath(path)) from None
        return None
    if not stat.S_ISREG(status.st_mode):
        number, found = (errno.EISDIR, "a folder") if target.is_dir() else (errno.EINVAL, "a pipe or a device")
        wanted = f"expected the name of a file to write, got {found} of that name; choose another name"
        raise OSError(number, wanted, os.fspath(path))
    if not os.access(target, os.W_OK):
        wanted = "the file exists and is not writable; make it writable, or choose another name"
        raise PermissionError(errno.EACCES, wanted, os.fspath(path))
    return stat.S_IMODE(status.st_mode)


def _flush_folder(folder: Path) -> None:
    """Flush the new name to the disk too; a system on which folders cannot be opened does so itself."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
