"""`compile`: record a function once, and replay it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, overload

from ..common.numbers import as_sequence
from ..engine import Value
from ..typing import Gradient, P, R
from .compiled import Compiled
from .settings import CHECKS

Errors: TypeAlias = Literal["raise", "ignore"]
Reduced: TypeAlias = Literal["mean", "sum"]


class CompilesBatches(Protocol):
    """The decorator `compile(batched=...)`: the parameters of the result take batches, and a call returns floats."""

    @overload
    def __call__(self, f: Callable[..., Value], /) -> Compiled[..., float]: ...
    @overload
    def __call__(self, f: Callable[..., R], /) -> Compiled[..., R]: ...


@overload
def compile(
    f: Gradient[P, R], *, threads: int | None = None, errors: Errors = "raise", max_paths: int = 64
) -> Compiled[P, Any]: ...
@overload
def compile(
    f: Callable[P, R], *, threads: int | None = None, errors: Errors = "raise", max_paths: int = 64
) -> Compiled[P, R]: ...
@overload
def compile(
    *, threads: int | None = None, errors: Errors = "raise", max_paths: int = 64
) -> Callable[[Callable[P, R]], Compiled[P, R]]: ...
@overload
def compile(
    f: Callable[..., Value],
    *,
    batched: str | Sequence[str],
    reduction: Reduced = "mean",
    threads: int | None = None,
    errors: Errors = "raise",
    max_paths: int = 64,
    weights: str | None = None,
) -> Compiled[..., float]: ...
@overload
def compile(
    f: Callable[..., R],
    *,
    batched: str | Sequence[str],
    reduction: Reduced = "mean",
    threads: int | None = None,
    errors: Errors = "raise",
    max_paths: int = 64,
    weights: str | None = None,
) -> Compiled[..., R]: ...
@overload
def compile(
    *,
    batched: str | Sequence[str],
    reduction: Reduced = "mean",
    threads: int | None = None,
    errors: Errors = "raise",
    max_paths: int = 64,
    weights: str | None = None,
) -> CompilesBatches: ...
def compile(
    f: Callable[..., Any] | None = None,
    *,
    batched: str | Sequence[str] = (),
    reduction: str = "mean",
    threads: int | None = None,
    errors: str = "raise",
    max_paths: int = 64,
    weights: str | None = None,
) -> Any:
    """Record a function at its first call and replay it from then on; branches are handled correctly.

    The recording holds the operations on numbers. Floats in the function are constants; leaves that it closes over,
    such as the parameters of a model, are read again at every call. A branch (`if x > 0`, sorting, `max` of Python) is
    part of the recording; a call, or a sample of a batch, that takes another branch gets its own recording. A
    comparison alone is no branch: `where(x > 0, x, 0.0)` and `(x > 0) * x` are operations, and so is
    `np.where(x > 0, x, 0.0)` of an array among the arguments. Integers belong to the recording too, except those that
    `take(table, index)` looks up by.

    Everything else stays as it was at the recording: a plain number, a list, or a parameter of a model even if another
    one has replaced it since. (Inside a transform too: for the derivative with respect to such a parameter, pass it as
    an argument, or compile the function inside the transform.) An object among the arguments is recorded again when its
    numbers have changed.

    A call with floats returns floats. With Values among the arguments, and inside a transform such as `grad`, the
    result is a node of the graph, connected with the arguments and with the leaves that the function closes over, to
    any order. (This is the one difference from the function itself, which returns a Value whenever it closes over one;
    `.backward` gives the derivatives with respect to those.)

    Results equal those of the function up to rounding: a single call, a batch and the executor in NumPy take sums in
    different orders. The result of a sample does not depend on the batch that it is in (but for the last digits of one
    that is evaluated by the function itself; see `max_paths`), and nothing depends on the number of threads. The
    variants of the interpreter in C for AVX-512 and AVX2 give the same bits; on a processor without fused multiply-adds
    sums of products differ in their last digits, in batches and in single calls.

    Args:
        f: a function of numbers, and lists, tuples, dicts and arrays of them; it returns numbers, or the same
            containers of them.
        batched: the names of arguments whose first axis is that of samples; the function is given one sample.
        reduction: `"mean"` or `"sum"` over the samples.
        threads: how many threads may work on a batch at once, on 4,096 samples each; None for as many as there are
            processors. The result is the same to the bit.
        errors: the treatment of numbers that are not finite: `"raise"` evaluates the call or the sample by the function
            itself, which returns its own result or raises its own error; `"ignore"` computes in IEEE arithmetic, in
            which no operation raises: `log(-1.0)` is NaN and `1 / 0.0` infinity. (Where a product overflows within a
            sum, a batch may give an infinity and a single call NaN. At a sample with infinite slopes, a derivative that
            an adjoint of 0 stops in a single call may be NaN in a batch.)
        max_paths: how many paths through the branches are recorded for arguments of one signature. Samples that take
            others are evaluated by the function itself, with one warning; `stats["eager"]` counts them. With
            `errors="ignore"`, which the function itself does not know, further paths are recorded all the same.
        weights: the name of a batched argument with a weight for each sample: the mean is sum(w_i f_i) / sum(w_i), the
            sum is sum(w_i f_i), and all derivatives are of these. Results of single samples have no weight.

    Returns:
        An object that is called like `f`, and returns floats; see `Compiled`, also for its type. Without `f`, a
        decorator.

    Raises:
        CompileError: (from the object returned) if the function reads `.data`, changes its arguments, keeps a number
            that it computed, closes over the result of an operation, or differs when it is recorded again, as with
            random numbers.

    >>> from microgrud import Value, tanh
    >>> w = Value(0.5)
    >>> @compile(batched=("x", "y"))
    ... def loss(x, y):
    ...     return (tanh(w * x) - y) ** 2
    >>> value = loss.backward([1.0, 2.0, 3.0], [0.2, 0.4, 0.6])
    >>> print(f"{value:.6f} {w.grad:.6f}")
    0.097524 0.450193
    >>> error = compile(lambda x, y, w: (x - y) ** 2, batched=("x", "y", "w"), weights="w")
    >>> error([1.0, 2.0], [0.0, 0.0], [3.0, 1.0])
    1.75
    """
    names = (batched,) if isinstance(batched, str) else as_sequence(batched, "compile: batched", "names")
    given = {"reduction": reduction, "threads": threads, "errors": errors, "max_paths": max_paths}
    if weights is not None and (not isinstance(weights, str) or weights not in names):
        raise ValueError(
            f"compile: weights: expected the name of a batched argument ({', '.join(names)}), got {weights!r}"
        )
    settings = {name: check(f"compile: {name}", given[name]) for name, check in CHECKS.items()}
    settings["weights"] = weights or ""
    if f is None:
        return lambda function: Compiled(function, names, **settings)
    if not callable(f):
        raise TypeError(f"compile: expected a function, got an object of type {type(f).__name__}")
    return Compiled(f, names, **settings)
