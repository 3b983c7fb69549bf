"""Training samples: sets and 3 px borders where they belong, nothing claimed where nothing is known."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from pydantic import ValidationError

from hedgerow.errors import ConfigError, SourceError
from hedgerow.geo.windows import Window
from hedgerow.records import BORDER, FIELD, FOREST, OTHER
from hedgerow.training.augment import noise_patch, turned, weathered
from hedgerow.training.crops import Crop, Cut, crop_at, draw_crop, resized, shrunk
from hedgerow.training.data import FolderData, SyntheticData
from hedgerow.training.plan import Augment
from hedgerow.training.scenes import ANY, LabelledScene, load_scenes, unseen_classes

SceneOf = Callable[..., LabelledScene]
BANDS = ("red", "green", "blue")
_O, _F, _W, _B = 1 << OTHER, 1 << FIELD, 1 << FOREST, 1 << BORDER


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def square(side: int, border: slice, inside: slice) -> np.ndarray:
    """Sets of a map with one field: `border` spans it with its border, `inside` without."""
    sets = np.full((side, side), _O, np.uint8)
    sets[border, border] = _B
    sets[inside, inside] = _F
    return sets


def test_sets_and_3_px_borders_lie_where_the_polygon_is(scene_of: SceneOf) -> None:
    """The edge runs through pixels 12 and 30: border is 11..13 and 29..31, field 14..28."""
    scene = scene_of()
    got = scene.targets(scene.transform, (48, 48))
    np.testing.assert_array_equal(got, square(48, slice(11, 32), slice(14, 29)))


def test_the_border_is_3_px_wide_at_any_zoom(scene_of: SceneOf) -> None:
    """At half the resolution the edge at 13 and 31 runs through network pixels 6 and 15 of 24."""
    scene = scene_of(polygons=np.asarray([shapely.box(13, 13, 31, 31)], object), zoom=(0.5, 0.5))
    _, got = crop_at(scene, Window(0, 0, 48, 48), 24)
    want = square(24, slice(5, 17), slice(8, 14))
    strip = math.ceil(4 / 2)  # 2 network px are 4 stored ones
    np.testing.assert_array_equal(got[strip:-strip, strip:-strip], want[strip:-strip, strip:-strip])


def test_a_border_between_two_parcels_belongs_to_neither(scene_of: SceneOf) -> None:
    boxes = [shapely.box(-20, -20, 24.5, 70), shapely.box(24.5, -20, 70, 70)]
    scene = scene_of(polygons=np.asarray(boxes, object), classes=np.asarray([FIELD, FOREST], np.uint8))
    row = scene.targets(scene.transform, (48, 48))[20]
    assert row.tolist() == [_F] * 23 + [_B] * 3 + [_W] * 22


def test_without_polygons_the_rest_is_everywhere(scene_of: SceneOf) -> None:
    scene = scene_of(polygons=np.zeros(0, object), classes=np.zeros(0, np.uint8), unlabelled=_O | _B)
    assert (scene.targets(scene.transform, (8, 8)) == _O | _B).all()


def test_beyond_the_frame_nothing_is_known(scene_of: SceneOf) -> None:
    """A crop of 64 px holds the whole scene of 48: its frame lies somewhere inside, and 2 px along it are unknown."""
    for seed in range(5):
        y0, x0 = -(seed * 4), -(seed * 3)
        image, got = crop_at(scene_of(unlabelled=_O), Window(y0, x0, y0 + 64, x0 + 64), 64)
        rows, cols = np.nonzero(got != ANY)
        assert (np.ptp(rows), np.ptp(cols)) == (43, 43)  # 48 less 2 at either side
        known = got[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
        np.testing.assert_array_equal(known, square(48, slice(11, 32), slice(14, 29))[2:-2, 2:-2])
        assert image.shape == (3, 64, 64)


def test_truth_that_ends_at_the_frame_or_at_nodata_makes_no_border(scene_of: SceneOf) -> None:
    """Who draws fields on an image ends them where it ends: those edges must not be learned."""
    valid = np.ones((48, 48), bool)
    valid[:, 40:] = False
    scene = scene_of(polygons=np.asarray([shapely.box(0, 0, 40, 48)], object), valid=valid)
    _, got = crop_at(scene, Window(0, 0, 48, 48), 48)
    assert set(np.unique(got)) == {_F, ANY}
    assert (got[2:-2, 2:38] == _F).all()
    assert (got[:, 38:] == ANY).all()


@pytest.mark.parametrize("shrink", [1, 2, 4])
def test_nor_does_it_in_a_shrunk_crop(shrink: int, scene_of: SceneOf) -> None:
    """A border is 3 px wide in what the network sees, and so is what covers it 2 px there: `shrink` times as many."""
    valid = np.ones((96, 96), bool)
    valid[:, 80:] = False
    image = np.zeros((3, 96, 96), np.float32)
    scene = scene_of(polygons=np.asarray([shapely.box(0, 0, 80, 96)], object), valid=valid, image=image)
    _, got = crop_at(scene, Window(0, 0, 96, 96), 96, shrink=shrink)
    assert set(np.unique(got)) == {_F, ANY}
    assert (got[:, 80 // shrink - 2 :] == ANY).all()
    assert (got[2:-2, 2 : 80 // shrink - 2] == _F).all()


@pytest.mark.parametrize(("crop_px", "strip"), [(48, 2), (24, 4), (12, 8)])
def test_the_strip_of_which_nothing_is_known_is_2_px_of_the_crop_whatever_the_range_of_zooms(
    crop_px: int, strip: int, scene_of: SceneOf
) -> None:
    scene = scene_of(zoom=(0.1, 1.0))
    known = np.zeros((48, 48), bool)
    known[strip:-strip, strip:-strip] = True
    np.testing.assert_array_equal(scene.known(48 / crop_px), known)
    _, got = crop_at(scene, Window(0, 0, 48, 48), crop_px)
    assert (got != ANY).sum() == (crop_px - 4) ** 2


def test_border_points_are_those_that_a_crop_of_that_zoom_knows(scene_of: SceneOf) -> None:
    """The outline lies at 12 and at 30 of 48: 12 px lie between its upper left half and the frame, 17 below."""
    scene = scene_of(zoom=(0.1, 1.0))
    every = {(y, x) for y in range(12, 31) for x in range(12, 31) if {y, x} & {12, 30}}
    assert {tuple(p) for p in scene.border_points(1).tolist()} == every
    assert {tuple(p) for p in scene.border_points(6).tolist()} == every
    assert {tuple(p) for p in scene.border_points(6.5).tolist()} == {p for p in every if min(p) >= 13}
    assert len(scene.border_points(9)) == 0


def rows_of(crops: list[Crop]) -> Counter[int]:
    return Counter(int(crop.place.split()[2].split(".")[0]) for crop in crops)


@pytest.mark.parametrize(
    ("point", "side", "first", "last"),
    [(20, 16, 5, 20), (3, 16, 0, 3), (45, 16, 30, 32), (20, 44, 0, 4), (20, 48, 0, 0), (20, 52, -4, 0)],
)
def test_crops_laid_round_a_point_are_as_likely_anywhere_where_they_show_it(
    point: int, side: int, first: int, last: int, scene_of: SceneOf
) -> None:
    """A scene of 48 px whose only border is one pixel: rows from max(0, point - side + 1) to min(point, 48 - side)."""
    speck = shapely.box(point + 0.4, point + 0.4, point + 0.6, point + 0.6)
    scene = scene_of(polygons=np.asarray([speck], object))
    assert scene.border_points(1).tolist() == [[point, point]]
    seen = rows_of([draw_crop(scene, Cut(side, border_share=1), rng(k)) for k in range(240)])
    assert set(seen) == set(range(first, last + 1))
    fair = 240 / (last - first + 1)
    assert max(seen.values()) < fair + 5 * fair**0.5  # 5 standard deviations


def test_a_crop_inside_the_scene_is_the_window_of_the_scene(scene_of: SceneOf) -> None:
    image = np.arange(48 * 48, dtype=np.float32).reshape(1, 48, 48)
    scene = scene_of(image=image)
    whole = np.where(scene.known(1), scene.targets(scene.transform, (48, 48)), ANY)
    for y, x in ((0, 0), (7, 30), (32, 32)):
        got, sets = crop_at(scene, Window(y, x, y + 16, x + 16), 16)
        np.testing.assert_array_equal(got, image[:, y : y + 16, x : x + 16])
        np.testing.assert_array_equal(sets, whole[y : y + 16, x : x + 16])


def test_a_shrunk_crop_is_the_same_window_with_fewer_pixels(scene_of: SceneOf) -> None:
    """Sets are burned anew, so that a border is 3 px wide there, too: the edge at 13 and 31 is at 6 and 15 of 24."""
    scene = scene_of(polygons=np.asarray([shapely.box(13, 13, 31, 31)], object))
    image, got = crop_at(scene, Window(0, 0, 48, 48), 48, shrink=2)
    assert image.shape == (3, 24, 24)
    want = square(24, slice(5, 17), slice(8, 14))
    np.testing.assert_array_equal(got[2:-2, 2:-2], want[2:-2, 2:-2])
    np.testing.assert_allclose(image[:, 4:-4, 4:-4], scene.image[:, 8:-8:2, 8:-8:2] + 0.5 / 47, atol=1e-5)


def test_a_quarter_of_the_tokens_before_the_switch(scene_of: SceneOf) -> None:
    coarse, fine = (draw_crop(scene_of(), Cut(32, shrink), rng()) for shrink in (2, 1))
    assert coarse.image.size * 4 == fine.image.size
    assert coarse.allowed.size * 4 == fine.allowed.size


def test_shrinking_keeps_a_flat_image_and_the_range() -> None:
    np.testing.assert_allclose(shrunk(np.full((2, 16, 16), 0.3, np.float32), 2), 0.3, atol=1e-6)
    black_and_white = (rng().random((1, 32, 32)) > 0.5).astype(np.float32)
    small = shrunk(black_and_white, 2)
    assert small.shape == (1, 16, 16)
    assert small.min() >= 0
    assert small.max() <= 1


def test_crops_at_borders_show_one(scene_of: SceneOf) -> None:
    """The field's outline is 3 px in 200; a crop of 16 px laid anywhere mostly misses it."""
    scene = scene_of(side=200)
    shows = [
        [bool((draw_crop(scene, Cut(16, 1, share), rng(k)).allowed == _B).any()) for k in range(60)] for share in (0, 1)
    ]
    assert all(shows[1])
    assert sum(shows[0]) < 20


