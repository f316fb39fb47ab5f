"""The recordings of a compiled function in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .executors import Executor, native_tape
from .family import Path
from .program import Program

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
        "block_size": _block_size(),
    }


def _block_size() -> int:
    return 0 if native_tape is None else int(native_tape.BLOCK)


def _bytes_of_path(path: Path) -> int:
    return _bytes_of_program(path.program) + sum(map(_bytes_of_block, list(path.executors.values())))


def _bytes_of_program(program: Program) -> int:
    """Return the size of the code, four bytes for each of its numbers, and of the constants, eight for each."""
    code = sum(3 + len(instruction.operands) for instruction in program.instructions) + 4 * len(program.guards)
    return 4 * code + 8 * len(program.constants)


def _bytes_of_block(executor: Executor) -> int:
    """Return the size of the numbers of all slots and of their adjoints, for a block of samples or, in NumPy, one."""
    lowered = getattr(executor, "lowered", None)
    if lowered is not None:
        return 2 * 8 * int(lowered.uniform + _block_size() * lowered.varying)
    program: Program = executor.program  # type: ignore[attr-defined]
    return 2 * 8 * program.slots
