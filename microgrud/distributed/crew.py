"""The workers of a run: each holds some shards in an actor, adds up over them, and is replaced when it is lost.

A call of an actor is no task that the scheduler plans: it takes 3 ms, a task 17 (measured on loopback). Actors call
each other in a tree: the request goes down, and sums come up, so that no process talks to more than `_FAN` others in a
step.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from ..common.generators import GlobalState
from .answers import AnswerError, WorkerError, ask, result_of
from .checking import ClusterError, check_workers
from .shipping import pack_loader
from .sums import Sums, add_up

Result = TypeVar("Result")

#: Maximum number of actors that a process calls in a step: it sends and receives as many vectors.
_FAN = 8
#: Maximum number of times that a call is tried again without success, and the seconds to wait for a worker.
_MOST_TRIES, _PATIENCE = 10, 60.0


class Crew:
    """The actors that hold the shards of a run.

    Args:
        client: the client of the cluster.
        kind: the class of the actors. Its methods are decorated with `answering`. `load(numbers, loaders)` returns
            descriptions of shards; `step(common, own, children)` returns sums by node of the tree, and other results by
            shard.
        loaders: a function for each shard, without arguments, that returns its data.
    """

    def __init__(self, client: Any, kind: type, loaders: Sequence[Any]) -> None:
        self.client, self.kind = client, kind
        self.loaders = [
            each if hasattr(each, "__dask_graph__") else pack_loader(k, each) for k, each in enumerate(loaders)
        ]
        self.descriptions: list[Any] = [None] * len(self.loaders)
        self._actors: dict[str, Any] = {}  # by the address of the worker
        self._futures: dict[str, Any] = {}  # which keep the actors alive
        self._places: dict[int, str] = {}  # the address of the worker that holds a shard
        self._setup: dict[str, tuple[Any, ...]] = {}  # the last call of each method that all actors get
        self._address = getattr(client.scheduler, "address", None)  # a closed client has none
        self._persistently(lambda: None)

    def everywhere(self, method: str, *arguments: Any) -> None:
        """Call a method of all actors, and of those that are made later."""
        self._setup[method] = arguments
        self._persistently(lambda: self._ask([(actor, method, arguments) for actor in self._actors.values()]))

    def one(self, shard: int, method: str, *arguments: Any) -> Any:
        """Return the result of a method of the actor that holds a shard."""
        return self._persistently(lambda: self._ask([(self._actors[self._places[shard]], method, arguments)])[0])

    def add_up(self, common: Any, own: dict[int, Any]) -> tuple[Any, dict[int, Any]]:
        """Return the sum over shards, and what the shards return besides.

        Args:
            common: a request that all shards get.
            own: what each shard gets besides, by its number; the others take no part.
        """

        def attempt() -> tuple[Any, dict[int, Any]]:
            by_worker: dict[str, dict[int, Any]] = {}
            for shard in own:
                by_worker.setdefault(self._places[shard], {})[shard] = own[shard]
            found = self._ask([(node[0], "step", (common, *node[1:])) for node in self._tree(list(by_worker.items()))])
            absent: Sums = {(0, shard): None for shard in range(len(self.loaders)) if shard not in own}
            return merged([(absent, {}), *found], len(self.loaders))

        sums, others = self._persistently(attempt)
        (total,) = sums.values()
        return total, others

    def close(self) -> None:
        """Release the actors, and with them the shards."""
        if self.client.status == "running":
            self.client.cancel(list(self._futures.values()), force=True)
        self._actors.clear()
        self._futures.clear()

    def _tree(self, nodes: list[tuple[str, dict[int, Any]]]) -> list[tuple[Any, dict[int, Any], list[Any]]]:
        """Return the roots of a forest of workers: each has its actor, its own requests, and its children.

        The workers below each other are neighbours, so that what they send up are few nodes of the tree of sums.
        """
        size = max(1, math.ceil(len(nodes) / _FAN))
        blocks = [nodes[k : k + size] for k in range(0, len(nodes), size)]
        return [(self._actors[first], own, self._tree(rest)) for (first, own), *rest in blocks]

    # --- workers that come and go ---

    def _persistently(self, action: Callable[[], Result]) -> Result:
        """Return the result of an action; while workers are lost in it, replace them and repeat it."""
        lost: Exception | None = None
        for number in range(_MOST_TRIES):
            time.sleep(0.1 * number)
            with GlobalState() as state:
                state.save()  # Dask draws from the generators, also to measure what it sends
                succeeded, result = self._attempt(action, lost is not None or len(self._places) < len(self.loaders))
            if succeeded:
                found: Result = result
                return found
            lost = result
        raise ClusterError(f"fit: client: {_MOST_TRIES} attempts failed, the last one with: {lost!r}") from lost

    def _attempt(self, action: Callable[[], Result], lacks_actors: bool) -> tuple[bool, Any]:
        """Return True and the result of an action, or False and the exception of a connection that was lost in it."""
        try:
            with self.client.as_current():  # an actor asks for the current client
                if lacks_actors:
                    self._staff()
                return True, action()
        except AnswerError as error:
            found, told = error.args
            raise found from WorkerError(told)
        except ClusterError:
            raise
        except Exception as error:  # its classes are those of several layers
            return False, error

    def _staff(self) -> None:
        """Make an actor on each worker that has none, and give the shards that no actor holds to the least loaded."""
        from distributed import Actor, wait

        threads = self._living()
        living = [address for address, future in self._futures.items() if future.status == "finished"]
        self._futures = {address: self._futures[address] for address in living if address in threads}
        self._actors = {address: self._actors[address] for address in self._futures if address in self._actors}
        new = [address for address in threads if address not in self._actors]
        if new:
            check_workers(self.client, new)
        for address in new:
            future = self.client.submit(
                self.kind, threads[address], workers=[address], allow_other_workers=False, actor=True, pure=False
            )
            self._until(wait, future)
            # The result of the future would be bound to the latest client of this process.
            actor = Actor(self.kind, address, future.key)  # type: ignore[no-untyped-call]
            self._futures[address] = future
            self._ask([(actor, method, arguments) for method, arguments in self._setup.items()])
            self._actors[address] = actor
        if not self._actors:
            raise ConnectionError("no worker responds")
        self._place([k for k in range(len(self.loaders)) if self._places.get(k) not in self._actors], threads)

    def _place(self, shards: list[int], threads: dict[str, int]) -> None:
        """Load shards on workers, neighbours on one; each gets a number of shards that fits its number of threads."""
        from distributed import wait

        held = {address: sum(place == address for place in self._places.values()) for address in self._actors}
        chosen: dict[str, list[int]] = {address: [] for address in self._actors}
        for _ in shards:
            least = min(chosen, key=lambda address: (held[address] + 1) / threads[address])
            held[least] += 1
            chosen[least].append(0)
        waiting = iter(shards)
        chosen = {address: list(itertools.islice(waiting, len(own))) for address, own in chosen.items() if own}
        futures = {k: self._computed(k, address) for address, own in chosen.items() for k in own}
        self._until(wait, [future for future in futures.values() if future is not None])
        calls = [
            (self._actors[address], "load", (own, [_loader(self.loaders[k], futures[k]) for k in own]))
            for address, own in chosen.items()
        ]
        for (address, own), found in zip(chosen.items(), self._ask(calls)):
            for k, description in zip(own, found):
                if self.descriptions[k] not in (None, description):
                    raise ClusterError(
                        f"fit: shard {k} has other rows than at the start of the run: its source changed"
                    )
                self.descriptions[k] = description
                self._places[k] = address

    def _computed(self, shard: int, address: str) -> Any:
        """Return the future of a part of a Dask collection, which a worker computes; None for another shard."""
        part = self.loaders[shard]
        if isinstance(part, bytes):
            return None
        return self.client.compute(part, workers=[address], allow_other_workers=False)

    def _living(self) -> dict[str, int]:
        """Return the number of threads of each worker by its address; wait for one if there is none."""
        end = time.monotonic() + _PATIENCE
        while True:
            if self.client.status == "running":
                threads = {str(address): int(count) for address, count in self.client.nthreads().items()}
                if threads:
                    return threads
            if time.monotonic() > end or self.client.status == "closed":  # it has tried to connect again
                break
            time.sleep(0.2)
        what = "has no workers" if self.client.status == "running" else "is gone"
        raise ClusterError(
            f"fit: client: the scheduler at {self._address} {what}; the model keeps the parameters of the last step. "
            "With checkpoint=, the same call with resume=True and a client of a running cluster continues"
        )

    def _ask(self, calls: Sequence[tuple[Any, str, tuple[Any, ...]]]) -> list[Any]:
        """Return the results of methods of actors, called at once."""
        answers = [ask(actor, method, *arguments) for actor, method, arguments in calls]
        for answer in answers:
            self._until(answer.result)
        return [result_of(answer) for answer in answers]

    def _until(self, wait: Callable[..., Any], *arguments: Any) -> None:
        """Wait; raise if an actor is gone meanwhile, since what is waited for may never come."""
        while not _in_time(wait, *arguments):
            if any(future.status != "finished" for future in self._futures.values()):
                raise ConnectionError("an actor is gone")


def _in_time(wait: Callable[..., Any], *arguments: Any) -> bool:
    from distributed import TimeoutError as LateError

    try:
        wait(*arguments, timeout=_PATIENCE / 10.0)
    except LateError:
        return False
    return True


def merged(found: Sequence[tuple[Sums, dict[int, Any]]], shards: int) -> tuple[Sums, dict[int, Any]]:
    """Return the answers of several actors as one."""
    sums = {node: total for some, _ in found for node, total in some.items()}
    return add_up(sums, shards), {shard: other for _, others in found for shard, other in others.items()}


def _loader(loader: Any, future: Any) -> Any:
    return loader if future is None else partial(_found_on_worker, future.key)


def _found_on_worker(key: str) -> Any:
    from distributed import get_worker

    return get_worker().data[key]
