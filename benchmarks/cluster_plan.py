"""Plan training on up to 1,000 workers: a simulation with times measured here: `python -m benchmarks.cluster_plan`.

Measured here, in processor time: the time of a worker for a call and for a row (loss and gradient, by `Holder`), those
of this process for a row (its place in the permutation; the order to its shard), and the time to pickle an order; in
wall-clock time: a call of an actor, alone and as one of several at once.

Assumed: the latency and the bandwidth of the network, one link for each worker and one for this process; a worker of
one thread for each shard, all equally fast; links that send one message after the other; no failures. The shapes of the
trees of calls and of sums are those of the program.
"""

from __future__ import annotations

import pickle
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from microgrud.distributed.crew import Crew
from microgrud.distributed.shipping import pack
from microgrud.distributed.sums import add_up
from microgrud.engine.vectors import read_data
from microgrud.losses import squared_error
from microgrud.nn import MLP
from microgrud.train.batches import Samples, check_samples
from microgrud.train.holder import Holder, Order, Request
from microgrud.train.remote import Cluster

#: Numbers of inputs, and of neurons of each layer; and the numbers of workers to print.
NETWORKS = ((10, 64, 32, 1), (100, 256, 128, 1))
SHOWN = (1, 2, 8, 32, 100, 300, 1000)


class Times(NamedTuple):
    """Seconds of one operation.

    Attributes:
        row, call: of a worker, for a row and for a call.
        place, order_row: of this process, for the place of a row in the permutation, and for its order.
        alone, several: for a call of an actor, alone, and as one of several at once.
        order: for pickling an order.
    """

    row: float
    call: float
    place: float
    order_row: float
    alone: float
    several: float
    order: float


class Network(NamedTuple):
    """Seconds from one computer to another, and bytes a second."""

    latency: float
    bandwidth: float


class Step(NamedTuple):
    """Seconds of a step, and the bytes that this process and all processes send and receive in it."""

    seconds: float
    bytes_here: float
    bytes_all: float


def main(
    latency: Annotated[float, typer.Option(min=0.0, help="Milliseconds between two computers.")] = 0.2,
    bandwidth: Annotated[float, typer.Option(min=0.001, help="Gigabits per second of each link.")] = 10.0,
    here: Annotated[float | None, typer.Option(help="Microseconds of this process for a row, if not measured.")] = None,
) -> None:
    """Print the bytes and the time of a step, and its speed-up over one worker without a cluster."""
    network = Network(latency / 1e3, bandwidth * 1e9 / 8)
    print(f"assumed: latency {latency} ms, {bandwidth} Gb/s")
    for sizes in NETWORKS:
        model = MLP(sizes[0], list(sizes[1:]), activation="tanh", rng=0)
        times = measured(model, sizes[0])
        if here is not None:
            times = times._replace(place=here / 1e6, order_row=0.0)
        print(f"\n{'-'.join(map(str, sizes))}: {len(model.parameters()):,} parameters; measured: a worker")
        print(
            f"{times.row * 1e6:.2f} us a row and {times.call * 1e3:.2f} ms a call; this process {times.place * 1e6:.2f}"
        )
        print(
            f"and {times.order_row * 1e6:.2f} us a row; a call of an actor {times.alone * 1e3:.1f} ms, each further one"
        )
        print(f"at once {times.several * 1e3:.2f} ms; pickling an order {times.order * 1e6:.1f} us")
        _print(8 * (len(model.parameters()) + 2), times, network)


def _print(vector: int, times: Times, network: Network) -> None:
    print("|      batch | workers | MB a step, here | MB a step, all | ms a step | speed-up | efficiency |")
    print("| ---------: | ------: | --------------: | -------------: | --------: | -------: | ---------: |")
    for batch in (100_000, 1_000_000, 10_000_000):
        alone = batch * (times.row + times.place)
        last = 0
        for workers in sorted({*SHOWN, *range(1, 20), *range(20, 200, 10), *range(200, 1001, 50)}):
            step = simulate(batch, workers, vector, times, network)
            speedup = alone / step.seconds
            last = workers if speedup >= workers / 2 else last
            if workers in SHOWN:
                print(
                    f"| {batch:10,} | {workers:7,} | {step.bytes_here / 1e6:15.2f} | {step.bytes_all / 1e6:14.2f} | "
                    f"{step.seconds * 1e3:9.0f} | {speedup:8.1f} | {speedup / workers:10.0%} |"
                )
        print(f"batches of {batch:,}: an efficiency of at least 50 % with up to {last:,} workers")


