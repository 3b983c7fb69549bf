"""What ERQA's profile for maps adds: the shift, adaptive thresholds, cleaning, the picture, and what images may be."""

import warnings
from itertools import pairwise
from math import hypot
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.edges.layers import LAYERS
from hedgerow.edges.matching import EdgeMatch, Version
from hedgerow.edges.shift import crops
from hedgerow.edges.views import Pair, View, view_of_mask
from hedgerow.errors import ConfigError, ScoreError
from hedgerow.geo.tiling import tile_geobox
from hedgerow.metrics._booking import totals
from hedgerow.metrics._overlay import overlay_of
from hedgerow.metrics.erqa import Config, build, erqa, overlay
from hedgerow.records import Value
from hedgerow.stages.measure import Scorers, measure, scene_values

ALL_VALID = np.ones((64, 64), bool)
WHITE, BLUE, RED, BLACK = (255, 255, 255), (0, 0, 255), (255, 0, 0), (0, 0, 0)

OPTIONS: list[dict[str, Any]] = [
    {},
    {"version": "1.0"},
    {"thresholds": "adaptive"},
    {"clean_px": 6},
    {"version": "1.0", "thresholds": "adaptive", "low_quantile": 0.6, "high_quantile": 0.7, "clean_px": 3},
]


def box(rows: tuple[int, int] = (16, 48), cols: tuple[int, int] = (16, 48), value: int = 255) -> np.ndarray:
    image = np.zeros((64, 64), np.uint8)
    image[slice(*rows), slice(*cols)] = value
    return image


SQUARE = box()
FLAT = np.zeros_like(SQUARE)
SPOTTED = np.maximum(SQUARE, box((4, 8), (4, 8)))


def moved(*shift: int) -> np.ndarray:
    return np.roll(SQUARE, shift, (0, 1))


def values_of(
    test: np.ndarray, reference: np.ndarray, size_m: tuple[float, float] = (1.0, 1.0), **options: Any
) -> dict[str, Value]:
    pair = Pair(*(view_of_mask(p, ALL_VALID, size_m) for p in (test, reference)))
    metric = build(Config(**options))
    return {value.name: value for value in metric.conclude(totals(metric.book(pair)))}


# The shift at which most edges meet


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, -2), (3, -3)])
def test_a_displacement_is_named_in_pixels_and_metres(shift: tuple[int, int]) -> None:
    found = values_of(moved(*shift), SQUARE, (2.0, 0.5))
    assert (found["erqa_shift_y"].value, found["erqa_shift_x"].value) == shift
    assert found["erqa_shift_m"].value == pytest.approx(hypot(2.0 * shift[0], 0.5 * shift[1]))
    assert [found[f"erqa_shift_{axis}"].unit for axis in "yxm"] == ["px", "px", "m"]
    assert found["erqa_shift_y"].n == 124


@pytest.mark.parametrize(
    ("test", "reference", "flag"),
    [
        (FLAT, FLAT, "no edges in either map"),
        (FLAT, SQUARE, "no edges in the candidate"),
        (SQUARE, FLAT, "no edges in the reference"),
        (box((4, 20), (4, 20)), box((40, 56), (40, 56)), "no edge meets another within 3 px"),
    ],
)
def test_where_no_edge_meets_another_there_is_no_shift(test: np.ndarray, reference: np.ndarray, flag: str) -> None:
    found = values_of(test, reference)
    assert {(found[f"erqa_shift_{axis}"].value, found[f"erqa_shift_{axis}"].flag) for axis in "yxm"} == {(None, flag)}
    assert erqa(test, reference).shift_yx is None


def test_the_shift_of_many_scenes_is_where_most_of_all_edges_meet() -> None:
    metric = build(Config())
    small = np.roll(box((20, 30), (20, 30)), 2, 1), box((20, 30), (20, 30))
    scenes = [
        Pair(*(view_of_mask(p, ALL_VALID, size) for p in images))
        for images, size in ((small, (1.0, 1.0)), ((moved(-1, 0), SQUARE), (10.0, 10.0)))
    ]
    edges = [int(scene.reference.edges.sum()) for scene in scenes]
    assert edges[0] < edges[1] == 124
    pooled = {v.name: v.value for v in metric.conclude(totals(b for scene in scenes for b in metric.book(scene)))}
    assert (pooled["erqa_shift_y"], pooled["erqa_shift_x"]) == (-1, 0)
    # One row, as high as the mean over the reference's edge pixels.
    assert pooled["erqa_shift_m"] == pytest.approx((1 * edges[0] + 10 * edges[1]) / sum(edges))


