"""The transformer of notebook 6: the mean loss of some words, and its gradient (about 1,700 parameters)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .workload import Step, Workload, flat

_WIDTH, _HEADS = 12, 3
_PER_HEAD = _WIDTH // _HEADS


@dataclass(frozen=True)
class Data:
    """Parameters and words.

    Attributes:
        matrices: embedding, place, queries, keys, values, mix, up, down, output.
        letters: a row for each word: 0, the letters, 0, and padding with zeros to the length of the longest word.
        lengths: for each word, the number of letters to predict.
    """

    matrices: list[Any]
    letters: Any
    lengths: Any

    def arrays(self) -> tuple[Any, Any, Any]:
        """Return the letters read, the letters to predict, and the weight of each position (0 behind a word)."""
        longest = int(self.lengths.max())
        inside = np.arange(longest) < self.lengths[:, None]
        weights = inside / (self.lengths[:, None] * len(self.lengths))
        return self.letters[:, :longest], self.letters[:, 1 : longest + 1], weights


def _words() -> list[str]:
    """Return the words of the notebook in random order."""
    beginnings = ["b", "br", "d", "g", "gr", "k", "m", "p", "s", "st", "t", "tr"]
    words = [b + v + m + v + e for b in beginnings for v in "aeiou" for m in "lmnrst" for e in ["", *"knsx"]]
    random.Random(0).shuffle(words)
    return words


def data(case: str) -> Data:
    """Draw parameters and take the first words."""
    words = _words()
    alphabet = [".", *sorted(set("".join(words)))]
    longest = max(map(len, words)) + 1
    rng = np.random.default_rng(0)
    shapes = [(len(alphabet), _WIDTH), (longest, _WIDTH), *[(_WIDTH, _WIDTH)] * 4]
    shapes += [(2 * _WIDTH, _WIDTH), (_WIDTH, 2 * _WIDTH), (len(alphabet), _WIDTH)]
    chosen = words[: int(case.partition(" ")[0])]
    letters = np.zeros((len(chosen), longest + 1), dtype=np.int64)
    for row, word in zip(letters, chosen):
        row[1 : len(word) + 1] = [alphabet.index(letter) for letter in word]
    matrices = [rng.normal(0.0, columns**-0.5, (rows, columns)) for rows, columns in shapes]
    return Data(matrices, letters, np.array([len(word) + 1 for word in chosen]))


def _read(result: Any) -> Any:
    return flat(result[0], *result[1])


# --- microgrud: the notebook's model, with letters selected by `take` ---


def _sample_loss(matrices: list[Any]) -> Callable[[Any, Any], Any]:
    from microgrud import dot, log_softmax, mean, relu, softmax, take

    embedding, place, queries, keys, values, mix, up, down, output = matrices

    def times(m: Any, xs: Any) -> list[Any]:
        return [dot(row, xs) for row in m]

    def normalised(xs: Any) -> list[Any]:
        scale = (mean([x * x for x in xs]) + 1e-5) ** -0.5
        return [x * scale for x in xs]

    def loss(letters: Any, length: Any) -> Any:
        seen_keys: list[Any] = []
        seen_values: list[Any] = []
        surprises = []
        for position in range(length):
            x = [a + b for a, b in zip(take(embedding, letters[position]), place[position])]
            inside = normalised(x)
            query = times(queries, inside)
            seen_keys.append(times(keys, inside))
            seen_values.append(times(values, inside))
            taken_in: list[Any] = []
            for head in range(_HEADS):
                part = slice(head * _PER_HEAD, (head + 1) * _PER_HEAD)
                shares = softmax([dot(query[part], key[part]) * _PER_HEAD**-0.5 for key in seen_keys])
                taken_in += [dot(shares, column) for column in zip(*[v[part] for v in seen_values])]
            x = [a + b for a, b in zip(x, times(mix, taken_in))]
            hidden = [relu(h) for h in times(up, normalised(x))]
            x = [a + b for a, b in zip(x, times(down, hidden))]
            surprises.append(-take(log_softmax(times(output, normalised(x))), letters[position + 1]))
        return mean(surprises)

    return loss


def _scalar(recorded: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        from microgrud import Value, compile
        from microgrud.optim import SGD

        matrices = [[[Value(x) for x in row] for row in m.tolist()] for m in data.matrices]
        parameters = [x for m in matrices for row in m for x in row]
        optimizer = SGD(parameters, lr=0.1)
        loss = _sample_loss(matrices)
        words = list(zip(data.letters.tolist(), data.lengths.tolist()))
        alone = len(words) == 1  # a single word is not a batch
        whole = compile(loss, batched=() if alone else ("letters", "length"), threads=1)
        given: Any = words[0] if alone else (data.letters, data.lengths)

        def replayed() -> Any:
            optimizer.zero_grad()
            return whole.backward(*given)

        def eager() -> Any:
            optimizer.zero_grad()
            total = 0.0
            for letters, length in words:
                own = loss(letters, length) * (1.0 / len(words))
                own.backward()
                total += own.data
            return total

        return Step(replayed if recorded else eager, lambda value: flat(value, [p.grad for p in parameters]))

    return make


# --- by hand ---


def by_numpy(data: Data) -> Step:
    """Write both passes by hand, for all positions of all words at once."""
    E, P, Q, K, V, M, U, D, O = data.matrices  # noqa: E741
    letters, following, weights = data.arrays()
    count, length = letters.shape
    later = np.triu(np.full((length, length), -np.inf), 1)
    rows, columns = np.indices((count, length))
    scale = _PER_HEAD**-0.5

    def heads(x: Any) -> Any:
        return x.reshape(count, length, _HEADS, _PER_HEAD).transpose(0, 2, 1, 3)

    def joined(x: Any) -> Any:
        return x.transpose(0, 2, 1, 3).reshape(count, length, _WIDTH)

    def normalised(x: Any) -> Any:
        s = (np.einsum("bti,bti->bt", x, x)[..., None] / _WIDTH + 1e-5) ** -0.5
        return x * s, s

    def unnormalised(slope: Any, x: Any, s: Any) -> Any:
        return slope * s - x * (s**3 * np.einsum("bti,bti->bt", slope, x)[..., None] / _WIDTH)

    def outer(slope: Any, x: Any) -> Any:
        return slope.reshape(-1, slope.shape[-1]).T @ x.reshape(-1, x.shape[-1])

    def run() -> Any:
        x0 = E[letters] + P[:length]
        n1, s1 = normalised(x0)
        q, k, v = heads(n1 @ Q.T), heads(n1 @ K.T), heads(n1 @ V.T)
        scores = q @ k.swapaxes(-1, -2) * scale + later
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        taken_in = joined(shares @ v)
        x1 = x0 + taken_in @ M.T
        n2, s2 = normalised(x1)
        hidden = np.maximum(n2 @ U.T, 0.0)
        x2 = x1 + hidden @ D.T
        n3, s3 = normalised(x2)
        z = n3 @ O.T
        z -= z.max(-1, keepdims=True)
        exponentials = np.exp(z)
        sums = exponentials.sum(-1, keepdims=True)
        loss = np.sum(weights * (np.log(sums[..., 0]) - z[rows, columns, following]))

        dz = exponentials / sums
        dz[rows, columns, following] -= 1.0
        dz *= weights[..., None]
        d2 = unnormalised(dz @ O, x2, s3)
        dh = (d2 @ D) * (hidden > 0.0)
        d1 = d2 + unnormalised(dh @ U, x1, s2)
        do = heads(d1 @ M)
        da = do @ v.swapaxes(-1, -2)
        da = shares * (da - np.sum(da * shares, -1, keepdims=True)) * scale
        dq, dk, dv = joined(da @ k), joined(da.swapaxes(-1, -2) @ q), joined(shares.swapaxes(-1, -2) @ do)
        d0 = d1 + unnormalised(dq @ Q + dk @ K + dv @ V, x0, s1)
        dE, dP = np.zeros_like(E), np.zeros_like(P)
        np.add.at(dE, letters, d0)
        dP[:length] = d0.sum(0)
        attention = (outer(dq, n1), outer(dk, n1), outer(dv, n1), outer(d1, taken_in))
        return loss, (dE, dP, *attention, outer(dh, n2), outer(d2, hidden), outer(dz, n3))

    return Step(run, _read)


# --- arrays ---


def _array_loss(xp: Any, softmax: Any, log_softmax: Any, relu: Any) -> Callable[..., Any]:
    """Return the loss for all rivals with arrays like NumPy's."""

    def loss(matrices: Any, letters: Any, following: Any, weights: Any, later: Any, rows: Any, columns: Any) -> Any:
        E, P, Q, K, V, M, U, D, O = matrices  # noqa: E741
        count, length = letters.shape

        def heads(x: Any) -> Any:
            return xp.swapaxes(x.reshape(count, length, _HEADS, _PER_HEAD), 1, 2)

        def normalised(x: Any) -> Any:
            return x * (xp.mean(x * x, -1)[..., None] + 1e-5) ** -0.5

        x = E[letters] + P[:length]
        inside = normalised(x)
        q, k, v = heads(inside @ Q.T), heads(inside @ K.T), heads(inside @ V.T)
        shares = softmax(q @ xp.swapaxes(k, 2, 3) * _PER_HEAD**-0.5 + later)
        x = x + xp.swapaxes(shares @ v, 1, 2).reshape(count, length, _WIDTH) @ M.T
        x = x + relu(normalised(x) @ U.T) @ D.T
        chances = log_softmax(normalised(x) @ O.T)
        return -xp.sum(weights * chances[rows, columns, following])

    return loss


