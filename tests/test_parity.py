"""The C engine against the Python engine, its specification: the same bits, texts, signatures and pickles.

Both are loaded at once: the package is imported twice, with each choice of the engine.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import itertools
import math
import operator
import os
import pickle
import random
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from cells import every_cell
from hypothesis import given, settings
from public_names import public_names
from truth import CONSTANTS, COUNTS

import microgrud
from microgrud.testing import Expression, expressions

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


@contextlib.contextmanager
def installed(modules: dict[str, ModuleType]) -> Iterator[None]:
    """Let `import microgrud` find these modules, and restore the earlier ones afterwards."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "microgrud"}
    for name in before:
        del sys.modules[name]
    sys.modules.update(modules)
    try:
        yield
    finally:
        modules.update({name: m for name, m in sys.modules.items() if name.partition(".")[0] == "microgrud"})
        for name in modules:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def load(backend: str) -> tuple[ModuleType, dict[str, ModuleType]]:
    """Import the package again, with this engine."""
    modules: dict[str, ModuleType] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROGRUD_BACKEND", backend)
        with installed(modules):
            package = importlib.import_module("microgrud")
            for name in ("optim", "nn", "losses", "train", "draw", "plot"):
                getattr(package, name)
    assert package.backend == backend
    return package, modules


if microgrud.backend != "c":
    pytest.skip("both engines are compared where the C engine runs", allow_module_level=True)
try:
    C, C_MODULES = load("c")
except ImportError as error:
    pytest.skip(str(error), allow_module_level=True)
PYTHON, PYTHON_MODULES = load("python")
BOTH = (PYTHON, C)


def bits(x: float) -> bytes:
    """The bits of a float; all NaN count as equal."""
    return b"nan" if x != x else struct.pack("<d", x)


def outcome(call: Callable[[], Any]) -> Any:
    """The outcome of a call: bits, or the type and the text of an error."""
    try:
        result = call()
    except Exception as error:
        return type(error).__name__, str(error)
    return described(result)


def described(result: Any) -> Any:
    """A result in a form that can be compared between the engines."""
    if type(result).__name__ == "Value":
        return "Value", bits(result.data), bits(result.grad), result._op, result.label, len(result._prev)
    if isinstance(result, float):
        return "float", bits(result)
    if isinstance(result, (list, tuple)):
        return type(result).__name__, [described(x) for x in result]
    return type(result).__name__, repr(result)


def same(call: Callable[[ModuleType], Any]) -> Any:
    """Demand the same outcome of both engines, and return it."""
    first, second = (outcome(lambda mg=mg: call(mg)) for mg in BOTH)
    assert first == second
    return first


# --- the table ---

HARD = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e-9, 5e-324, 1e-310, -1e-170, 1e300, -1e300, 710.0, -745.0, 36.5]
HARD += [math.inf, -math.inf, math.nan, -0.7517915246935645, -1.2784645427610737, -38.0, -701.0, 1.4142135623730951]


def operand_lists(name: str, arity: int | None, count: int) -> Iterator[list[float]]:
    """Difficult and ordinary operands of an operation."""
    rng = random.Random(name)
    for k in range(count):
        width = arity or rng.choice((1, 2, 3, 4, 5, 9, 40))
        xs = [
            rng.choice(HARD) if rng.random() < 0.3 else rng.choice((-1.0, 1.0)) * 10.0 ** rng.uniform(-4, 2.5)
            for _ in range(width)
        ]
        if k % 3 == 0:
            xs = [rng.uniform(-1.0, 1.0) for _ in xs]
        if name in ("softmax", "log_softmax"):
            xs[0] = float(rng.randrange(-1, width))
        if name == "power_log":
            xs = [float(rng.choice((0, 1, 1, 2, 3, 0.5, 513))), float(rng.randrange(4)), *(2 * xs)[:2]]
            xs = xs if k % 10 else [*xs, 1.0]
        if name in ("mills", "sinc_derivative"):
            xs = [float(rng.choice((0, 1, 2, 3, 0.5))), *xs[: 1 if k % 10 else 2]]
        if name in ("polygamma", "polygamma_difference", "bessel_i"):
            xs[0] = float(rng.choice((0, 1, 1, 2, 3, 7, 0.5, 170, 171, 513)))
        if name == "power_over":
            xs[2] = float(rng.randrange(4))
        if name == "radial":
            powers = [float(rng.choice((0, 0, 1, 1, 2, 3, 513))) for _ in range(width + 1)]
            xs = [*powers, *xs] if k % 10 else [*powers, *xs, 0.5]
        yield xs


