"""Golden values come from the package `erqa` 1.1.2; where it is installed the two are also run side by side."""

import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.edges.views import Pair, view_of_mask
from hedgerow.metrics._booking import totals
from hedgerow.metrics.erqa import Config, build, erqa


def box(rows: tuple[int, int] = (16, 48), cols: tuple[int, int] = (16, 48), value: int = 255) -> np.ndarray:
    image = np.zeros((64, 64), np.uint8)
    image[slice(*rows), slice(*cols)] = value
    return image


SQUARE = box()


def golden(test: np.ndarray, reference: np.ndarray) -> list[float | None]:
    return [
        erqa(test, reference, profile="reference", version=version, global_compensation=undo).f1
        for version in ("1.0", "1.1")
        for undo in (True, False)
    ]


def with_spot() -> np.ndarray:
    image = SQUARE.copy()
    image[4:8, 4:8] = 255
    return image


def cut() -> np.ndarray:
    image = SQUARE.copy()
    image[30:34] = 0
    return image


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (SQUARE, [1, 1, 1, 1]),
        (box(value=127), [1, 1, 1, 1]),
        (box(cols=(17, 49)), [1, 0.794871794872, 1, 0.983870967742]),
        (box(cols=(18, 50)), [1, 0.503937007874, 1, 0.508064516129]),
        (box(cols=(19, 51)), [1, 0.482213438735, 1, 0.483870967742]),
        (box(cols=(20, 52)), [0.794871794872, 0.466403162055, 0.983870967742, 0.467741935484]),
        (box((15, 49), (15, 49)), [0.680412371134, 0.680412371134, 0.968750000000, 0.968750000000]),
        (cut(), [0.776315789474, 0.776315789474, 0.786666666667, 0.786666666667]),
        (with_spot(), [0.953846153846] * 4),
        (box((14, 50), (14, 50)), [0.0] * 4),
        (np.zeros_like(SQUARE), [0.0] * 4),
        (SQUARE // 255, [0.0] * 4),
    ],
)
def test_boxes_score_as_upstream(test: np.ndarray, expected: list[float]) -> None:
    assert golden(test, SQUARE) == pytest.approx(expected, abs=1e-9)


def test_a_flat_reference_or_no_overlap_scores_zero_as_upstream() -> None:
    flat = np.zeros_like(SQUARE)
    assert golden(SQUARE, flat) == [0.0] * 4
    assert golden(flat, flat) == [0.0] * 4
    assert golden(box((4, 20), (4, 20)), box((40, 56), (40, 56))) == [0.0] * 4


def test_a_square_has_124_edge_pixels() -> None:
    assert erqa(SQUARE, SQUARE).tp == 124


def test_edges_at_opposite_sides_of_the_frame_meet_in_the_reference_profile_only() -> None:
    test, reference = np.zeros((2, 32, 32), np.uint8)
    test[0] = 255
    reference[29], reference[31] = 100, 255
    assert golden(test, reference)[1::2] == pytest.approx([0.5, 0.666666666667], abs=1e-9)
    assert [erqa(test, reference, version=v).f1 for v in ("1.0", "1.1")] == [0.0, 0.0]


def test_a_flat_pair_is_cropped_by_the_first_shift() -> None:
    flat = np.zeros((32, 32), np.uint8)
    assert erqa(flat, flat, profile="reference").shift_yx == (-3, -3)


