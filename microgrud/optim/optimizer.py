"""Base class of the optimizers: parameter groups, `step`, `zero_grad`, and a state that can be saved and restored.

An optimizer is a class with a constructor, which declares the settings (see `common.checks.declared`), and one method,
`_update`, with the formula. Where the formula has a twin in C (`in_c`), that runs: one pass over the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar, overload

from ..common.checks import ANY, Check, checked, numbers, real, whole
from ..engine import Value
from ..engine.identity import all_identical
from ..engine.vectors import (
    Vector,
    as_vector,
    changeable,
    check_parameters,
    clear_gradients,
    has_vectors_in_c,
    ieee_arithmetic,
    read_data,
    read_gradients,
    update_in_c,
    write_data,
)
from .hooks import StepHook, hooked

#: The constants of a formula in C, and the first numbers of the vectors that it uses, by name.
Constants: TypeAlias = tuple[tuple[float, ...], dict[str, float]]
Formula = TypeVar("Formula", bound=Callable[..., Vector])
Result = TypeVar("Result")


def in_c(name: str) -> Callable[[Formula], Formula]:
    """Mark an `_update` whose formula C knows by a name, and computes to the same bits.

    The class has a method `_constants`, too. The `_update` of a subclass is not marked, and runs itself, even where
    `functools.wraps` has copied the mark to it.
    """

    def mark(formula: Formula) -> Formula:
        formula.in_c = name, formula  # type: ignore[attr-defined]
        return formula

    return mark


class _Setting:
    """Refuses a setting as an attribute of an optimizer: assigned there, it would have no effect."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, optimizer: Optimizer | None, kind: type) -> _Setting:
        if optimizer is None:
            return self
        raise AttributeError(self._explanation(optimizer))

    def __set__(self, optimizer: Optimizer, setting: object) -> None:
        raise AttributeError(self._explanation(optimizer))

    def _explanation(self, optimizer: Optimizer) -> str:
        return (
            f"{type(optimizer).__name__}: each parameter group has its own {self.name}; read or set it with "
            f"`for group in optimizer.param_groups: group[{self.name!r}] = ...`"
        )