def count_constants(name: str, operands: int) -> int:
    """Return the number of leading operands that are not Values: the index of a result, or the powers of radial."""
    return (operands + 1) // 2 if name == "radial" else len(CONSTANTS.get(name, ()))


@pytest.mark.parametrize("name", PYTHON.engine.ops.TABLE)
def test_every_entry_of_the_table_has_a_twin_of_the_same_bits(name: str) -> None:
    operation = PYTHON.engine.ops.TABLE[name]

    def run(mg: ModuleType, xs: list[float]) -> Any:
        leaves = [mg.Value(x) for x in xs]
        constants = count_constants(name, len(xs))
        result = mg.engine.ops.TABLE[name](*xs[:constants], *leaves[constants:])
        result.backward()
        return [result, *leaves]

    with every_cell() as cell:
        for xs in operand_lists(name, operation.arity, 3000 if NIGHTLY else 300):
            with cell(xs):
                same(lambda mg, xs=xs: run(mg, xs))


def test_every_entry_of_the_table_is_known_to_the_c_engine() -> None:
    for operation in C.engine.ops.TABLE.values():
        assert C.engine.native.engine.accelerate(abs, operation) is not abs, operation
    assert C.engine.native.engine.accelerate(abs, "no operation of the table") is abs


def test_the_names_of_the_table_are_those_of_the_c_engine() -> None:
    for operation in C.engine.ops.TABLE.values():
        x = C.Value(0.5 if operation.name in ("atanh", "logit", "ndtri", "erfinv") else 1.0)
        count = operation.arity or len(CONSTANTS.get(operation.name, ())) + COUNTS.get(operation.name, 3)
        constants = count_constants(operation.name, count)
        operands = [*[0.0] * constants, *[x] * (count - constants)]
        node = operation(*operands)
        assert node._operation is operation
        assert node._op == operation.symbol


# --- programs ---


@given(expressions(max_nodes=20))
def test_random_programs_have_the_same_bits(program: Expression) -> None:
    check_bits(program)


@pytest.mark.slow("14 s; a hundred programs are not slow")
@settings(max_examples=100_000 if NIGHTLY else 2_000)
@given(expressions(max_nodes=20))
def test_many_random_programs_have_the_same_bits(program: Expression) -> None:
    check_bits(program)


def check_bits(program: Expression) -> None:
    def run(mg: ModuleType) -> Any:
        own = renamed(program, mg)
        leaves = [mg.Value(x) for x in program.inputs]
        output = own(*leaves)
        if isinstance(output, float):
            return output
        output.backward()
        return [output, *leaves, *(x for x in mg.engine.topological_order(output))]

    same(run)


def renamed(program: Expression, mg: ModuleType) -> Callable[..., Any]:
    """The program with the functions of one of the packages: its source, executed."""
    space: dict[str, Any] = {}
    _, definition, body = program.code().partition("def f")  # without the import line
    exec(definition + body, {name: getattr(mg, name) for name in public_names(mg)}, space)
    return space["f"]


# --- operators, methods, functions: results and errors on operands of every kind ---

