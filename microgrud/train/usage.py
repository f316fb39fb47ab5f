"""Usage: the names and attributes that the code of a function uses, where it is plain code.

Plain code computes with its arguments, constants, arithmetic, branches, loops, lists and calls. It sets no attribute
and no variable from outside, imports nothing, catches nothing, and makes no dict and no set, which would look numbers
up by their hash.
"""

from __future__ import annotations

import dis
import re
import types
from typing import NamedTuple

from ..tape.recorder import CompileError

__all__ = ["UnlistedError", "Usage", "usage_of"]

#: The instructions of plain code, in CPython 3.10 to 3.13; one that a later version adds is not plain until it is here.
_PLAIN = re.compile(
    r"(LOAD|STORE|DELETE)_FAST\w*|(LOAD|STORE|DELETE)_DEREF|(STORE|DELETE)_(SUBSCR|SLICE)|(BINARY|INPLACE|UNARY)_\w+"
    r"|LOAD_(CONST|GLOBAL|CLOSURE|ATTR|METHOD|SUPER_ATTR|ASSERTION_ERROR)|(COMPARE|CONTAINS)_OP|TO_BOOL|\w*JUMP_\w+"
    r"|GET_(ITER|LEN)|(FOR|POP)_ITER|END_FOR|UNPACK_\w+|BUILD_(LIST|TUPLE|SLICE)|LIST_\w+|CALL\w*|PRECALL|KW_NAMES"
    r"|PUSH_NULL|MAKE_(FUNCTION|CELL)|SET_FUNCTION_ATTRIBUTE|COPY|COPY_FREE_VARS|SWAP|ROT_\w+|DUP_\w+|POP_TOP|NOP"
    r"|RESUME|CACHE|EXTENDED_ARG|RETURN_\w+|YIELD_VALUE|GEN_START|RAISE_VARARGS|RERAISE"
)
#: Kinds of other instructions, and the reason that each of them is.
_REASONS = {
    r"\w+_ATTR": "sets an attribute",
    r"(STORE|DELETE)_(GLOBAL|DEREF|NAME)": "sets a variable from outside",
    r"IMPORT_\w+": "imports a module",
    r"SETUP_\w+|BEFORE_\w+|PUSH_EXC_INFO|CHECK_\w+|JUMP_IF_NOT_EXC_MATCH": "has a `try` or `with` statement",
    r"BUILD_\w*(MAP|SET)|DICT_\w+|SET_\w+|MAP_\w+": "makes a dict or a set",
    r"FORMAT_\w+|CONVERT_VALUE|BUILD_STRING": "makes a text of a number",
    r"IS_OP": "compares by `is`",
    r"LOAD_BUILD_CLASS": "defines a class",
}
_FILLERS = ("CACHE", "EXTENDED_ARG", "PUSH_NULL")


class UnlistedError(CompileError):
    """Something is not on the list of what `fit` records by itself; the message says what it is."""


class Usage(NamedTuple):
    """The names that code uses, other than those of its own variables.

    Attributes:
        globals: names from the module or the builtins, each with the attributes that directly follow: `("math", "exp")`
        free: names of variables of enclosing functions, likewise.
        attributes: names of attributes of anything else.
    """

    globals: frozenset[tuple[str, ...]]
    free: frozenset[tuple[str, ...]]
    attributes: frozenset[str]


def usage_of(code: types.CodeType) -> Usage:
    """Return the names that code, with all functions and comprehensions in it, uses.

    Raises:
        UnlistedError: if it is not plain.

    >>> import math
    >>> usage_of((lambda x: math.exp(x).relu()).__code__)
    Usage(globals=frozenset({('math', 'exp')}), free=frozenset(), attributes=frozenset({'relu'}))
    >>> def count(x):
    ...     x.calls += 1
    >>> usage_of(count.__code__)
    Traceback (most recent call last):
        ...
    microgrud.train.usage.UnlistedError: line 2 sets an attribute
    """
    paths: dict[str, set[tuple[str, ...]]] = {"LOAD_GLOBAL": set(), "LOAD_DEREF": set()}
    attributes: set[str] = set()
    waiting = [code]
    while waiting:
        one = waiting.pop()
        waiting.extend(x for x in one.co_consts if isinstance(x, types.CodeType))
        line = one.co_firstlineno
        kind, path = "", [""]  # of the variable that the last instruction loaded, with attributes of it
        last: dis.Instruction | None = None
        for step in dis.get_instructions(one):
            line = _line(step) or line
            if step.opname in _FILLERS:
                continue
            _check(step, last, one, line)
            attribute = step.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")
            if attribute and kind and not step.is_jump_target:
                path.append(step.argval)
            else:
                if kind:
                    paths[kind].add(tuple(path))
                kind, path = (step.opname, [step.argval]) if step.opname in paths else ("", [""])
                if attribute:
                    attributes.add(step.argval)
            last = step
    free = frozenset(path for path in paths["LOAD_DEREF"] if path[0] in code.co_freevars)
    # What follows a variable that an enclosing function shares with an inner one is an attribute of anything.
    attributes.update(name for path in paths["LOAD_DEREF"] - free for name in path[1:])
    return Usage(frozenset(paths["LOAD_GLOBAL"]), free, frozenset(attributes))


def _check(step: dis.Instruction, last: dis.Instruction | None, code: types.CodeType, line: int) -> None:
    """Raise unless an instruction is plain."""
    name = step.opname
    outside = name in ("STORE_DEREF", "DELETE_DEREF") and step.argval in code.co_freevars
    looked_up = name == "LOAD_CONST" and isinstance(step.argval, frozenset)
    nothing = name == "IS_OP" and last is not None and last.opname == "LOAD_CONST" and last.argval is None
    if nothing or (_PLAIN.fullmatch(name) and name != "JUMP_IF_NOT_EXC_MATCH" and not outside and not looked_up):
        return
    if looked_up:
        name = "BUILD_SET"
    reason = next((text for kind, text in _REASONS.items() if re.fullmatch(kind, name)), f"executes {name}")
    raise UnlistedError(f"line {line} {reason}")


def _line(step: dis.Instruction) -> int | None:
    # In Python 3.13 `starts_line` is a truth value.
    number: int | None = getattr(step, "line_number", step.starts_line)
    return number
