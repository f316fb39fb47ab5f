"""`Module`: a part of a network, which finds its parameters and saves and loads their state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ..autodiff.trees import check_unmasked
from ..common.display import ShownInNotebooks
from ..common.jsonfile import ModelFileError
from ..common.numbers import as_float
from ..engine import Value, native
from ..engine.vectors import (
    Vector,
    checked_vector,
    clear_gradients,
    read_data,
    read_gradients,
    write_data,
    write_gradients,
)
from .contents import LIBRARIES, leaves_and
from .modelformat import StoredModel, read_model, write_model

Self = TypeVar("Self", bound="Module")


class Module(ShownInNotebooks):
    """A part of a network that holds parameters, and modules that hold more of them.

    The parameters are the leaf Values among the attributes, and the parameters of the modules found there, each once.
    The attributes come in the order in which they were set, then those in `__slots__`, then those of the classes, which
    all instances share. The search enters lists, tuples, deques, dicts and NumPy object arrays, `UserList`, `UserDict`,
    `ChainMap`, `MappingProxyType` and `SimpleNamespace`, and the attributes of dataclasses and of objects whose class
    no library defines; it evaluates no property. Sets, which have no fixed order, and variables that functions close
    over are not searched: `fit` warns of Values that it finds there.

    A subclass needs no call to `__init__` and no registration. If a subclass overrides `parameters()`, only the result
    counts. Keep a number that is not to be trained as a float, not as a Value.

    Attributes:
        training: True in training mode, False after `eval()`; for modules that behave differently in the two modes.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.offset = Value(2.0), Value(1.0)
    ...
    ...     def __call__(self, x):
    ...         return self.slope * x + self.offset
    >>> Line().state_dict()
    {'slope': 2.0, 'offset': 1.0}
    """

    training: bool = True

    def parameters(self) -> list[Value]:
        """Return the parameters, in a fixed order, each once."""
        kind = type(self)
        if kind.parameters is Module.parameters and kind.named_parameters is not Module.named_parameters:
            named = self.named_parameters()
        elif native.engine is not None:
            found: list[Value] = native.engine.find_parameters(self, Module, leaves_and, _named, LIBRARIES)
            return found
        else:
            named = _found_in(self, "", {})
        return list({id(p): p for _, p in named}.values())

    def named_parameters(self) -> list[tuple[str, Value]]:
        """Return the parameters with their names, such as `layers.0.neurons.1.w.2`; a shared one has its first name."""
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

    def state_dict(self) -> dict[str, float]:
        """Return the number that each parameter holds, by name.

        Raises:
            ValueError: if two parameters have the same name, as in `{"a.b": p, "a": {"b": q}}`.
        """
        named = self.named_parameters()
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
        parameters = dict(self.named_parameters())
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
            listed = "; ".join(f"{kind}: {_shortened(names)}" for kind, names in problems.items() if names)
            raise ValueError(f"{type(self).__name__}.load_state_dict: {listed}")
        for name, number in numbers.items():
            parameters[name].data = number

    def get_vector(self) -> Vector:
        """Return the numbers of the parameters as a new vector, in the order of `parameters()`.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> Line().get_vector()
        array([2., 1.])
        """
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        return read_data(parameters)

    def set_vector(self, vector: Iterable[float]) -> None:
        """Set the parameters, in the order of `parameters()`, to the numbers of a vector; gradients stay as they are.

        Raises:
            TypeError, ValueError: if these are not real numbers, one for each parameter; then none is changed.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> line.set_vector([3.0, 0.5])
        >>> line.state_dict()
        {'slope': 3.0, 'offset': 0.5}
        """
        where = f"{type(self).__name__}.set_vector"
        check_unmasked(vector, where)
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        write_data(parameters, checked_vector(where, vector, len(parameters)))

    def get_gradient_vector(self) -> Vector:
        """Return the grad of the parameters as a new vector of float64, in the order of `parameters()`.

        Processes that share the samples of a batch (MPI, Dask) add up these vectors.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> (line.slope * 3.0 + line.offset).backward()
        >>> line.get_gradient_vector()
        array([3., 1.])
        """
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        return read_gradients(parameters)

    def set_gradient_vector(self, vector: Iterable[float]) -> None:
        """Set the grad of the parameters, in the order of `parameters()`, to the numbers of a vector.

        Raises:
            TypeError, ValueError: if these are not real numbers, one for each parameter; then none is changed.

        >>> class Line(Module):
        ...     def __init__(self):
        ...         self.slope, self.offset = Value(2.0), Value(1.0)
        >>> line = Line()
        >>> line.set_gradient_vector([3.0, 0.5])
        >>> line.offset.grad
        0.5
        """
        where = f"{type(self).__name__}.set_gradient_vector"
        check_unmasked(vector, where)
        parameters = self.parameters()
        _refuse_while_recording(parameters)
        write_gradients(parameters, checked_vector(where, vector, len(parameters)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to a model file; for an MLP, Layer or Neuron, also the arguments of its constructor.

        The file is JSON, written atomically: at every moment the old file or the new one is there. Equal models give
        equal bytes.

        Raises:
            ValueError: if a parameter is infinite or NaN, or an activation is a user-defined function.
            OSError: if the file cannot be written.
        """
        save_module(path, self, {})

    @classmethod
    def load(cls: type[Self], path: str | os.PathLike[str]) -> Self:
        """Make the MLP, Layer or Neuron that `save` wrote to a model file: `MLP.load("model.json")`.

        For a user-defined class, make a model and call `model.load_state_dict(load_state(path))` on it, with
        `load_state` from `microgrud.nn.modelfile`.

        Raises:
            ModelFileError: if the file is damaged, truncated, of another kind or newer, or holds another class.
            OSError: if it cannot be read.
        """
        return build_module(read_model(path), (cls,))


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


