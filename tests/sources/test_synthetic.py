"""Are synthetic scenes what they say: repeatable, exact in their truth, and true to each sensor's contract?"""

import pickle
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from pydantic import ValidationError
from rasterio.features import rasterize
from scipy.ndimage import binary_dilation, uniform_filter

from hedgerow.errors import ConfigError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import Window
from hedgerow.jobs.synthesizing import synth
from hedgerow.records import FIELD, FOREST, OTHER
from hedgerow.sources.synthetic import BANDS, Config, build, render

SENSORS = ("satellite", "aerial", "drone")
STYLES = ("section", "european", "strips", "contour", "paddies")


def small(**options) -> Config:
    return Config(**{"height_px": 160, "width_px": 192, **options})


@pytest.mark.parametrize("sensor", SENSORS)
def test_the_same_config_gives_the_same_bytes(sensor):
    first, second = (render(small(sensor=sensor, seed=11)) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.parcels.tobytes() == second.parcels.tobytes()
    assert (shapely.to_wkb(first.truth.geometry) == shapely.to_wkb(second.truth.geometry)).all()


def test_another_seed_gives_another_scene():
    assert (render(small(seed=1)).image != render(small(seed=2)).image).mean() > 0.5


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("sensor", "gsd_m"), [("aerial", 1.0), ("satellite", 10.0), ("drone", 0.1)])
def test_truth_is_a_valid_coverage_whose_neighbours_share_their_vertices(style, sensor, gsd_m):
    for seed in range(3):
        truth = render(small(style=style, sensor=sensor, gsd_m=gsd_m, seed=seed)).truth.geometry.to_numpy()
        assert (shapely.get_type_id(truth) == 3).all()
        assert shapely.is_valid(truth).all()
        # GEOS: no overlaps, and edges that match vertex for vertex.
        assert shapely.coverage_is_valid(truth)


@pytest.mark.parametrize("options", [{"sensor": s, "seed": k} for s in SENSORS for k in (3, 4)] + [{"epsg": 4326}])
def test_truth_burnt_by_rasterio_is_the_parcel_raster(options):
    scene = render(small(**options))
    numbered = zip(scene.truth.geometry, range(1, len(scene.truth) + 1), strict=True)
    burnt = rasterize(
        numbered, out_shape=scene.parcels.shape, transform=scene.geobox.transform, dtype="int32"
    )  # an independent path: map coordinates, not the metres in which the scene was drawn
    # A pixel centre that lies on a border, to rounding, may fall to either side.
    assert (burnt != scene.parcels).mean() < 1e-3


@pytest.mark.parametrize("sensor", SENSORS)
def test_classes_are_those_of_the_parcels(sensor):
    scene = render(small(sensor=sensor, seed=6))
    number = {"field": FIELD, "forest": FOREST}
    class_of = np.array([OTHER, *(number[c] for c in scene.truth["class"])])
    assert (scene.classes == class_of[scene.parcels]).all()
    assert set(scene.truth["class"]) <= {"field", "forest"}
    assert list(scene.truth.columns) == ["class", "crop", "geometry"]


def test_every_class_is_seen_in_a_series_of_scenes():
    counts = sum(np.bincount(render(small(seed=s)).classes.ravel(), minlength=3) for s in range(12))
    share = counts / counts.sum()
    assert (share > 0.05).all()


@pytest.mark.parametrize(
    ("sensor", "count", "dtype"), [("satellite", 4, np.uint16), ("aerial", 3, np.uint8), ("drone", 4, np.uint8)]
)
def test_bands_and_numbers_are_those_of_the_sensor(sensor, count, dtype):
    scene = render(small(sensor=sensor))
    assert scene.image.shape == (count, 160, 192)
    assert scene.image.dtype == dtype
    assert scene.bands == BANDS[sensor]
    assert scene.valid.shape == (160, 192)


def test_only_a_drone_has_a_collar_and_nothing_is_drawn_there():
    assert render(small(sensor="aerial")).valid.all()
    scene = render(small(sensor="drone"))
    outside = ~scene.valid
    assert 0.03 < outside.mean() < 0.5
    assert (scene.image[3] == np.where(scene.valid, 255, 0)).all()
    assert (scene.image[:3, outside] == 0).all()
    assert (scene.parcels[outside] == 0).all()