def _others(data: Data) -> list[Any]:
    """Return the arguments of the loss other than the matrices."""
    letters, following, weights = data.arrays()
    count, length = letters.shape
    later = np.triu(np.full((length, length), -np.inf), 1)
    return [letters, following, weights, later, *np.indices((count, length))]


def by_jax(data: Data) -> Step:
    """Compute all positions of all words at once."""
    import jax
    import jax.numpy as jnp

    step = jax.jit(jax.value_and_grad(_array_loss(jnp, jax.nn.softmax, jax.nn.log_softmax, jax.nn.relu)))
    matrices, others = [jnp.asarray(m) for m in data.matrices], [jnp.asarray(x) for x in _others(data)]
    return Step(lambda: jax.block_until_ready(step(matrices, *others)), _read)


def _torch(compiled: bool) -> Callable[[Data], Step]:
    def make(data: Data) -> Step:
        import torch

        function = _array_loss(
            torch, lambda x: torch.softmax(x, -1), lambda x: torch.log_softmax(x, -1), torch.nn.functional.relu
        )
        if compiled:
            function = torch.compile(function, dynamic=False)
        matrices = [torch.tensor(m, requires_grad=True) for m in data.matrices]
        others = [torch.tensor(x) for x in _others(data)]

        def run() -> Any:
            loss = function(matrices, *others)
            return loss, torch.autograd.grad(loss, matrices)

        return Step(run, lambda result: _read((result[0].detach(), result[1])))

    return make


def by_autograd(data: Data) -> Step:
    """Compute all positions of all words at once in autograd.numpy."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    def log_softmax(x: Any) -> Any:
        x = x - anp.max(x, -1, keepdims=True)
        return x - anp.log(anp.sum(anp.exp(x), -1, keepdims=True))

    loss = _array_loss(anp, lambda x: anp.exp(log_softmax(x)), log_softmax, lambda x: anp.maximum(x, 0.0))
    step, others = value_and_grad(loss), _others(data)
    return Step(lambda: step(data.matrices, *others), _read)


TRANSFORMER = Workload(
    title="transformer of notebook 6, gradient",
    cases=("1 word", "8 words", "100 words"),
    data=data,
    programs={
        "microgrud": _scalar(recorded=True),
        "microgrud eager": _scalar(recorded=False),
        "numpy": by_numpy,
        "jax jit": by_jax,
        "torch compile": _torch(compiled=True),
        "torch": _torch(compiled=False),
        "hips autograd": by_autograd,
    },
)