def test_border_points_are_known_pixels_on_the_outline(scene_of: SceneOf) -> None:
    points = scene_of().border_points(1)
    assert {tuple(p) for p in points} >= {(12, 12), (12, 30), (30, 12), (30, 30), (20, 12)}
    assert set(np.unique(points)) <= set(range(12, 31))
    assert all(12 in p or 30 in p for p in points.tolist())
    assert len(scene_of(polygons=np.zeros(0, object), classes=np.zeros(0, np.uint8)).border_points(1)) == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_noise_patch_changes_one_square_and_stays_in_range(seed: int) -> None:
    image = np.full((3, 24, 32), 0.5, np.float32)
    out = noise_patch(image, rng(seed), 0.2)
    rows, cols = np.nonzero((out != image).any(axis=0))
    assert np.ptp(rows) == np.ptp(cols)
    assert 1 <= np.ptp(rows) + 1 <= 24
    assert out.min() >= 0
    assert out.max() <= 1
    np.testing.assert_array_equal(image, 0.5)


def test_the_sides_of_noise_patches_are_uniform_and_their_deviation_is_bounded() -> None:
    image = np.full((1, 40, 40), 0.5, np.float32)
    made = [noise_patch(image, rng(seed), 0.1) for seed in range(400)]
    sides = np.asarray([np.sqrt((out != image).sum()) for out in made])
    assert abs(sides.mean() - 20.5) < 2
    large = [float(out[out != image].std()) for out, side in zip(made, sides, strict=True) if side > 15]
    assert 0.04 < np.mean(large) < 0.06  # uniform in 0..0.1
    assert max(large) < 0.11


