"""How fast, how much memory? Ratios between runs on this machine, printed; nothing here passes or fails.

    make bench                                     everything (about half an hour on two cores)
    python tests/bench/bench.py share workers      some of it

Every line says what was measured and what is aimed at. Wall times are of one thread per worker.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parents[2]
HEDGEROW = Path(sys.executable).with_name("hedgerow")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def bench_help(_: Path) -> None:
    """Say how long `hedgerow --help` takes, the best of five."""
    times = [_timed([str(HEDGEROW), "--help"])[0] for _ in range(5)]
    _say("hedgerow --help", f"{min(times):.2f} s", "below 0.5 s")


def bench_share(folder: Path) -> None:
    """Say which share of `compare` is not the network: one core, three arms, sample tiles."""
    out = folder / "share"
    command = [
        "compare",
        str(ROOT / "sample_tiles"),
        "-o",
        str(out),
        "--arms",
        "fp32,int8,w4a4-minmax",
        "--truth",
        "auto",
    ]
    _run([*command, "-j", "1", "--scheduler", "sync", "-q"])
    seconds = json.loads((out / "run.json").read_text(encoding="utf-8"))["seconds"]
    network = seconds["predict"] + seconds["quantize"]
    total = sum(seconds.values())
    detail = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    _say("share of compare beside the network", f"{1 - network / total:.0%} ({detail})", "at most 35 %")


def bench_workers(folder: Path) -> None:
    """Compare two workers with one on a 4,000 x 4,000 raster, start-up apart."""
    raster = _mosaic(folder / "four.tif", 4000)
    seconds = {n: _run_seconds(raster, folder / f"workers{n}", n) for n in (1, 2)}
    ratio = seconds[1] / seconds[2]
    _say(
        "two workers over one, 4,000 x 4,000",
        f"{ratio:.2f} times ({seconds[1]:.0f} s / {seconds[2]:.0f} s)",
        "1.7 times",
    )


def bench_memory(folder: Path) -> None:
    """Watch the memory of `run` on a 12,000 x 12,000 three-band raster with two worker processes."""
    raster = _mosaic(folder / "twelve.tif", 12_000)
    command = [
        str(HEDGEROW),
        "run",
        str(raster),
        "-o",
        str(folder / "memory"),
        "-j",
        "2",
        "--scheduler",
        "processes",
        "-q",
    ]
    started = time.perf_counter()
    peak = _peak_bytes(command)
    _say(
        "peak memory of run, 12,000 x 12,000, all processes",
        f"{peak / 1e9:.2f} GB in {time.perf_counter() - started:.0f} s",
        "below 3 GB",
    )


def bench_trace(_: Path) -> None:
    """Compare labels -> valid coverage with rasterio's shapes + shapely's coverage_clean, on one core."""
    import rasterio.features
    import shapely

    from hedgerow.contracts import one_by_one
    from hedgerow.stages.coverage import covered_area
    from hedgerow.stages.label import label_array
    from hedgerow.stages.outlines import measured_arcs
    from hedgerow.stages.trace import trace_scene

    labels, geobox = _parcels(3000)
    scene, whole_s = _best(lambda: trace_scene(label_array(labels), None, geobox), times=3)
    made = scene.outlines
    fields, polygons_s = _best(lambda: made.field_map().fields, times=3)
    _, check_s = _best(lambda: covered_area(made.found, made.arcs, made.transform, each=one_by_one), times=3)
    _, measure_s = _best(lambda: measured_arcs(made.arcs, made.transform, made.crs, one_by_one), times=3)
    cleaned, theirs_s = _best(
        lambda: shapely.coverage_clean(
            np.array([shapely.geometry.shape(s) for s, _ in rasterio.features.shapes(labels)], dtype=object)
        ),
        times=2,
    )
    assert shapely.coverage_is_valid(cleaned)
    assert shapely.coverage_is_valid(fields.geometry.to_numpy())
    ours_s = whole_s - check_s - measure_s + polygons_s
    _say(
        f"labels to a valid coverage, 9 Mpx, {len(fields)} fields, one core",
        f"{labels.size / 1e6 / ours_s:.0f} Mpx/s ({ours_s:.2f} s; apart: geodesic attributes {measure_s:.2f} s, "
        f"check of the coverage {check_s:.2f} s)",
        "at least 7 Mpx/s",
    )
    _say(
        "the same, against shapes + coverage_clean",
        f"{theirs_s / ours_s:.1f} times as fast ({theirs_s:.2f} s); with attributes, borders and check "
        f"{theirs_s / (ours_s + check_s + measure_s):.1f} times",
        "2 times",
    )
    _say_chaining(labels)


def _say_chaining(labels: np.ndarray) -> None:
    from hedgerow.arcs.chains import walked
    from hedgerow.arcs.tile import tile_pieces
    from hedgerow.edges.blocks import read_padded
    from hedgerow.geo.windows import grid
    from hedgerow.stages.label import label_array

    regions, label_s = _best(lambda: label_array(labels), times=3)
    tiles = [(read_padded(regions.ids, window, 1), window) for _, window in grid(regions.shape, 1024)]
    chained: list[np.ndarray] = []
    with _watched("hedgerow.arcs.tile", "walked", chained):
        _, pieces_s = _best(lambda: [tile_pieces(ids, window, regions.shape) for ids, window in tiles], times=1)
    _, chain_s = _best(lambda: [walked(links) for links in chained], times=3)
    _say(
        "of that, labelling, crack edges and chaining",
        f"{label_s:.2f} s, {pieces_s - chain_s:.2f} s and {chain_s:.2f} s",
        "chaining not the largest",
    )


def bench_tracers(folder: Path) -> None:
    """Compare two workers with one from a label raster of 6,000 x 6,000 to a checked coverage with its measures."""
    raster = _label_raster(folder / "six.tif", 6000)
    (one_s, _), (two_s, alone) = (_trace_seconds(raster, folder / f"tracing{n}", n) for n in (1, 2))
    _say(
        "two workers over one, labels to a checked and measured coverage, 36 Mpx",
        f"{one_s / two_s:.2f} times ({one_s:.1f} s / {two_s:.1f} s); {alone:.0%} of the processor time is spent in the "
        f"one process that joins, which lets two free cores be {2 / (1 + alone):.2f} times as fast at best",
        "1.6 times",
    )


def bench_labels(folder: Path) -> None:
    """Watch the memory of `trace` on a label raster of 20,000 x 20,000 with two worker processes."""
    raster = _label_raster(folder / "twenty.tif", 20_000)
    out = folder / "twenty.gpkg"
    command = [str(HEDGEROW), "trace", str(raster), "-o", str(out), "-j", "2", "--scheduler", "processes", "-q"]
    started = time.perf_counter()
    peak = _peak_bytes(command)
    with rasterio.open(raster) as dataset:
        mpx = dataset.width * dataset.height / 1e6
    _say(
        f"peak memory of trace, {mpx:.0f} Mpx of labels, all processes",
        f"{peak / 1e9:.2f} GB in {time.perf_counter() - started:.0f} s, {_count(out, 'fields')} fields and "
        f"{_count(out, 'borders')} borders written",
        "below 6 GB",
    )


def bench_erqa(_: Path) -> None:
    """Compare our ERQA with the erqa package at equal value: masks, one channel and three, one thread."""
    import warnings

    import cv2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import erqa as reference

    cv2.setNumThreads(1)
    metric = reference.ERQA(version="1.1")
    for side in (512, 1024):
        for name, aim, test, truth in _edge_worlds(side):
            theirs = (test, truth) if test.ndim == 3 else tuple(np.repeat(p[..., None], 3, -1) for p in (test, truth))
            expected, slow = _best(partial(metric, *theirs))
            found, fast = _best(partial(_f1, test, truth), times=15)
            assert abs(expected - found) < 1e-9
            _say(
                f"ERQA, {name}, {side} x {side}, equal value",
                f"{slow / fast:.0f} times as fast as erqa 1.1.2 ({1000 * fast:.1f} ms, {1000 * slow:.0f} ms)",
                f"{aim} times",
            )


def bench_objects(_: Path) -> None:
    """Compare counts of matched objects from one table with pairs of polygons, at equal counts, 1024 x 1024."""
    from hedgerow.metrics.objects import objects

    reference, test = _fields()
    counts, fast = _best(lambda: objects(test, reference))
    expected, slow = _best(lambda: _by_polygons(test, reference), times=2)
    assert (counts.tp, counts.fp, counts.fn) == expected
    _say(
        f"object counts, {counts.tp + counts.fn} and {counts.tp + counts.fp} fields, equal counts",
        f"{slow / fast:.0f} times as fast as pairs of polygons ({1000 * fast:.0f} ms, {slow:.2f} s)",
        "20 times",
    )


def bench_metrics(_: Path) -> None:
    """Say what the default set of metrics costs for one arm of one tile, 1024 x 1024, with the reference prepared."""
    from hedgerow.edges.views import Pair, view_of_labels
    from hedgerow.geo.tiling import tile_geobox
    from hedgerow.records import Regions
    from hedgerow.stages.measure import measure, scorers

    labels, grid = _parcels(1024)
    classes = np.random.default_rng(0).integers(0, 3, 2652).astype(np.uint8)
    valid = np.ones(labels.shape, bool)
    maps = [Regions(np.roll(labels, k, (0, 1)) + 1, classes) for k in range(6)]
    reference = view_of_labels(maps[0], valid, (1.0, 1.0))
    tiles, metrics = tile_geobox(grid, 512, 0), scorers().metrics
    times = []
    for regions in maps:
        pair = Pair(view_of_labels(regions, valid, (1.0, 1.0)), reference)
        started = time.process_time()
        measure(pair, metrics, tiles)
        times.append(time.process_time() - started)
    _say(
        f"default metrics ({len(metrics)} kinds), one arm, 1024 x 1024, {len(np.unique(labels))} parcels",
        f"{min(times[1:]):.2f} s CPU (the first arm, which prepares the reference, {times[0]:.2f} s)",
        "1.0 s",
    )


def bench_network(_: Path) -> None:
    """Compare inference of the shipped model with that of a plain ViT-S/16 trunk: 512 x 512, two threads."""
    import torch

    from hedgerow.backbones import vit
    from hedgerow.models.store import load, locate

    ours = load(locate("hedgerow-tiny"))
    small = vit.build(vit.Config(width=384, depth=12, heads=6, patch_px=16, class_token=True, positions="none"))
    image = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    runs = (partial(ours, image), partial(small.hidden, image))
    with torch.inference_mode():
        torch.set_num_threads(1)
        alone_fast, alone_slow = _in_turn(runs, time.process_time)
        torch.set_num_threads(2)
        fast, slow = _in_turn(runs, time.perf_counter)
        few, many = _flops(ours, runs[0]), _flops(small, runs[1])
    _say(
        "hedgerow-tiny over the trunk of a ViT-S/16, 512 x 512, two threads",
        f"{fast / slow:.2f} times the time ({1000 * fast:.0f} ms, {1000 * slow:.0f} ms); "
        f"processor time of one thread {alone_fast / alone_slow:.2f} times ({1000 * alone_fast:.0f} ms, "
        f"{1000 * alone_slow:.0f} ms), which a busy machine changes less; "
        f"{few / many:.2f} times the operations ({few / 1e9:.1f} and {many / 1e9:.1f} GFLOP)",
        "at most 0.5 times the time",
    )


def bench_curriculum(folder: Path) -> None:
    """Train the same few steps with the curriculum and without: time, and border F1 on synthetic scenes."""
    from hedgerow.jobs.training import train

    few = (
        "steps=600", "evaluate_every=600", "data=[{kind: synthetic, scenes: 60, scene_px: 384}]",
        "optimizer={lr: 1.2e-3, warmup_steps: 50}",
    )  # fmt: skip
    found = {}
    for name, curriculum in (("plain", "null"), ("curriculum", "{share: 0.75, fine_lr: 0.6}")):
        card = train("pretrain", folder / name, sets=(*few, f"curriculum={curriculum}"))
        kept = card.scores["held_out_crops"]
        found[name] = (kept["seconds"], kept["border_f1"])
    (slow, plain), (fast, coarse) = found["plain"], found["curriculum"]
    _say(
        "600 steps of pretraining with the curriculum over plain ones, one thread",
        f"{slow / fast:.1f} times as fast ({slow:.0f} s, {fast:.0f} s, its evaluation at the switch included); "
        f"held-out border F1 {coarse:.3f} against {plain:.3f}",
        "the paper: 1.6 times as fast",
    )


BENCHES: dict[str, Callable[[Path], None]] = {
    "help": bench_help, "network": bench_network, "curriculum": bench_curriculum,
    "erqa": bench_erqa, "objects": bench_objects, "metrics": bench_metrics, "trace": bench_trace,
    "tracers": bench_tracers, "labels": bench_labels,
    "share": bench_share, "workers": bench_workers, "memory": bench_memory,
}  # fmt: skip


def _say(what: str, found: str, aim: str) -> None:
    sys.stdout.write(f"{what}: {found} (aim: {aim})\n")
    sys.stdout.flush()


def _timed(command: list[str]) -> tuple[float, subprocess.CompletedProcess[bytes]]:
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, env=os.environ | ONE_THREAD)
    return time.perf_counter() - started, done


def _run(arguments: list[str]) -> None:
    _timed([str(HEDGEROW), *arguments])


def _run_seconds(raster: Path, out: Path, workers: int) -> float:
    """Seconds of predicting and mapping, the start of the workers taken out by a run on nothing much."""
    arguments = ["-j", str(workers), "--scheduler", "processes", "--set", "threads=1", "-q"]
    _run(["run", str(raster), "-o", str(out), *arguments])
    seconds = json.loads((out / "run.json").read_text(encoding="utf-8"))["seconds"]
    return float(seconds["predict"] + seconds["map"])


def _peak_bytes(command: list[str]) -> int:
    """Return the highest sum, over a process and its children, of memory that is theirs (proportional set size)."""
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | ONE_THREAD)
    peak = 0
    while process.poll() is None:
        total = 0
        for one in (process, *_children(process)):
            try:
                total += one.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        peak = max(peak, total)
        time.sleep(0.25)
    if process.returncode != 0:
        raise SystemExit(f"{command[1]} ended with {process.returncode}")
    return peak


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _label_raster(path: Path, side: int) -> Path:
    """Write a label raster of `side` x `side` px, never whole in memory: the parcels again and again, mirrored."""
    labels, _ = _parcels(3000)
    step, count = len(labels), int(labels.max()) + 1
    profile = {
        "driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "int32", "tiled": True,
        "crs": CRS.from_epsg(32633), "transform": Affine(1, 0, 500_000, 0, -1, 5_500_000), "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as out:
        for row, y in enumerate(range(0, side, step)):
            for col, x in enumerate(range(0, side, step)):
                piece = labels[:: -1 if row % 2 else 1, :: -1 if col % 2 else 1] + count * (row * 1000 + col)
                height, width = min(step, side - y), min(step, side - x)
                out.write(piece[:height, :width].astype(np.int32), 1, window=Window(x, y, width, height))
    return path


def _trace_seconds(raster: Path, work: Path, workers: int) -> tuple[float, float]:
    """Wall time from a label raster to outlines, and which share of all processor time this process had.

    The worker processes have started and imported all they need.
    """
    from hedgerow.graph import Graph
    from hedgerow.jobs.tracing import AS_IS, open_raster

    found, warming = open_raster(raster, "labels", "arcs"), _label_raster(work.with_suffix(".tif"), 2048)
    with Graph("processes", workers) as graph:
        for k, one in enumerate((open_raster(warming, "labels", "arcs"), found)):
            own, theirs, started = time.process_time(), _processor_s(), time.perf_counter()
            one.scene(one.regions(work / str(k), graph.each), AS_IS, tile_px=1024, each=graph.each)
        wall, own, theirs = time.perf_counter() - started, time.process_time() - own, _processor_s() - theirs
    return wall, own / (own + theirs)


def _processor_s() -> float:
    """Seconds of processor time that the child processes of this one have had."""
    return sum(sum(child.cpu_times()[:2]) for child in _children(psutil.Process()))


def _count(path: Path, layer: str) -> int:
    import pyogrio

    return int(pyogrio.read_info(path, layer=layer)["features"])


@contextmanager
def _watched(module: str, name: str, seen: list[np.ndarray]) -> Iterator[None]:
    """Note the first argument of every call of a function."""
    place = importlib.import_module(module)
    function = getattr(place, name)
    setattr(place, name, lambda first: (seen.append(first), function(first))[1])
    try:
        yield
    finally:
        setattr(place, name, function)


def _mosaic(path: Path, side: int) -> Path:
    """Write a raster of `side` x `side` px by repeating an aerial sample tile, mirrored so that seams are smooth."""
    with rasterio.open(ROOT / "sample_tiles" / "aerial_1m_b.tif") as dataset:
        tile = dataset.read()
    block = np.concatenate([tile, tile[:, ::-1]], axis=1)
    block = np.concatenate([block, block[:, :, ::-1]], axis=2)
    profile = {
        "driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint8", "tiled": True,
        "crs": CRS.from_epsg(32633),
        "transform": Affine(1, 0, 500_000, 0, -1, 5_500_000), "photometric": "RGB", "compress": "deflate",
    }  # fmt: skip
    step = block.shape[1]
    with rasterio.open(path, "w", **profile) as out:
        for y in range(0, side, step):
            for x in range(0, side, step):
                height, width = min(step, side - y), min(step, side - x)
                out.write(block[:, :height, :width], window=Window(x, y, width, height))
    return path


def _parcels(side: int) -> tuple[np.ndarray, object]:
    """Return a label raster of about 2,600 ragged parcels, and its grid."""
    from odc.geo.geobox import GeoBox
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    rng = np.random.default_rng(1)
    seeds = np.zeros((side, side), np.int32)
    places = rng.integers(0, side, (2650, 2))
    seeds[places[:, 0], places[:, 1]] = np.arange(1, len(places) + 1)
    rows, cols = distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    dy, dx = (gaussian_filter(rng.standard_normal((side, side)), 15) * 60 for _ in range(2))
    y, x = np.mgrid[:side, :side]
    y, x = np.clip(y + dy, 0, side - 1).astype(int), np.clip(x + dx, 0, side - 1).astype(int)
    labels = seeds[rows, cols][y, x].astype(np.int32)
    return labels, GeoBox((side, side), Affine(1, 0, 500_000, 0, -1, 5_500_000), "EPSG:32633")


def _edge_worlds(side: int) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """Yield a name, the aim, a candidate and its reference: smooth probabilities, and the same in steps of the logit.

    The last pair is the hardest: where every pixel is off by up to 20, edge detection has no flat land to skip.
    """
    rng = np.random.default_rng(0)
    logits = [_logit(rng, side) for _ in range(3)]
    truths, tests = [_as_bytes(x) for x in logits], [_as_bytes(np.round(x * 2) / 2) for x in logits]
    test, truth = tests[0], truths[0]
    off = np.clip(truth + rng.integers(-20, 21, truth.shape), 0, 255).astype(np.uint8)
    yield "0/255 masks", 20, *(np.where(p >= 128, 255, 0).astype(np.uint8) for p in (test, truth))
    yield "one channel", 20, test, truth
    yield "three channels", 5, np.dstack(tests), np.dstack(truths)
    yield "one channel, noisy", 20, off, truth


def _logit(rng: np.random.Generator, side: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.standard_normal((side, side)), 10)
    return 6 * field / field.std()


def _as_bytes(logit: np.ndarray) -> np.ndarray:
    return np.rint(255 / (1 + np.exp(-logit))).astype(np.uint8)


def _fields() -> tuple[np.ndarray, np.ndarray]:
    """Return the mask of several hundred fields, and that of a poor model: moved, some lost, holes in the walls."""
    from scipy.ndimage import maximum_filter, minimum_filter

    labels = _parcels(2048)[0][:1024, :1024]
    rng = np.random.default_rng(2)
    reference = maximum_filter(labels, 3) == minimum_filter(labels, 3)
    lost = rng.random(labels.max() + 1) < 0.1
    holes = (rng.random((64, 64)) < 0.02).repeat(16, 0).repeat(16, 1)
    test = np.roll((reference | holes) & ~lost[labels], (1, 2), (0, 1))
    return reference.astype(np.uint8), test.astype(np.uint8)


def _by_polygons(test: np.ndarray, reference: np.ndarray) -> tuple[int, int, int]:
    """Count as Fields of The World does: every polygon of the reference against those of the test, until one fits."""
    import rasterio.features
    import shapely

    found, wanted = (
        [shapely.geometry.shape(outline) for outline, value in rasterio.features.shapes(mask) if value == 1]
        for mask in (test, reference)
    )

    def fits(one: shapely.Geometry, other: shapely.Geometry) -> bool:
        return one.intersects(other) and one.intersection(other).area / one.union(other).area > 0.5

    partners = [next((k for k, other in enumerate(found) if fits(one, other)), None) for one in wanted]
    tp = sum(partner is not None for partner in partners)
    return tp, len(found) - tp, len(wanted) - tp


def _f1(test: np.ndarray, reference: np.ndarray) -> float:
    from hedgerow.metrics.erqa import erqa

    return float(erqa(test, reference, profile="reference", version="1.1").f1)


def _in_turn(functions: tuple[Callable[[], Any], ...], clock: Callable[[], float], rounds: int = 9) -> list[float]:
    """Return the best time of each, measured one after the other again and again: a busy spell hits them all."""
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, times in zip(functions, seconds, strict=True):
            started = clock()
            function()
            times.append(clock() - started)
    return [min(times) for times in seconds]


def _flops(model: Any, run: Callable[[], Any]) -> int:
    """Count operations, two per multiplication and addition; attention maps are watched, as the counter needs them."""
    from torch.utils.flop_counter import FlopCounterMode

    hooks = [block.attn.softmax_tap.register_forward_hook(lambda *_: None) for block in model.blocks]
    with FlopCounterMode(display=False) as counter:
        run()
    for hook in hooks:
        hook.remove()
    return int(counter.get_total_flops())


def _best(function: Callable[[], Any], times: int = 5) -> tuple[Any, float]:
    found, seconds = None, []
    for _ in range(times):
        started = time.process_time()
        found = function()
        seconds.append(time.process_time() - started)
    return found, min(seconds)


if __name__ == "__main__":
    chosen = sys.argv[1:] or list(BENCHES)
    with tempfile.TemporaryDirectory() as temporary:
        for name in chosen:
            BENCHES[name](Path(temporary))
