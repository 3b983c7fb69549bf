"""`hedgerow.run` from Python: several arms, manifests that can be run again, and what `resume` takes over."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

import hedgerow
from hedgerow.config import RunConfig, load_yaml
from hedgerow.errors import ConfigError, SourceError
from hedgerow.jobs import running


@pytest.fixture
def config(scenes_folder: Path, tiny_model: Path) -> RunConfig:
    return RunConfig(
        inputs=(str(scenes_folder / "woods.tif"),), model=str(tiny_model), tile_px=96, halo_px=32, threads=1, workers=1
    )


def test_a_run_makes_maps_and_no_scores(config: RunConfig, tmp_path: Path) -> None:
    result = hedgerow.run(config.model_copy(update={"arms": ("fp32", "int8")}), tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in result.files] == [
        "woods/fp32/borders.gpkg", "woods/int8/borders.gpkg",
    ]  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"run.json", "woods"}


def test_the_settings_of_a_manifest_are_those_of_the_run(config: RunConfig, tmp_path: Path) -> None:
    wide = config.model_copy(update={"min_area_m2": 50.0, "simplify_m": 2.0, "to": ("gpkg", "fgb")})
    hedgerow.run(wide, tmp_path / "out")
    assert RunConfig.model_validate(load_yaml(tmp_path / "out/run.json")) == wide


def test_minimum_area_and_simplification_shape_the_map(config: RunConfig, tmp_path: Path) -> None:
    hedgerow.run(config, tmp_path / "fine")
    hedgerow.run(config.model_copy(update={"min_area_m2": 200.0, "simplify_m": 3.0}), tmp_path / "coarse")
    fine, coarse = (
        geopandas.read_file(tmp_path / name / "woods/fp32/borders.gpkg", layer="fields") for name in ("fine", "coarse")
    )
    assert fine.area_m2.min() < 200 <= coarse.area_m2.min() * 1.2  # simplification moves an area a little
    assert coarse.get_coordinates().shape[0] < fine.get_coordinates().shape[0] / 2


def test_borders_are_regularized_and_smoothed_as_the_settings_say(config: RunConfig, tmp_path: Path) -> None:
    shape = {"regularize_m": 2.0, "smooth": 1, "smooth_reach_m": 1.5}
    hedgerow.run(config.model_copy(update={"simplify_m": 1.0, **shape}), tmp_path / "out")
    manifest = json.loads((tmp_path / "out/run.json").read_text())
    (one,) = manifest["maps"]
    assert {"not_regularized", "not_smoothed"} <= one["summary"].keys()
    assert one["summary"]["gap_m2"] == one["summary"]["overlap_m2"] == 0
    assert manifest["config"] | shape == manifest["config"]


def test_constants_replace_measured_percentiles_and_are_recorded(config: RunConfig, tmp_path: Path) -> None:
    constants = {"low": (0.0, 0.0, 0.0), "high": (255.0, 255.0, 255.0)}
    hedgerow.run(config.model_copy(update={"scaling": constants}), tmp_path / "out")
    (one,) = json.loads((tmp_path / "out/run.json").read_text())["inputs"]
    assert one["scaling"] == {"low": [0, 0, 0], "high": [255, 255, 255]}
    assert one["scaling_from"] == "config"


def test_the_resolution_of_the_network_is_recorded(config: RunConfig, tmp_path: Path) -> None:
    hedgerow.run(config.model_copy(update={"gsd_m": 2.0}), tmp_path / "out")
    (one,) = json.loads((tmp_path / "out/run.json").read_text())["inputs"]
    assert one["gsd_m"] == pytest.approx(1.0, rel=0.01)
    assert one["network_gsd_m"] == pytest.approx(2.0, rel=0.01)
    with rasterio.open(tmp_path / "out/woods/fp32/probability.tif") as dataset:
        assert dataset.shape == (160, 192)  # maps stay on the stored grid


def test_nodata_of_the_input_is_invalid_in_the_map(config: RunConfig, scenes_folder: Path, tmp_path: Path) -> None:
    with rasterio.open(scenes_folder / "woods.tif") as dataset:
        pixels, profile = dataset.read(), dataset.profile
    pixels = pixels.clip(1)
    pixels[:, :40, :50] = 0
    with rasterio.open(tmp_path / "holed.tif", "w", **(profile | {"nodata": 0})) as dataset:
        dataset.write(pixels)
    hedgerow.run(config.model_copy(update={"inputs": (str(tmp_path / "holed.tif"),)}), tmp_path / "out")
    with rasterio.open(tmp_path / "out/holed/fp32/probability.tif") as dataset:
        valid = dataset.dataset_mask() > 0
        assert (valid == (pixels > 0).all(axis=0)).all()
        assert not dataset.read()[:, ~valid].any()
        hole = ~dataset.transform
    fields = geopandas.read_file(tmp_path / "out/holed/fp32/borders.gpkg", layer="fields")
    corners = np.array([hole @ (x, y) for x, y in fields.representative_point().get_coordinates().to_numpy()])
    assert not ((corners[:, 0] < 50) & (corners[:, 1] < 40)).any()


def test_an_interrupted_run_keeps_what_it_has_and_refuses_other_weights(
    monkeypatch: pytest.MonkeyPatch, config: RunConfig, tiny_model: Path, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(running, "write_manifest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hedgerow.run(config, out)
    made = (out / "woods/fp32/probability.tif").stat().st_mtime_ns
    with pytest.raises(ConfigError, match="--resume to go on with it, or --overwrite"):
        hedgerow.run(config, out)
    with monkeypatch.context() as patch:
        patch.setattr("hedgerow.jobs.outfolder.digest", lambda model: "other weights")
        with pytest.raises(ConfigError, match="other settings"):
            hedgerow.run(config, out, resume=True)
    hedgerow.run(config.model_copy(update={"workers": 2}), out, resume=True)
    assert (out / "woods/fp32/probability.tif").stat().st_mtime_ns == made
    assert (out / "run.json").is_file()
    assert not (out / ".work").exists()


def test_resume_begins_where_nothing_is_there(config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()  # an empty folder is as good as none
    hedgerow.run(config, tmp_path / "out", resume=True)
    assert (tmp_path / "out/run.json").is_file()


def test_the_only_input_that_fails_is_an_error_with_its_reason(
    config: RunConfig, scenes_folder: Path, tmp_path: Path
) -> None:
    whole = (scenes_folder / "woods.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"cut\.tif"):
        hedgerow.run(config.model_copy(update={"inputs": (str(tmp_path / "cut.tif"),)}), tmp_path / "out")
    assert not (tmp_path / "out/run.json").exists()


def test_the_place_of_results_may_be_part_of_the_settings(config: RunConfig, tmp_path: Path) -> None:
    hedgerow.run(config.model_copy(update={"out": str(tmp_path / "here")}))
    assert (tmp_path / "here" / "run.json").is_file()
    with pytest.raises(ConfigError, match="no place for the results"):
        hedgerow.run(config)
