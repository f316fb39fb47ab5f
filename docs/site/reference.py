"""Generate the pages of the API: one for every public module, with every name of its `__all__`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import microgrud
from microgrud.engine.methods import OperationMethods

#: Public names of the package that `from microgrud import *` leaves out, because Python has builtins of these names.
BUILTINS = ["abs", "compile", "max", "min", "pow", "sum", "CompileError"]
#: Sections of the page of `microgrud` by where its names are defined, in the order of the page.
SECTIONS = {
    "Values and graphs": ["engine"],
    "Derivatives of functions": ["autodiff"],
    "Recorded functions": ["tape"],
    "Elementary functions": ["functions"],
    "Activations": ["activations"],
    "Special functions": ["special"],
    "Version": ["version"],
}

#: The arguments of Value under the names to use in new programs; those for programs of micrograd are described below.
VALUE = 'data: Real, *, label: str = "", children: Iterable[Value] = (), local_grads: Iterable[Number] | None = None'

#: Examples, and names in backquotes.
CODE = re.compile(r"^ *>>> .*?(?:\n\s*\n|\Z)|``.+?``|`[^`]+`", re.MULTILINE | re.DOTALL)
MARKUP = re.compile(r"\||\*\*|(?<=\w)_(?!\w)|(?<=[\w)\]])\*(?=[\w(\[])")


@cache
def modules() -> dict[str, ModuleType]:
    """Return the public modules by name: those with an `__all__` and without an underscore in their names."""
    found = {"microgrud": microgrud}
    for info in pkgutil.walk_packages(microgrud.__path__, "microgrud."):
        if not any(part.startswith("_") for part in info.name.split(".")):
            try:
                module = importlib.import_module(info.name)
            except ImportError as error:
                if error.name != "torch":  # which takes gigabytes; no module that imports it at once is public
                    raise
                continue
            if hasattr(module, "__all__"):
                found[info.name] = module
    return found


def names(module: str) -> list[str]:
    """Return the public names of a module, but for other modules."""
    found = [*modules()[module].__all__, *(BUILTINS if module == "microgrud" else [])]
    return [name for name in found if f"{module}.{name}" not in modules()]


def home(module: str, name: str) -> str:
    """Return the module on whose page a name is described; other modules that export it refer to that page."""
    thing = getattr(modules()[module], name)
    homes = [other for other in modules() if name in names(other) and getattr(modules()[other], name) is thing]
    defined = str(getattr(thing, "__module__", module))
    return (
        "microgrud" if "microgrud" in homes else max(homes, key=lambda m: (f"{defined}.".startswith(f"{m}."), len(m)))
    )


def aliases() -> dict[str, str]:
    """Return the public names that are described under another name, with that name."""
    pairs = ((f"{module}.{name}", f"{home(module, name)}.{name}") for module in modules() for name in names(module))
    return {alias: target for alias, target in pairs if alias != target}


def public_names() -> set[str]:
    """Return all public names and modules."""
    return {f"{module}.{name}" for module in modules() for name in names(module)} | set(modules())


@cache
def public_things() -> set[int]:
    """Return the identities of all public things."""
    return {id(getattr(modules()[module], name)) for module in modules() for name in names(module)}


def directive(module: str, name: str) -> str:
    """Return the directive that describes a public name."""
    thing, full = getattr(modules()[module], name), f"{module}.{name}"
    if inspect.isclass(thing):
        if thing.__name__ != name:  # Sphinx describes a class under its own name alone
            thing.__name__ = thing.__qualname__ = name
        # Members of public bases and theirs are described there; those of other private ones belong to the class.
        bases = inherited(thing)
        others = [base for base in thing.__mro__[1:] if not base.__module__.startswith("microgrud")]
        # Sphinx asks for subclasses of these, and a protocol does not answer.
        excluded = [base.__name__ for base in (*bases, *others) if not getattr(base, "_is_protocol", False)]
        shown = "   :show-inheritance:\n" if {id(base) for base in thing.__bases__} & public_things() else ""
        return (
            f".. autoclass:: {full}\n   :members:\n   :inherited-members: {', '.join(dict.fromkeys(excluded))}\n"
            f"   :special-members: __call__\n{shown}{repeated(thing)}"
        )
    if inspect.isroutine(thing) or hasattr(thing, "__wrapped__"):
        return f".. autofunction:: {full}\n"
    text = "".join(f"   {line}\n" for line in comment(thing, name).split("\n"))
    return f".. py:data:: {name}\n   :module: {module}\n\n{text}\n"


def inherited(thing: type) -> list[type]:
    """Return the public base classes of a class, and all of theirs."""
    bases = [base for base in thing.__mro__[1:] if id(base) in public_things()]
    return [other for other in thing.__mro__[1:-1] if any(other in base.__mro__ for base in bases)]


def repeated(thing: type) -> str:
    """Return the option that leaves out what a class overrides without a word of its own: its base describes it."""
    bases, found = inherited(thing), set()
    for cls in set(thing.__mro__[:-1]) - set(bases):
        for name, member in vars(cls).items():
            described = (inspect.isroutine(member) or isinstance(member, property)) and member.__doc__
            if not name.startswith("_") and not described and any(hasattr(base, name) for base in bases):
                found.add(name)
    return f"   :exclude-members: {', '.join(sorted(found))}\n" if found else ""


def comment(thing: Any, name: str) -> str:
    """Return the comment `#: ...` on a name that is no function or class, wherever the package defines it."""
    for place, module in sorted(sys.modules.items()):
        if place.startswith("microgrud") and getattr(module, name, None) is not None:
            lines = ModuleAnalyzer.for_module(place).find_attr_docs().get(("", name))
            if lines:
                return "\n".join(lines).strip()
    raise LookupError(f"{name} has no comment that starts with `#: ` where it is defined")


def title(text: str, line: str) -> str:
    """Return a heading of reStructuredText."""
    return f"{text}\n{line * len(text)}\n\n"


def table(module: str, entries: list[str]) -> str:
    """Return a table of names with the first paragraphs of their docstrings, or comments."""
    rows = ""
    for entry in entries:
        thing = getattr(modules()[module], entry)
        described = inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)
        text = inspect.getdoc(thing) if described or hasattr(thing, "__wrapped__") else comment(thing, entry)
        first = " ".join(escaped(str(text).split("\n\n")[0]).split())
        rows += f"   * - :py:obj:`{entry} <{module}.{entry}>`\n     - {first}\n"
    return f".. list-table::\n   :widths: auto\n\n{rows}\n"


def page(module: str) -> str:
    """Return the page of a module."""
    own = [name for name in names(module) if home(module, name) == module]
    text = title(module, "=") + f".. automodule:: {module}\n\n"
    if module != "microgrud":
        return text + table(module, names(module)) + "\n".join(directive(module, name) for name in own)
    for heading, rooms in SECTIONS.items():
        group = [name for name in own if room(name) in rooms]
        text += title(heading, "-") + table(module, group)
        text += "\n".join(directive(module, name) for name in group if name != "Value") + "\n"
    return text


def room(name: str) -> str:
    """Return the part of the package in which a name of `microgrud` is defined."""
    thing = getattr(microgrud, name)
    return {"backend": "engine", "__version__": "version"}.get(name) or str(thing.__module__).split(".")[1]


def reference() -> Iterator[tuple[str, str]]:
    """Yield the places and texts of all pages of the API."""
    yield "api/value.rst", value_page()
    for module in modules():
        yield f"api/{module}.rst", page(module)
    entries = "".join(f"   {place}\n" for place in ["microgrud", "value", *list(modules())[1:]])
    rows = "".join(f"* :py:mod:`{name}`: {first_line(module)}\n" for name, module in modules().items())
    text = f"Every public name of the package, from its docstrings.\n\n{rows}\n"
    yield "api/index.rst", title("API reference", "=") + text + f".. toctree::\n   :hidden:\n\n{entries}"


def value_page() -> str:
    """Return the page of Value: first what makes it a node of a graph, then the operations, which are methods too."""
    operations = set(vars(OperationMethods))
    members = [name for name in dir(microgrud.Value) if not name.startswith("_")]
    text = title("Value", "=") + f".. autoclass:: microgrud.Value({VALUE})\n\n"
    for heading, chosen in (
        ("Numbers, gradients and graphs", [name for name in members if name not in operations]),
        ("Operations as methods", [name for name in members if name in operations]),
    ):
        text += title(heading, "-")
        for name in chosen:
            member = getattr(microgrud.Value, name)
            kind = "method" if callable(member) else "attribute"
            text += f".. auto{kind}:: microgrud.Value.{name}\n\n"
            if not (inspect.getdoc(inspect.getattr_static(microgrud.Value, name))):  # a slot has only its comment
                text += "".join(f"   {line}\n" for line in slot(name))
    return text


def slot(name: str) -> list[str]:
    """Return the comment on an attribute of Value where its class declares it."""
    lines = ModuleAnalyzer.for_module("microgrud.engine.value").find_attr_docs().get(("Value", name))
    if not lines:
        raise LookupError(f"Value.{name} has neither a docstring nor a comment that starts with `#: `")
    return [*lines, ""]


def first_line(module: ModuleType) -> str:
    """Return the first paragraph of a module's docstring on one line."""
    return " ".join(escaped(str(inspect.getdoc(module)).split("\n\n")[0]).split())


def escaped(text: str) -> str:
    """Escape what docstrings, which are for reading in a terminal, do not mean as markup: |x|, **kwargs, excluded."""
    pieces, end = [], 0
    for code in CODE.finditer(text):
        glue = "\\ " if code[0].endswith("`") and text[code.end() : code.end() + 1].isalpha() else ""
        pieces += [plain(text[end : code.start()]), code[0], glue]
        end = code.end()
    return "".join([*pieces, plain(text[end:])])


def plain(text: str) -> str:
    """Escape a text that is no code."""
    return MARKUP.sub(lambda match: "".join(f"\\{character}" for character in match[0]), text)