def test_an_undone_shift_is_the_one_of_least_squared_error() -> None:
    score = erqa(moved(2, -1), SQUARE, global_compensation=True)
    assert (score.f1, score.shift_yx) == (1.0, (2, -1))


# Counts


def test_counts_are_scores_in_pixels() -> None:
    # 124 edge pixels each; one column aside all but two find a partner (F1 = 244 / 248).
    found = values_of(moved(0, 1), SQUARE)
    assert [found[f"erqa_{kind}"].value for kind in ("tp", "fp", "fn")] == [122, 2, 2]
    assert {found[f"erqa_{kind}"].unit for kind in ("tp", "fp", "fn")} == {"px"}
    assert found["erqa"].value == pytest.approx(244 / 248)


def test_counts_of_one_empty_map_are_told_with_a_flag_and_of_two_not_at_all() -> None:
    found = values_of(FLAT, SQUARE)
    assert [found[f"erqa_{kind}"].value for kind in ("tp", "fp", "fn")] == [0, 0, 124]
    assert found["erqa_fp"].flag == "no edges in the candidate"
    assert values_of(FLAT, FLAT)["erqa_fp"].value is None


# Adaptive thresholds


def test_pale_maps_score_as_full_ones_with_adaptive_thresholds() -> None:
    # A step of 20 has a gradient of 80: below the fixed thresholds.
    pale, other = box(value=20), np.roll(box(value=20), 1, 1)
    assert erqa(other, pale).f1 is None
    score = erqa(other, pale, thresholds="adaptive")
    assert score.f1 == pytest.approx(244 / 248)
    assert score.thresholds == (79, 79)


def test_a_map_paler_than_its_reference_loses_its_edges() -> None:
    assert erqa(box(value=127), SQUARE).f1 == 1.0
    score = erqa(box(value=127), SQUARE, thresholds="adaptive")
    assert (score.f1, score.flag) == (0.0, "no edges in the candidate")
    assert values_of(box(value=127), SQUARE, thresholds="adaptive")["erqa@adaptive"].value == 0.0


def test_edges_beside_a_flat_reference_are_misplaced() -> None:
    score = erqa(SQUARE, FLAT, thresholds="adaptive")
    assert (score.f1, score.fp, score.flag) == (0.0, 124, "no edges in the reference")


def test_nodata_has_no_say_in_the_thresholds() -> None:
    valid = ALL_VALID.copy()
    valid[:10] = False
    reference = np.where(valid, np.maximum(box(value=20), 100), 0).astype(np.uint8)
    reference[20:40, 20:40] = 120
    # The step to nodata is 100 high; the box on the ground of 100 is 20 high, and its sides decide.
    assert erqa(reference, reference, valid=valid, thresholds="adaptive").thresholds == (79, 79)
    assert erqa(reference, reference, thresholds="adaptive").thresholds[1] == 399


# Cleaning


def test_cleaning_drops_the_pieces_that_are_too_small() -> None:
    # A 4 x 4 spot has 12 edge pixels (F1 = 248 / 260).
    assert erqa(SPOTTED, SQUARE, clean_px=12).f1 == erqa(SPOTTED, SQUARE).f1 == pytest.approx(248 / 260)
    assert erqa(SPOTTED, SQUARE, clean_px=13).f1 == 1.0
    assert erqa(SQUARE, SPOTTED, clean_px=13).f1 == 1.0
    assert erqa(SQUARE, SQUARE, clean_px=125).flag == "no edges in either map"


# Options as a whole


@pytest.mark.parametrize("options", OPTIONS)
def test_function_and_metric_agree_under_every_option(options: dict[str, Any], pair: Pair) -> None:
    metric = build(Config(**options))
    found = [value.value for value in metric.conclude(totals(metric.book(pair)))]
    score = erqa(pair.candidate.p, pair.reference.p, **options)
    assert score.shift_yx is not None
    length_m = 10.0 * hypot(*score.shift_yx)
    expected = [score.f1, score.jaccard, score.precision, score.recall, score.tp, score.fp, score.fn, *score.shift_yx]
    assert found == [*expected, length_m]


