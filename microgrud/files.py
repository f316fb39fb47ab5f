"""Files that are whole or not there: at every moment the old file or the new one is in place."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that at every moment the old one or the new one is there, and never a part of it.

    The bytes go to a new file beside the old one, are flushed to the disk, and then take its name. A symbolic link is
    followed; the permissions of a file that is replaced are kept. If anything fails the old file is left as it is.

    Args:
        path: where to write.
        content: all that the file is to hold.

    Raises:
        OSError: if the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.txt", b"whole")
    ...     (Path(folder) / "a.txt").read_bytes(), os.listdir(folder)
    (b'whole', ['a.txt'])
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of_replaced(target)
    # Not `tempfile`, whose files can be read by their owner alone: this one gets the permissions any new file gets.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            if mode is not None:
                os.chmod(temporary, mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)


def _mode_of_replaced(target: Path) -> int | None:
    """Return the permissions of the file that is to be replaced, None if there is none; raise if it must not be."""
    try:
        status = target.stat()
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "No such folder", str(target.parent)) from None
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{target}: expected the name of a file to write, got a folder or device of that name")
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{target}: the file is there and may not be written to")
    return stat.S_IMODE(status.st_mode)


def _flush_folder(folder: Path) -> None:
    """Bring the new name to the disk too; where folders cannot be opened the system sees to it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
