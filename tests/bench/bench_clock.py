"""How is time and memory measured, and how is it told? The best of several runs, in seconds and bytes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
HEDGEROW = Path(sys.executable).with_name("hedgerow")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def say(what: str, found: str, aim: str) -> None:
    """Print one line: what was measured, what came out, what is aimed at."""
    sys.stdout.write(f"{what}: {found} (aim: {aim})\n")
    sys.stdout.flush()


def best(function: Callable[[], Any], times: int = 5) -> tuple[Any, float]:
    """Return what the function returns, and the least processor time of this process that it took."""
    found, seconds = None, []
    for _ in range(times):
        started = time.process_time()
        found = function()
        seconds.append(time.process_time() - started)
    return found, min(seconds)


def in_turn(functions: Sequence[Callable[[], Any]], clock: Callable[[], float], rounds: int = 9) -> list[float]:
    """Return the best time of each, measured one after the other again and again: a busy spell hits them all."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, times in zip(functions, seconds, strict=True):
            started = clock()
            function()
            times.append(clock() - started)
    return [min(times) for times in seconds]


def command_s(*arguments: str) -> float:
    """Run `hedgerow` with one thread per worker and return its wall time."""
    started = time.perf_counter()
    subprocess.run([HEDGEROW, *arguments], check=True, capture_output=True, env=os.environ | ONE_THREAD)
    return time.perf_counter() - started


def peak_bytes_and_s(*arguments: str) -> tuple[int, float]:
    """Run `hedgerow` with one thread per worker; return the most memory it had, and its wall time.

    Memory is summed over the process and its children, each with what is theirs (proportional set size).
    """
    started, peak = time.perf_counter(), 0
    process = psutil.Popen([HEDGEROW, *arguments], stdout=subprocess.DEVNULL, env=os.environ | ONE_THREAD)
    while process.poll() is None:
        peak = max(peak, sum(_bytes(one) for one in (process, *children(process))))
        time.sleep(0.25)
    if process.returncode != 0:
        raise SystemExit(f"{arguments[0]} ended with {process.returncode}")
    return peak, time.perf_counter() - started


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return all processes below one; none if it has ended."""
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
