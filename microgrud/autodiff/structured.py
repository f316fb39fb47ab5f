"""Custom operations on structures: any number of arguments and results, with rules of reverse and forward mode.

On Values a call makes one node for each number of the result, over all numbers of the arguments. Its derivatives are a
row of the Jacobian: the reverse rule of a unit cotangent, or the forward rule of all unit tangents. In forward mode the
forward rule, if there is one, receives the tangents themselves (`Operation.push`).
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.numbers import Interval, Number, as_float
from ..engine import Value
from ..engine.operation import Operation
from .calls import numbers_like
from .containers import opened
from .rules import NoDerivative, reason_for_floats
from .trees import Structure, flatten, joined

#: The number of structures of arguments that an operation keeps its parts for.
_MOST_LAYOUTS = 256
#: The multiple of a cotangent by which a rule is tested: a power of 2, beyond the bounds that a rule may clip at.
_SCALE = 2.0**40


class StructuredOperation:
    """An operation on structures of numbers; see `custom_op`.

    Args:
        name: the name in error messages.
        value: a function of structures of floats.
        vjp: the rule of reverse mode, or None.
        jvp: the rule of forward mode, or None.
        symbol: the `_op` of nodes.
        definition: the function on mpmath numbers, or None.
    """

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        vjp: Callable[..., Any] | None,
        jvp: Callable[..., Any] | None,
        symbol: str,
        definition: Callable[..., Any] | None,
    ) -> None:
        self.name, self.value, self.vjp, self.jvp = name, value, vjp, jvp
        self.symbol, self.definition = symbol, definition
        self._layouts: dict[Any, _Layout] = {}

    def __call__(self, *args: Any) -> Any:
        """Return the result: nodes if any number is one, else mpmath numbers if any is one, else floats."""
        parts = [flatten(x, f"{self.name}: argument {i}", exact=True) for i, x in enumerate(args)]
        numbers = [x for own, _ in parts for x in own]
        layout = self.layout(args, [structure for _, structure in parts])
        on_values = any(isinstance(x, Value) for x in numbers)
        if not on_values:
            context = next((x.context for x in numbers if hasattr(x, "context")), None)
            if context is not None:
                return self.defined(context, *args)
        xs = [x._data if isinstance(x, Value) else as_float(x, self.name) for x in numbers]
        result = layout.evaluated(xs, numbers)
        if not on_values:
            return result.structure.rebuild(result.numbers)
        parts_of = [layout.part(result.structure, result.signature, k) for k in range(len(result.numbers))]
        return result.structure.rebuild([Value._record(part, *numbers) for part in parts_of])

    def defined(self, mp: Any, *args: Any) -> Any:
        """Return the result on mpmath numbers."""
        if self.definition is not None:
            return self.definition(mp, *args)
        try:
            return self.value(*args)
        except TypeError as error:
            raise TypeError(
                f"{self.name}: expected floats, got mpmath numbers, which its value rule does not take ({error}); "
                "give custom_op a definition="
            ) from error

    def layout(self, args: tuple[Any, ...], structures: Sequence[Structure]) -> _Layout:
        """Return what belongs to arguments of these structures, the same object for all such calls."""
        key = _signature(args, *structures)
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            found = self._layouts.setdefault(key, _Layout(self, structures))
        return found

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Return the name of an operation at the top level of the module of one of its functions, or else its parts."""
        for function in (self.value, self.vjp, self.jvp):
            home = getattr(function, "__module__", None) or ""
            for name, x in list(vars(sys.modules[home]).items()) if home in sys.modules else ():
                if x is self:
                    self.__module__ = home  # where pickle looks for the name
                    return name
        return StructuredOperation, (self.name, self.value, self.vjp, self.jvp, self.symbol, self.definition)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


def _signature(tree: Any, *structures: Structure) -> Any:
    """Return the structure of arguments or of a result as an object that can be compared and hashed."""
    return _containers(tree), tuple(structure.shapes for structure in structures)


def _containers(tree: Any) -> Any:
    found = opened(tree)
    if found is None:
        return None
    keys, items, _ = found
    return type(tree), tuple(keys), tuple(map(_containers, items))


@dataclass(frozen=True)
class _Result:
    """The result of an evaluation.

    Attributes:
        at: the numbers of the arguments, as bytes.
        numbers: those of the result.
        structure: the structure of the result.
        signature: the same, to be compared.
    """

    at: bytes
    numbers: list[float]
    structure: Structure
    signature: Any


