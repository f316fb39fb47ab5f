"""A down-and-out call under Black and Scholes by Monte Carlo: its price and the derivatives of the price.

A path that falls below the barrier at one of 24 times is worth nothing. The derivatives are pathwise, with respect to
spot, strike, rate, volatility and maturity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_TIMES, _BARRIER = 24, 85.0
_MARKET = (100.0, 100.0, 0.03, 0.25, 1.0)  # spot, strike, rate, volatility, maturity


@dataclass(frozen=True)
class Data:
    """The market, and a row of normal numbers for each path."""

    market: tuple[float, ...]
    normals: Any


def data(case: str) -> Data:
    """Draw the normal numbers."""
    paths = int(case.partition(" ")[0].replace(",", ""))
    return Data(_MARKET, np.random.default_rng(0).normal(size=(paths, _TIMES)))


def by_numpy(data: Data) -> Step:
    """Write the pathwise derivatives by hand: those of a lognormal path follow from the path itself."""
    spot, strike, rate, volatility, maturity = data.market
    z, dt = np.ascontiguousarray(data.normals.T), maturity / _TIMES

    def run() -> Any:
        drift, scale = (rate - 0.5 * volatility**2) * dt, volatility * dt**0.5
        s, lowest = np.full(z.shape[1], spot), np.full(z.shape[1], spot)
        for row in z:
            s *= np.exp(drift + scale * row)
            np.minimum(lowest, s, out=lowest)
        paid = np.where((lowest >= _BARRIER) & (s > strike), s, 0.0)
        moved, n = z.sum(0), len(s)
        discount = np.exp(-rate * maturity)
        last, count, shocks = paid.sum(), np.count_nonzero(paid), (paid @ moved) * dt**0.5
        price = discount * (last - strike * count) / n
        by_drift = discount * last / n  # with respect to the sum of all drifts
        return price, (
            by_drift / spot,
            -discount * count / n,
            by_drift * maturity - maturity * price,
            discount * shocks / n - by_drift * volatility * maturity,
            by_drift * (rate - 0.5 * volatility**2)
            + discount * volatility * shocks / (2.0 * maturity * n)
            - rate * price,
        )

    return Step(run, flat)


# --- microgrud: a path that returns early when it meets the barrier ---


def _path(spot: Any, strike: Any, rate: Any, volatility: Any, maturity: Any) -> Callable[[Any], Any]:
    from microgrud import exp, maximum, sqrt

    def value(z: Any) -> Any:
        dt = maturity * (1.0 / _TIMES)
        drift, scale = (rate - 0.5 * volatility**2) * dt, volatility * sqrt(dt)
        s = spot
        for normal in z:
            s = s * exp(drift + scale * normal)
            if s < _BARRIER:
                return 0.0 * s
        return exp(-rate * maturity) * maximum(s - strike, 0.0)

    return value


def recorded(data: Data) -> Step:
    """Record a path: one recording for each time at which it may meet the barrier, and one for paths that do not."""
    from microgrud import Value, compile
    from microgrud.optim import SGD

    market = [Value(x) for x in data.market]
    optimizer = SGD(market, lr=0.1)
    price, z = compile(_path(*market), batched="z", threads=1), data.normals

    def run() -> Any:
        optimizer.zero_grad()
        return price.backward(z)

    return Step(run, lambda value: flat(value, [x.grad for x in market]))


def eagerly(data: Data) -> Step:
    """Evaluate path by path."""
    from microgrud import Value
    from microgrud.optim import SGD

    market = [Value(x) for x in data.market]
    optimizer = SGD(market, lr=0.1)
    value, paths = _path(*market), data.normals.tolist()

    def run() -> Any:
        optimizer.zero_grad()
        total = 0.0
        for z in paths:
            own = value(z) * (1.0 / len(paths))
            own.backward()
            total += own.data
        return total

    return Step(run, lambda total: flat(total, [x.grad for x in market]))


# --- arrays ---


def _price(xp: Any, where: Any = None) -> Callable[[Any, Any], Any]:
    """Return the mean over the paths, for all rivals with arrays like NumPy's; `z` has a row for each time."""
    where = where or xp.where

    def price(market: Any, z: Any) -> Any:
        spot, strike, rate, volatility, maturity = market
        dt = maturity / _TIMES
        drift, scale = (rate - 0.5 * volatility**2) * dt, volatility * xp.sqrt(dt)
        s, alive = spot + 0.0 * z[0], True
        for k in range(_TIMES):
            s = s * xp.exp(drift + scale * z[k])
            alive = alive & (s >= _BARRIER)
        return xp.exp(-rate * maturity) * xp.mean(where(alive & (s > strike), s - strike, 0.0 * s))

    return price


def _jax(mapped: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import jax
        import jax.numpy as jnp

        price = _price(jnp)
        if mapped:
            one = jax.vmap(price, (None, 1))
            price = lambda market, z: jnp.mean(one(market, z))  # noqa: E731
        step = jax.jit(jax.value_and_grad(price))
        market, z = [jnp.asarray(x) for x in data.market], jnp.asarray(np.ascontiguousarray(data.normals.T))
        return Step(lambda: jax.block_until_ready(step(market, z)), flat)

    return make


def _torch(compiled: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import torch

        price = _price(torch)
        if compiled:
            price = torch.compile(price, dynamic=False)
        market = [torch.tensor(x, requires_grad=True) for x in data.market]
        z = torch.tensor(np.ascontiguousarray(data.normals.T))

        def run() -> Any:
            value = price(market, z)
            return value, torch.autograd.grad(value, market)

        return Step(run, lambda result: flat(result[0].detach(), *result[1]))

    return make


def by_casadi(data: Data) -> Step:
    """Build a path from scalar expressions, map it over the paths and add up the results."""
    import casadi

    from .symbolic import called

    market, z, paths = casadi.SX.sym("market", 5), casadi.SX.sym("z", _TIMES), len(data.normals)
    spot, strike, rate, volatility, maturity = casadi.vertsplit(market)
    dt = maturity / _TIMES
    drift, scale = (rate - 0.5 * volatility**2) * dt, volatility * casadi.sqrt(dt)
    s, alive = spot, casadi.SX(1)
    for k in range(_TIMES):
        s = s * casadi.exp(drift + scale * z[k])
        alive = alive * (s >= _BARRIER)
    value = casadi.exp(-rate * maturity) * casadi.fmax(s - strike, 0.0) * alive / paths
    path = casadi.Function("path", [market, z], [value, casadi.densify(casadi.gradient(value, market))])
    return called(path.map("paths", "serial", paths, [0], [0, 1]), [np.array(data.market), data.normals])


def by_autograd(data: Data) -> Step:
    """Compute all paths at once in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    step, z = value_and_grad(_price(anp)), np.ascontiguousarray(data.normals.T)
    return Step(lambda: step(list(data.market), z), flat)


BARRIER = Workload(
    title="barrier option by Monte Carlo, gradient",
    cases=("10,000 paths",),
    data=data,
    programs={
        "microgrud": recorded,
        "microgrud eager": eagerly,
        "numpy": by_numpy,
        "casadi": by_casadi,
        "jax jit": _jax(mapped=False),
        "jax jit vmap": _jax(mapped=True),
        "torch compile": _torch(compiled=True),
        "torch": _torch(compiled=False),
        "hips autograd": by_autograd,
    },
)