def simulate(batch: int, workers: int, vector: int, times: Times, network: Network) -> Step:
    """Return the figures of a step in which each worker has one shard.

    Args:
        batch: the number of rows.
        workers: the number of workers.
        vector: the bytes of a vector of parameters, or of a gradient.
        times: the times measured here.
        network: the network assumed.
    """
    rows = batch / workers
    order = len(pickle.dumps(Order(np.zeros(0, np.uint32), None), protocol=5)) + 4 * rows
    names = SimpleNamespace(_actors={str(k): k for k in range(workers)})
    names._tree = partial(Crew._tree, names)  # type: ignore[arg-type]
    sent_here, sent = [0.0], [0.0]

    def forest(roots: list[Any], start: float, own: float, is_here: bool) -> tuple[float, dict[Any, Any]]:
        """Return the moment at which a process has the sums of its children and its own, and these sums."""
        arrivals = []
        link = start
        for k, (worker, _, children) in enumerate(roots):
            below = _count(children)
            size = vector + (1 + below) * order
            link = max(link, start + k * times.several) + (1 + below) * times.order + size / network.bandwidth
            done, sums = forest(children, link + network.latency + times.alone, times.call + rows * times.row, False)
            sums = add_up({(0, worker): 0, **sums}, workers)
            arrivals.append((done, len(sums) * vector, sums))
            _note(size + len(sums) * vector, is_here)
        end, found = start + own, {}
        free = start
        for done, size, sums in sorted(arrivals, key=lambda each: each[0]):
            free = max(free, done) + size / network.bandwidth
            found |= sums
        return max(end, free + network.latency if arrivals else 0.0), found

    def _note(size: float, is_here: bool) -> None:
        sent[0] += size
        sent_here[0] += size if is_here else 0.0

    roots = Crew._tree(names, [(str(k), {k: None}) for k in range(workers)])  # type: ignore[arg-type]
    seconds, _ = forest(roots, batch * (times.place + times.order_row), 0.0, True)
    return Step(seconds, sent_here[0], sent[0])


def measured(model: MLP, columns: int) -> Times:
    """Return times measured on this computer."""
    from dask.distributed import Client, LocalCluster

    fewer, more = 2_000, 50_000
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(more, columns)), rng.normal(size=more)
    holder, numbers = Holder(1), rng.permutation(more).astype(np.uint32)
    _ok(holder.load([0], [partial(Samples, *check_samples("plan", X, y, None))]))
    _ok(holder.settle(1, [], np.dtype(float), float(more)))
    made = pack((model, squared_error, model.parameters(), False, more, "auto"))
    _ok(holder.use(made.content, [leaf.label for leaf in made.leaves]))
    request = Request(read_data(made.leaves), False, False, False)

    def step(rows: int) -> None:
        _ok(holder.step(request, {0: Order(numbers[:rows], None)}, []))

    few, many = _median(lambda: step(fewer)), _median(lambda: step(more))
    row = (many - few) / (more - fewer)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        actor = client.submit(Holder, 1, actor=True).result()
        alone = _median(lambda: actor.ping().result(), 100, time.perf_counter)
        at_once = _median(lambda: [each.result() for each in [actor.ping() for _ in range(16)]], 50, time.perf_counter)
    orders = {k: Order(np.zeros(100, np.uint32), None) for k in range(1000)}
    pickling = _median(lambda: pickle.loads(pickle.dumps(orders, protocol=5))) / len(orders)
    several = max(0.0, at_once - alone) / 15
    return Times(row, max(0.0, few - fewer * row), *_here(1_000_000), alone, several, pickling)


def _here(rows: int) -> tuple[float, float]:
    """Return the seconds of this process for the place of a row in the permutation, and for its order to a shard."""
    order, rng = list(range(rows)), random.Random(0)
    shuffling = _median(lambda: rng.shuffle(order), 3)
    samples = Samples(np.zeros(0), np.zeros(0), None)
    bounds: Any = SimpleNamespace(bounds=np.linspace(0, rows, 101).astype(int))

    def orders() -> None:
        samples.total(order)
        Cluster.orders(bounds, np.arange(rows)[list(order)], None)

    return shuffling / rows, _median(orders, 3) / rows


def _count(children: list[Any]) -> int:
    return sum(1 + _count(below) for _, _, below in children)


def _ok(answer: tuple[bool, Any]) -> None:
    succeeded, result = answer
    if not succeeded:
        raise result


def _median(action: Callable[[], object], times: int = 7, clock: Callable[[], float] = time.process_time) -> float:
    """Return the median of the seconds of some calls, after one more."""
    action()
    found = []
    for _ in range(times):
        start = clock()
        action()
        found.append(clock() - start)
    return statistics.median(found)


if __name__ == "__main__":
    typer.run(main)
