"""Extend Sphinx: names in single backquotes, private types, names with two homes, formulas as MathML."""

from __future__ import annotations

import inspect
import re
import sys
from functools import cache
from typing import Any

import reference
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry
from sphinx.environment import BuildEnvironment
from sphinx.roles import XRefRole
from sphinx.util.nodes import make_refnode

#: Types of annotations that exist for type checkers alone (`if TYPE_CHECKING`), where no import finds them.
CHECKED_ONLY = {"Array", "Axes", "Floats", "P", "R"}
#: The operations of a Value are typed by a protocol that the module of Value implements: what it says of a Value.
OF_A_VALUE = {r"\b(RecordedT_co|T)\b": "Value", r"\bOperand\b": "Value | float"}
#: Members that optimizers and schedules declare for their base classes, whose sources explain them.
DECLARED = {"settings", "vectors", "made_finite"}


class SoftRole(XRefRole):
    """A name in single backquotes: a link if it is the name of something documented, otherwise code."""

    def process_link(
        self, env: BuildEnvironment, refnode: nodes.Element, has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Make a reference of the Python domain that need not be found."""
        refnode["refdomain"], refnode["reftype"] = "py", "soft"
        refnode["py:module"], refnode["py:class"] = env.ref_context.get("py:module"), env.ref_context.get("py:class")
        return title, target.removesuffix("()")


@cache
def short_names() -> dict[str, str]:
    """Return the public names without their modules, unless they are also the name of an argument somewhere."""
    arguments: set[str] = set()
    found: dict[str, set[str]] = {}
    for module in reference.modules():
        for name in reference.names(module):
            found.setdefault(name, set()).add(f"{reference.home(module, name)}.{name}")
            thing = getattr(reference.modules()[module], name)
            if callable(thing):
                arguments |= set(inspect.signature(thing).parameters) if has_signature(thing) else set()
    return {name: homes.pop() for name, homes in found.items() if len(homes) == 1 and name not in arguments}


def has_signature(thing: Any) -> bool:
    """Return whether Python knows the arguments of a callable."""
    try:
        inspect.signature(thing)
    except (TypeError, ValueError):
        return False
    return True


def exists(name: str) -> bool:
    """Return whether some module of the package has a name, in which case it is a private type."""
    modules = [module for place, module in sys.modules.items() if place.startswith("microgrud") and module]
    return name in CHECKED_ONLY or any(hasattr(module, name) for module in modules)


def missing(app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Node) -> nodes.Node | None:
    """Resolve a name in backquotes by its last part; leave it as code, and private types as text."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    if node["reftype"] != "soft":
        return content if exists(target.rpartition(".")[2]) else None
    objects = env.domains.python_domain.objects
    first, dot, rest = target.partition(".")
    for full in (f"microgrud.{target}" if dot else "", short_names().get(first, "") + dot + rest):
        if full in objects:
            entry = objects[full]
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full)
    return content


def add_aliases(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Enter names that are described under another name."""
    objects = env.domains.python_domain.objects
    for alias, target in reference.aliases().items():
        entry = objects[target]
        objects[alias] = ObjectEntry(entry.docname, entry.node_id, entry.objtype, True)
    return []


def escape(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escape what docstrings do not mean as markup; the text of `Returns:` names no type, which annotations do."""
    lines[:] = re.sub(r"^Returns:\n    ", ":returns: ", reference.escaped("\n".join(lines)), flags=re.M).split("\n")


def signature(app: Sphinx, what: str, name: str, thing: Any, options: Any, args: str | None, result: str | None) -> Any:
    """Name the types of a Value's operations."""
    if not name.startswith("microgrud.Value."):
        return None
    for pattern, text in OF_A_VALUE.items():
        args, result = (re.sub(pattern, text, part) if part else part for part in (args, result))
    return args, result


def skip(app: Sphinx, what: str, name: str, thing: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out members that other packages add, and declarations for base classes."""
    foreign = inspect.isroutine(thing) and not str(getattr(thing, "__module__", "")).startswith("microgrud")
    bare = name == "__call__" and thing.__doc__ in (None, type.__call__.__doc__)
    return True if name in DECLARED or bare or (foreign and not inspect.isbuiltin(thing)) else None


def public_bases(app: Sphinx, name: str, thing: type, options: Any, bases: list[Any]) -> None:
    """Show only the base classes that have a page, or are Python's."""
    bases[:] = [base for base in bases if id(base) in reference.public_things()] or bases[:1]


def back_links(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let pages of sources link back to a name's description, where it is described under another name."""
    if page.startswith("_modules/microgrud"):
        for alias, target in reference.aliases().items():
            context["body"] = re.sub(rf"#{re.escape(alias)}(?=[.\"])", f"#{target}", context["body"])


#: Patterns that make formulas hard to read: primes as superscripts, which are tiny, and function names without a space.
PRIME = r"<mi>(&#x0203[23];)</mi>"
SPACE = '<mspace width="0.17em"></mspace>'
MENDED = {
    rf"<msup>(<mi>[^<]*</mi>){PRIME}</msup>": r"<mrow>\1<mo>\2</mo></mrow>",
    rf"<msubsup>(<mi>[^<]*</mi><m[in]>[^<]*</m[in]>){PRIME}</msubsup>": r"<mrow><msub>\1</msub><mo>\2</mo></mrow>",
    r"(<mi>(?:cosh?|exp|ln|log|sinh?|tanh?)</mi>(?:<mn>\d</mn></msup>)?)(?=<m[inrs])": rf"\1{SPACE}",
}


def mathml(formula: str, display: str) -> str:
    """Return a formula of LaTeX in MathML."""
    text = convert(formula, display=display)
    for pattern, better in MENDED.items():
        text = re.sub(pattern, better, text)
    return text


def formula(display: str) -> Any:
    """Return a visitor that writes formulas as MathML, which browsers draw without a script."""

    def visit(self: Any, node: nodes.Element) -> None:
        self.body.append(f'<span class="formula {display}">{mathml(node.astext(), display)}</span>')
        raise nodes.SkipNode

    return visit


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the above."""
    app.add_role("soft", SoftRole())
    app.add_html_math_renderer("mathml", (formula("inline"), None), (formula("block"), None))
    app.connect("missing-reference", missing)
    app.connect("env-updated", add_aliases)
    app.connect("autodoc-process-bases", public_bases)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
    app.connect("html-page-context", back_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