@pytest.mark.parametrize("gsd_m", [0.05, 10.0])
@pytest.mark.parametrize("sensor", SENSORS)
def test_the_finest_and_the_coarsest_pixel_work_for_every_sensor(gsd_m, sensor):
    scene = render(Config(gsd_m=gsd_m, sensor=sensor, seed=2, height_px=96, width_px=130))
    assert scene.image.std() > 0
    assert len(scene.truth) > 0


@pytest.mark.parametrize("epsg", [32633, 4326, 25832, 2263])
def test_a_pixel_is_as_wide_on_the_ground_as_it_says(epsg):
    box = render(Config(epsg=epsg, gsd_m=2.0, height_px=64, width_px=64)).geobox
    # UTM, a national grid, a state plane in US feet: projections stretch the ground by up to 0.1 % where they are used.
    assert pixel_size_m(box) == pytest.approx((2.0, 2.0), rel=2e-3)


def test_borders_are_seen_where_the_truth_has_them():
    """Two fields of different crops differ more across their border than inside: the picture is that of the truth."""
    scene = render(Config(seed=5, sensor="satellite", gsd_m=10.0, noise=0.0, haze=0.0))
    image, labels = scene.image.astype(float), scene.parcels
    step = np.abs(image[:, :, 2:] - image[:, :, :-2]).sum(axis=0)
    crossing = (labels[:, 2:] != labels[:, :-2]) & (labels[:, 2:] > 0) & (labels[:, :-2] > 0)
    inside = (labels[:, 2:] == labels[:, :-2]) & (labels[:, 2:] > 0)
    assert step[crossing].mean() > 2 * step[inside].mean()


def test_a_source_reads_windows_of_its_scene_after_a_pickle_too():
    config = small(sensor="drone", seed=9)
    source = pickle.loads(pickle.dumps(build(config)))
    window, scene = Window(10, 20, 90, 110), render(config)
    patch = source.read(window)
    assert source.bands == ("red", "green", "blue")
    assert source.geobox == scene.geobox
    assert (patch.data == scene.image[:3, 10:90, 20:110]).all()
    assert (patch.valid == scene.valid[10:90, 20:110]).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValidationError):
        Config(gsd_m=0.01)
    with pytest.raises(ConfigError, match="EPSG:1 is unknown"):
        render(Config(epsg=1))


def test_the_job_writes_pictures_and_truth_that_read_back(tmp_path):
    pictures = synth(tmp_path, scenes=6, seed=3, height_px=96, width_px=96)
    assert [p.stem for p in pictures] == [
        "aerial_1m_a", "satellite_10m_a", "drone_25cm_a", "aerial_1m_b", "satellite_10m_b", "drone_10cm_b",
    ]  # fmt: skip
    for picture in pictures:
        with rasterio.open(picture) as file:
            assert file.descriptions == BANDS[picture.stem.split("_")[0]]
            crs, bounds = file.crs, file.bounds
        truth = geopandas.read_file(picture.with_suffix(".gpkg"), layer="fields")
        assert truth.crs == crs
        assert {"class", "crop"} <= set(truth.columns)
        slack = 1e-6 * (bounds.right - bounds.left)
        assert shapely.box(*bounds).buffer(slack).covers(shapely.box(*truth.total_bounds))
    with rasterio.open(pictures[2]) as file:
        assert file.colorinterp[3].name == "alpha"
        assert 0 < (file.dataset_mask() == 0).mean() < 0.5


def test_the_job_makes_equal_files_for_equal_seeds(tmp_path):
    for name in ("one", "two"):
        synth(tmp_path / name, scenes=1, seed=8, height_px=64, width_px=64)
    for suffix in ("tif", "gpkg"):
        one, two = (tmp_path / name / f"aerial_1m_a.{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_the_job_refuses_what_is_there_and_wrong_settings_before_rendering(tmp_path):
    synth(tmp_path, scenes=1, height_px=32, width_px=32)
    with pytest.raises(ConfigError, match="already holds aerial_1m_a"):
        synth(tmp_path, scenes=1, height_px=32, width_px=32)
    synth(tmp_path, scenes=1, height_px=32, width_px=32, overwrite=True)
    with pytest.raises(ConfigError, match="gsd_m"):
        synth(tmp_path / "new", scenes=1, gsd_m=50.0)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ConfigError, match="ask for 1 or more"):
        synth(tmp_path, scenes=0)


