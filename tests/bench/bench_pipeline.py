"""What do the commands cost on images? Their start, what is not the network, a second worker, and memory."""

import json
from pathlib import Path

from bench_clock import ROOT, command_s, peak_bytes_and_s, say
from bench_worlds import mosaic


def bench_help(_: Path) -> None:
    """Say how long `hedgerow --help` takes, the best of five."""
    say("hedgerow --help", f"{min(command_s('--help') for _ in range(5)):.2f} s", "below 0.5 s")


def bench_share(folder: Path) -> None:
    """Say which share of `compare` is not the network: one core, three arms, sample tiles."""
    arms = ("--arms", "fp32,int8,w4a4-minmax", "--truth", "auto")
    command_s(
        "compare",
        str(ROOT / "sample_tiles"),
        "-o",
        str(folder / "share"),
        *arms,
        "-j",
        "1",
        "--scheduler",
        "sync",
        "-q",
    )
    seconds = _stage_s(folder / "share")
    network = seconds["predict"] + seconds["quantize"]
    detail = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    share = 1 - network / sum(seconds.values())
    say("share of compare beside the network", f"{share:.0%} ({detail})", "at most 35 %")


def bench_workers(folder: Path) -> None:
    """Compare two workers with one on a 4,000 x 4,000 raster, start-up apart."""
    raster = mosaic(folder / "four.tif", 4000)
    one_s, two_s = (_run_s(raster, folder / f"workers{n}", n) for n in (1, 2))
    say(
        "two workers over one, 4,000 x 4,000",
        f"{one_s / two_s:.2f} times ({one_s:.0f} s / {two_s:.0f} s)",
        "1.7 times",
    )


def bench_memory(folder: Path) -> None:
    """Watch the memory of `run` on a 12,000 x 12,000 three-band raster with two worker processes."""
    raster = mosaic(folder / "twelve.tif", 12_000)
    peak, wall_s = peak_bytes_and_s(
        "run", str(raster), "-o", str(folder / "memory"), "-j", "2", "--scheduler", "processes", "-q"
    )
    say(
        "peak memory of run, 12,000 x 12,000, all processes",
        f"{peak / 1e9:.2f} GB in {wall_s:.0f} s",
        "below 3 GB",
    )


def _run_s(raster: Path, out: Path, workers: int) -> float:
    """Return seconds of predicting and mapping: the start of the workers does not count."""
    how = ("-j", str(workers), "--scheduler", "processes", "--set", "threads=1", "-q")
    command_s("run", str(raster), "-o", str(out), *how)
    seconds = _stage_s(out)
    return seconds["predict"] + seconds["map"]


def _stage_s(out: Path) -> dict[str, float]:
    """Return the seconds of every stage of a run."""
    seconds: dict[str, float] = json.loads((out / "run.json").read_text(encoding="utf-8"))["seconds"]
    return seconds
