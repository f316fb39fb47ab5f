"""The recordings of a compiled function in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .executors import native_tape
from .family import Path

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["figures"]


def figures(compiled: Compiled) -> dict[str, int]:
    """Return the figures; see `Compiled.stats`."""
    paths = [path for _, path in compiled._recordings()]
    return {
        "signatures": len(compiled._families),
        "paths": len(paths),
        "nodes": sum(path.program.nodes for path in paths),
        "instructions": sum(len(path.program.instructions) for path in paths),
        "slots": sum(path.program.slots for path in paths),
        "bytes": sum(map(_bytes_of_path, paths)),
        "block_size": 0 if native_tape is None else int(native_tape.BLOCK),
    }


def _bytes_of_path(path: Path) -> int:
    """Return the size of the code, of the constants (eight bytes each), and of the working memory of the executors."""
    program = path.program
    code = sum(3 + len(instruction.operands) for instruction in program.instructions) + 4 * len(program.guards)
    working = sum(executor.working_bytes for executor in list(path.executors.values()))
    return 4 * code + 8 * len(program.constants) + working
