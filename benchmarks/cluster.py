"""Measure training on a cluster of two processes against one with two threads: `python -m benchmarks.cluster`.

A round trains in this process and on a LocalCluster whose two workers have one thread each, in changing order; ratios
are those of a round. They include loading, which is also measured alone, and exclude the start of the cluster. The
bytes are those of the pickled arguments and results of the calls that this process makes.
"""

from __future__ import annotations

import pickle
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from unittest.mock import patch

import numpy as np
import typer

from microgrud.distributed.crew import Crew
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.train import fit
from microgrud.train.remote import Cluster

NETWORKS = ((64, 32, 1), (32, 1))


def main(
    rows: Annotated[int, typer.Option(min=1, help="Number of rows.")] = 1_000_000,
    batch: Annotated[int, typer.Option(min=1, help="Rows of a batch.")] = 100_000,
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs of a run.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds.")] = 3,
) -> None:
    """Print times, their ratios and the bytes of each kind of call, for two networks."""
    from dask.distributed import Client, LocalCluster

    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 10))
    y = np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=rows)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        loading = []
        for _ in range(rounds):
            start = time.perf_counter()
            Cluster(client, X, y, None).crew.close()
            loading.append(time.perf_counter() - start)
        print(f"loading {rows:,} rows: {_spread(loading)} s")
        for sizes in NETWORKS:
            seconds: dict[str, list[float]] = {"here": [], "cluster": []}
            losses: dict[str, float] = {}
            for k in range(rounds):
                for place in ("here", "cluster")[:: 1 if k % 2 else -1]:
                    model = MLP(10, list(sizes), activation="tanh", rng=0)
                    settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch, "progress": False}
                    settings["client"] = client if place == "cluster" else None
                    start = time.perf_counter()
                    history = fit(model, X, y, loss=squared_error, lr=0.01, **settings)
                    seconds[place].append(time.perf_counter() - start)
                    losses[place] = list(history.loss)[-1]
            ratios = [there / here for there, here in zip(seconds["cluster"], seconds["here"])]
            difference = abs(losses["cluster"] / losses["here"] - 1)
            print(f"10-{'-'.join(map(str, sizes))}: {len(model.parameters()):,} parameters, {epochs} epochs")
            print(f"  this process {_spread(seconds['here'])} s, cluster {_spread(seconds['cluster'])} s")
            print(f"  ratio        {_spread(ratios)}; final losses differ by {difference:.0e} of them")
            with counted_bytes() as sent:
                fit(model, X, y, loss=squared_error, epochs=1, batch_size=batch, progress=False, client=client)
            for method, sizes_of_calls in sent.items():
                out, back = np.mean(sizes_of_calls, axis=0)
                print(f"  {method:7} {len(sizes_of_calls):3} calls, a call: {out:12,.0f} bytes out, {back:11,.0f} back")


@contextmanager
def counted_bytes() -> Iterator[dict[str, list[tuple[int, int]]]]:
    """Yield the sizes of the arguments and results of calls of actors, pickled, by their method, as pairs."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    ask = Crew._ask

    def counting(crew: Crew, calls: Any) -> list[Any]:
        results = ask(crew, calls)
        for (_, method, arguments), result in zip(calls, results):
            known = arguments[:2] if method == "step" else arguments  # the rest are actors that this actor calls
            found[method].append((_size(known), _size(result)))
        return results

    with patch.object(Crew, "_ask", counting):
        yield found


def _size(x: Any) -> int:
    return len(pickle.dumps(x, protocol=5))


def _spread(figures: list[float]) -> str:
    return f"{statistics.median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"


if __name__ == "__main__":
    typer.run(main)
