"""An arm that changes nothing scores exactly 1; the same run again gives the same bytes."""

import json
from pathlib import Path

import pytest
import rasterio

import hedgerow
from hedgerow.config import RunConfig
from hedgerow.stages.measure import better


@pytest.fixture(scope="module")
def compared(scenes_folder: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity")
    same = folder / "same.yaml"
    same.write_text("quantizer: {kind: none}\n")
    config = RunConfig(
        inputs=(str(scenes_folder),), arms=("fp32", str(same), "w4a4-minmax"), truth="auto", model=str(tiny_model),
        tile_px=96, halo_px=32, threads=1, workers=1,
    )  # fmt: skip
    hedgerow.compare(config, folder / "out")
    return folder / "out"


def rows(out: Path) -> list[dict]:
    return json.loads((out / "scores.json").read_text())["scores"]


def by_key(out: Path, arm: str, against: str) -> dict[tuple, tuple]:
    found = [row for row in rows(out) if (row["arm"], row["against"]) == (arm, against)]
    return {(r["metric"], r["layer"], r["input"]): (r["value"], r["n"], r["flag"]) for r in found}


def test_an_identity_arm_scores_exactly_one_against_fp32(compared: Path) -> None:
    found = [row for row in rows(compared) if (row["arm"], row["against"]) == ("same", "fp32")]
    ratios = [row for row in found if better(row["metric"]) in ("higher", "one")]
    # the `reference` profile keeps upstream's 0 where neither map has an edge: n is 0 there
    applicable = [row for row in ratios if row["value"] is not None and row["n"] > 0]
    assert {row["value"] for row in applicable} == {1.0}
    metrics = {row["metric"] for row in applicable}
    assert {"erqa", "erqa_reference", "continuity", "sharpness", "erq_boundary", "spatial_quality", "boundary_iou",
            "boundary_f1", "object_precision", "object_recall", "object_f1"} <= metrics  # fmt: skip
    gaps = [row["value"] for row in rows(compared) if row["metric"] == "gaps_per_km" and row["arm"] == "same"
            and row["against"] == "fp32" and row["value"] is not None]  # fmt: skip
    assert set(gaps) == {0.0}


def test_the_scores_can_tell_an_arm_that_changes_something(compared: Path) -> None:
    values = by_key(compared, "w4a4-minmax", "fp32")
    for metric in ("erqa", "boundary_iou", "boundary_f1", "spatial_quality"):
        assert values[metric, "all", None][0] < 0.999


def test_an_identity_arm_is_as_right_as_fp32(compared: Path) -> None:
    truth = by_key(compared, "fp32", "truth")
    assert any(0 < value < 1 for value, _, _ in truth.values() if value is not None)
    assert by_key(compared, "same", "truth") == truth


def test_an_identity_arm_writes_the_same_maps(compared: Path) -> None:
    for stem in ("strips", "woods"):
        with (
            rasterio.open(compared / stem / "fp32/probability.tif") as one,
            rasterio.open(compared / stem / "same/probability.tif") as other,
        ):
            assert (one.read() == other.read()).all()


@pytest.mark.parametrize(("scheduler", "workers"), [("sync", 2), ("processes", 1)])
def test_a_manifest_run_again_gives_the_same_bytes(
    compared: Path, tmp_path: Path, scheduler: str, workers: int
) -> None:
    config = RunConfig.model_validate(json.loads((compared / "run.json").read_text())["config"])
    again = config.model_copy(update={"scheduler": scheduler, "workers": workers})
    hedgerow.compare(again, tmp_path / "out")
    assert (tmp_path / "out/scores.json").read_bytes() == (compared / "scores.json").read_bytes()
    for path in compared.rglob("probability.tif"):
        assert (tmp_path / "out" / path.relative_to(compared)).read_bytes() == path.read_bytes()
