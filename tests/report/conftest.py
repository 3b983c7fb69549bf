"""A finished run made of tiny arrays: four square fields and a wood, three arms, one input that failed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from hedgerow.geo.tiling import tile_geobox
from hedgerow.geo.windows import whole
from hedgerow.writers._probability import ProbabilityRaster
from hedgerow.writers._tables import footprint, write_json, write_scores, write_tiles

ARMS = {"fp32": 1.0, "int8": 0.97, "w4a4-spatial": 0.71, "w4a4-minmax": 0.42}
SHAPE = (96, 128)


def probabilities(shape: tuple[int, int], broken: float = 0.0, shift: int = 0) -> np.ndarray:
    """Fields of 32 px, the right quarter a wood, borders 3 px wide; `broken` of the border pixels are gone."""
    rows, cols = np.indices(shape)
    border = ((rows + shift) % 32 < 3) | ((cols + shift) % 32 < 3)
    border &= np.random.default_rng(1).random(shape) >= broken
    forest = cols >= 3 * shape[1] // 4
    layers = np.stack([np.zeros(shape), ~border & ~forest, ~border & forest, border])
    return (layers * 240 + 4).astype(np.uint8)


def score_row(metric: str, arm: str, against: str, value: float | None, **more: Any) -> dict[str, Any]:
    row = {"metric": metric, "arm": arm, "against": against, "layer": "all", "input": None, "value": value}
    return row | {"unit": "1", "n": 1234, "low": None, "high": None, "flag": None, "parameters": {}} | more


def score_rows(stem: str) -> list[dict[str, Any]]:
    rows = []
    for arm, value in ARMS.items():
        if arm != "fp32":
            for metric in ("erqa", "corner_retention", "continuity", "erq_boundary", "boundary_iou", "boundary_f1"):
                rows.append(score_row(metric, arm, "fp32", value, low=value - 0.02, high=value + 0.02))
            rows.append(score_row("spatial_quality", arm, "fp32", value))
            rows.append(score_row("spatial_quality", arm, "fp32", value, input=stem))
            for layer, n in (("field|field", 900), ("field|forest", 300), ("forest|other", 0)):
                part = {"value": None, "flag": "no such border"} if n == 0 else {"value": value - 0.05}
                rows.append(score_row("boundary_f1", arm, "fp32", **part, layer=layer, n=n))
        rows.append(score_row("boundary_f1", arm, "truth", 0.6 * value))
        rows.append(score_row("boundary_f1", arm, "truth", 0.6 * value, input=stem))
        rows.append(score_row("object_f1", arm, "truth", None, flag="no object in truth"))
        rows.append(score_row("hd95", arm, "truth", 12.5 / value, unit="m", n=4321, flag="3 objects were missed"))
    return rows


def difference_rows() -> list[dict[str, Any]]:
    """What each arm has less than fp32 against truth: the first is like it, the others are worse."""
    rows = []
    for arm, value in list(ARMS.items())[1:]:
        less, verdict = 0.6 * (value - 1), "no difference shown" if arm == "int8" else "worse"
        row = {"arm": arm, "minus": "fp32", "against": "truth", "layer": "all", "input": None, "unit": "1", "n": 8}
        interval = {"low": less - 0.02, "high": less + 0.019, "flag": None, "verdict": verdict}
        rows.append(row | interval | {"metric": "boundary_f1", "value": less})
        nothing = {"low": None, "high": None, "verdict": None}
        rows.append(row | nothing | {"metric": "object_f1", "value": None, "flag": "fp32: no object in truth"})
    return rows


def make_run(out: Path, image: Path, shape: tuple[int, int] = SHAPE, tile_px: int = 64) -> Path:
    geobox = GeoBox(shape, Affine(1, 0, 500000, 0, -1, 6000000), "EPSG:32632")
    stem = "farm & <wood>"
    pixels = np.random.default_rng(0).integers(40, 200, (3, *shape)).astype(np.uint8)
    with rasterio.open(
        image, "w", driver="GTiff", height=shape[0], width=shape[1], count=3, dtype="uint8", crs="EPSG:32632",
        transform=geobox.transform,
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    tiles = []
    for arm, value in ARMS.items():
        with ProbabilityRaster(out / stem / arm / "probability.tif", geobox) as raster:
            raster.write(whole(shape), probabilities(shape, 0.5 * (1 - value)), np.ones(shape, bool))
        tiles += [
            {
                "input": stem, "tile": tile.id, "arm": arm, "status": "ok", "support": tile.core.shape[0] ** 2,
                "geometry": footprint(tile.geobox), "erq_boundary__fp32": value - 0.01 * k,
            }
            for k, tile in enumerate(tile_geobox(geobox, tile_px, 0))
        ]  # fmt: skip
    write_tiles(tiles, out / "tiles.parquet")
    intervals = {"level": 0.95, "resamples": 123, "fewest_tiles": 6}
    write_scores(score_rows(stem), out / "scores.json", differences=difference_rows(), intervals=intervals)
    write_json(
        {
            "inputs": [
                {
                    "name": stem, "path": str(image), "gsd_m": 1.0, "shape": list(shape), "crs": "EPSG:32632",
                    "bands": ["red", "green", "blue"], "display_bands": [0, 1, 2],
                    "scaling": {"low": [0, 0, 0], "high": [255, 255, 255]}, "status": "ok", "truth": "farm_fields.gpkg",
                }
            ],
            "arms": [
                {
                    "name": arm, "quantizer": "none" if arm == "fp32" else "minmax", "simulated": "w4" in arm,
                    "size_bytes": {"fp32": 4_800_000, "int8": 1_300_000}.get(arm, 720_000),
                    "seconds_per_tile": 0.21,
                    "sites": {} if arm == "fp32" else {
                        f"blocks.{i}.{site}": "W4 A4" if "w4" in arm else "W8 A8"
                        for i in range(4) for site in ("attn.qkv", "attn.q", "mlp.fc1")
                    } | {"head": "W8 A8"},
                }
                for arm in ARMS
            ],
            "config": {"seed": 0, "tile_px": tile_px, "tracer": {"kind": "watershed"}, "truth": "auto"},
            "versions": {"hedgerow": "0.1.0", "numpy": "2.4"},
            "seconds": {"predict": 12.5, "total": 130.0},
            "failures": [{"input": "broken.tif", "error": "broken.tif: <not> a raster"}],
        },
        out / "run.json",
    )  # fmt: skip
    return out


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "out", tmp_path / "image.tif")


@pytest.fixture
def edit(run_folder: Path) -> Callable[..., None]:
    """Change keys of run.json; a key set to None is taken out."""

    def change(**changes: Any) -> None:
        path = run_folder / "run.json"
        content = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change