OPERANDS: dict[str, Callable[[ModuleType], Any]] = {
    "Value": lambda mg: mg.Value(0.5),
    "labelled": lambda mg: mg.Value(2.0, label="w"),
    "zero": lambda mg: mg.Value(0.0),
    "negative": lambda mg: mg.Value(-1.5),
    "huge": lambda mg: mg.Value(1e300),
    "float": lambda mg: 2.5,
    "zero float": lambda mg: 0.0,
    "nan": lambda mg: math.nan,
    "int": lambda mg: 3,
    "huge int": lambda mg: 10**400,
    "bool": lambda mg: True,
    "string": lambda mg: "a",
    "none": lambda mg: None,
    "complex": lambda mg: 1j,
    "list": lambda mg: [1.0, mg.Value(2.0)],
    "subclass": lambda mg: type("Sub", (mg.Value,), {})(1.25),
}
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "le", "gt", "ge", "eq", "ne"]


@pytest.mark.parametrize("name", BINARY)
def test_operators_agree_on_everything(name: str) -> None:
    operation = getattr(operator, name)
    with every_cell() as cell:
        for left, right in itertools.product(OPERANDS, repeat=2):
            if name in ("pow", "mul") and "huge int" in (left, right):
                continue  # takes Python a while
            with cell(left, right):
                same(lambda mg, x=left, y=right: operation(OPERANDS[x](mg), OPERANDS[y](mg)))


