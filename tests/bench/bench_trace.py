"""How fast do labels become a checked coverage, and in how much memory?"""

import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
import pyogrio
import rasterio.features
import shapely
from bench_clock import best, children, peak_bytes_and_s, say
from bench_worlds import label_raster, parcels
from numpy.typing import NDArray

from hedgerow.arcs import tile
from hedgerow.arcs.chains import walked
from hedgerow.contracts import one_by_one
from hedgerow.edges.blocks import read_padded
from hedgerow.geo.windows import grid
from hedgerow.graph import Graph
from hedgerow.jobs.tracing import AS_IS, open_raster
from hedgerow.stages.coverage import covered_area
from hedgerow.stages.label import label_array
from hedgerow.stages.outlines import measured_arcs
from hedgerow.stages.trace import trace_scene


def bench_trace(_: Path) -> None:
    """Compare labels -> valid coverage with rasterio's shapes + shapely's coverage_clean, on one core."""
    labels, geobox = parcels(3000)
    scene, whole_s = best(lambda: trace_scene(label_array(labels), None, geobox), times=3)
    made = scene.outlines
    fields, polygons_s = best(lambda: made.field_map().fields, times=3)
    _, check_s = best(lambda: covered_area(made.found, made.arcs, made.transform, each=one_by_one), times=3)
    _, measure_s = best(lambda: measured_arcs(made.arcs, made.transform, made.crs, one_by_one), times=3)
    cleaned, theirs_s = best(lambda: _cleaned(labels), times=2)
    assert shapely.coverage_is_valid(cleaned)
    assert shapely.coverage_is_valid(fields.geometry.to_numpy())
    ours_s = whole_s - check_s - measure_s + polygons_s
    say(
        f"labels to a valid coverage, 9 Mpx, {len(fields)} fields, one core",
        f"{labels.size / 1e6 / ours_s:.0f} Mpx/s ({ours_s:.2f} s; apart: geodesic attributes {measure_s:.2f} s, "
        f"check of the coverage {check_s:.2f} s)",
        "at least 7 Mpx/s",
    )
    say(
        "the same, against shapes + coverage_clean",
        f"{theirs_s / ours_s:.1f} times as fast ({theirs_s:.2f} s); with attributes, borders and check "
        f"{theirs_s / (ours_s + check_s + measure_s):.1f} times",
        "2 times",
    )
    _say_chaining(labels)


def bench_tracers(folder: Path) -> None:
    """Compare two workers with one from a label raster of 6,000 x 6,000 to a checked coverage with its measures."""
    raster = label_raster(folder / "six.tif", 6000)
    (one_s, _), (two_s, alone) = (_trace_s_and_share(raster, folder / f"tracing{n}", n) for n in (1, 2))
    say(
        "two workers over one, labels to a checked and measured coverage, 36 Mpx",
        f"{one_s / two_s:.2f} times ({one_s:.1f} s / {two_s:.1f} s); {alone:.0%} of the processor time is spent in the "
        f"one process that joins, which lets two free cores be {2 / (1 + alone):.2f} times as fast at best",
        "1.6 times",
    )


def bench_labels(folder: Path) -> None:
    """Watch the memory of `trace` on a label raster of 20,000 x 20,000 with two worker processes."""
    raster, out = label_raster(folder / "twenty.tif", 20_000), folder / "twenty.gpkg"
    peak, wall_s = peak_bytes_and_s("trace", str(raster), "-o", str(out), "-j", "2", "--scheduler", "processes", "-q")
    fields, borders = (int(pyogrio.read_info(out, layer=layer)["features"]) for layer in ("fields", "borders"))
    say(
        "peak memory of trace, 400 Mpx of labels, all processes",
        f"{peak / 1e9:.2f} GB in {wall_s:.0f} s, {fields} fields and {borders} borders written",
        "below 6 GB",
    )


def _cleaned(labels: NDArray[np.int32]) -> NDArray[np.object_]:
    outlines = [shapely.geometry.shape(outline) for outline, _ in rasterio.features.shapes(labels)]
    cleaned: NDArray[np.object_] = shapely.coverage_clean(np.array(outlines, dtype=object))
    return cleaned


def _say_chaining(labels: NDArray[np.int32]) -> None:
    regions, label_s = best(lambda: label_array(labels), times=3)
    tiles = [(read_padded(regions.ids, window, 1), window) for _, window in grid(regions.shape, 1024)]
    with patch.object(tile, "walked", wraps=walked) as walking:
        _, pieces_s = best(lambda: [tile.tile_pieces(ids, window, regions.shape) for ids, window in tiles], times=1)
    chained = [call.args[0] for call in walking.call_args_list]
    _, chain_s = best(lambda: [walked(links) for links in chained], times=3)
    say(
        "of that, labelling, crack edges and chaining",
        f"{label_s:.2f} s, {pieces_s - chain_s:.2f} s and {chain_s:.2f} s",
        "chaining not the largest",
    )


def _trace_s_and_share(raster: Path, work: Path, workers: int) -> tuple[float, float]:
    """Return wall time from a label raster to outlines, and which share of all processor time this process had.

    The worker processes have started and imported all they need.
    """
    found, warming = open_raster(raster, "labels", "arcs"), label_raster(work.with_suffix(".tif"), 2048)
    with Graph("processes", workers) as graph:
        for k, one in enumerate((open_raster(warming, "labels", "arcs"), found)):
            own, theirs, started = time.process_time(), _children_s(), time.perf_counter()
            one.scene(one.regions(work / str(k), graph.each), AS_IS, tile_px=1024, each=graph.each)
        wall, own, theirs = time.perf_counter() - started, time.process_time() - own, _children_s() - theirs
    return wall, own / (own + theirs)


def _children_s() -> float:
    """Return the seconds of processor time that the child processes of this one have had."""
    return sum(sum(child.cpu_times()[:2]) for child in children(psutil.Process()))