class Optimizer:
    """Base class of the optimizers: moves parameters against their gradients.

    Args:
        parameters: the leaves to train: a list of Values, or a list of parameter groups, dicts such as
            `{"params": [...], "lr": 0.1}` whose settings take the place of the optimizer's for their parameters.
        settings: the settings of the groups that have none of their own.

    Attributes:
        param_groups: one dict a group, with `"params"` and every setting; a setting changed there (a schedule changes
            `"lr"`) takes effect at the next step.
        state: one dict a group, with the number of steps taken and the vectors that the formula keeps between steps; a
            step may change them in place.

    Raises:
        TypeError, ValueError: for parameters that are not distinct leaf Values, and for invalid settings.
    """

    #: The checks of the settings, by name.
    settings: ClassVar[Mapping[str, Check]] = {}
    #: The names of the vectors, with one number per parameter, that the formula may keep in a group's state.
    vectors: ClassVar[tuple[str, ...]] = ()
    #: The names of the numbers, one per group, that the formula may keep in a group's state.
    scalars: ClassVar[tuple[str, ...]] = ()
    #: True if `step` evaluates the loss itself and so needs a closure.
    needs_closure: ClassVar[bool] = False

    #: True if the last step of this class has made all parameters finite numbers; None if that is not known.
    made_finite: bool | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in vars(cls):
            cls.step = hooked(cls.step)  # type: ignore[method-assign]
        for name in cls.settings:
            if not hasattr(cls, name):
                setattr(cls, name, _Setting(name))

    def __init__(self, parameters: Iterable[Value] | Iterable[Mapping[str, Any]], **settings: Any) -> None:
        self.defaults = self._checked(settings, type(self).__name__)
        self.param_groups: list[dict[str, Any]] = []
        self.state: list[dict[str, Any]] = []
        self._values_of_groups: list[tuple[Value, ...]] = []
        self._step_pre_hook: tuple[StepHook, ...] = ()
        self._step_post_hook: tuple[StepHook, ...] = ()
        if isinstance(parameters, Mapping):
            parameters = [parameters]
        if not isinstance(parameters, Iterable):
            check_parameters(type(self).__name__, parameters)  # says what is wrong
        found = list(parameters)
        if not found or not all(isinstance(group, Mapping) for group in found):
            found = [{"params": found}]
        for group in found:
            self.add_param_group(group)  # type: ignore[arg-type]

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with settings of their own.

        Args:
            group: `"params"` and any of the optimizer's settings; those missing are the optimizer's own.

        Raises:
            TypeError, ValueError: as the constructor does, and if a parameter already belongs to a group.
        """
        where = f"{type(self).__name__}: parameter group {len(self.param_groups)}"
        if "params" not in group:
            raise ValueError(f"{where}: expected a 'params' entry, got only {sorted(group)}")
        parameters = check_parameters(where, group["params"])
        elsewhere = set(self.parameters())
        for i, parameter in enumerate(parameters):
            if parameter in elsewhere:
                raise ValueError(f"{where}: the parameter at index {i} already belongs to another group")
        settings = self._checked({**self.defaults, **{k: v for k, v in group.items() if k != "params"}}, where)
        self.param_groups.append({"params": parameters, **settings})
        self.state.append({"step": 0})

    def parameters(self) -> list[Value]:
        """Return the parameters of all groups, in order."""
        found: list[Value] = []
        for group in self.param_groups:
            found += group["params"]  # a list at once: by chain() it takes five times as long
        return found

    def zero_grad(self) -> None:
        """Set every parameter's grad to zero."""
        for group in self.param_groups:
            clear_gradients(group["params"])

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], Result]) -> Result: ...
    @hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter once, from its `grad`.

        A parameter that the loss does not depend on has the gradient 0 and is updated as any other: momentum, the
        moments of Adam and weight decay continue to move it. (PyTorch skips a parameter whose `grad` is None.) To
        keep parameters unchanged, do not give them to the optimizer.

        The arithmetic is IEEE's: a gradient that is not finite, or a rate far too high, gives parameters that are not
        finite.

        Args:
            closure: called first, if given: it clears the gradients, computes the loss, calls `backward()`, and
                returns the loss.

        Returns:
            The result of the closure, None without one.

        Raises:
            ValueError: if a group no longer has the number of parameters it had at its last step.
        """
        if closure is not None and not callable(closure):
            kind = type(closure).__name__
            raise TypeError(f"{type(self).__name__}.step: closure: expected a function, got an object of type {kind}")
        loss = None if closure is None else closure()
        for i in range(len(self.param_groups)):
            self._check_size(i)
        self._check_values()
        self.made_finite = None
        updates = [self._prepared(group, state) for group, state in zip(self.param_groups, self.state)]
        found = [update() for update in updates]
        self.made_finite = None if None in found else all(found)
        return loss

    def _prepared(self, group: dict[str, Any], state: dict[str, Any]) -> Callable[[], bool | None]:
        """Begin a step with a group: return a function that changes the parameters, as for `made_finite`."""
        parameters = group["params"]
        state["step"] += 1
        name, formula = getattr(self._update, "in_c", ("", None))
        maximize = group.get("maximize", False)
        own = formula is None or formula is not getattr(self._update, "__func__", None)
        if own or maximize or not has_vectors_in_c():
            with ieee_arithmetic():
                gradients = read_gradients(parameters)
                new = self._update(group, state, read_data(parameters), -1.0 * gradients if maximize else gradients)
            return partial(write_data, parameters, new)
        constants, used = self._constants(group, state)
        for vector, initial in used.items():
            state[vector] = changeable(state.get(vector), len(parameters), initial)
        vectors = tuple([state[vector] if vector in used else None for vector in self.vectors])
        return partial(update_in_c, parameters, name, constants, vectors)

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> StepHook:
        """Call `hook(optimizer, args, kwargs)` at the start of each step, with the arguments of `step`.

        The hook sees the parameters and gradients before the step, before a closure has run; it may change the
        gradients. If it returns a pair `(args, kwargs)`, these take the place of the arguments. Hooks run in the order
        in which they were registered, also in the trial steps of `learning_rate_range`. An error of a hook ends the
        step before a parameter has changed.

        A `state_dict` does not contain hooks. A checkpoint of `fit` contains their names and the state that they keep:
        register the same hooks again before resuming, or `fit` refuses to resume.

        Returns:
            The registration, whose `remove()` ends it.

        Raises:
            TypeError: if `hook` is not a function.

        >>> x = Value(0.0)
        >>> optimizer = Optimizer([x])
        >>> hook = optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: print("step with", args, kwargs))
        >>> hook.remove()
        """
        return StepHook(self, "_step_pre_hook", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> StepHook:
        """Call `hook(optimizer, args, kwargs)` at the end of each step; it may change the parameters.

        The hook sees the new parameters, and the gradients of the step. Its result is ignored. See also
        `register_step_pre_hook`.

        Returns:
            The registration, whose `remove()` ends it.

        Raises:
            TypeError: if `hook` is not a function.
        """
        return StepHook(self, "_step_post_hook", hook)

    def _update(self, group: dict[str, Any], state: dict[str, Any], data: Vector, grad: Vector) -> Vector:
        """Return the new data of a group's parameters; the formula of the optimizer.

        With the setting `maximize`, `grad` is the negative gradient.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define _update(group, state, data, grad)")

    def _constants(self, group: dict[str, Any], state: dict[str, Any]) -> Constants:
        """Return the constants of the formula in C, and the first numbers of the vectors that it uses, by name."""
        raise NotImplementedError(f"{type(self).__name__} does not define _constants(group, state)")

    # --- saving and restoring ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return settings and state as dicts, lists, numbers and strings: what JSON can hold, bit for bit.

        The parameters themselves are not included: they belong to the model.
        """
        groups = [
            {
                "size": len(group["params"]),
                "settings": {name: plain(group[name]) for name in self.settings},
                "state": plain(state),
            }
            for group, state in zip(self.param_groups, self.state)
        ]
        return {"optimizer": type(self).__name__, "groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; the settings are restored too. On an error nothing is changed.

        Raises:
            ValueError: if the state is of another optimizer, has other numbers of parameters, or is damaged.
        """
        where = f"{type(self).__name__}.load_state_dict"
        try:
            if state_dict["optimizer"] != type(self).__name__:
                raise ValueError(f"{where}: expected the state of {type(self).__name__}, got {state_dict['optimizer']}")
            sizes = [group["size"] for group in state_dict["groups"]]
            expected = [len(group["params"]) for group in self.param_groups]
            if sizes != expected:
                raise ValueError(f"{where}: expected groups of {expected} parameters, got {sizes}")
            restored = [self._checked_group(where, group) for group in state_dict["groups"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{where}: expected what state_dict() returned, got a damaged one ({error!r})") from error
        for group, (settings, _) in zip(self.param_groups, restored):
            group.update(settings)
        self.state = [state for _, state in restored]

    def _checked_group(self, where: str, saved: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        missing = [name for name in self.settings if name not in saved["settings"]]
        if missing:
            raise ValueError(f"{where}: expected the settings {list(self.settings)}, got none of {missing}")
        settings = self._checked(saved["settings"], where)
        state = {name: self._checked_entry(where, name, entry, saved["size"]) for name, entry in saved["state"].items()}
        if "step" not in state:
            raise ValueError(f"{where}: expected a number of steps in the state, got {sorted(state)}")
        return settings, state

    def _checked_entry(self, where: str, name: str, entry: Any, size: int) -> Any:
        """Return one entry of a saved state as kept in memory: a count, or a vector with one number per parameter."""
        if name == "step":
            return whole(0)(f"{where}: step", entry)
        if name in self.scalars:
            return real(ANY)(f"{where}: {name}", entry)
        if name not in self.vectors:
            raise ValueError(f"{where}: expected a state of {('step', *self.scalars, *self.vectors)}, got {name!r}")
        return as_vector(numbers(size)(f"{where}: {name}", entry))

    def _check_size(self, index: int) -> None:
        """Raise if parameters were added to a group, or taken from it, behind the optimizer's back."""
        size = len(self.param_groups[index]["params"])
        for vector in self._kept_vectors(self.state[index]):
            if len(vector) != size:
                raise ValueError(
                    f"{type(self).__name__}: parameter group {index} has {size} parameters, and had {len(vector)} at "
                    "its last step; make a new optimizer for other parameters"
                )

    def _check_values(self) -> None:
        """Raise a TypeError if a group holds an object that is no Value, before any parameter moves."""
        groups = [group["params"] for group in self.param_groups]
        if len(groups) != len(self._values_of_groups) or not all_identical(groups, self._values_of_groups):
            for parameters in groups:
                read_data(parameters)  # which raises
            self._values_of_groups = [tuple(parameters) for parameters in groups]

    def _kept_vectors(self, state: dict[str, Any]) -> list[Vector]:
        """Return the vectors in the state of a group."""
        return [state[name] for name in self.vectors if name in state]

    def _settings_among(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings among the arguments of a constructor, which `locals()` holds at its start."""
        return {name: arguments[name] for name in self.settings}

    def _checked(self, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
        """Return the settings as plain numbers and flags; subclasses add checks that involve more than one setting."""
        return checked(settings, self.settings, where)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{name}={group[name]!r}" for name in self.settings)
            lines.append(f"  {len(group['params'])} parameters: {settings}")
        return "\n".join([*lines, ")"])


def plain(entry: Any) -> Any:
    """Convert vectors and tuples, also inside lists and dicts, to lists, which JSON preserves."""
    if hasattr(entry, "tolist"):  # a vector
        return entry.tolist()
    if isinstance(entry, dict):
        return {key: plain(item) for key, item in entry.items()}
    if isinstance(entry, (tuple, list)):
        return [plain(item) for item in entry]
    return entry
