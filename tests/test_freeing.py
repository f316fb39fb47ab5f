"""Freeing of graphs by `__del__`, which nodes have in WebAssembly; each test installs it in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import microgrud

#: A chain of nodes of a subclass, which are freed in a thread with little stack; the nesting of `__del__` is measured.
PRELUDE = """
import copy, gc, pickle, sys, threading, weakref
from microgrud import Value
from microgrud.engine.freeing import free_one_by_one

free_one_by_one(Value)
gc.disable()  # the cycles are collected where a test asks for it
problems = []
sys.unraisablehook = lambda problem: problems.append(problem.exc_value)
depth = deepest = freed = 0

class Node(Value):
    def __del__(self):
        global depth, deepest, freed
        depth, freed = depth + 1, freed + 1
        deepest = max(deepest, depth)
        super().__del__()
        depth -= 1

def chain(x, length, link=lambda y: Node(y.data, (y,), local_grads=(1.0,))):
    for _ in range(length):
        x = link(x)
    return x
"""

PROGRAMS = {
    "a chain is freed at once, at a constant depth, with little stack": """
def build_and_free():
    x = Value(1.0)
    y = chain(x, 100_000)
    y.backward()
    assert x.grad == 1.0
    del y
    assert (freed, deepest) == (100_000, 2), (freed, deepest)
threading.stack_size(64 * 1024)
thread = threading.Thread(target=build_and_free)
thread.start()
thread.join()
assert freed == 100_000
""",
    "nodes of operations are freed with their operands": """
x = Value(0.5)
leaves = [Node(1.0) for _ in range(1000)]
y = x
for leaf in leaves:
    y = (y * leaf).tanh() - leaf
del leaf, leaves
assert freed == 0
del y
assert freed == 1000
""",
    "what something else refers to stays": """
x = Value(2.0)
middle = chain(x * x, 10)
y = chain(middle, 10)
del y
assert freed == 10
middle.backward()
assert x.grad == 4.0
""",
    "closures are freed as operands are": """
def link(y):
    node = Node(y.data, (y,))
    node._backward = lambda: setattr(y, "grad", y.grad + 1.0)
    return node
y = chain(Value(1.0), 20_000, link)
del y
assert (freed, deepest) == (20_000, 2), (freed, deepest)
""",
    "what only closures and operations refer to is freed as operands are": """
from microgrud import custom_op
def link(y):
    node = Node(y.data)
    node._backward = lambda: y
    return node
def operation(y):
    return Node(1.0, (custom_op("kept", lambda x: x, lambda z, x: y)(Value(1.0)),))
for linked, count in ((link, 5_000), (operation, 500)):
    y = chain(Value(1.0), count, linked)
    freed = deepest = 0
    del y
    assert (freed, deepest) == (count, 2), (freed, deepest)
""",
    "cycles are collected": """
def link(y):
    node = Node(y.data, (y,))
    def backward():
        y.grad += node.grad
    node._backward = backward
    return node
x = Value(1.0)
y = chain(x, 20_000, link)
y.backward()
assert x.grad == 1.0
del y
assert freed == 0
gc.collect()
assert freed == 20_000 and deepest <= 2, (freed, deepest)
""",
    "copies are freed, and the original is not": """
x = Node(1.0)
y = chain(x, 1000)
for copied in (copy.copy, copy.deepcopy, lambda y: pickle.loads(pickle.dumps(y))):
    z = copied(y)
    before = freed
    del z
    assert freed in (before + 1, before + 1001)
y.backward()
assert x.grad == 1.0
""",
    "an error in a destructor of a subclass stops nothing": """
class Failing(Value):
    def __del__(self):
        super().__del__()
        raise ZeroDivisionError
for _ in range(2):
    leaf = weakref.ref(first := Node(1.0))
    y = chain(Failing(1.0, (chain(first, 100),), local_grads=(1.0,)), 100)
    del first, y
    assert leaf() is None
assert list(map(type, problems)) == [ZeroDivisionError] * 2
problems.clear()
""",
    "a node that comes back to life refuses to differentiate": """
kept = []
class Phoenix(Value):
    def __del__(self):
        super().__del__()
        kept.append(self)
x = Value(2.0)
y = Phoenix(4.0, (x,), local_grads=(4.0,)) * 3.0
del y
try:
    (kept[0] + x).backward()
except TypeError as error:
    assert "a node built by hand (freed) has children, but no rule" in str(error)
else:
    raise AssertionError("a gradient without that of x")
assert x.grad == 0.0
kept.clear()
""",
    "threads free their own graphs at the same time": """
del Node.__del__  # its counts are those of one thread
roots = [chain(Value(1.0), 20_000, lambda y: y + 1.0) for _ in range(4)]
def free():
    root = roots.pop()
    first = root
    while first._prev:
        first = first._prev[0]
    first = weakref.ref(first)
    del root
    if first() is not None:
        problems.append("a node lives on")
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=free) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not roots
""",
    "an object whose constructor fails is no problem": """
try:
    Value("a")
except TypeError:
    pass
""",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_in_web_assembly(what: str) -> None:
    program = f"{PRELUDE}{PROGRAMS[what]}\nassert not problems, problems"
    environment = os.environ | {"MICROGRUD_BACKEND": "python"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "emscripten", reason="needs it")
def test_elsewhere_nodes_have_no_destructor() -> None:
    assert not hasattr(microgrud.Value, "__del__")
