"""The cross-validation: nothing of a test scene reaches a training, and every method is scored by the same counts."""

import json
import sys
from fnmatch import fnmatch
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

sys.path.insert(0, str(Path(__file__).parent))  # the benches are scripts beside each other

import classical
import fold_plan
import fold_scores
import fold_table
from fold_models import merged

from hedgerow.config import RunConfig
from hedgerow.edges.blocks import ArrayReader
from hedgerow.jobs.scoring import score
from hedgerow.models.store import CARD, WEIGHTS
from hedgerow.records import BORDER
from hedgerow.stages.label import label_scene
from hedgerow.stages.trace import trace_scene
from hedgerow.tracers import watershed

BASE = Path(__file__).parents[2] / "configs" / "train" / "hedgerow-tiny.yaml"
TILES = [f"naip_{n}" for n in "gcabjdfieh"]
TRANSFORM = Affine(1, 0, 500_000, 0, -1, 6_000_000)
SQUARES = ((20, 20, 90, 90), (110, 20, 180, 90))
"""First column, first row, last column, last row of two fields, 20 m apart."""


@pytest.fixture
def case(tmp_path: Path) -> fold_scores.Case:
    """Two flat fields in a wood, 200 x 200 pixels of 1 m; the wood is strong noise."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 200, 200), np.uint8)
    for left, top, right, bottom in SQUARES:
        image[:, top:bottom, left:right] = 200
    profile = {"driver": "GTiff", "count": 3, "height": 200, "width": 200, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(tmp_path / "a.tif", "w", transform=TRANSFORM, **profile) as out:
        out.write(image)
    boxes = [shapely.box(x0 + 500_000, 6_000_000 - y1, x1 + 500_000, 6_000_000 - y0) for x0, y0, x1, y1 in SQUARES]
    gpd.GeoDataFrame(geometry=boxes, crs="EPSG:32632").to_file(tmp_path / "a_fields.gpkg", layer="fields")
    return fold_scores.Case(tmp_path / "a.tif", tmp_path / "a_fields.gpkg")


def squares() -> NDArray[np.int32]:
    fields = np.zeros((200, 200), np.int32)
    for k, (left, top, right, bottom) in enumerate(SQUARES):
        fields[top:bottom, left:right] = k + 1
    return fields


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_every_tile_is_unseen_in_exactly_one_fold(folds: int) -> None:
    parts = fold_plan.split(TILES, folds)
    assert sorted(name for fold in parts for name in fold.unseen) == sorted(TILES)
    assert all(set(fold.known) == set(TILES) - set(fold.unseen) for fold in parts)
    assert {len(fold.unseen) for fold in parts} <= {len(TILES) // folds, len(TILES) // folds + 1}
    assert parts == fold_plan.split(sorted(TILES, reverse=True), folds)


def test_the_tiles_that_choose_the_checkpoint_are_known_ones() -> None:
    for fold in fold_plan.split(TILES, 5, inner=2):
        assert len(fold.inner) == 2
        assert set(fold.inner) < set(fold.known)


@pytest.mark.parametrize("model", fold_plan.MODELS)
@pytest.mark.parametrize("inner", [0, 1])
def test_no_training_reads_what_its_fold_is_tested_on(model: str, inner: int) -> None:
    fold = fold_plan.split(TILES, 2, inner=inner)[0]
    config = fold_plan.fold_config(yaml.safe_load(BASE.read_text()), fold, model=model)
    assert fold_plan.DENMARK not in json.dumps(config)

    def read(part: str) -> set[str]:
        entries = [entry for entry in config[part] if Path(entry.get("path", "")).name == fold_plan.AERIAL]
        return {
            name
            for entry in entries
            for name in TILES
            if any(fnmatch(name, p) for p in entry.get("include", ["*"]))
            and not any(fnmatch(name, p) for p in entry.get("exclude", []))
        }

    assert read("data") == set(fold.known) - set(fold.inner)
    assert read("held_out") == set(fold.inner)


def model_folder(path: Path, **training: object) -> Path:
    path.mkdir()
    card = {"name": path.name, "backbone": {"kind": "vit"}, "bands": ["red"], "training": training}
    (path / CARD).write_text(json.dumps(card))
    (path / WEIGHTS).write_bytes(b"")
    return path


def test_folds_start_only_from_models_that_have_seen_none_of_the_scenes(tmp_path: Path) -> None:
    synthetic = model_folder(tmp_path / "synthetic", config={"data": [{"kind": "synthetic"}]})
    fold_plan.refuse_leak(synthetic)
    seen = model_folder(tmp_path / "seen", config={"data": [{"kind": "folder", "path": "x/naip_us_fields"}]})
    heir = model_folder(tmp_path / "heir", config={"data": [{"kind": "synthetic"}], "init": str(seen)})
    for model, reason in ((seen, "naip_us_fields"), (heir, "naip_us_fields")):
        with pytest.raises(SystemExit, match=reason):
            fold_plan.refuse_leak(model)
    with pytest.raises(SystemExit, match="does not say"):
        fold_plan.refuse_leak(model_folder(tmp_path / "silent"))


def test_flat_fields_in_a_wood_are_found_and_the_wood_is_none(case: fold_scores.Case) -> None:
    settings = classical.Settings(1.0, 3.0, 0.1, 0.4, 5.0, 1500.0, 0.0, 0.1)
    found = classical.classical_fields(case, settings)
    values = fold_scores.pooled([case.sums_of_fields(found)])
    assert (values["object_precision"], values["object_recall"]) == (1.0, 1.0)
    assert values["boundary_f1@5m"] == 1.0
    small = classical.classical_fields(case, classical.Settings(1.0, 3.0, 0.1, 0.4, 5.0, 6000.0, 0.0, 0.1))
    assert not small.any(), "each field has 4,900 m2"
    narrow = classical.classical_fields(case, classical.Settings(1.0, 3.0, 0.1, 0.4, 5.0, 1500.0, 40.0, 0.1))
    assert not narrow.any(), "the mean width of a square is half its side: 35 m"


def test_a_grid_counts_what_each_of_its_settings_counts_alone(case: fold_scores.Case) -> None:
    axes = {
        "work_m": (1.0, 2.0), "sigma_m": (3.0,), "contrast": (0.1,), "low_share": (0.4,), "marker_m": (3.0, 5.0),
        "min_area_m2": (0.0, 1500.0), "min_width_m": (0.0, 30.0), "max_texture": (0.1, None),
    }  # fmt: skip
    asked = classical.grid(axes)
    table = dict(classical.grid_sums(case, asked))
    assert len(table) == len(asked) == 32
    for one in asked[::5]:
        assert table[one] == case.sums_of_fields(classical.classical_fields(case, one))
    chosen = classical.best([table])
    assert all(
        fold_scores.worth(fold_scores.pooled([table[chosen]])) >= fold_scores.worth(fold_scores.pooled([sums]))
        for sums in table.values()
    )
    assert classical.best([table], texture=False).max_texture is None


def test_the_counts_give_the_scores_of_hedgerow_score(case: fold_scores.Case, tmp_path: Path) -> None:
    fields = np.roll(squares(), (1, 3), (0, 1))
    fields[150:170, 100:160] = 3
    with rasterio.open(case.image) as image:
        profile = image.profile | {"count": 1, "dtype": "int32"}
    with rasterio.open(tmp_path / "labels.tif", "w", **profile) as out:
        out.write(fields, 1)
    found = score(tmp_path / "labels.tif", case.truth, kind="labels", metrics=fold_scores.METRICS)
    wanted = {one.metric: one.value for one in found if one.layer == "all" and one.metric in fold_scores.COLUMNS}
    assert fold_scores.pooled([case.sums_of_fields(fields)]) == pytest.approx(wanted)
    assert wanted["object_recall"] == 1.0
    assert wanted["object_precision"] == pytest.approx(2 / 3)


def test_merging_gives_the_regions_that_a_trace_gives(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 2, (9, 9)).repeat(8, 0).repeat(8, 1)
    kind[:8, :8], kind[2:5, 2:5], kind[68:] = 1, 0, 2  # a field with a hole, a narrow wood
    pixels = np.stack([np.where(kind == k, 250, 2) for k in range(4)]).astype(np.uint8)
    for column, border in ((20, 40), (40, 200), (60, 60)):  # lines, of which two are faint
        pixels[BORDER, :, column] = border
    geobox = GeoBox(kind.shape, TRANSFORM, "EPSG:32632")
    rules = {"min_area_m2": 100.0, "min_hole_m2": 20.0, "min_width_m": 4.0, "min_border": 0.2}
    reader, tracer = ArrayReader(pixels), watershed.build(watershed.Config(min_seed_px=1, max_seed_border=0.1))
    store = label_scene(reader, ArrayReader(np.ones(kind.shape, bool)), tracer, tmp_path)
    want = trace_scene(store, reader, geobox, **rules).regions.regions()
    got = merged(store, reader, geobox, RunConfig(**rules))
    np.testing.assert_array_equal(got.labels, want.labels)
    for rule in rules:
        without = merged(store, reader, geobox, RunConfig(**(rules | {rule: 0.0})))
        assert not np.array_equal(without.labels, want.labels), rule


def counts(tp: float, fp: float, fn: float) -> fold_scores.Sums:
    borders = {"hit_ref": 0.0, "hit_test": 0.0, "n_ref": 10.0, "n_test": 10.0}
    return {"boundary_f1@5m": borders, "boundary_f1": borders, "object": {"tp": tp, "fp": fp, "fn": fn}}


def test_the_table_pools_counts_and_repeats_a_method_for_the_folds_that_another_is_limited_to(tmp_path: Path) -> None:
    one = {"fold": 1, "settings": {}, "unseen": {"a": counts(1, 0, 0)}, "denmark": counts(1, 1, 1), "steps": 7}
    two = {"fold": 2, "settings": {}, "unseen": {"b": counts(1, 4, 4)}, "denmark": counts(1, 0, 0), "steps": 7}
    rows = fold_table.table_rows([
        {"method": "tiny", "tracing": "preset", "folds": [one, two]},
        {"method": "unet", "tracing": "preset", "folds": [one]},
    ])  # fmt: skip
    assert [(row["method"], row["folds"]) for row in rows] == [("tiny", [1, 2]), ("tiny", [1]), ("unet", [1])]
    assert rows[0]["unseen"]["object_f1"] == pytest.approx(2 * 2 / (2 * 2 + 4 + 4))  # not the mean of 1 and 0.2
    assert rows[0]["denmark"]["object_f1"] == pytest.approx((0.5 + 1) / 2)
    assert rows[1]["unseen"]["object_f1"] == rows[2]["unseen"]["object_f1"] == 1.0
    text = fold_table.write_table(rows, {"folds": 2, "tiles": 2}, tmp_path)
    assert text.count("| tiny | preset | 1, 2 | 0.000 | 0.000 | 0.333 | 0.333 | 0.333 |") == 1
    assert json.loads((tmp_path / "table.json").read_text())["rows"] == json.loads(json.dumps(rows))
