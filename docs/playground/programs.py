"""The first panel of the playground: runs a program, and describes the graph of its result.

It runs in the browser, on the Python engine; the page speaks JSON with it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
import math
import random
import sys
import traceback
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import microgrud
from microgrud import Value, draw
from microgrud.engine import topological_order
from microgrud.nn import Module

#: The file that the program pretends to be in: it tells its lines from those of the library in a traceback.
FILE = "<program>"
#: The most leaves that get a slider, and the most rows of the table.
_SLIDERS, _ROWS = 40, 300


class Run:
    """One run of a program: its output, its error, its result and the leaves that it made.

    Args:
        source: the program.
        changes: numbers to start from in place of those in the program, by the key of the leaf: the line that makes it,
            and how many leaves this line has made before. So another branch, with more leaves, leaves the others alone.
    """

    def __init__(self, source: str, changes: Mapping[str, float]) -> None:
        self.source, self.changes = source, changes
        self.output, self.error = io.StringIO(), None
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.leaves: list[Value] = []
        self.keys: list[str] = []
        self.first: list[float] = []  # the numbers in the program
        self.root: Value | None = None
        self.others: list[list[str]] = []  # leaves whose grad was another one at the end of the program, with that
        self.moved: list[list[str]] = []  # leaves whose number was another one at the end of the program, with that
        self.used: weakref.WeakKeyDictionary[Value, dict[Value, float]] = weakref.WeakKeyDictionary()
        linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
        random.seed(0)  # a slider runs the program again: its random numbers must be the same
        with contextlib.redirect_stdout(self.output), contextlib.redirect_stderr(self.output):
            try:
                self._execute()
            except BaseException as error:
                self.error = _described(error)

    def _execute(self) -> None:
        tree = ast.parse(self.source, FILE)
        last = tree.body[-1] if tree.body else None
        with self._numbered_leaves():
            if isinstance(last, ast.Expr):
                exec(compile(ast.Module(tree.body[:-1], []), FILE, "exec"), self.names)
                result = eval(compile(ast.Expression(last.value), FILE, "eval"), self.names)
            else:
                exec(compile(tree, FILE, "exec"), self.names)
                result = None
        self.root = self._root(tree, result)
        if self.root is None:
            raise LookupError("the program makes no Value; begin with: from microgrud import Value")
        self._name_nodes()
        self._restore_leaves()
        self._differentiate()

    @contextlib.contextmanager
    def _numbered_leaves(self) -> Iterator[None]:
        """Collect the leaves that are made inside, let them start from the changed numbers, and note which are used."""
        construct, record = Value.__init__, Value._record
        made: Counter[int] = Counter()

        def construct_and_count(node: Value, *arguments: Any, **options: Any) -> None:
            construct(node, *arguments, **options)
            if node.is_leaf:
                line = _line()
                made[line] += 1
                self.keys.append(f"{line}.{made[line] - 1}")
                self.first.append(node.data)
                node.data = self.changes.get(self.keys[-1], node.data)
                self.leaves.append(node)

        def record_and_note(*arguments: Any) -> Value:
            node = record(*arguments)
            if used := {x: x.data for x in node._operands if isinstance(x, Value) and x.is_leaf}:
                self.used[node] = used
            return node

        Value.__init__ = construct_and_count  # type: ignore[method-assign]
        Value._record = staticmethod(record_and_note)  # type: ignore[method-assign]
        try:
            yield
        finally:
            Value.__init__ = construct  # type: ignore[method-assign]
            Value._record = staticmethod(record)  # type: ignore[method-assign]

    def _restore_leaves(self) -> None:
        """Give the leaves the numbers that the root was computed from: steps downhill may have set others since."""
        assert self.root is not None
        for node in topological_order(self.root):
            for leaf, number in self.used.get(node, {}).items():
                if repr(leaf.data) != repr(number):
                    self.moved.append([str(leaf.label), repr(leaf.data)])
                    leaf.data = number

    def _root(self, tree: ast.Module, result: Any) -> Value | None:
        """Return the last line if it is a Value, or else `loss`, or else the variable that was assigned last."""
        names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
        found = [result, self.names.get("loss"), *(self.names.get(name) for name in reversed(names))]
        values = [x for x in found if isinstance(x, Value)]
        return next((x for x in values if x is result or not x.is_leaf), values[0] if values else None)

    def _name_nodes(self) -> None:
        """Label the nodes that have no label: by their variable, or else v1, v2, ..., as the steps do in words."""
        assert self.root is not None
        order = topological_order(self.root)
        for name, thing in [*self.names.items()]:
            if isinstance(thing, Value):
                thing.label = thing.label or name
            elif isinstance(thing, (list, tuple)):
                for k, each in enumerate(thing):
                    if isinstance(each, Value):
                        each.label = each.label or f"{name}[{k}]"
            elif isinstance(thing, Module):
                for path, parameter in thing.named_parameters():
                    parameter.label = parameter.label or path
        taken = {node.label for node in order}
        free = (f"v{k}" for k in range(1, 2 * len(order) + 2) if f"v{k}" not in taken)
        for node in order:
            node.label = node.label or next(free)

    def _differentiate(self) -> None:
        """Let each gradient be that of one backward pass from the root, as in the steps; note those that were not."""
        assert self.root is not None
        nodes = topological_order(self.root)
        before = [node.grad for node in nodes]
        for node in nodes:
            node.grad = 0.0
        self.root.backward()
        for node, grad in zip(nodes, before):
            if node.is_leaf and grad != 0.0 and repr(grad) != repr(node.grad):
                self.others.append([str(node.label), repr(grad)])

    def describe(self) -> dict[str, Any]:
        """Return all that the page shows of the run."""
        shown: dict[str, Any] = {"output": self.output.getvalue(), "error": self.error}
        if self.root is None or self.error is not None:
            return shown
        order = topological_order(self.root)
        inside = set(order)
        leaves = [k for k, leaf in enumerate(self.leaves) if leaf in inside]
        sliders = [k for k in leaves if math.isfinite(self.first[k])][:_SLIDERS]  # JSON has no infinity
        shown["leaves"] = [
            {"key": self.keys[k], "name": str(self.leaves[k].label), "first": self.first[k], "now": self._start(k)}
            for k in sliders
        ]
        shown["rows"] = [
            {"name": str(node.label), "op": node._op, "data": repr(node.data), "grad": repr(node.grad)}
            for node in order[-_ROWS:]
        ]
        shown["nodes"], shown["left_out"] = len(order), len(leaves) - len(sliders)
        shown["root"], shown["others"], shown["moved"] = str(self.root.label), self.others, self.moved
        parameters = [p for x in self.names.values() if isinstance(x, Module) for p in x.parameters()]
        try:
            shown["player"] = draw.backprop_steps(self.root, parameters=parameters).html()
        except ValueError as error:  # numbers were set while the graph was computed
            shown["error"] = _described(error)
        return shown

    def _start(self, k: int) -> float:
        return self.changes.get(self.keys[k], self.first[k])


def _line() -> int:
    """Return the line of the program that is running; 0 if there is none."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename != FILE:
        frame = frame.f_back  # type: ignore[assignment]
    return 0 if frame is None else frame.f_lineno


def run(request: str) -> str:
    """Run a program; the request and the answer are JSON, and its numbers are strings where they may be infinite."""
    asked = json.loads(request)
    changes = {str(key): float(x) for key, x in asked.get("changes", {}).items()}
    return json.dumps(Run(asked["source"], changes).describe())


def _described(error: BaseException) -> dict[str, Any]:
    """Return the message of an error, and the line of the program that it comes from."""
    line: int | None = None
    if isinstance(error, SyntaxError) and error.filename == FILE:
        line = error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == FILE:
            line = frame.lineno
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    if isinstance(error, NameError) and error.name in microgrud.__all__:
        message += f"; write above it: from microgrud import {error.name}"
    elif isinstance(error, ModuleNotFoundError):
        message += "; programs here have Python's standard library and microgrud"
    kind = "" if isinstance(error, LookupError) and line is None else type(error).__name__
    return {"line": line, "message": ": ".join(filter(None, [kind, message]))}