def test_pixels_and_sets_turn_together() -> None:
    """A map whose image shows its sets keeps showing them; all 8 symmetries of the square come up."""
    sets = np.asarray([[1, 2], [4, 8]], np.uint8)
    seen = set()
    for seed in range(100):
        image, moved = turned(sets[None].astype(np.float32), sets, rng(seed))
        np.testing.assert_array_equal(image[0], moved)
        seen.add(moved.tobytes())
    assert len(seen) == 8


def test_light_stays_within_bounds_and_does_change() -> None:
    image = np.stack([np.zeros((20, 20)), np.ones((20, 20)), rng().random((20, 20))]).astype(np.float32)
    seen = [weathered(image, rng(seed), Augment()) for seed in range(60)]
    for out in seen:
        assert (out.shape, out.dtype) == (image.shape, np.float32)
        assert np.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1
    shift = np.asarray([float((out[2] - image[2]).mean()) for out in seen])
    assert 0.02 < shift.std() < 0.2  # it matters, and the scene can still be seen
    assert np.median([np.corrcoef(out[2].ravel(), image[2].ravel())[0, 1] for out in seen]) > 0.9


def test_the_same_stream_draws_the_same_crop(scene_of: SceneOf) -> None:
    cut = Cut(32, border_share=0.5, noise_std=0.1)
    one, two, other = (draw_crop(scene_of(zoom=(0.5, 2.0)), cut, rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.allowed, two.allowed)
    assert one.place == two.place != other.place
    assert not np.array_equal(one.image, other.image)
    assert one.image.shape == (3, 32, 32)
    assert one.allowed.shape == (32, 32)


def test_without_augmentation_a_crop_shows_the_stored_pixels(scene_of: SceneOf) -> None:
    still = Augment(light=0, grey=0, haze=0, blur=0, noise=0)
    image = rng().random((3, 48, 48)).astype(np.float32)
    crop = draw_crop(scene_of(image=image), Cut(48, augment=still), rng())
    np.testing.assert_allclose(np.sort(crop.image.ravel()), np.sort(image.ravel()), atol=1e-6)


def test_haze_brightens_and_flattens() -> None:
    image = (0.4 * rng().random((3, 64, 64))).astype(np.float32)
    hazy = weathered(image, rng(1), Augment(light=0, grey=0, haze=1, blur=0, noise=0))
    assert hazy.mean() > image.mean() + 0.02
    assert hazy[:, :, -8:].std() < image[:, :, -8:].std()


def test_resampling_keeps_the_mean_and_the_range() -> None:
    image = rng(3).random((2, 24, 24)).astype(np.float32)
    for side in (12, 24, 40):
        out = resized(image, side)
        assert out.shape == (2, side, side)
        assert out.min() >= image.min() - 1e-6
        assert out.max() <= image.max() + 1e-6
    np.testing.assert_allclose(resized(image, 12), image.reshape(2, 12, 2, 12, 2).mean(axis=(2, 4)), atol=1e-6)


def test_synthetic_scenes_come_scaled_with_their_truth() -> None:
    data = SyntheticData(scenes=3, scene_px=64, gsd_m=(0.2, 8))
    scenes = list(load_scenes(data, BANDS, 5))
    assert [scene.name for scene in scenes] == ["synthetic-0", "synthetic-1", "synthetic-2"]
    for scene, again in zip(scenes, load_scenes(data, BANDS, 5), strict=True):
        assert scene.image.shape == (3, 64, 64)
        assert 0 <= scene.image.min() < scene.image.max() <= 1
        assert scene.unlabelled == _O
        np.testing.assert_array_equal(scene.image, again.image)
        np.testing.assert_array_equal(
            scene.targets(scene.transform, (64, 64)), again.targets(again.transform, (64, 64))
        )
    assert not np.array_equal(scenes[0].image, next(load_scenes(data, BANDS, 6)).image)


def test_a_folder_of_scenes_is_read_with_the_truth_beside_it(scenes_folder: Path) -> None:
    data = FolderData(path=scenes_folder, include=("strips",), unlabelled=("other", "border"))
    (scene,) = load_scenes(data, BANDS, 0)
    assert scene.name == "strips"
    assert scene.image.shape == (3, 192, 160)
    assert scene.unlabelled == _O | _B
    sets = scene.targets(scene.transform, (192, 160))
    assert {_F, _B} <= set(np.unique(sets))
    assert 0 <= scene.image.min() < scene.image.max() <= 1
    assert {s.name for s in load_scenes(FolderData(path=scenes_folder, exclude=("woods",)), BANDS, 0)} == {"strips"}


def test_nodata_and_constants_are_those_of_a_run(raster: Callable[..., Path], tmp_path: Path) -> None:
    """Stored 10, 60 and 110 are 0, 0.5 and 1 of 10..110; 7 in all bands is no measurement, and takes the mean."""
    columns = np.repeat(np.asarray([10, 60, 110, 7], np.uint8), 8)
    raster(tmp_path / "steps.tif", np.broadcast_to(columns, (3, 32, 32)), photometric="RGB")
    field = gpd.GeoDataFrame(geometry=[shapely.box(500_004, 4_999_972, 500_012, 4_999_996)], crs=32633)
    field.to_file(tmp_path / "steps.gpkg")
    constants = {"low": (10.0, 10.0, 10.0), "high": (110.0, 110.0, 110.0)}
    (scene,) = load_scenes(FolderData(path=tmp_path, nodata=7, scaling=constants), BANDS, 0)
    np.testing.assert_array_equal(scene.valid, np.broadcast_to(columns != 7, (32, 32)))
    want = np.repeat(np.asarray([0, 0.5, 1, 0.5], np.float32), 8)
    np.testing.assert_allclose(scene.image, np.broadcast_to(want, (3, 32, 32)), atol=1e-6)


def test_a_class_counts_as_seen_only_where_it_is_known(scene_of: SceneOf) -> None:
    """A forest outside of the image, in nodata, or in the strip along the frame teaches nothing."""
    field = shapely.box(12.5, 12.5, 30.5, 30.5)

    def unseen(forest: shapely.Polygon, **changes: Any) -> tuple[str, ...]:
        both = {"polygons": np.asarray([field, forest], object), "classes": np.asarray([FIELD, FOREST], np.uint8)}
        return unseen_classes([scene_of(**both, **changes)])

    assert unseen(shapely.box(32, 32, 40, 40)) == ()
    assert unseen(shapely.box(12, 60, 30, 80)) == ("forest",)
    assert unseen(shapely.box(0, 0, 48, 2)) == ("forest",)
    valid = np.ones((48, 48), bool)
    valid[31:] = False
    assert unseen(shapely.box(12, 33, 30, 40), valid=valid) == ("forest",)
    assert unseen(shapely.box(32, 32, 40, 40), unlabelled=ANY) == ("other",)
    assert unseen(shapely.box(0, 0, 48, 48), unlabelled=_O) == ("other",)  # nothing is left outside of polygons
    far = np.asarray([shapely.box(60, 60, 70, 70)], object)
    assert unseen_classes([scene_of(polygons=far)]) == ("field", "forest", "border")


def test_two_splits_by_rows_share_no_pixel_and_make_the_whole(scenes_folder: Path) -> None:
    def part(rows: tuple[float, float]) -> LabelledScene:
        (scene,) = load_scenes(FolderData(path=scenes_folder, include=("strips",), rows=rows), BANDS, 0)
        return scene

    whole, upper, lower = part((0, 1)), part((0, 0.6)), part((0.6, 1))
    np.testing.assert_array_equal(np.concatenate([upper.image, lower.image], axis=1), whole.image)
    assert upper.image.shape[1] == round(0.6 * 192)
    assert lower.transform == whole.transform @ Affine.translation(0, upper.image.shape[1])
    joined = [s.targets(s.transform, s.valid.shape) for s in (upper, lower)]
    np.testing.assert_array_equal(np.concatenate(joined), whole.targets(whole.transform, whole.valid.shape))


def test_a_folder_without_a_match_or_without_truth_is_refused(scenes_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no raster matches nothing_like"):
        list(load_scenes(FolderData(path=scenes_folder, include=("nothing_like*",)), BANDS, 0))
    with rasterio.open(scenes_folder / "strips.tif") as file:
        profile, pixels = file.profile, file.read()
    with rasterio.open(tmp_path / "alone.tif", "w", **profile) as file:
        file.write(pixels)
    with pytest.raises(SourceError, match="no truth beside it"):
        list(load_scenes(FolderData(path=tmp_path), BANDS, 0))


def test_a_crop_that_no_shrinking_divides_is_shrunk_as_a_whole(scene_of: SceneOf) -> None:
    """Its targets cover the whole window, and so must its pixels: of a ramp, means of 80 / 26 px from end to end."""
    ramp = np.broadcast_to(np.linspace(0, 1, 80, dtype=np.float32), (3, 80, 80))
    small, sets = crop_at(scene_of(side=80, image=ramp), Window(0, 0, 80, 80), 80, shrink=3)
    assert small.shape[1:] == sets.shape == (26, 26)
    centres = (np.arange(26) + 0.5) * 80 / 26 - 0.5  # in stored pixels
    np.testing.assert_allclose(small[0, 5, 3:-3], centres[3:-3] / 79, atol=2e-3)


def test_synthetic_scenes_without_a_band_are_refused() -> None:
    with pytest.raises(SourceError, match=r"synthetic scenes of 1 m have .*, not swir"):
        list(load_scenes(SyntheticData(scenes=1, scene_px=64, gsd_m=(1, 1)), ("red", "swir"), 0))


def test_no_class_for_the_rest_says_that_nothing_is_known_of_it(scenes_folder: Path) -> None:
    (scene,) = load_scenes(FolderData(path=scenes_folder, include=("strips",), unlabelled=()), BANDS, 0)
    assert scene.unlabelled == ANY


def test_the_land_of_synthetic_scenes_is_as_asked_for() -> None:
    plain = SyntheticData(scenes=2, scene_px=96, gsd_m=(2, 4))
    wet = SyntheticData(scenes=2, scene_px=96, gsd_m=(2, 4), land={"lakes": 8})
    dry, drowned = ([float(shapely.area(s.polygons).sum()) for s in load_scenes(d, BANDS, 3)] for d in (plain, wet))
    assert all(less < 0.9 * more for less, more in zip(drowned, dry, strict=True))


@pytest.mark.parametrize("land", [{"gsd_m": 1}, {"seed": 3}, {"lakes": -1}, {"oceans": 1}])
def test_land_that_cannot_be_is_refused(land: dict[str, float]) -> None:
    with pytest.raises((ValidationError, ConfigError), match=next(iter(land))):
        SyntheticData(land=land)
