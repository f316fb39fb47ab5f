"""Types: stubs that agree with the extensions, decorators that change nothing, and the program of `make types`.

What the type checkers find is tested by tests/typed/check_types.py, which belongs to `make types`.
"""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import runpy
import sys
import typing
from pathlib import Path
from types import ModuleType

import pytest
from public_names import public_names

import microgrud as mg
from microgrud import Value, activations, functions, losses
from microgrud.engine.ops import TABLE
from microgrud.tape import Compiled
from microgrud.typing import AnyNumber, Number, Output, binary, loss, reduction

ROOT = Path(__file__).parent.parent


# --- stubs of the extensions in C ---


def loaded(name: str) -> ModuleType:
    """An extension, or a skipped test where it was not built."""
    return pytest.importorskip(f"microgrud._native.{name}")


def stub_of(name: str) -> dict[str, ast.stmt]:
    """The statements of a stub that define its names."""
    tree = ast.parse((ROOT / "microgrud" / "_native" / f"{name}.pyi").read_text(encoding="utf-8"))
    return {key: node for node in tree.body for key in names_of(node)}


def names_of(node: ast.stmt) -> list[str]:
    """The public names that a statement of a stub defines; an import defines `x` by `import x as x`."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [ast.unparse(node.target)]
    return [alias.asname for alias in node.names if alias.asname] if isinstance(node, ast.ImportFrom) else []


def parameters(node: ast.FunctionDef) -> list[tuple[str, str, str]]:
    """The name, the kind and the default of each parameter in a stub."""
    space: dict[str, typing.Any] = {}
    copy = ast.parse(f"def f({ast.unparse(node.args)}): ...")
    exec(f"from __future__ import annotations\n{ast.unparse(copy)}", space)
    return described(inspect.signature(space["f"]))


def described(signature: inspect.Signature) -> list[tuple[str, str, str]]:
    return [(x.name, x.kind.name, repr(x.default)) for x in signature.parameters.values()]


def members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    return {name: x for x in node.body for name in names_of(x)}


@pytest.mark.parametrize("name", ["engine", "tape"])
def test_a_stub_has_the_names_of_its_extension(name: str) -> None:
    extension = loaded(name)
    assert stub_of(name).keys() == {key for key in vars(extension) if not key.startswith("__")}
    for key, node in stub_of(name).items():
        if isinstance(node, ast.ClassDef):
            public = {x for x in vars(getattr(extension, key)) if not x.startswith("__") or x == "__wrapped__"}
            assert members(node).keys() - {"__init__", "__call__"} == public, key


@pytest.mark.parametrize("name", ["engine", "tape"])
def test_a_stub_has_the_signatures_of_its_extension(name: str) -> None:
    extension = loaded(name)
    compared = 0
    for key, node in stub_of(name).items():
        if isinstance(node, ast.FunctionDef):
            assert parameters(node) == described(inspect.signature(getattr(extension, key))), key
            compared += 1
        for method, each in members(node).items() if isinstance(node, ast.ClassDef) else ():
            if isinstance(each, ast.FunctionDef) and not method.startswith("__"):
                found = inspect.signature(getattr(getattr(extension, key), method))
                assert parameters(each) == described(found), f"{key}.{method}"
                compared += 1
    assert compared >= 10


@pytest.mark.parametrize(
    ("name", "kind"), [("engine", "Subgraph"), ("tape", "Tapes"), ("tape", "Replay"), ("tape", "Tree")]
)
def test_a_stub_has_as_many_arguments_as_the_constructor_in_c(name: str, kind: str) -> None:
    node = stub_of(name)[kind]
    assert isinstance(node, ast.ClassDef)
    constructor = members(node)["__init__"]
    assert isinstance(constructor, ast.FunctionDef)
    most = len(constructor.args.posonlyargs) - 1  # without self
    fewest = most - len(constructor.args.defaults)
    for given, bound in ((0, fewest), (most + 1, most)):
        with pytest.raises(TypeError, match=rf"takes (at least|at most|exactly) {bound} argument"):
            getattr(loaded(name), kind)(*[None] * given)


# --- at run time ---


def test_decorators_return_the_function_itself() -> None:
    def f(x: Number, y: Number) -> Number:
        return x

    assert binary(f) is f
    assert reduction(f) is f
    assert loss(f) is f


@pytest.mark.parametrize("name", ["exp", "maximum", "sum", "dot", "clip"])
def test_a_typed_function_keeps_its_signature_and_its_docstring(name: str) -> None:
    function = getattr(mg, name)
    assert function.__name__ == name
    assert inspect.getdoc(function)
    definition = re.search(
        rf"^def {name}\((.*)\) -> (.*):$", Path(functions.__file__).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert definition
    assert str(inspect.signature(function)).replace("'", "") == f"({definition[1]}) -> {definition[2]}"


def test_the_functions_of_numbers_are_typed() -> None:
    names = [name for name in public_names(mg) if name in TABLE]
    places = [(mg, names), (losses, losses.__all__), (activations, vars(activations))]
    functions = [inspect.unwrap(getattr(module, name)) for module, names in places for name in names]
    compared = 0
    for function in functions:
        signature = str(inspect.signature(function)) if inspect.isfunction(function) else ""
        if "Number" in signature or "Elementwise" in signature:
            module = sys.modules[function.__module__]
            assert getattr(module, "Number", Number) is Number, (
                f"{function.__name__}: import Number from microgrud.typing"
            )
            compared += 1
    assert compared > 50


def test_types_serve_as_annotations_while_a_program_runs() -> None:
    def f(x: AnyNumber, y: Number | None = None) -> AnyNumber:
        return x

    assert typing.get_type_hints(f)["x"] is AnyNumber
    assert Number | None == Value | float | None
    assert typing.get_type_hints(losses.l2_penalty)["return"] is AnyNumber
    assert Output is not None


def test_a_generic_compiled_function_is_the_class_that_it_was() -> None:
    f = mg.compile(lambda x: x * x)
    assert type(f) is Compiled
    assert Compiled[[float], float].__origin__ is Compiled  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps((f(3.0), f)))[1](3.0) == 9.0


def test_the_program_of_a_user_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "tests" / "typed" / "typed_program.py"), run_name="__main__")
    assert capsys.readouterr().out
