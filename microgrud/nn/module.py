"""`Module`: a part of a network, which finds its parameters and saves and loads their state."""

from __future__ import annotations

import copy
import os
import random
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ..common import prediction
from ..common.display import ShownInNotebooks
from ..common.jsonfile import ModelFileError
from ..common.numbers import Number, as_float
from ..engine import Value, native
from ..engine.truth import as_operand
from ..engine.vectors import Vector, clear_gradients
from .contents import LIBRARIES, Given, leaves_and
from .modelformat import StoredModel, read_model, write_model
from .vectors import ParameterVectors

Self = TypeVar("Self", bound="Module")


class Module(ParameterVectors, ShownInNotebooks):
    """A part of a network that holds parameters, and modules that hold more of them.

    The parameters are the leaf Values among the attributes, and the parameters of the modules found there, each once.
    The attributes come in the order in which they were set, then those in `__slots__`, then those of the classes, which
    all instances share. The search enters lists, tuples, deques, dicts and NumPy object arrays, `UserList`, `UserDict`,
    `ChainMap`, `MappingProxyType` and `SimpleNamespace`, and the attributes of dataclasses and of objects whose class
    no library defines; it evaluates no property. Sets, which have no fixed order, and variables that functions close
    over are not searched: `fit` warns of Values that it finds there.

    A subclass needs no call to `__init__` and no registration. A call of a module calls its `forward`; a subclass may
    override `__call__` instead. If a subclass overrides `parameters()`, only the result counts. Keep a number that is
    not to be trained as a float, not as a Value.

    Attributes:
        training: True in training mode, False after `eval()`; for modules that behave differently in the two modes.
        needs_batch: True in classes such as BatchNorm1d whose output in training mode depends on the whole batch: `fit`
            then calls a model that holds one with the list of all rows of a batch, and expects a prediction for each.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.offset = Value(2.0), Value(1.0)
    ...
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> Line().state_dict(), Line()(3.0)
    ({'slope': 2.0, 'offset': 1.0}, Value(data=7.0, grad=0.0))
    """

    training: bool = True
    needs_batch: bool = False
    forward: Callable[..., Any]
    _draws = True  # initial weights, by an argument `init`
    _may_train = True  # False in a class whose modules always stay frozen

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the result of `forward` for the same arguments.

        Raises:
            TypeError: if the class defines neither `forward` nor a `__call__` of its own.
        """
        try:
            forward = self.forward
        except AttributeError:
            raise TypeError(
                f"{type(self).__name__}: expected a method forward(self, x) that computes the output, got none"
            ) from None
        return forward(*args, **kwargs)

    def predict(self, X: Any) -> Vector:
        """Return the predictions for the rows of a table as an array of floats, computed in evaluation mode.

        Each row is given to the module as one sample; the result has the shape (rows,), or (rows, outputs) if the
        prediction is a list. A recording is replayed, as by `compile`, if `fit` would record the module (see
        docs/recording.md); otherwise the module is called for each row. Either way it has the present parameters.
        Modules in training mode are in evaluation mode during the call; for several threads, call `eval()` first.

        Args:
            X: rows of numbers: lists, a 2-D NumPy array or a pandas table; columns of integers may be looked up.

        Raises:
            TypeError, ValueError: if X is not a table of numbers, or a prediction is not numbers, as many for each row.

        >>> from microgrud.nn import Neuron
        >>> neuron = Neuron(2, nonlin=False, init="zeros")
        >>> neuron.w[0].data = 3.0
        >>> neuron.predict([[1.0, 0.0], [2.0, 5.0]])
        array([3., 6.])
        """
        predictions: Vector = prediction.predict(self, X)
        return predictions

    def parameters(self) -> list[Value]:
        """Return the parameters, in a fixed order, each once; those of frozen modules are left out."""
        kind = type(self)
        _refuse_numbers(self)
        if kind.parameters is Module.parameters and kind.named_parameters is not Module.named_parameters:
            named = self.named_parameters()
        elif native.engine is not None:
            found: list[Value] = native.engine.find_parameters(self, Module, leaves_and, _named, LIBRARIES)
            return found
        else:
            named = _found_in(self, "", {})
        return list({id(p): p for _, p in named}.values())

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Return `parameters()` with their names, such as `layers.0.neurons.1.w.2`; a shared one has its first name."""
        named = _named(self, "", {})
        first = {id(pair[1]): pair for pair in reversed(named)}
        return [pair for pair in named if first[id(pair[1])] is pair]

    def children(self) -> list[Module]:
        """Return the modules among the attributes and in the containers there, each once."""
        return list({id(x): x for _, x in leaves_and(Module, self) if isinstance(x, Module)}.values())

    def zero_grad(self) -> None:
        """Set the grad of every parameter to zero."""
        if native.engine is not None and _has_own_methods(self):
            native.engine.clear_parameters(self, Module, leaves_and, _named, LIBRARIES)
        else:
            clear_gradients(self.parameters())

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode (or, with False, evaluation mode) in this module and all below it; return the module."""
        for module in modules_of(self):
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode in this module and all below it; return the module."""
        return self.train(False)

    def freeze(self: Self) -> Self:
        """Leave the parameters of this module and of all below it out of `parameters()`; return the module.

        An optimizer that is made afterwards does not change them, nor does `fit`. They stay in `state_dict()` and in
        files, and `backward` still adds to their `grad`, which nothing reads. Freezing concerns the modules that hold a
        parameter: one that a module outside holds too is still trained there.

        Raises:
            TypeError: if a class overrides `parameters()` or `named_parameters()`, which decide there.

        >>> from microgrud.nn import MLP
        >>> model = MLP(2, [3, 1])
        >>> _ = model.layers[0].freeze()
        >>> len(model.parameters()), len(model.state_dict())
        (4, 13)
        """
        for module in modules_of(self):
            if not _has_own_methods(module):
                raise TypeError(
                    f"{type(self).__name__}.freeze: expected modules whose parameters are found by Module, got a "
                    f"{type(module).__name__}, which decides by its own method; leave them out there"
                )
        for module in modules_of(self):
            module.__dict__["_frozen"] = True
        return self

    def unfreeze(self: Self) -> Self:
        """Undo `freeze` in this module and all below it, and set the gradients there to zero; return the module."""
        for module in modules_of(self):
            if module._may_train and vars(module).pop("_frozen", False):
                clear_gradients([x for _, x in leaves_and(Module, module) if isinstance(x, Value)])
        return self

    def state_dict(self) -> dict[str, float]:
        """Return the number that each parameter holds, by name; those of frozen modules come last.

        Raises:
            ValueError: if two parameters have the same name, as in `{"a.b": p, "a": {"b": q}}`.
        """
        named = named_leaves(self)
        state = {name: p.data for name, p in named}
        if len(state) < len(named):
            names = [name for name, _ in named]
            repeated = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{type(self).__name__}: two parameters are named {repeated!r}; rename one of them")
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Set the parameters to the numbers in `state`; on an error none is changed.

        Args:
            state: a number for each parameter, by name, as `state_dict()` gives it.
            strict: whether a missing or an unexpected name is an error; otherwise such names are skipped.

        Raises:
            TypeError: if `state` is not a mapping.
            ValueError: if entries are missing, unexpected or not one real number; the message lists them.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> Line().load_state_dict({"slope": [3.0], "height": 1.0})
        Traceback (most recent call last):
            ...
        ValueError: Line.load_state_dict: missing: offset; unexpected: height; misshapen: slope (expected a real \
number, got an object of type list)
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of numbers by name, got {type(state).__name__}")
        self.state_dict()  # raises if names are ambiguous
        parameters = dict(named_leaves(self))
        missing = [name for name in parameters if name not in state]
        unexpected = [str(name) for name in state if name not in parameters]
        misshapen = []
        numbers = {}
        for name in parameters:
            if name in state:
                try:
                    numbers[name] = as_float(state[name], name)
                except (TypeError, OverflowError) as error:
                    reason = str(error).removeprefix(f"{name}: ").split(";")[0]
                    misshapen.append(f"{name} ({reason})")
        problems = {"missing": missing, "unexpected": unexpected} if strict else {}
        problems["misshapen"] = misshapen
        if any(problems.values()):
            listed = "; ".join(f"{kind}: {shortened(names)}" for kind, names in problems.items() if names)
            raise ValueError(f"{type(self).__name__}.load_state_dict: {listed}")
        for name, number in numbers.items():
            parameters[name].data = number

    def with_parameters(self: Self, parameters: Mapping[str, Number]) -> Self:
        """Return a deep copy of the module with other numbers or Values in the place of its parameters.

        Transforms give it to their function in the place of a module to differentiate with respect to.

        Args:
            parameters: numbers or Values by the names of parameters, as in `state_dict()`; other parameters are those
                of the module itself, and so are all other leaves, and generators of random numbers, as of Dropout. For
                a number there is a new leaf, so that the copy can be trained.

        Raises:
            TypeError: if a number is none.
            ValueError: for a name that no parameter has.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line().with_parameters({"slope": 3.0})
        >>> line.slope, line.offset
        (Value(data=3.0, grad=0.0), Value(data=1.0, grad=0.0))
        """
        values = {name: x if isinstance(x, Value) else as_operand(x, name) for name, x in parameters.items()}
        return replaced_in(self, {name: Value(x) if isinstance(x, float) else x for name, x in values.items()})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a model file; for a class of this package, also the arguments of the constructor.

        The file is JSON, written atomically: at every moment the old file or the new one is there. Equal models give
        equal bytes.

        Raises:
            ValueError: if a parameter is infinite or NaN, or an activation is a user-defined function.
            OSError: if the file cannot be written.
        """
        save_module(path, self, {})

    @classmethod
    def load(cls: type[Self], path: str | os.PathLike[str]) -> Self:
        """Make the MLP, Sequential, ... that `save` wrote to a model file: `MLP.load("model.json")`.

        For a user-defined class, make a model and call `model.load_state_dict(load_state(path))` on it, with
        `load_state` from `microgrud.nn.modelfile`.

        Raises:
            ModelFileError: if the file is damaged, truncated, of another kind or newer, or holds another class.
            OSError: if it cannot be read.
        """
        return build_module(read_model(path), (cls,))

    @classmethod
    def _make(cls: type[Self], arguments: Mapping[str, Any]) -> Self:
        """Make a module with the arguments that a model file holds, without drawing random numbers."""
        return cls(**arguments, **({"init": "zeros"} if cls._draws else {}))


def replaced_in(module: Self, parameters: Mapping[str, Number]) -> Self:
    """Return a deep copy of a module with these objects in the place of its parameters; see `with_parameters`."""
    known = dict(named_leaves(module))
    unexpected = [str(name) for name in parameters if name not in known]
    if unexpected:
        raise ValueError(
            f"with_parameters: expected names of parameters ({', '.join(list(known)[:8])}), got {unexpected[0]!r}; "
            "module.named_parameters() has all of them"
        )
    kept: list[str] = []
    for each in modules_of(module):
        leaves_and(Module, each, f"{type(each).__name__}.", kept)
    if kept:  # the copy of a result keeps the derivatives of the first order alone
        raise ValueError(
            f"{type(module).__name__}: expected a module whose parameters can be replaced, got one that keeps a result "
            f"of an operation, {kept[0]}: compute it in forward, or keep its .data"
        )
    memo: dict[int, Any] = {id(leaf): leaf for leaf in leaves_of(module)}
    attributes = [x for each in modules_of(module) for x in vars(each).values()]
    memo |= {id(x): x for x in attributes if isinstance(x, random.Random)}  # a copy would draw the same again
    memo |= {id(known[name]): x for name, x in parameters.items()}
    made = copy.deepcopy(module, memo)
    _copy_from_classes(made, memo)
    given = Given(x for x in parameters.values() if isinstance(x, Value) and not x.is_leaf)
    numbers = not all(isinstance(x, Value) for x in parameters.values())
    for each in modules_of(made) if given or numbers else ():
        each.__dict__["_given"] = own = Given(given.union(each.__dict__.get("_given", ())))
        own.numbers = numbers
    return made


def _copy_from_classes(module: Module, memo: dict[int, Any]) -> None:
    """Give a copy of a module, and the modules in it, copies of the parameters and modules that their classes hold."""
    for each in _walk(module):
        for name, _ in leaves_and(Module, each):
            attribute = name.partition(".")[0]
            held = getattr(type(each), attribute, None)
            if attribute not in each.__dict__ and not isinstance(held, types.MemberDescriptorType):
                each.__dict__[attribute] = copy.deepcopy(held, memo)


def has_parameters(module: Module, known: tuple[Value, ...]) -> bool:
    """Return whether these are what `parameters()` of a module returns; False may mean that only a call can tell.

    A list of 100,000 parameters takes 1 ms, and the comparison 0.15.
    """
    if native.engine is None or not _has_own_methods(module):
        return False
    same: bool = native.engine.has_parameters(module, Module, leaves_and, _named, LIBRARIES, known)
    return same


def _has_own_methods(module: Module) -> bool:
    """Return whether a module has the methods of Module that find its parameters."""
    kind = type(module)
    own = kind.parameters is Module.parameters and kind.named_parameters is Module.named_parameters
    return own and "parameters" not in module.__dict__


def _refuse_numbers(module: Module) -> None:
    """Raise if a module holds numbers in the place of its parameters."""
    if "_given" in module.__dict__ and module.__dict__["_given"].numbers:
        raise ValueError(
            f"{type(module).__name__}.parameters: expected Values, but functional_call was given numbers for "
            "them; give it Values, {name: Value(x)}, if the call asks for the parameters"
        )


def shortened(names: Sequence[str], most: int = 10) -> str:
    """Return the first of some names, and how many more there are."""
    text = ", ".join(names[:most])
    return f"{text}, and {len(names) - most} more" if len(names) > most else text


# --- finding parameters -----------------------------------------------------------------------------------------------

Named = list[tuple[str, Value]]


def modules_of(module: Module) -> list[Module]:
    """Return a module and all below it, each once, in order and before the modules that it holds."""
    return list(_walk(module))


def _walk(module: Module) -> Iterator[Module]:
    """Yield the same; what a module holds is read after it was yielded."""
    reached: dict[int, Module] = {}
    waiting = [module]
    while waiting:
        each = waiting.pop()
        if id(each) not in reached:
            reached[id(each)] = each
            yield each
            waiting.extend(reversed(each.children()))


def named_leaves(module: Module) -> list[tuple[str, Value]]:
    """Return the named parameters of a module, then those of the frozen modules in it: its state."""
    named = module.named_parameters()
    known = {id(x) for _, x in named}
    reached: dict[int, Module] = {}
    waiting = [("", module)]
    while waiting:
        prefix, each = waiting.pop()
        if id(each) in reached:
            continue
        reached[id(each)] = each
        members = leaves_and(Module, each, prefix)
        waiting.extend((f"{name}.", x) for name, x in reversed(members) if isinstance(x, Module))
        if is_frozen(each):
            held = {id(x): (name, x) for name, x in reversed(members) if isinstance(x, Value) and id(x) not in known}
            named += reversed(held.values())
            known |= held.keys()
    return named


def is_frozen(module: Module) -> bool:
    """Return whether the parameters that a module itself holds are frozen."""
    return vars(module).get("_frozen") is True


def leaves_of(module: Module) -> list[Value]:
    """Return the leaves that a module and those below it hold, even if a class declares others its parameters."""
    return [x for each in modules_of(module) for _, x in leaves_and(Module, each) if isinstance(x, Value)]


def _found_in(module: Module, prefix: str, seen: dict[int, Module]) -> Named:
    """Return the parameters found among the attributes; `seen` holds the searched modules, by id."""
    seen[id(module)] = module
    found: Named = []
    _refuse_numbers(module)
    for member in leaves_and(Module, module, prefix):
        name, item = member
        if isinstance(item, Value):
            if not is_frozen(module):
                found.append(member)
        elif id(item) not in seen:
            found += _named(item, f"{name}.", seen)
    return found


def _named(module: Module, prefix: str, seen: dict[int, Module]) -> Named:
    """Return a module's named parameters, from the method that its class has overridden, if any."""
    kind = type(module)
    if prefix and kind.named_parameters is not Module.named_parameters:
        seen[id(module)] = module
        return [(prefix + name, p) for name, p in module.named_parameters()]
    if kind.parameters is not Module.parameters:
        # parameters() of the class decides which they are; the attributes only give their names.
        names = {id(p): name for name, p in reversed(_found_in(module, prefix, dict(seen)))}
        seen[id(module)] = module
        return [(names.get(id(p), f"{prefix}parameters.{i}"), p) for i, p in enumerate(module.parameters())]
    return _found_in(module, prefix, seen)