#: Functions of numbers and of sequences.
FUNCTIONS = [n for module in (PYTHON.functions, PYTHON.special) for n in vars(module) if n in public_names(PYTHON)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_agree_on_everything(name: str) -> None:
    width = len(inspect.signature(getattr(PYTHON, name)).parameters)
    calls: dict[str, Callable[[ModuleType, Any], Any]] = {
        "operands": lambda mg, make: getattr(mg, name)(*[make(mg)] * width),
        "lists": lambda mg, make: getattr(mg, name)([make(mg)] * 3, [make(mg)] * 3),
        "generator": lambda mg, make: getattr(mg, name)(x for x in [make(mg)] * 3),
        "unknown keyword": lambda mg, make: getattr(mg, name)(make(mg), nonsense=1),
        "method": lambda mg, make: getattr(mg.Value(0.5), name)(*[make(mg)] * (width - 1)),
    }
    same(lambda mg: getattr(mg, name)())
    same(lambda mg: getattr(mg.Value(0.5), name)(nonsense=1))
    with every_cell() as cell:
        for (operand, make), (form, call) in itertools.product(OPERANDS.items(), calls.items()):
            with cell(operand, form):
                same(lambda mg, make=make, call=call: call(mg, make))


def custom(mg: ModuleType) -> Any:
    x = mg.Value(0.5)
    y = mg.custom_op("double", lambda x: 2.0 * x, lambda z, x: 2.0)(x)
    y.backward()
    return [x, y]


def recorded(mg: ModuleType) -> Any:
    x = mg.Value(0.5)
    with mg.no_grad():
        inner = x * 2.0
        with mg.enable_grad():
            return [inner, x * 3.0]


def anomalous(mg: ModuleType) -> Any:
    with mg.detect_anomaly():
        return mg.Value(1e200) * mg.Value(1e200)


def cubed(mg: ModuleType) -> Any:
    x = mg.Value(0.5)
    return mg.gradient(x**3, x)


def activated(name: str) -> Callable[[ModuleType], Any]:
    def use(mg: ModuleType) -> Any:
        nodes = [mg.Value(x) for x in (-750.0, -3.0, -0.7, 0.0, 0.5, 3.0, 6.0, 900.0)]
        over_all = name in ("glu", "softmin")
        results = getattr(mg, name)(nodes) if over_all else [getattr(mg, name)(x, *SLOPE.get(name, ())) for x in nodes]
        mg.dot(results, range(1, len(results) + 1)).backward()
        return [*results, *nodes]

    return use


SLOPE = {"prelu": (0.25,)}
ACTIVATIONS = "celu glu hardsigmoid hardswish hardtanh mish prelu relu6 selu softmin softsign".split()
#: Each public name that is not a function of numbers, used once; add new names here too.
OTHERS: dict[str, Callable[[ModuleType], Any]] = {
    "AnomalyError": lambda mg: mg.AnomalyError("x"),
    "Value": lambda mg: mg.Value(2.0, label="x"),
    "CompileError": lambda mg: mg.CompileError("x"),
    "__version__": lambda mg: mg.__version__,
    "compile": lambda mg: mg.compile(lambda x: mg.sin(x) * x)(0.7),
    "custom_op": custom,
    "detect_anomaly": anomalous,
    "draw": lambda mg: [mg.draw.summary(mg.Value(2.0) * 3.0), mg.draw.local_derivatives(mg.Value(2.0) ** 2.0)],
    "enable_grad": recorded,
    "grad": lambda mg: mg.grad(lambda x: mg.sin(x) * x)(0.7),
    "backward": lambda mg: (x := mg.Value(0.7), mg.backward([mg.sin(x), x * x], [0.3, -2.0]), x.grad),
    "checkpoint": lambda mg: mg.grad(mg.checkpoint(lambda x: mg.sin(x) * mg.exp(x)))(0.7),
    "gradient": cubed,
    "hessian": lambda mg: mg.hessian(lambda x: x[0] ** 2 * mg.exp(x[1]))([0.5, 0.2]),
    "hvp": lambda mg: mg.hvp(lambda x: x[0] ** 2 * mg.exp(x[1]), ([0.5, 0.2],), ([1.0, 2.0],)),
    "jacobian": lambda mg: mg.jacobian(lambda x: [x[0] * x[1], mg.tanh(x[0])])([0.5, 0.2]),
    "jacfwd": lambda mg: mg.jacfwd(lambda x: [x[0] * x[1], mg.tanh(x[0])])([0.5, 0.2]),
    "jacrev": lambda mg: mg.jacrev(lambda x: [x[0] * x[1], mg.tanh(x[0])])([0.5, 0.2]),
    "jvp": lambda mg: mg.jvp(lambda x: mg.sin(x) * x, (2.0,), (1.0,)),
    "losses": lambda mg: [
        mg.losses.squared_error([mg.Value(0.5), mg.Value(1.5)], [1.0, 2.0]),
        mg.losses.cross_entropy([[mg.Value(0.5), 1.5]], [1], weight=[1.0, 2.0], label_smoothing=0.1),
        mg.losses.kl_divergence([mg.Value(-0.5), -1.5], [mg.Value(0.3), 0.7]),
    ],
    "nn": lambda mg: mg.nn.MLP(2, [3, 1], activation="tanh", rng=0)([0.5, -1.0]),
    "no_grad": recorded,
    "optim": lambda mg: (p := [mg.Value(1.0)], setattr(p[0], "grad", 0.5), mg.optim.SGD(p, lr=0.1).step(), p)[3],
    "plot": lambda mg: mg.plot.rosenbrock(mg.Value(0.5), mg.Value(-1.0)),
    "stop_gradient": lambda mg: mg.grad(lambda x: mg.sin(x) * mg.stop_gradient(x))(0.7),
    "take": lambda mg: mg.take([1.0, mg.Value(2.0)], 1),
    "tape": lambda mg: mg.tape.compile(lambda x: x * x).value_and_grad(3.0),
    "train": lambda mg: (
        mg.train.fit(
            mg.nn.MLP(1, [2, 1], rng=0),
            [[0.0], [1.0]],
            [0.0, 1.0],
            loss=mg.losses.squared_error,
            epochs=2,
            progress=False,
        ).loss
    ),
    "value_and_grad": lambda mg: mg.value_and_grad(lambda x: mg.exp(x) / x)(0.7),
    "vjp": lambda mg: mg.vjp(lambda x: [x[0] * x[1], mg.tanh(x[0])], [0.5, 0.2])[1]([0.3, -2.0]),
    "vmap": lambda mg: mg.vmap(lambda x: mg.exp(x) / x)([0.7, 1.5]),
    "where": lambda mg: mg.where(True, mg.Value(1.0), mg.Value(2.0)),
    **{name: activated(name) for name in ACTIVATIONS},
}


def test_every_public_name_is_compared() -> None:
    compared = {*FUNCTIONS} | set(OTHERS) | {"backend"}
    assert compared == set(public_names(PYTHON))


@pytest.mark.parametrize("name", OTHERS)
def test_other_public_names_agree(name: str) -> None:
    assert same(OTHERS[name])[0] not in ("TypeError", "AttributeError", "function")


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "None",
        "'a'",
        "1j",
        "[1]",
        "1.0, 2.0",
        "1.0, [2.0]",
        "1.0, 'ab'",
        "1.0, (), '+', 'x', 5",
        "1.0, label='x'",
        "1.0, nonsense=1",
        "data=2",
        "_op='t', data=True",
        "1.0, (), 'op'",
        "float('nan')",
        "10**400",
        "1.0, (Value(2.0),), (3,)",
        "1.0, [Value(2.0), Value(3.0)], (3, Value(4.0))",
        "1.0, (Value(2.0),), (3, 4)",
        "1.0, (Value(2.0),), 5",
        "1.0, (Value(2.0),), ('x',)",
        "1.0, (Value(2.0),), _op='t', local_grads=[True]",
        "1.0, (Value(2.0),), (), local_grads=()",
        "1.0, (), children=(Value(2.0),)",
        "1.0, (Value(2.0),), children=(Value(2.0),)",
        "1.0, children=(2.0,)",
    ],
)
def test_construction_agrees(arguments: str) -> None:
    same(lambda mg: eval(f"Value({arguments})", {"Value": mg.Value}))


