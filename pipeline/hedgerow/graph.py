"""Where does the work run? The only module that knows Dask: plain functions over explicit items, four schedulers.

`sync` (a for loop through Dask), `threads`, `processes` on this machine, or the address of a `distributed` cluster
(tcp://host:port): the same functions everywhere. A bounded number of items is in flight; results keep their order;
tasks are named by stage and number, not by chance. A task's error comes back as it was raised.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hedgerow.errors import ConfigError, HedgerowError

T = TypeVar("T")
R = TypeVar("R")

LOCAL = ("sync", "threads", "processes")
_IN_FLIGHT_PER_WORKER = 8  # bounds memory; the loss at the end of each batch stays below one item in eight


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What came of one item: a result or an error, which travels as a value."""

    result: R | None
    error: HedgerowError | None


@dataclass(frozen=True)
class Caught(Generic[T, R]):
    """A function whose known errors are part of its answer."""

    function: Callable[[T], R]

    def __call__(self, item: T) -> Outcome[R]:
        try:
            return Outcome(self.function(item), None)
        except HedgerowError as error:
            return Outcome(None, error)


class Graph:
    """Runs functions over items on the chosen scheduler; use it as a context, it owns its pool or client."""

    def __init__(self, scheduler: str = "threads", workers: int | None = None) -> None:
        if scheduler not in LOCAL and "://" not in scheduler:
            raise ConfigError(
                f"unknown scheduler {scheduler!r}: choose {', '.join(LOCAL)} or an address like tcp://host:8786"
            )
        self.scheduler = scheduler
        self.workers = 1 if scheduler == "sync" else workers or os.cpu_count() or 1
        self._pool: Executor | None = None
        self._client: Any = None
        self._names = itertools.count()

    def __enter__(self) -> Self:
        if self.scheduler == "threads":
            self._pool = ThreadPoolExecutor(self.workers)
        elif self.scheduler == "processes":
            # spawned, not forked: a forked child of a process with live torch and GDAL threads can hang
            self._pool = ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn"))
        elif self.scheduler != "sync":
            self._client = _connected(self.scheduler)
            self.workers = max(1, sum(self._client.nthreads().values()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def each(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Apply `function` to every item, in order; raises the first known error. This is a contracts.Each."""
        for outcome in self.outcomes(function, items):
            if outcome.error is not None:
                raise outcome.error
            yield outcome.result  # type: ignore[misc]

    def outcomes(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterator[Outcome[R]]:
        """Apply `function` to every item, in order, and go on after known errors."""
        stage = f"{getattr(function, '__name__', type(function).__name__)}-{next(self._names)}"
        numbered = enumerate(items)
        while batch := list(itertools.islice(numbered, _IN_FLIGHT_PER_WORKER * self.workers)):
            tasks = {f"{stage}-{number}": partial(Caught(function), item) for number, item in batch}
            yield from self._compute(tasks)

    def _compute(self, tasks: Mapping[str, Callable[[], Any]]) -> list[Any]:
        if self._client is not None:
            futures = [self._client.submit(task, key=key, pure=False) for key, task in tasks.items()]
            gathered: list[Any] = self._client.gather(futures)
            return gathered
        graph = {key: (task,) for key, task in tasks.items()}
        get, options = self._local()
        return list(get(graph, list(graph), **options))

    def _local(self) -> tuple[Callable[..., Any], dict[str, Any]]:
        import dask.local
        import dask.multiprocessing
        import dask.threaded

        if self.scheduler == "sync":
            return dask.local.get_sync, {}
        if self._pool is None:
            raise ConfigError("a Graph works inside its `with` block only")
        get = dask.threaded.get if self.scheduler == "threads" else dask.multiprocessing.get
        return get, {"pool": self._pool, "num_workers": self.workers}


def _connected(address: str) -> Any:
    import distributed

    try:
        return distributed.Client(address, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask cluster answers at {address}: {error}. Start one with `dask scheduler`") from error