@pytest.fixture
def tiles(checkout: Path) -> list[Path]:
    return sorted((checkout / "sample_tiles").glob("*.tif"))


def test_sample_tiles_are_the_six_that_their_readme_promises(tiles):
    assert [t.stem for t in tiles] == [
        "aerial_1m_a", "aerial_1m_b", "drone_10cm_b", "drone_25cm_a", "satellite_10m_a", "satellite_10m_b",
    ]  # fmt: skip
    assert all(t.with_suffix(".gpkg").is_file() for t in tiles)
    assert sum(f.stat().st_size for f in tiles[0].parent.iterdir()) < 8e6
    assert len({rasterio.open(t).crs.to_epsg() for t in tiles}) >= 2
    readme = (tiles[0].parent / "README.md").read_text()
    assert "hedgerow synth -o sample_tiles --scenes 6 --seed 5" in readme


def test_sample_tiles_come_from_their_seed(tiles, tmp_path):
    (made,) = synth(tmp_path, scenes=1, seed=5)
    with rasterio.open(made) as new, rasterio.open(tiles[0].parent / made.name) as kept:
        assert new.transform == kept.transform
        # Other versions of the geometry and image libraries may round a border pixel differently.
        assert np.abs(new.read().astype(int) - kept.read()).mean() < 0.5


def flat(scene, names=("red", "green", "blue")) -> np.ndarray:
    """Return the deviation of brightness from the mean of the 5 x 5 pixels around, in units of the picture."""
    grey = scene.image[[scene.bands.index(n) for n in names]].astype(np.float64).mean(axis=0)
    return np.abs(grey - uniform_filter(grey, 5))


def test_lakes_and_rivers_take_land_from_fields_and_nothing_else_changes_without_them():
    options = {"seed": 5, "gsd_m": 2.0, "style": "european"}
    dry, wet = render(small(**options)), render(small(**options, lakes=3))
    assert (wet.classes == OTHER).mean() > (dry.classes == OTHER).mean() + 0.1
    assert ((wet.classes == FOREST) & (dry.classes != FOREST)).mean() < 1e-3  # the woods stay where they were
    # Water is the smoothest of all: its middle stands out in the flattest pixels of what is neither field nor wood.
    assert np.quantile(flat(wet)[wet.classes == OTHER], 0.1) < np.quantile(flat(dry)[dry.classes == OTHER], 0.1)
    assert shapely.coverage_is_valid(wet.truth.geometry.to_numpy())
    assert (render(small(**options, lakes=0)).image == dry.image).all()


def test_waterways_that_cut_nothing_are_seen_but_not_drawn():
    for seed in range(30):
        options = {"seed": seed, "gsd_m": 4.0, "style": "section"}
        cut, whole = render(small(**options)), render(small(**options, waterways=0))
        healed = (cut.classes == OTHER) & (whole.classes == FIELD)
        if healed.mean() > 0.005:
            break
    assert len(whole.truth) < len(cut.truth)
    near = binary_dilation(healed, iterations=4) & ~binary_dilation(healed, iterations=2) & (whole.classes == FIELD)
    grey = whole.image.astype(np.float64).mean(axis=0)
    assert abs(np.median(grey[healed]) - np.median(grey[near])) > 3  # of 255


def test_crowns_of_low_contrast_make_even_woods():
    options = {"seed": 2, "gsd_m": 1.0, "style": "european", "height_px": 320, "width_px": 320}
    rough, even = render(small(**options)), render(small(**options, crowns=0.1))
    wood = rough.classes == FOREST
    assert wood.mean() > 0.05
    assert (rough.parcels == even.parcels).all()
    assert np.median(flat(even)[wood]) < 0.6 * np.median(flat(rough)[wood])