@pytest.mark.parametrize(
    "code",
    [
        "v.nonsense",
        "v.data",
        "v.data = 'a'",
        "v.grad = 1j",
        "v.grad = 3",
        "v.label = 5",
        "Value(1.0, (), [])._op",
        "v.is_leaf = 3",
        "v._prev = ()",
        "v._op = ''",
        "v._backward = None",
        "delattr(v, 'data')",
        "delattr(v, 'grad')",
        "delattr(v, 'is_leaf')",
        "delattr(v, '_prev')",
        "delattr(v, '_backward')",
        pytest.param(
            "delattr(v, 'nonsense')",
            marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython adds that there is no __dict__"),
        ),
        "v.item()",
        "v.detach()",
        "v.is_leaf",
        "(v*v)._prev",
        "(v*2)._operands",
        "int(v)",
        "float(v)",
        "round(v)",
        "round(v, 1)",
        "round(v, 'a')",
        "divmod(v, 2)",
        "divmod(7, v)",
        "format(v, '.2f')",
        "format(v, 'q')",
        "f'{v}'",
        "repr(v)",
        "bool(v)",
        "abs(v)",
        "-v",
        "+v",
        "v._op",
        "(v+1)._op",
        "v.is_leaf()",
        "hash(v) == hash(v)",
        "v == v",
        "v != v",
        "v < 'a'",
        "v.backward(1)",
        "v.exp(1)",
        "v.zero_grad(1)",
        "len(v)",
        "v[0]",
        "iter(v)",
        "v._operation",
        "pow(v, 2, 3)",
        "v @ v",
        "v.clip(0, 1)",
        "v.leaky_relu()",
        "v.leaky_relu(slope=0.5)",
        "v.elu(alpha=v)",
        "v.pow(3)",
        "v.atan2(1)",
        "v.arcsin()",
        "v._backward is None",
        "v.backward.__name__",
        "Value.__name__",
        "Value.__qualname__",
        "Value.__module__",
        "Value.__doc__",
        "sorted(n for n in dir(v) if not n.startswith('__'))",
        "[c.__name__ for c in Value.__mro__]",
    ],
)
def test_attributes_and_methods_agree(code: str) -> None:
    def run(mg: ModuleType) -> Any:
        v = mg.Value(0.75, label="v")
        space = {"v": v, "Value": mg.Value}
        if " = " in code:
            exec(code, space)
            return [v, repr(v)]
        return eval(code, space)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # int(v) warns before Python 3.14
        same(run)