def _refuse_while_recording(parameters: Sequence[Value]) -> None:
    """Raise if `compile` is recording: a recording cannot hold what reads or changes the number of a parameter."""
    for parameter in parameters[:1]:
        _ = parameter.data


def _shortened(names: Sequence[str], most: int = 10) -> str:
    text = ", ".join(names[:most])
    return f"{text}, and {len(names) - most} more" if len(names) > most else text


# --- finding parameters -----------------------------------------------------------------------------------------------

Named = list[tuple[str, Value]]


def modules_of(module: Module) -> list[Module]:
    """Return a module and all below it, each once, in order and before the modules that it holds."""
    reached: dict[int, Module] = {}
    waiting = [module]
    while waiting:
        each = waiting.pop()
        if id(each) not in reached:
            reached[id(each)] = each
            waiting.extend(reversed(each.children()))
    return list(reached.values())


def leaves_of(module: Module) -> list[Value]:
    """Return the leaves that a module and those below it hold, even if a class declares others its parameters."""
    return [x for each in modules_of(module) for _, x in leaves_and(Module, each) if isinstance(x, Value)]


def _found_in(module: Module, prefix: str, seen: dict[int, Module]) -> Named:
    """Return the parameters found among the attributes; `seen` holds the searched modules, by id."""
    seen[id(module)] = module
    found: Named = []
    for member in leaves_and(Module, module, prefix):
        name, item = member
        if isinstance(item, Value):
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
    name, state = type(module).__name__, module.state_dict()
    make: Callable[..., Module] = type(module)
    try:
        # The class itself must say with which arguments it makes such a module again: a subclass may take others.
        arguments = module._arguments() if "_arguments" in vars(type(module)) else None  # type: ignore[attr-defined]
        same = arguments is None or _have_same_structure(make(**arguments, init="zeros"), module)
    except (AttributeError, IndexError):
        same = False
    if not same:
        raise ValueError(
            f"{name}: its layers were changed after it was made, so that a file cannot say how to make it again; "
            "define a subclass of Module whose constructor makes these layers, and save an instance of it"
        )
    write_model(path, name, arguments, state, extra)


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
    make: Callable[..., Self] | None = next((kind for kind in kinds if kind.__name__ == name), None)
    if make is None:
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ModelFileError(f"{path}: expected a model of class {expected}, got one of class {name}")
    try:
        module = make(**arguments, init="zeros")
        module.load_state_dict(stored.state)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: damaged: architecture or state: {error}") from None
    return module
