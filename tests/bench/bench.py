"""How fast, how much memory? Ratios between runs on this machine, printed; nothing here passes or fails.

    make bench                                     everything (about half an hour on two cores)
    python tests/bench/bench.py share workers      some of it

Every line says what was measured and what is aimed at. Wall times are of one thread per worker.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench_metrics import bench_erqa, bench_metrics, bench_objects
from bench_network import bench_network
from bench_pipeline import bench_help, bench_memory, bench_share, bench_workers
from bench_trace import bench_labels, bench_trace, bench_tracers
from bench_training import bench_curriculum

BENCHES: Mapping[str, Callable[[Path], None]] = {
    "help": bench_help, "network": bench_network, "curriculum": bench_curriculum,
    "erqa": bench_erqa, "objects": bench_objects, "metrics": bench_metrics, "trace": bench_trace,
    "tracers": bench_tracers, "labels": bench_labels,
    "share": bench_share, "workers": bench_workers, "memory": bench_memory,
}  # fmt: skip
"""What can be measured: each gets an empty folder to write in."""


def main(names: Sequence[str]) -> None:
    """Measure what is named, one after the other; everything if nothing is.

    Raises:
        SystemExit: there is no such bench; nothing was measured.
    """
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        raise SystemExit(f"no bench {unknown[0]!r}: there are {', '.join(BENCHES)}")
    with tempfile.TemporaryDirectory() as temporary:
        for name in names or BENCHES:
            BENCHES[name](Path(temporary))


if __name__ == "__main__":
    main(sys.argv[1:])