def test_checkers_score_as_upstream() -> None:
    y, x = np.indices((96, 128))
    checker = np.repeat((((x // 8 + y // 8) % 2) * 200).astype(np.uint8)[..., None], 3, axis=2)
    near, far = np.roll(checker, (1, 2), (0, 1)), np.roll(checker, (4, 4), (0, 1))
    assert golden(near, checker) == pytest.approx([1, 0.505039972193, 1, 0.573463935886], abs=1e-9)
    assert golden(far, checker) == pytest.approx(
        [0.649828500156, 0.410453497310, 0.962586605081, 0.475512021371], abs=1e-9
    )


def test_a_colour_texture_scores_as_upstream() -> None:
    y, x = np.indices((96, 128), dtype=np.int64)
    blue = (7 * x**2 + 13 * y**2 + 3 * x * y) % 251
    green = (11 * x + 5 * y**2) % 253
    red = ((x // 8 + y // 8) % 2) * 200 + (x * y) % 40
    texture = np.stack([blue, green, red], axis=-1)
    test = texture // 32 * 32 + 16
    scores = golden(test.astype(np.uint8), texture.astype(np.uint8))
    assert scores[::2] == pytest.approx([0.894945928051, 0.931910812755], abs=1e-9)


def upstream(test: np.ndarray, reference: np.ndarray, **flags: Any) -> float:
    """The package itself. Its 0 / 0 gives NaN with a warning, which we answer with 0."""
    package = pytest.importorskip("erqa", reason="parity needs the package: pip install --no-deps erqa==1.1.2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = package.ERQA(**flags)(test, reference)
    return float(np.nan_to_num(value, nan=0.0))


def image_pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (*rng.integers(12, 91, 2), 3)
    reference = rng.integers(0, 256, shape).astype(np.uint8)
    kind = seed % 5
    if kind == 0:
        reference[:] = 77
    elif kind == 1:
        reference = np.where(cv2.GaussianBlur(reference, (0, 0), 2) > 128, 255, 0).astype(np.uint8)
    elif kind == 2:
        reference = np.tile(reference[:6, :6], (16, 16, 1))[: shape[0], : shape[1]]
    else:
        reference = cv2.GaussianBlur(reference, (0, 0), 0.8)
    test = np.roll(reference, rng.integers(-5, 6, 2), (0, 1))
    return (cv2.GaussianBlur(test, (0, 0), 0.6) if seed % 3 else test), reference


ALL_OPTIONS: list[dict[str, Any]] = [
    {"version": version, "global_compensation": undo, "shift_compensation": near}
    for version in ("1.0", "1.1")
    for undo in (True, False)
    for near in (True, False)
]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 100_000))
def test_every_version_and_flag_equals_upstream(seed: int) -> None:
    test, reference = image_pair(seed)
    for options in ALL_OPTIONS:
        ours = erqa(test, reference, profile="reference", **options)
        assert ours.f1 == pytest.approx(upstream(test, reference, **options), abs=1e-9), options


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 100_000))
def test_one_channel_scores_as_three_equal_ones(seed: int) -> None:
    test, reference = (np.ascontiguousarray(image[..., 1]) for image in image_pair(seed))
    three = [np.repeat(image[..., None], 3, axis=2) for image in (test, reference)]
    for options in ALL_OPTIONS:
        ours = erqa(test, reference, profile="reference", **options)
        assert ours == erqa(*three, profile="reference", **options)
        assert ours.f1 == pytest.approx(upstream(*three, **options), abs=1e-9), options


def test_random_pairs_are_of_every_kind() -> None:
    pairs = [image_pair(seed) for seed in range(60)]
    sides = np.array([side for _, reference in pairs for side in reference.shape[:2]])
    assert sides.min() >= 12
    assert sides.max() <= 90
    assert any((reference == 77).all() for _, reference in pairs)
    assert any(set(np.unique(reference)) == {0, 255} for _, reference in pairs)
    assert any(np.array_equal(reference[6:], reference[:-6]) and reference.std() > 9 for _, reference in pairs)


def test_a_mask_of_0_and_1_stays_what_it_is_in_the_reference_profile() -> None:
    faint = SQUARE // 255
    for test, reference in ((faint, SQUARE), (SQUARE, faint), (faint, faint)):
        three = [np.repeat(image[..., None], 3, axis=2) for image in (test, reference)]
        assert erqa(test, reference, profile="reference").f1 == upstream(*three, version="1.1") == 0.0


def test_jaccard_is_f1_in_another_scale() -> None:
    score = erqa(cut(), SQUARE)
    assert score.f1 is not None
    assert score.jaccard == pytest.approx(score.f1 / (2 - score.f1))
    assert score.jaccard == score.tp / (score.tp + score.fp + score.fn)


def test_geo_does_not_hide_a_registration_shift_but_names_it() -> None:
    score = erqa(np.roll(SQUARE, (3, -1), (0, 1)), SQUARE)
    assert score.f1 is not None
    assert score.f1 < 0.75
    assert score.shift_yx == (3, -1)


def test_geo_has_no_value_where_neither_image_has_an_edge() -> None:
    flat = np.zeros_like(SQUARE)
    score = erqa(flat, flat)
    assert (score.f1, score.precision, score.recall, score.jaccard) == (None, None, None, None)
    assert score.flag == "no edges in either map"
    assert score.shift_yx is None


def test_geo_gives_the_worst_value_where_one_image_has_no_edge() -> None:
    flat = np.zeros_like(SQUARE)
    for score, where in ((erqa(flat, SQUARE), "candidate"), (erqa(SQUARE, flat), "reference")):
        assert score.f1 == 0.0
        assert score.flag == f"no edges in the {where}"


def test_edges_at_nodata_do_not_count() -> None:
    valid = np.ones((64, 64), bool)
    valid[:, 40:] = False
    other = SQUARE.copy()
    other[:, 40:] = 99
    assert erqa(other, SQUARE, valid=valid).f1 == 1.0
    assert erqa(other, SQUARE, valid=valid).tp < erqa(SQUARE, SQUARE).tp


def test_what_lies_under_nodata_does_not_change_the_shift() -> None:
    valid = np.ones((64, 64), bool)
    valid[:, 40:] = False
    garbage = np.random.default_rng(0).integers(0, 256, (2, 64, 64)).astype(np.uint8)
    garbage[1] = np.roll(garbage[0], 3, 0)
    test, reference = (np.where(valid, image, junk) for image, junk in zip((SQUARE, SQUARE), garbage, strict=True))
    assert erqa(test, reference, valid=valid).shift_yx == (0, 0)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("profile", ["geo", "reference"])
def test_the_booked_sums_are_the_counts_of_the_function(version: Any, profile: Any, pair: Pair) -> None:
    metric = build(Config(profile=profile, version=version))
    sums = totals(metric.book(pair))
    score = erqa(pair.candidate.p, pair.reference.p, profile=profile, version=version)
    assert [sums[name] for name in ("tp", "fp", "fn")] == [score.tp, score.fp, score.fn]
    assert metric.conclude(sums)[0].value == score.f1


def test_a_shifted_scene_is_booked_on_the_pixels_of_the_reference() -> None:
    valid = np.ones((64, 64), bool)
    shifted = Pair(*(view_of_mask(p, valid, (1, 1)) for p in (np.roll(SQUARE, (2, 1), (0, 1)), SQUARE)))
    tp = build(Config(profile="reference")).book(shifted)[0]
    edge_rows, edge_cols = np.nonzero(shifted.reference.edges)
    assert np.array_equal(tp.rows, edge_rows)
    assert np.array_equal(tp.cols, edge_cols)
