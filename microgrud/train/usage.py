"""Usage: the names and attributes that the code of a function uses, if it is plain code.

Plain code computes with its arguments, constants, arithmetic, branches, loops, lists and calls. It sets no attribute
and no variable from outside, imports nothing, catches nothing, and makes no dict and no set, which would look up
numbers by their hash.
"""

from __future__ import annotations

import dis
import re
import types
from typing import NamedTuple

from ..tape.recorder import CompileError

#: The instructions of plain code, in CPython 3.10 to 3.13; a new one of a later version has to be added here.
_PLAIN = re.compile(
    r"(LOAD|STORE|DELETE)_FAST\w*|(LOAD|STORE|DELETE)_DEREF|(STORE|DELETE)_(SUBSCR|SLICE)|(BINARY|INPLACE|UNARY)_\w+"
    r"|LOAD_(CONST|GLOBAL|CLOSURE|ATTR|METHOD|SUPER_ATTR|ASSERTION_ERROR)|(COMPARE|CONTAINS)_OP|TO_BOOL|\w*JUMP_\w+"
    r"|GET_(ITER|LEN)|(FOR|POP)_ITER|END_FOR|UNPACK_\w+|BUILD_(LIST|TUPLE|SLICE|STRING)|LIST_\w+|CALL\w*|PRECALL"
    r"|KW_NAMES|DICT_MERGE|PUSH_NULL|MAKE_(FUNCTION|CELL)|SET_FUNCTION_ATTRIBUTE|COPY|COPY_FREE_VARS|SWAP|ROT_\w+"
    r"|DUP_\w+|POP_TOP|NOP|RESUME|CACHE|EXTENDED_ARG|RETURN_\w+|YIELD_VALUE|GEN_START|RAISE_VARARGS|RERAISE|FORMAT_\w+"
    r"|CONVERT_VALUE"
)
#: Patterns of other instructions, with the reason that each gives.
_REASONS = {
    r"\w+_ATTR": "sets an attribute",
    r"(STORE|DELETE)_(GLOBAL|DEREF|NAME)": "sets a variable from outside",
    r"IMPORT_\w+": "imports a module",
    r"SETUP_\w+|BEFORE_\w+|PUSH_EXC_INFO|CHECK_\w+|JUMP_IF_NOT_EXC_MATCH": "has a `try` or `with` statement",
    r"LOAD_CONST|BUILD_\w*(MAP|SET)|DICT_\w+|SET_\w+|MAP_\w+": "makes a dict or a set",
    r"IS_OP": "compares by `is`",
    r"LOAD_BUILD_CLASS": "defines a class",
}
_FILLERS = ("CACHE", "EXTENDED_ARG", "PUSH_NULL")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")


class UnlistedError(CompileError):
    """Something is not on the list of what `fit` records without `compile=True`; the message names it."""


class Usage(NamedTuple):
    """The names that code uses, other than those of its own variables, in alphabetical order.

    Attributes:
        globals: names from the module or the builtins, each with the attributes that directly follow: `("math", "exp")`
        free: names of variables of enclosing functions, likewise.
        attributes: names of attributes of anything else, and the methods that format text, if the code may format.
    """

    globals: list[tuple[str, ...]]
    free: list[tuple[str, ...]]
    attributes: list[str]


def usage_of(code: types.CodeType) -> Usage:
    """Return the names that code, with all functions and comprehensions in it, uses.

    Raises:
        UnlistedError: if the code is not plain.

    >>> import math
    >>> usage_of((lambda x: math.exp(x).relu()).__code__)
    Usage(globals=[('math', 'exp')], free=[], attributes=['relu'])
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
        kind, path = "", [""]  # the variable that the last instruction loaded, with its attributes
        steps: list[dis.Instruction] = []
        targets: set[int] = set()
        for step in dis.get_instructions(one):
            if step.is_jump_target:
                targets.add(len(steps))
            if step.opname not in _FILLERS:
                steps.append(step)
        for i, step in enumerate(steps):
            line = getattr(step, "line_number", step.starts_line) or line  # in Python 3.13 `starts_line` is a bool
            reason = _reason(steps, i, i in targets, one)
            if reason is not None:
                raise UnlistedError(f"line {line} {reason}")
            if step.opname.startswith("FORMAT_") or step.opname.endswith("_MODULO") or step.argrepr in ("%", "%="):
                attributes.update(("__str__", "__repr__", "__format__"))
            if step.opname in _ATTRIBUTES and kind and i not in targets:
                path.append(step.argval)
                continue
            if kind:
                paths[kind].add(tuple(path))
            kind, path = (step.opname, [step.argval]) if step.opname in paths else ("", [""])
            if step.opname in _ATTRIBUTES:
                attributes.add(step.argval)
    free = {path for path in paths["LOAD_DEREF"] if path[0] in code.co_freevars}
    # A variable that an enclosing function shares with an inner one may be anything, and have any attribute.
    attributes.update(name for path in paths["LOAD_DEREF"] - free for name in path[1:])
    return Usage(sorted(paths["LOAD_GLOBAL"]), sorted(free), sorted(attributes))


def _reason(steps: list[dis.Instruction], i: int, is_target: bool, code: types.CodeType) -> str | None:
    """Return the reason that an instruction is not plain, None if it is."""
    step, before = steps[i], steps[i - 1]
    name, value = step.opname, step.argval
    if name in _ATTRIBUTES and value.startswith("__") and value.endswith("__") and value != "__call__":
        return f"uses the attribute .{value}"
    if name == "IS_OP":
        plain = before.opname == "LOAD_CONST" and before.argval is None and not is_target
    elif name == "BUILD_MAP":  # for keywords in a call such as f(*args, **options)
        plain = value == 0 and [each.opname for each in steps[i + 2 : i + 3]] == ["DICT_MERGE"]
    elif name == "LOAD_CONST":
        plain = not isinstance(value, frozenset) or all(isinstance(item, str) for item in value)
    elif name in ("STORE_DEREF", "DELETE_DEREF"):
        plain = value not in code.co_freevars
    else:
        plain = name != "JUMP_IF_NOT_EXC_MATCH" and _PLAIN.fullmatch(name) is not None
    if plain:
        return None
    return next((reason for kind, reason in _REASONS.items() if re.fullmatch(kind, name)), f"executes {name}")
