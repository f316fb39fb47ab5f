"""Freeing of long graphs in WebAssembly, at a constant depth of calls.

CPython frees nested objects recursively, and defers the innermost ones before the stack of C is full. In WebAssembly
the stack of the JavaScript engine is full much earlier: without this file, freeing a graph in which 3,000 nodes depend
on each other in a row ends Pyodide with a "RangeError: Maximum call stack size exceeded".
"""

from __future__ import annotations

import sys
import threading
from typing import Any

#: True where nodes need `__del__`; elsewhere it would take time.
IS_NEEDED = sys.platform == "emscripten"


def free_one_by_one(kind: type) -> None:
    """Let the nodes of a class hand what they refer to over to the outermost `__del__`, which frees them in a loop.

    A node that comes back to life after that (a `__del__` of a subclass, or of garbage in the same cycle, can refer to
    it again) has a child without a rule in the place of its operands: a backward pass over it raises an error.

    Args:
        kind: the class of nodes, in Python.
    """
    lists = threading.local()
    freed = (kind(0.0),)  # kept here, since globals are gone when the interpreter exits

    def free(node: Any) -> None:
        try:
            references = node._operands, node._closure, node._operation
        except AttributeError:  # the constructor has raised an error
            return
        if not references[0] and references[1] is None:
            return
        node._operands, node._closure, node._operation = freed, None, "freed"
        waiting = getattr(lists, "waiting", None)
        if waiting is not None:
            waiting.append(references)
            return
        waiting = [references]
        del references
        try:
            lists.waiting = waiting
            while waiting:
                waiting.pop()  # the nodes that this frees add to the list
        finally:
            lists.waiting = None

    kind.__del__ = free  # type: ignore[attr-defined]