def test_names_tell_options_apart() -> None:
    metrics = [registry.build("metrics", {"kind": "erqa", **options}) for options in OPTIONS]
    assert [metric.name for metric in metrics] == [
        "erqa", "erqa@1.0", "erqa@adaptive", "erqa@clean6px", "erqa@1.0,adaptive0.6-0.7,clean3px"
    ]  # fmt: skip
    assert [value.name for value in metrics[2].conclude({})] == [
        "erqa@adaptive", "erqa_jaccard@adaptive", "erqa_precision@adaptive", "erqa_recall@adaptive",
        "erqa_tp@adaptive", "erqa_fp@adaptive", "erqa_fn@adaptive",
        "erqa_shift_y@adaptive", "erqa_shift_x@adaptive", "erqa_shift_m@adaptive",
    ]  # fmt: skip
    assert dict(metrics[0].parameters) == {"profile": "geo", "version": "1.1", "low": 100, "high": 200}
    assert dict(metrics[2].parameters) == {
        "profile": "geo", "version": "1.1", "thresholds": "adaptive", "low_quantile": 0.5, "high_quantile": 0.8
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"profile": "reference", "thresholds": "adaptive"},
        {"profile": "reference", "clean_px": 3},
        {"low_quantile": 0.9, "high_quantile": 0.8},
        {"clean_px": -1},
        {"thresholds": "otsu"},
    ],
)
def test_settings_that_do_not_go_together_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        registry.build("metrics", {"kind": "erqa", **wrong})
    with pytest.raises(ScoreError):
        erqa(SQUARE, SQUARE, **wrong)


def noisy(seed: int, *, side: int = 60) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (side, side)).astype(np.uint8)
    blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5)
    return np.clip((blurred - 128) * 6 + 128, 0, 255).astype(np.uint8)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), options=st.sampled_from(OPTIONS), holes=st.booleans())
def test_a_map_against_itself_is_perfect(seed: int, options: dict[str, Any], holes: bool) -> None:
    image = noisy(seed)
    valid = np.random.default_rng(seed).random(image.shape) > 0.002 if holes else None
    score = erqa(image, image, valid=valid, **options)
    assert (score.f1, score.precision, score.recall, score.jaccard, score.shift_yx) == (1, 1, 1, 1, (0, 0))


def turned(image: np.ndarray, quarters: int, *, flip: bool) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if flip else image, quarters))


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 200), version=st.sampled_from(["1.0", "1.1"]))
def test_a_joint_flip_or_quarter_turn_changes_little(seed: int, version: Version, map_of: Any) -> None:
    reference = map_of(seed, shape=(300, 300), sigma=1.5).p
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 60, reference.shape), (0, 0), 1.5)
    test = np.clip(0.9 * reference + noise, 0, 255).astype(np.uint8)
    straight = erqa(test, reference, version=version).f1
    for quarters in range(4):
        for flip in (False, True):
            images = (turned(image, quarters, flip=flip) for image in (test, reference))
            # Ties in Canny's suppression and the order of offsets depend on direction: a few pixels of 13,000.
            assert erqa(*images, version=version).f1 == pytest.approx(straight, abs=1e-3)


@pytest.mark.parametrize("turn", range(1, 4))
def test_moved_lines_feel_the_order_of_offsets_a_little_more(turn: int, pair: Pair) -> None:
    test, reference = pair.candidate.p, pair.reference.p
    score = erqa(turned(test, turn, flip=False), turned(reference, turn, flip=False))
    assert score.f1 == pytest.approx(erqa(test, reference).f1, abs=5e-3)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_growing_shift_never_improves_the_score(version: Version) -> None:
    # From half the square on it would touch the frame, where one of its sides is out of sight.
    scores = [erqa(moved(0, px), SQUARE, version=version).f1 for px in range(16)]
    assert scores[0] == 1.0
    assert all(one is not None and other is not None and one >= other for one, other in pairwise(scores))


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 1000), size=st.integers(7, 60), options=st.sampled_from(OPTIONS))
def test_tiles_of_any_size_give_the_scores_of_the_whole(
    seed: int, size: int, options: dict[str, Any], map_of: Any
) -> None:
    shape = (70, 90)
    valid = np.random.default_rng(seed).random(shape) > 0.002
    pair = Pair(*(map_of(seed, shape=shape, move=move, valid=valid) for move in (1.5, 0.0)))
    geobox = GeoBox.from_bbox((0, 0, shape[1], shape[0]), "EPSG:32632", shape=shape)
    chosen = Scorers((build(Config(**options)),))
    one, many = (
        scene_values([measure(pair, chosen.metrics, tile_geobox(geobox, side, 0))], chosen) for side in (512, size)
    )
    assert len(one["all"]) == 10
    for layer in LAYERS:
        for name, value in one[layer].items():
            if name.startswith("erqa_shift_m") and value.value is not None:
                assert many[layer][name].value == pytest.approx(value.value, rel=1e-12)
            else:
                assert many[layer][name] == value


