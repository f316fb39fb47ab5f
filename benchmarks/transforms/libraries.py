"""The libraries of the suite under one set of names, so that a workload writes its program for all of them once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..recorded.workload import Step, flat

Transform = Callable[..., Callable[..., Any]]


@dataclass(frozen=True)
class Library:
    """Functions and transforms of a library.

    Attributes:
        scalars: true if the program computes with numbers, one operation after the other, and not with arrays.
        functions: the module or class with `tanh`, `sum` and so on.
        array: makes what the program takes, a list of numbers or an array, from an array of NumPy's.
        grad: the transform of that name, as are the next three.
        value_and_grad: the same.
        jacobian: the same.
        hessian: the same.
        jvp: makes the function of a point and a direction that returns the value and the derivative.
        hvp: makes the function of a point and a direction that returns the product of the Hessian.
        ready: prepares a function for many calls, and waits for its results.
        scan: repeats a step a number of times in a compiled loop; None for Python's loop.
    """

    scalars: bool
    functions: Any
    array: Callable[[Any], Any]
    grad: Transform
    value_and_grad: Transform
    jacobian: Transform
    hessian: Transform
    jvp: Transform
    hvp: Transform
    ready: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    scan: Callable[[Callable[[Any], Any], Any, int], Any] | None = None

    def step(self, function: Callable[..., Any], *arguments: Any) -> Step:
        """Return the step that calls a function with arrays of NumPy's, given as the library's."""
        run, own = self.ready(function), [self.array(x) for x in arguments]
        return Step(lambda: run(*own), flat)


def _microgrud() -> Library:
    import microgrud
    from microgrud import grad, hessian, hvp, jacobian, jvp, value_and_grad

    return Library(
        scalars=True,
        functions=microgrud,
        array=lambda own: own.tolist(),
        grad=grad,
        value_and_grad=value_and_grad,
        jacobian=jacobian,
        hessian=hessian,
        jvp=lambda function: lambda x, v: jvp(function, x, v),
        hvp=lambda function: lambda x, v: hvp(function, x, v),
    )


def _jax(compiled: bool, scalars: bool) -> Library:
    import jax
    import jax.numpy as jnp

    def array(own: Any) -> Any:
        return [jnp.asarray(a) for a in own] if scalars and own.ndim else jnp.asarray(own)

    def ready(function: Callable[..., Any]) -> Callable[..., Any]:
        step = jax.jit(function) if compiled else function
        return lambda *arguments: jax.block_until_ready(step(*arguments))

    def scan(step: Callable[[Any], Any], start: Any, count: int) -> Any:
        return jax.lax.scan(lambda x, _: (step(x), None), start, None, count)[0]

    return Library(
        scalars=scalars,
        functions=jnp,
        array=array,
        grad=jax.grad,
        value_and_grad=jax.value_and_grad,
        jacobian=jax.jacrev,
        hessian=jax.hessian,
        jvp=lambda function: lambda x, v: jax.jvp(function, (x,), (v,)),
        hvp=lambda function: lambda x, v: jax.jvp(jax.grad(function), (x,), (v,))[1],
        ready=ready,
        scan=scan if compiled and not scalars else None,
    )


def _torch(scalars: bool) -> Library:
    import torch
    from torch import func

    def array(own: Any) -> Any:
        return list(torch.tensor(own)) if scalars and own.ndim else torch.tensor(own)

    def grad(function: Callable[..., Any]) -> Callable[..., Any]:
        if not scalars:
            return func.grad(function)
        return lambda x, *others: func.grad(function)([torch.as_tensor(a) for a in x], *others)

    def value_and_grad(function: Callable[..., Any]) -> Callable[..., Any]:
        step = func.grad_and_value(function)
        return lambda x: step(x)[::-1]

    return Library(
        scalars=scalars,
        functions=torch,
        array=array,
        grad=grad,
        value_and_grad=value_and_grad,
        jacobian=func.jacrev,
        hessian=func.hessian,
        jvp=lambda function: lambda x, v: func.jvp(function, (x,), (v,)),
        hvp=lambda function: lambda x, v: func.jvp(func.grad(function), (x,), (v,))[1],
    )


def _autograd(scalars: bool) -> Library:
    import autograd
    import autograd.numpy as anp

    def joined(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Make an array of the outputs of a program on numbers."""
        return (lambda x: anp.array(function(x))) if scalars else function

    def jvp(function: Callable[[Any], Any]) -> Callable[..., Any]:
        step = autograd.make_jvp(function)
        return lambda x, v: step(x)(v)

    return Library(
        scalars=scalars,
        functions=anp,
        array=lambda own: own if own.ndim else own.item(),
        grad=autograd.grad,
        value_and_grad=autograd.value_and_grad,
        jacobian=lambda function: autograd.jacobian(joined(function)),
        hessian=autograd.hessian,
        jvp=jvp,
        hvp=autograd.hessian_vector_product,
    )


LIBRARIES: dict[str, Callable[[], Library]] = {
    "microgrud eager": _microgrud,
    "jax scalars": lambda: _jax(compiled=False, scalars=True),
    "jax": lambda: _jax(compiled=False, scalars=False),
    "jax jit scalars": lambda: _jax(compiled=True, scalars=True),
    "jax jit": lambda: _jax(compiled=True, scalars=False),
    "torch.func scalars": lambda: _torch(scalars=True),
    "torch.func": lambda: _torch(scalars=False),
    "hips autograd scalars": lambda: _autograd(scalars=True),
    "hips autograd": lambda: _autograd(scalars=False),
}


def by_libraries(program: Callable[[Library, Any], Step], *names: str) -> dict[str, Callable[[Any], Step]]:
    """Return a program for each of the named libraries, or for all, given the one for any library and its data."""

    def by(name: str) -> Callable[[Any], Step]:
        return lambda data: program(LIBRARIES[name](), data)

    return {name: by(name) for name in names or LIBRARIES}
