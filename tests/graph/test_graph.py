"""The same plain functions on every scheduler: equal results, in order, errors as they were raised."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
import pytest

from hedgerow.errors import ConfigError, SourceError
from hedgerow.graph import Graph, tasks

NUMBERS = range(1, 40)
SCHEDULERS = pytest.mark.parametrize("scheduler", ["sync", "threads", "processes", "cluster"])


@dataclass(frozen=True)
class Missing:
    """Fails with a known error for odd numbers."""

    folder: Path

    def __call__(self, number: int) -> str:
        if number % 2:
            raise SourceError(f"{self.folder}: number {number} cannot be read")
        return f"{number}"


@pytest.fixture(scope="module", autouse=True)
def _functions_of_this_file_travel_by_value() -> Iterator[None]:
    """Spawned processes cannot import a test file."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    import distributed

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as local:
        yield local.scheduler_address


@SCHEDULERS
def test_every_scheduler_gives_the_same_results_in_order(scheduler: str, cluster: str) -> None:
    expected = [1 / number for number in NUMBERS]
    with Graph(cluster if scheduler == "cluster" else scheduler, 2) as graph:
        assert list(graph.each(_divide, NUMBERS)) == expected
        assert list(graph.each(_divide, iter(NUMBERS))) == expected
        assert list(graph.each(_divide, [])) == []


@SCHEDULERS
def test_a_known_error_comes_back_as_it_was_raised(scheduler: str, cluster: str, tmp_path: Path) -> None:
    with Graph(cluster if scheduler == "cluster" else scheduler, 2) as graph:
        results = graph.each(Missing(tmp_path), [0, 1, 2, 3])
        assert next(results) == "0"
        with pytest.raises(SourceError, match="number 1 cannot be read") as caught:
            next(results)
    assert type(caught.value) is SourceError


@SCHEDULERS
def test_outcomes_go_on_after_known_errors(scheduler: str, cluster: str, tmp_path: Path) -> None:
    with Graph(cluster if scheduler == "cluster" else scheduler, 2) as graph:
        found = list(graph.outcomes(Missing(tmp_path), range(5)))
    assert [outcome.result for outcome in found] == ["0", None, "2", None, "4"]
    assert [outcome.error is not None for outcome in found] == [False, True, False, True, False]


@SCHEDULERS
def test_an_error_that_nobody_expected_is_not_hidden(scheduler: str, cluster: str) -> None:
    with Graph(cluster if scheduler == "cluster" else scheduler, 2) as graph, pytest.raises(ZeroDivisionError):
        list(graph.outcomes(_divide, [1, 0]))


def _divide(number: int) -> float:
    return 1 / number


@SCHEDULERS
def test_a_tick_is_heard_for_every_item(scheduler: str, cluster: str) -> None:
    heard: list[None] = []
    with Graph(cluster if scheduler == "cluster" else scheduler, 2) as graph:
        list(graph.each(_divide, NUMBERS, tick=lambda: heard.append(None)))
    assert len(heard) == len(NUMBERS)


def test_a_tick_is_heard_while_others_are_still_at_work() -> None:
    first_done = threading.Event()

    def work(number: int) -> bool:
        return number == 0 or first_done.wait(10)  # the second can only end once the first was reported

    with Graph("threads", 2) as graph:
        assert list(graph.each(work, [0, 1], tick=first_done.set)) == [True, True]


@pytest.mark.parametrize(("scheduler", "workers"), [("sync", None), ("threads", 1), ("threads", 3)])
def test_a_bounded_number_of_items_is_in_flight(scheduler: str, workers: int | None) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield number

    with Graph(scheduler, workers) as graph:
        results = graph.each(abs, items())
        assert next(results) == 0
        assert taken <= 8 * graph.workers
        assert [next(results) for _ in range(100)] == list(range(1, 101))
        assert taken <= 101 + 8 * graph.workers


@dataclass(frozen=True)
class Meet:
    """Waits until the other item is at work too, in another process or thread."""

    folder: Path

    def __call__(self, number: int) -> bool:
        (self.folder / str(number)).touch()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if (self.folder / str(1 - number)).exists():
                return True
            time.sleep(0.01)
        return False


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_two_workers_share_two_items(scheduler: str, tmp_path: Path) -> None:
    # Dask hands out six items at a time to a process unless told otherwise: the second worker would stay idle.
    with Graph(scheduler, 2) as graph:
        assert list(graph.each(Meet(tmp_path), [0, 1])) == [True, True]


def test_names_of_tasks_are_the_same_in_every_run_and_tell_work_apart(tmp_path: Path) -> None:
    names = list(tasks(_divide, enumerate(NUMBERS)))
    assert names == list(tasks(_divide, enumerate(NUMBERS)))
    assert len(set(names)) == len(NUMBERS)
    assert all(name.startswith("_divide-") for name in names)
    # on a shared cluster a name stands for a result: other items or settings must not bear the same one
    assert not set(names) & set(tasks(_divide, enumerate(range(101, 140))))
    assert list(tasks(Missing(tmp_path), [(0, 0)])) != list(tasks(Missing(tmp_path / "other"), [(0, 0)]))


def test_two_runs_on_one_cluster_do_not_mix_their_results(cluster: str) -> None:
    with Graph(cluster) as first, Graph(cluster) as second:
        one, other = first.each(abs, range(1, 40)), second.each(abs, range(101, 140))
        assert list(zip(one, other, strict=True)) == list(zip(range(1, 40), range(101, 140), strict=True))


def test_a_cluster_is_left_as_it_was(cluster: str) -> None:
    before = threading.active_count()
    with Graph(cluster) as graph:
        assert graph.workers == 2
        list(graph.each(abs, range(4)))
    until = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.02)
    assert threading.active_count() <= before
    with Graph(cluster) as graph:  # it still answers
        assert list(graph.each(abs, [-3])) == [3]


@pytest.mark.parametrize("scheduler", ["", "thread", "Processes", "localhost:8786"])
def test_an_unknown_scheduler_is_refused_with_the_choices(scheduler: str) -> None:
    with pytest.raises(ConfigError, match="choose sync, threads, processes or an address like tcp://"):
        Graph(scheduler)


def test_an_address_where_nothing_listens_is_a_known_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(ConfigError, match=rf"no Dask cluster answers at {address}.*dask scheduler"):
        Graph(address, timeout_s=0.3).__enter__()
    assert time.monotonic() - started < 5


def test_an_address_of_an_unknown_kind_is_a_known_error() -> None:
    with pytest.raises(ConfigError, match="no Dask cluster answers at carrier-pigeon://"):
        Graph("carrier-pigeon://loft", timeout_s=0.3).__enter__()


def _killed(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_worker_process_is_a_known_error() -> None:
    with Graph("processes", 1) as graph, pytest.raises(ConfigError, match="a worker process was killed"):
        list(graph.each(_killed, [0, 1, 2]))


def test_a_pool_is_only_there_inside_the_block() -> None:
    with pytest.raises(ConfigError, match="inside its `with` block"):
        list(Graph("threads").each(abs, [1]))


def _leaves_interrupts(_: int) -> bool:
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_worker_processes_leave_interrupts_to_the_parent() -> None:
    with Graph("processes", 1) as graph:
        assert list(graph.each(_leaves_interrupts, [0])) == [True]