def test_a_tile_has_the_shift_of_its_own_edges() -> None:
    both = np.concatenate([SQUARE, SQUARE], axis=1)
    candidate = np.concatenate([moved(1, 0), moved(0, -2)], axis=1)
    valid = np.ones(both.shape, bool)
    pair = Pair(*(view_of_mask(p, valid, (1.0, 1.0)) for p in (candidate, both)))
    geobox = GeoBox.from_bbox((0, 0, 128, 64), "EPSG:32632", shape=(64, 128))
    metric = build(Config())
    measured = measure(pair, [metric], tile_geobox(geobox, 64, 0))
    per_tile = [{v.name: v.value for v in metric.conclude(measured.tallies(k)["erqa"].sums)} for k in (0, 1)]
    assert [(tile["erqa_shift_y"], tile["erqa_shift_x"]) for tile in per_tile] == [(1, 0), (0, -2)]


# The picture


def colours(picture: np.ndarray) -> dict[tuple[int, ...], int]:
    found, count = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(map(int, colour)): int(n) for colour, n in zip(found, count, strict=True)}


def test_the_picture_shows_each_count_in_its_colour() -> None:
    picture = overlay(SPOTTED, SQUARE)
    assert (picture.shape, picture.dtype) == ((64, 64, 3), np.uint8)
    assert colours(picture) == {WHITE: 124, RED: 12, BLACK: 64 * 64 - 136}
    assert colours(overlay(SQUARE, SPOTTED)) == {WHITE: 124, BLUE: 12, BLACK: 64 * 64 - 136}
    assert colours(overlay(SPOTTED, SQUARE, clean_px=13)) == {WHITE: 124, BLACK: 64 * 64 - 124}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("undo", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_picture_is_upstreams(version: Version, undo: bool, seed: int) -> None:
    package = pytest.importorskip("erqa", reason="parity needs the package: pip install --no-deps erqa==1.1.2")
    reference = np.repeat(noisy(seed)[..., None], 3, axis=2)
    test = np.roll(cv2.GaussianBlur(reference, (0, 0), 0.7), (seed, -1), (0, 1))
    _, drawn = package.ERQA(version=version, global_compensation=undo)(test, reference, return_vis=True)
    options: dict[str, Any] = {"profile": "reference", "version": version, "global_compensation": undo}
    whole = overlay(test, reference, **options)
    assert whole.shape == reference.shape
    shift = erqa(test, reference, **options).shift_yx
    assert shift is not None
    ours, theirs = crops(whole, whole, shift)[1], drawn[..., ::-1] * 255
    assert colours(whole) == colours(theirs) | {BLACK: colours(whole)[BLACK]}
    for colour in (BLUE, RED) if version == "1.1" else (BLUE, RED, WHITE):  # 1.1 marks a pair on the reference's pixel
        assert np.array_equal((ours == colour).all(-1), (theirs == colour).all(-1))


def test_widened_lines_hide_nothing_wrong() -> None:
    everywhere = np.ones((1, 3), bool)
    match = EdgeMatch(tp=everywhere, fp=np.array([[False, True, True]]), fn=np.array([[False, False, True]]))
    assert overlay_of(match).tolist() == [[list(WHITE), list(RED), list(BLUE)]]
    assert overlay_of(match, missing=(1, 2, 3))[0, 2].tolist() == [1, 2, 3]


# What images may be


def test_bool_masks_and_probabilities_are_rendered_as_bytes() -> None:
    p = np.random.default_rng(0).random((40, 40))
    p = cv2.GaussianBlur(p, (0, 0), 2)
    p = (p - p.min()) / (p.max() - p.min())
    written = np.rint(255 * p).astype(np.uint8)
    for profile in ("geo", "reference"):
        assert erqa(SQUARE > 0, SQUARE, profile=profile).f1 == 1.0
        assert erqa(p, written, profile=profile).f1 == 1.0
        assert erqa(written, p.astype(np.float32), profile=profile).f1 == 1.0
        assert erqa(p > 0.5, np.where(p > 0.5, 1.0, 0.0), profile=profile).f1 == 1.0


def test_a_byte_mask_of_0_and_1_is_rendered_as_0_and_255_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="the test image holds 0 and 1 only.* rendered as 0/255") as caught:
        assert erqa(SQUARE // 255, SQUARE).f1 == 1.0
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match="the reference image holds 0 and 1 only"):
        assert erqa(SQUARE, SQUARE // 255).f1 == 1.0


def test_nobody_is_warned_of_what_is_clear() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        erqa(FLAT, FLAT)
        erqa(SQUARE > 0, (SQUARE > 0).astype(float))
        erqa(SQUARE // 255, SQUARE, profile="reference")


def test_nan_is_welcome_under_nodata_only() -> None:
    p = SQUARE / 255
    p[:5, :5] = np.nan
    with pytest.raises(ScoreError, match=r"without NaN: .* mark nodata in `valid`"):
        erqa(p, SQUARE)
    assert erqa(p, SQUARE, valid=np.isfinite(p)).f1 == 1.0


@pytest.mark.parametrize(
    ("test", "reference", "options", "says"),
    [
        (
            SQUARE.astype(np.float32),
            SQUARE,
            {},
            r"test image has values from 0 to 255; .*give values 0\.\.255 as uint8",
        ),
        (SQUARE, SQUARE / 255 - 0.5, {}, r"reference image has values from -0\.5 to 0\.5; .*probability in \[0, 1\]"),
        (SQUARE, np.where(SQUARE, np.inf, 0), {}, "values from 0 to inf"),
        (SQUARE.astype(np.uint16), SQUARE, {}, "test image is uint16: give uint8"),
        (SQUARE.astype(np.int64) // 255, SQUARE, {}, "test image is int64: give uint8, a bool mask"),
        (SQUARE[:30], SQUARE, {}, r"\(30, 64\) and \(64, 64\) .*crop them to one grid"),
        (SQUARE[:0], SQUARE[:0], {}, "cannot be compared"),
        (np.dstack([SQUARE] * 4), np.dstack([SQUARE] * 4), {}, r"\(64, 64, 4\): give \(height, width\)"),
        (SQUARE, SQUARE, {"profile": "reference", "valid": ALL_VALID}, "use profile 'geo'"),
        (SQUARE, SQUARE, {"valid": np.ones((3, 3), bool)}, r"valid mask is \(3, 3\) bool: give bool \(64, 64\)"),
        (SQUARE, SQUARE, {"valid": SQUARE}, "valid mask is .* uint8"),
        (SQUARE, SQUARE, {"version": "2"}, "no ERQA version '2'"),
        (SQUARE, SQUARE, {"profile": "upstream"}, "no profile 'upstream': choose 'geo' or 'reference'"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    test: np.ndarray, reference: np.ndarray, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ScoreError, match=says):
        erqa(test, reference, **options)
    with pytest.raises(ScoreError, match=says):
        overlay(test, reference, **options)


def test_views_share_what_is_detected(pair: Pair) -> None:
    metric = build(Config(thresholds="adaptive", clean_px=4))
    fresh = Pair(*(View(v.p, v.regions, v.valid, v.pixel_size_m) for v in (pair.candidate, pair.reference)))
    metric.book(fresh)
    detector = metric.detection.of_view(fresh.reference)
    assert fresh.reference.once(detector) is fresh.reference.once(detector)
    assert {key for key in fresh.reference._kept if key == detector} == {detector}


def test_the_original_has_no_score_for_a_kind_of_border_that_is_not_there() -> None:
    (value,) = build(Config(profile="reference")).conclude({"tp": 0.0, "fp": 0.0, "fn": 0.0})
    assert (value.value, value.flag) == (None, "no edges in either map")


def test_a_precision_rests_on_the_candidates_edges() -> None:
    values = {value.name: value for value in build(Config()).conclude({"tp": 3.0, "fp": 5.0, "fn": 90.0})}
    assert values["erqa_precision"].n == 8
    assert values["erqa_recall"].n == 93
