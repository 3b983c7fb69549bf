"""Every file of real-world trouble either runs or is refused with what, which file and what next. The table is here.

Files that lack something only a person can know (which band is which, which files belong together) are refused as they
are, and then run as the refusal says. Networks are tiny: this is about reading, grids and masks.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch

import hedgerow
from hedgerow import RunConfig, registry
from hedgerow.errors import SourceError
from hedgerow.jobs.planning import plan
from hedgerow.models.store import ModelCard, save
from hedgerow.sources._collars import collar_warning
from hedgerow.sources.geotiff import Config, build

pytestmark = pytest.mark.real_data

B04 = "2018-10-13, Sentinel-2B L1C, B04.tiff"
HLS = "hls_10band_float_neg_nodata-9999.tif"
MANILA = "oam_manila_black_collar_unflagged.tif"
ONE_BAND = "has 1 band(s) [1=?], but the model needs red, green, blue: if its other bands are files of their own, join"
NO_NAMES = "the model needs red, green, blue: name all bands as stored, first to last, with --bands"
PALETTE = "band 1 is a palette of classes, not imagery: give the image it was made from"
NO_CRS = "has no CRS, so nothing can be measured in metres: assign one first, for instance `rio edit-info --crs"

RUNS: Mapping[str, dict[str, Any]] = {
    "landsat_collar_nodata0.tif": {},
    # 2048 x 2048 pixels of a town: seen coarsely and traced simply, to be quick.
    MANILA: {"gsd_m": 1.5, "tracer": {"kind": "components"}, "min_area_m2": 100},
    "swiss_05_image.tif": {},
}

REFUSED = {
    B04: ONE_BAND,
    "cdl2016_palette_3m_upsampled.tif": PALETTE,
    "fields_no_georeference.png": NO_CRS,
    HLS: f"10=?], but {NO_NAMES}",
    "landsat_c2_b4.tif": ONE_BAND,
    "landsat_c2_b5.tif": ONE_BAND,
    "landsat_c2_b6.tif": ONE_BAND,
    "rotated_geotransform_epsg3577.tif": ONE_BAND,
    "s1_gcps_no_crs.tif": "has 210 ground control points but no grid: rectify it first, for instance `rio warp",
    "s2_float64_epsg4326.tif": f"has 4 band(s) [1=?, 2=?, 3=?, 4=?], but {NO_NAMES}",
    "south_up_epsg4326.tif": ONE_BAND,
    "swiss_05_treemask_no_crs.tif": NO_CRS,
    "treecanopy_palette_offset_grid.tif": PALETTE,
}  # fmt: skip

ONE = {"stored_bands": ("red",), "model": "one band"}
AS_TOLD: Mapping[str, tuple[str, dict[str, Any]]] = {
    "four bands named": ("s2_float64_epsg4326.tif", {"stored_bands": ("blue", "green", "red", "nir")}),
    "three of ten bands named": (HLS, {"stored_bands": ("-", "blue", "green", "red")}),
    "three files joined": ("landsat_c2_b*.tif", {"bands": {"red": "*_b6.*", "green": "*_b5.*", "blue": "*_b4.*"}}),
    "one band, white outside flagged": (B04, {**ONE, "nodata": 255, "gsd_m": 100}),
    "one band, rotated grid": ("rotated_geotransform_epsg3577.tif", ONE),
    "one band, south-up grid": ("south_up_epsg4326.tif", ONE),
}  # fmt: skip


@pytest.fixture(scope="module")
def messy(real_data: Path) -> Path:
    return real_data / "messy"


@pytest.fixture(scope="module")
def one_band_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights that sees one band."""
    backbone = {
        "kind": "vit",
        "bands": 1,
        "width": 32,
        "depth": 1,
        "heads": 2,
        "stem": (8, 8, 16),
        "decoder": (16, 8, 8),
    }
    card = ModelCard(name="one", backbone={**backbone, "normalize": False}, bands=("red",))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = registry.build("backbones", card.backbone).state_dict()
    folder = tmp_path_factory.mktemp("models") / "one"
    save(folder, card, state)
    return folder


def config(path: Path, model: Path, **settings: Any) -> RunConfig:
    return RunConfig(inputs=(str(path),), model=str(model), scheduler="sync", tile_px=512, halo_px=32, **settings)


def run(out: Path, path: Path, model: Path, **settings: Any) -> dict[str, Any]:
    """Run one input, check that its outputs open again on its grid, and return its row of the manifest."""
    result = hedgerow.run(config(path, model, **settings), out)
    assert result.failures == result.skipped == ()
    (row,) = json.loads((out / "run.json").read_text())["inputs"]
    assert row["status"] == "done"
    with rasterio.open(row["band_files"][0]) as image, rasterio.open(probability(out, row)) as made:
        assert made.crs == image.crs
        assert made.shape == image.shape
        assert made.transform.almost_equals(image.transform, 1e-9)
        for layer in ("fields", "borders"):
            vectors = geopandas.read_file(out / row["name"] / "fp32/borders.gpkg", layer=layer)
            assert vectors.crs == image.crs.to_wkt()
    return dict(row)