class _Layout:
    """The parts and the last results of an operation, for arguments of one structure.

    Args:
        operation: the operation.
        structures: the structures of its arguments.

    Attributes:
        arguments: the structure of the tuple of all arguments.
        parts: the operations of nodes, one for each number of a result, by the signature of the result and the index.
        last: the last evaluation.
        pushed: the numbers at which the forward rule was last applied, and the tangents of the result.
        entries: operations for rules that take only floats.
        is_checked: whether the vjp was found to be linear.
    """

    def __init__(self, operation: StructuredOperation, structures: Sequence[Structure]) -> None:
        self.operation, self.structures = operation, list(structures)
        self.arguments = joined(structures) if structures else Structure((), (), (tuple, []))
        self.parts: dict[Any, _Part] = {}
        self.last: _Result | None = None
        self.pushed: tuple[bytes, list[Number]] = b"", []
        self.entries: dict[Any, Operation] = {}
        self.is_checked = False

    def part(self, result: Structure, signature: Any, k: int) -> _Part:
        """Return the operation of the number at an index of a result, the same object for all such results."""
        found = self.parts.get((signature, k))
        return found or self.parts.setdefault((signature, k), _Part(self, result, signature, k))

    def evaluated(self, xs: Sequence[float], operands: Sequence[Number]) -> _Result:
        """Evaluate the operation; an error is explained as that of any operation is, with these operands."""
        try:
            return self.computed(xs)
        except (ValueError, ArithmeticError) as error:
            last, part = self.last, _Part(self, Structure((), (), None), None, 0)
            substitute = part.evaluate(xs, operands)
            if last is None:  # a recording goes on with a substitute, but for how many numbers is not known
                raise part._explained(error, operands) from None
            return _Result(b"", [substitute] * len(last.numbers), last.structure, last.signature)

    def computed(self, xs: Sequence[float]) -> _Result:
        """Evaluate the operation, unless these were the last numbers."""
        at, last = array("d", xs).tobytes(), self.last
        if last is None or last.at != at:
            where = f"the value of {self.operation.name}"
            result = self.operation.value(*self.arguments.rebuild(list(xs)))
            numbers, structure = flatten(result, where)
            signature = _signature(result, structure)
            last = self.last = _Result(at, [as_float(x, where) for x in numbers], structure, signature)
        return last


class _Part(Operation):
    """The operation of a node that holds one number of a result.

    Args:
        layout: the layout of the arguments.
        result: the structure of the result.
        signature: the same, to be compared.
        index: the index of the number.
    """

    layout: _Layout
    result: Structure
    signature: Any
    index: int
    arity, domain = None, (Interval(),)

    def __init__(self, layout: _Layout, result: Structure, signature: Any, index: int) -> None:
        own = layout.operation
        fields = {"layout": layout, "result": result, "signature": signature, "index": index}
        vars(self).update(name=own.name, symbol=own.symbol, definition=own.definition and self._defined_by, **fields)
        if own.jvp is not None:
            vars(self)["push"] = self._push

    def value(self, *xs: float) -> float:
        """Return the number."""
        return self._numbers(xs)[self.index]

    def _numbers(self, xs: Sequence[float]) -> list[float]:
        found = self.layout.computed(list(map(float, xs)))
        if found.signature != self.signature:
            raise TypeError(
                f"{self.name}: expected a result of one structure for arguments of one structure, got another one; "
                "give it as an argument, such as a list of that length"
            )
        return found.numbers

    def _defined_by(self, mp: Any, *xs: Number) -> Number:
        result = self.layout.operation.defined(mp, *self.layout.arguments.rebuild(xs))
        return flatten(result, f"the definition of {self.name}", exact=True)[0][self.index]

    def partials(self, out: Number, *operands: Number) -> Sequence[Number]:
        """Return the derivatives with respect to all operands."""
        return _Rule(self, "vjp")([*self._results(out, operands), *operands])

    def _push(self, node: Value, tangents: list[Number], as_numbers: bool) -> Number:
        """Return the tangent of a node of this operation, from those of its operands."""
        layout, rule = self.layout, _Rule(self, "jvp")
        if not as_numbers:
            return rule([*self._results(node, node._operands), *tangents, *node._operands])[self.index]
        xs = [x._data if isinstance(x, Value) else x for x in node._operands]
        flat = [*self._results(node._data, xs), *tangents, *xs]
        key, pushed = array("d", flat).tobytes(), layout.pushed
        if pushed[0] != key:
            pushed = layout.pushed = key, rule(flat)
        return pushed[1][self.index]

    def _results(self, out: Number, operands: Sequence[Number]) -> list[Number]:
        """Return all numbers of the result, `out` among them."""
        xs = [x._data if isinstance(x, Value) else float(x) for x in operands]
        results: list[Number] = list(self._numbers(xs))
        if isinstance(out, Value) and len(results) > 1:
            others = [self.layout.part(self.result, self.signature, k) for k in range(len(results))]
            results = [Value._record(part, *operands) for part in others]
        results[self.index] = out
        return results

    def __reduce__(self) -> tuple[Any, ...]:
        arguments, result = self.layout.arguments, self.result
        examples = arguments.rebuild([0.0] * arguments.size), result.rebuild([0.0] * result.size)
        return _restored, (self.layout.operation, *examples, self.index)


def _restored(operation: StructuredOperation, args: tuple[Any, ...], result: Any, index: int) -> _Part:
    """Return a part from its pickle."""
    layout = operation.layout(args, [flatten(x, operation.name)[1] for x in args])
    structure = flatten(result, operation.name)[1]
    return layout.part(structure, _signature(result, structure), index)


