"""Where does the work run? The only module that knows Dask: plain functions over explicit items, four schedulers.

`sync` (a for loop through Dask), `threads`, `processes` on this machine, or the address of a `distributed` cluster
(tcp://host:port): the same functions everywhere. A bounded number of items is in flight; results keep their order;
tasks are named by what they do, not by chance. A task's error comes back as it was raised.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from hedgerow.errors import ConfigError, HedgerowError

T = TypeVar("T")
R = TypeVar("R")

LOCAL = ("sync", "threads", "processes")
_IN_FLIGHT_PER_WORKER = 8  # bounds memory; the loss at the end of each batch stays below one item in eight
_DIED = "a worker process was killed, most likely for want of memory: use fewer --workers or a smaller --tile-size"


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


def _nothing() -> None:
    pass


class Graph:
    """Runs functions over items on the chosen scheduler; use it as a context, it owns its pool or client."""

    def __init__(self, scheduler: str = "threads", workers: int | None = None, *, timeout_s: float = 10.0) -> None:
        if scheduler not in LOCAL and "://" not in scheduler:
            raise ConfigError(
                f"unknown scheduler {scheduler!r}: choose {', '.join(LOCAL)} or an address like tcp://host:8786"
            )
        self.scheduler = scheduler
        self.workers = 1 if scheduler == "sync" else workers or os.cpu_count() or 1
        self._timeout_s = timeout_s
        self._pool: Executor | None = None
        self._client: Any = None

    def __enter__(self) -> Self:
        if self.scheduler == "threads":
            self._pool = ThreadPoolExecutor(self.workers)
        elif self.scheduler == "processes":
            # spawned, not forked: a forked child of a process with live torch and GDAL threads can hang
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=multiprocessing.get_context("spawn"), initializer=_leave_interrupts_to_parent
            )
        elif self.scheduler != "sync":
            self._client = _connected(self.scheduler, self._timeout_s)
            self.workers = max(1, sum(self._client.nthreads().values()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if self._client is not None:
            self._client.close()

    def each(
        self, function: Callable[[T], R], items: Iterable[T], /, *, tick: Callable[[], None] = _nothing
    ) -> Iterator[R]:
        """Apply `function` to every item, in order; raises the first known error. This is a contracts.Each."""
        for outcome in self.outcomes(function, items, tick=tick):
            if outcome.error is not None:
                raise outcome.error
            yield outcome.result  # type: ignore[misc]

    def outcomes(
        self, function: Callable[[T], R], items: Iterable[T], /, *, tick: Callable[[], None] = _nothing
    ) -> Iterator[Outcome[R]]:
        """Apply `function` to every item, in order, and go on after known errors.

        Args:
            function: a plain function or a value that can be called; picklable for `processes` and clusters.
            items: what it is applied to; read as far as there is room in flight.
            tick: called here whenever an item is finished, in any order: results of one batch come together.

        Raises:
            ConfigError: a worker process died.
        """
        numbered = enumerate(items)
        while batch := list(itertools.islice(numbered, _IN_FLIGHT_PER_WORKER * self.workers)):
            yield from self._compute(tasks(function, batch), tick)

    def _compute(self, todo: Mapping[str, Callable[[], Any]], tick: Callable[[], None]) -> list[Any]:
        try:
            return self._on_cluster(todo, tick) if self._client is not None else self._here(todo, tick)
        except BrokenExecutor as error:
            raise ConfigError(_DIED) from error

    def _on_cluster(self, todo: Mapping[str, Callable[[], Any]], tick: Callable[[], None]) -> list[Any]:
        import distributed

        futures = [self._client.submit(task, key=key, pure=False) for key, task in todo.items()]
        try:
            for _ in distributed.as_completed(futures, loop=self._client.loop):  # type: ignore[no-untyped-call]
                tick()
            gathered: list[Any] = self._client.gather(futures)
        except distributed.KilledWorker as error:
            raise ConfigError(_DIED) from error
        return gathered

    def _here(self, todo: Mapping[str, Callable[[], Any]], tick: Callable[[], None]) -> list[Any]:
        graph = {key: (task,) for key, task in todo.items()}
        get, options = self._local()
        on_finish = (None, None, None, lambda *_: tick(), None)  # of Dask's five moments, that after a task
        return list(get(graph, list(graph), callbacks=[on_finish], **options))

    def _local(self) -> tuple[Callable[..., Any], dict[str, Any]]:
        import dask.local
        import dask.multiprocessing
        import dask.threaded

        if self.scheduler == "sync":
            return dask.local.get_sync, {}
        if self._pool is None:
            raise ConfigError("a Graph works inside its `with` block only")
        get = dask.threaded.get if self.scheduler == "threads" else dask.multiprocessing.get
        # one item at a time: Dask would hand six to one process and leave the next idle
        return get, {"pool": self._pool, "num_workers": self.workers, "chunksize": 1}


def tasks(function: Callable[[T], R], numbered: Iterable[tuple[int, T]]) -> dict[str, Callable[[], Outcome[R]]]:
    """Return what is to be computed by name: the same function and item have the same name in every process.

    On a cluster a name stands for a result, so a name that two runs share must mean the same work.
    """
    from dask.base import tokenize

    stage = f"{getattr(function, '__name__', type(function).__name__)}-{tokenize(function)}"
    caught = Caught(function)
    return {f"{stage}-{number}-{tokenize(item)}": partial(caught, item) for number, item in numbered}


def _leave_interrupts_to_parent() -> None:
    """Ctrl-C reaches every process of a terminal: the parent alone answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _connected(address: str, timeout_s: float) -> Any:
    import distributed

    try:
        return distributed.Client(address, timeout=timeout_s)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask cluster answers at {address}: {error}. Start one with `dask scheduler`") from error