# --- signatures and docstrings ---


def public_callables(mg: ModuleType) -> dict[str, Any]:
    found = {name: getattr(mg, name) for name in public_names(mg) if callable(getattr(mg, name))}
    found |= {f"Value.{name}": getattr(mg.Value, name) for name in dir(mg.Value) if not name.startswith("__")}
    return found


def test_every_public_name_is_there_with_its_signature_and_its_docstring() -> None:
    python, c = public_callables(PYTHON), public_callables(C)
    assert python.keys() == c.keys()
    for name, twin in python.items():
        assert inspect.getdoc(c[name]) == inspect.getdoc(twin), name
        if inspect.isfunction(twin) or twin is PYTHON.Value:
            assert parameters(c[name]) == parameters(twin), name


def parameters(function: Any) -> list[tuple[str, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.default) for p in found if p.name != "self"]


# --- copies and pickles ---


@pytest.mark.parametrize(("source", "target"), [(PYTHON_MODULES, C_MODULES), (C_MODULES, PYTHON_MODULES)])
def test_pickles_go_from_one_engine_to_the_other(source: dict[str, ModuleType], target: dict[str, ModuleType]) -> None:
    with installed(dict(source)):
        mg = source["microgrud"]
        x, y = mg.Value(0.5, label="x"), mg.Value(-2.0)
        z = mg.dot([x, y, 3.0], [y, y, x]) * mg.tanh(x) + mg.max([x, y]) + mg.Value(-1.0, (x, y), (y, 0.5))
        z.backward()
        data = pickle.dumps([z, x, y, mg.exp, mg.dot])
    with installed(dict(target)):
        other, ox, oy, exp, dot = pickle.loads(data)
        assert exp is target["microgrud"].exp
        assert dot is target["microgrud"].dot
        assert described([other, ox, oy]) == described([z, x, y])
        other.zero_grad()
        other.backward()
        assert described([ox, oy]) == described([x, y])


@pytest.mark.parametrize("plain", [True, False])
def test_nodes_built_by_hand_agree(plain: bool) -> None:
    def run(mg: ModuleType) -> Any:
        x, y = mg.Value(0.5), mg.Value(-2.0)
        z = mg.Value(-1.0, (x, y), (y.data, x.data) if plain else (y, x)) * x
        z.backward()
        return [z, x, y, *z._prev, *z._prev[0]._prev, copy.deepcopy(z)]

    same(run)
    same(lambda mg: mg.hessian(lambda x: mg.Value(4.0, (x,), (4.0,)) * x)(2.0))
    same(lambda mg: mg.compile(lambda x: mg.Value(4.0, (x,), (4.0,)) * x)(2.0))


@pytest.mark.parametrize("op", ["t", ""])
def test_a_node_without_a_rule_agrees(op: str) -> None:
    same(lambda mg: mg.Value(1.0, (mg.Value(2.0),), op).backward())
    same(lambda mg: mg.Value(1.0, (mg.Value(2.0),), op)._backward())
    same(lambda mg: mg.grad(lambda x: mg.Value(1.0, (x,), op) * x)(2.0))


def test_copies_agree() -> None:
    def run(mg: ModuleType) -> Any:
        x = mg.Value(0.5, label="x")
        y = mg.sin(x) * x
        y.backward()
        shallow, deep = copy.copy(y), copy.deepcopy([y, x])
        assert shallow._prev == y._prev
        assert deep[0]._prev[1] is deep[1]
        return [shallow, *deep]

    same(run)


def test_vectors_agree() -> None:
    def run(mg: ModuleType) -> Any:
        vectors = mg.engine.vectors
        values = [mg.Value(x) for x in (1.0, -2.0, 3.5)]
        vector = vectors.read_data(values)
        vectors.write_data(values, vector * 2)
        vectors.write_gradients(values, vector[::-1])
        return [values, vectors.read_gradients(values).tolist()]

    assert run(C)[1] == [3.5, -2.0, 1.0]
    same(run)