@dataclass(frozen=True)
class _Rule:
    """A rule on flat numbers: those of the result, the tangents for `"jvp"`, and the operands.

    Attributes:
        part: the operation of a number of the result.
        kind: `"vjp"` for the derivatives of that number with respect to all operands, `"jvp"` for the tangents of all
            numbers of the result.
    """

    part: _Part
    kind: str

    @property
    def what(self) -> str:
        """The words for it in messages."""
        return f"the {self.kind} of {self.part.name}"

    def __call__(self, flat: Sequence[Number]) -> list[Number]:
        """Apply the rule: to floats, or to nodes unless it takes only floats."""
        if any(isinstance(x, Value) for x in flat) and self.reason_for_floats(flat) is not None:
            count = self.part.layout.arguments.size if self.kind == "vjp" else self.part.result.size
            return [self._entry(i)(*flat) for i in range(count)]
        found = self._applied(flat)
        return [x if x is None or isinstance(x, Value) else as_float(x, self.what) for x in found]

    def reason_for_floats(self, flat: Sequence[Number]) -> Exception | str | None:
        """Return the reason why the rule takes floats only, or None."""
        return reason_for_floats(lambda *numbers: self._applied(numbers), flat)

    def _entry(self, i: int) -> Operation:
        """Return the operation that computes one of its numbers on floats, and cannot be differentiated again."""
        key, entries = (self.part.signature, self.part.index, self.kind, i), self.part.layout.entries
        if key not in entries:
            made = Operation(self.what, self.what, None, _Entry(self, i), NoDerivative(self), None, (Interval(),))
            entries.setdefault(key, made)
        return entries[key]

    def _applied(self, flat: Sequence[Number]) -> list[Number]:
        layout, operation = self.part.layout, self.part.layout.operation
        size, count = layout.arguments.size, self.part.result.size
        result, operands = self.part.result.rebuild(flat[:count]), flat[len(flat) - size :]
        args = layout.arguments.rebuild(operands)
        if self.kind == "jvp":
            return self._pushed(result, layout.arguments.rebuild(flat[count : count + size]), args)
        if operation.vjp is None:
            units = [[float(i == k) for i in range(size)] for k in range(size)]
            columns = [self._pushed(result, layout.arguments.rebuild(unit), args) for unit in units]
            return [column[self.part.index] for column in columns]
        if not layout.is_checked:
            self._check_linear([x._data if isinstance(x, Value) else float(x) for x in flat])
            layout.is_checked = True
        return self._pulled(result, args, 1.0)

    def _check_linear(self, flat: Sequence[float]) -> None:
        """Raise unless the rule is linear in the cotangent, which may then be multiplied by later.

        Raises:
            ValueError: for a rule that clips or normalises cotangents, for example.
        """
        layout, count = self.part.layout, self.part.result.size
        result, args = self.part.result.rebuild(flat[:count]), layout.arguments.rebuild(flat[count:])
        once, scaled = self._pulled(result, args, 1.0), self._pulled(result, args, _SCALE)
        for x, y in zip(once, scaled):
            pair = float(x or 0.0) * _SCALE, float(y or 0.0)
            if all(map(math.isfinite, pair)) and not math.isclose(*pair, rel_tol=1e-6):
                raise ValueError(
                    f"{self.what}: expected a rule that is linear in the cotangent, got {y} for {_SCALE:g} times the "
                    f"cotangent that gives {x}; clip or scale gradients where they are used, such as in the optimizer"
                )

    def _pulled(self, result: Any, args: Any, scale: float) -> list[Number]:
        """Return the rule's derivatives of the number at the index of the part, times a scale."""
        layout, operation, count = self.part.layout, self.part.layout.operation, self.part.result.size
        assert operation.vjp is not None
        cotangent = self.part.result.rebuild([scale * (k == self.part.index) for k in range(count)])
        found = operation.vjp(result, cotangent, *args)
        if not isinstance(found, tuple) or len(found) != len(args):
            got = f"{len(found)} items" if isinstance(found, tuple) else type(found).__name__
            raise TypeError(
                f"{self.what}: expected a tuple with an item for each of {len(args)} argument(s), got {got}"
            )
        slopes: list[Number] = []
        for i, (own, structure) in enumerate(zip(found, layout.structures)):
            place = f"{self.what}: item {i}"
            slopes += [None] * structure.size if own is None else numbers_like(structure, own, place, "argument")
        return slopes

    def _pushed(self, result: Any, tangents: Any, args: Any) -> list[Number]:
        operation = self.part.layout.operation
        assert operation.jvp is not None
        found = operation.jvp(result, tangents, *args)
        return numbers_like(self.part.result, found, f"the jvp of {operation.name}", "result")


@dataclass(frozen=True)
class _Entry:
    """One number of a rule, on floats."""

    rule: _Rule
    index: int

    def __call__(self, *flat: float) -> float:
        found = self.rule(list(map(float, flat)))[self.index]
        return 0.0 if found is None else found