# --- files ------------------------------------------------------------------------------------------------------------


def save_module(path: str | os.PathLike[str], module: Module, extra: Mapping[str, Any]) -> None:
    """Write a module to a model file, with `extra` content that JSON can hold; see `Module.save`."""
    state = module.state_dict()
    write_model(path, type(module).__name__, arguments_of(module), state, extra)


def arguments_of(module: Module) -> dict[str, Any] | None:
    """Return the arguments that make such a module again, as files hold them; None for a user-defined class.

    Raises:
        ValueError: if its layers were changed, or an activation is a user-defined function.
    """
    try:
        # The class itself must say with which arguments it makes such a module again: a subclass may take others.
        arguments = module._arguments() if "_arguments" in vars(type(module)) else None  # type: ignore[attr-defined]
        same = arguments is None or _have_same_structure(type(module)._make(arguments), module)
    except (AttributeError, IndexError):
        same = False
    if not same:
        raise ValueError(
            f"{type(module).__name__}: its layers were changed after it was made, so that a file cannot say how to "
            "make it again; define a subclass of Module whose constructor makes these layers, and save an instance of "
            "it"
        )
    return arguments


def _have_same_structure(one: Module, other: Module) -> bool:
    """Return whether two modules have the same parts, down to the classes and the functions of their activations."""
    parts, others = modules_of(one), modules_of(other)
    return (
        repr(one) == repr(other)
        and one.state_dict().keys() == other.state_dict().keys()
        and [(type(part), vars(part).get("activation")) for part in parts]
        == [(type(part), vars(part).get("activation")) for part in others]
    )


def build_module(stored: StoredModel, kinds: Sequence[type[Self]]) -> Self:
    """Make the module that a model file holds, which must be of one of these classes.

    Raises:
        ModelFileError: if the file holds another class, or its entries are inconsistent.
    """
    path, name, arguments = stored.path, stored.class_name, stored.arguments
    if arguments is None:
        raise ModelFileError(
            f"{path}: holds only the parameters of a {name}, a class of its author's own, not how to make one; make "
            "one and call model.load_state_dict(microgrud.nn.modelfile.load_state(path)) on it"
        )
    kind = next((kind for kind in kinds if kind.__name__ == name), None)
    if kind is None:
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ModelFileError(f"{path}: expected a model of class {expected}, got one of class {name}")
    try:
        module = kind._make(arguments)
        module.load_state_dict(stored.state)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: damaged: architecture or state: {error}") from None
    return module