def probability(out: Path, row: Mapping[str, Any]) -> Path:
    return out / row["name"] / "fp32" / "probability.tif"


def valid(path: Path) -> Any:
    """Return (height, width), True = valid, of a probability raster."""
    with rasterio.open(path) as file:
        return file.dataset_mask() > 0


def stored(path: Path, *bands: int) -> Any:
    with rasterio.open(path) as file:
        return file.read(bands)


def test_the_table_holds_every_file(messy: Path) -> None:
    files = {path.name for path in messy.iterdir() if path.suffix != ".md"}
    assert files == RUNS.keys() | REFUSED.keys()
    assert not RUNS.keys() & REFUSED.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_run_as_it_is_says_why_and_what_next(messy: Path, tiny_model: Path, name: str) -> None:
    with pytest.raises(SourceError) as caught:
        plan(config(messy / name, tiny_model))
    text = str(caught.value)
    assert text.startswith(f"{messy / name}: ")
    assert REFUSED[name] in text
    assert "\n" not in text


@pytest.mark.parametrize("name", RUNS)
def test_a_file_that_can_be_run_is_run(messy: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    row = run(tmp_path / "out", messy / name, tiny_model, **RUNS[name])
    assert row["name"] == Path(name).stem
    assert len(row["warnings"]) == (name == MANILA)  # its collar is reported, and not acted upon
    made = valid(probability(tmp_path / "out", row))
    with rasterio.open(messy / name) as image:
        np.testing.assert_array_equal(made, image.dataset_mask() > 0)


@pytest.mark.parametrize("case", AS_TOLD)
def test_a_refused_file_runs_once_it_is_given_what_it_lacks(
    messy: Path, tiny_model: Path, one_band_model: Path, tmp_path: Path, case: str
) -> None:
    name, settings = AS_TOLD[case]
    model = one_band_model if settings.get("model") else tiny_model
    row = run(tmp_path / "out", messy / name, model, **{k: v for k, v in settings.items() if k != "model"})
    pixels = np.concatenate([stored(Path(row["band_files"][0]), *(band + 1 for band in row["display_bands"]))])
    missing = settings.get("nodata", -9999)
    there = np.isfinite(pixels).all(axis=0) & ~(pixels == missing).all(axis=0)
    np.testing.assert_array_equal(valid(probability(tmp_path / "out", row)), there)
    assert row["warnings"] == [] or case == "one band, south-up grid"  # its zeros are dry land, which none can know


def test_bands_are_read_by_the_names_given(messy: Path, tiny_model: Path) -> None:
    (scene,) = plan(config(messy / HLS, tiny_model, stored_bands=("-", "blue", "green", "red"))).scenes
    patch = scene.source.read(scene.tiles[0].core)
    np.testing.assert_array_equal(patch.data, stored(messy / HLS, 4, 3, 2))
    assert patch.data.min() < 0  # negative reflectance is a measurement


def test_files_whose_grids_differ_are_not_joined(messy: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The canopy map lies 2.5 and 3.1 pixels off the Landsat bands; written as a plain band it must not be joined."""
    with rasterio.open(messy / "treecanopy_palette_offset_grid.tif") as file:
        profile = {
            key: file.profile[key] for key in ("driver", "width", "height", "count", "dtype", "crs", "transform")
        }
        pixels = file.read()
    with rasterio.open(tmp_path / "canopy.tif", "w", **profile) as file:
        file.write(pixels)
    for band in ("b4", "b5"):
        (tmp_path / f"{band}.tif").symlink_to(messy / f"landsat_c2_{band}.tif")
    bands = {"red": "b4*", "green": "b5*", "blue": "canopy*"}
    with pytest.raises(SourceError, match=r"canopy\.tif: its grid differs from that of b4\.tif"):
        plan(config(tmp_path, tiny_model, bands=bands))


@pytest.mark.parametrize(("name", "bands", "value"), [(MANILA, ("red", "green", "blue"), 0), (B04, ("red",), 255)])
def test_unflagged_collars_are_reported_with_the_fix(
    messy: Path, name: str, bands: tuple[str, ...], value: int
) -> None:
    options: dict[str, Any] = {"path": messy / name, "bands": bands, "stored_bands": bands}
    text = collar_warning(build(Config(**options)))
    assert text is not None
    share = (stored(messy / name, *range(1, len(bands) + 1)) == value).all(axis=0).mean()  # nearly all of it is collar
    assert float(text.split("%")[0]) == pytest.approx(100 * share, abs=0.5)
    assert f"--set nodata={value}" in text
    assert collar_warning(build(Config(**options, nodata=value))) is None


def test_the_whole_folder_is_planned_and_every_problem_listed(messy: Path, tiny_model: Path) -> None:
    made = plan(config(messy, tiny_model))
    assert {f"{scene.name}.tif" for scene in made.scenes} == RUNS.keys()
    assert {failure.input for failure in made.failures} == {Path(name).stem for name in REFUSED}
    told = {failure.input: failure.error for failure in made.failures}
    assert all(REFUSED[name] in told[Path(name).stem] for name in REFUSED)
