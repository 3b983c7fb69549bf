import numpy as np
import pytest

from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.segmentation import Config, Segmentation, build, segmentation


def raster(*boxes: tuple[slice, slice]) -> np.ndarray:
    """Labels (20, 40): box k has the number k + 1."""
    labels = np.zeros((20, 40), np.int32)
    for number, box in enumerate(boxes, start=1):
        labels[box] = number
    return labels


def errors(found: Segmentation) -> tuple[float | None, ...]:
    return found.over_segmentation, found.under_segmentation, found.fragmentation, found.gtc


WHOLE, LEFT, RIGHT = (np.s_[4:14, cols] for cols in (np.s_[5:25], np.s_[5:15], np.s_[15:25]))  # 200, 100, 100 px


def test_the_same_fields_have_no_error() -> None:
    assert errors(segmentation(raster(LEFT, RIGHT), raster(RIGHT, LEFT))) == (0, 0, 0, 0)


def test_a_field_cut_into_halves() -> None:
    assert errors(segmentation(raster(LEFT, RIGHT), raster(WHOLE))) == pytest.approx(
        (1 / 2, 0, 1 / 199, np.sqrt(1 / 8)), abs=1e-12
    )


def test_two_fields_run_together() -> None:
    assert errors(segmentation(raster(WHOLE), raster(LEFT, RIGHT))) == pytest.approx(
        (0, 1 / 2, 0, np.sqrt(1 / 8)), abs=1e-12
    )


def test_a_lost_field_has_lost_everything_but_is_not_fragmented() -> None:
    found = segmentation(raster(LEFT), raster(LEFT, RIGHT))
    assert errors(found) == (1 / 2, 1 / 2, 0, 1 / 2)
    assert (found.n_reference, found.n_test, found.flag) == (2, 1, None)


def test_the_total_error_is_weighted_by_area_and_the_others_are_not() -> None:
    small = np.s_[16:18, 5:10]  # 10 px, lost; 200 px are kept
    over, under, _, gtc = errors(segmentation(raster(WHOLE), raster(WHOLE, small)))
    assert (over, under) == (1 / 2, 1 / 2)
    assert gtc == pytest.approx(10 / 210, abs=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_of_two_that_cover_as_much_the_smaller_is_the_partner(mirrored: bool) -> None:
    larger = np.s_[4:14, 15:35]
    test, reference = raster(LEFT, larger), raster(WHOLE)
    if mirrored:  # numbers the larger one first
        test, reference = test[:, ::-1], reference[:, ::-1]
    over, under, _, _ = errors(segmentation(test, reference))
    assert (over, under) == (1 / 2, 0)


def test_the_partner_is_the_one_that_covers_most_even_if_it_is_the_worse_fit() -> None:
    most = np.s_[0:20, 5:20]  # covers 150 of 200 px and is 300 px large
    over, under, _, _ = errors(segmentation(raster(most, np.s_[4:14, 20:25]), raster(WHOLE)))
    assert (over, under) == (1 / 4, 1 / 2)


def test_a_pixel_cannot_be_fragmented() -> None:
    assert segmentation(raster(WHOLE), raster(np.s_[5:6, 6:7])).fragmentation == 0


def test_as_many_pieces_as_pixels_are_the_worst_fragmentation() -> None:
    test = np.zeros((20, 40), np.int32)
    test[4:14, 5:25] = np.arange(1, 201).reshape(10, 20)
    assert segmentation(test, raster(WHOLE)).fragmentation == 1.0


def test_an_empty_map_is_worst_and_two_have_no_score() -> None:
    for pair, flag in (((raster(), raster(WHOLE)), "candidate"), ((raster(WHOLE), raster()), "reference")):
        found = segmentation(*pair)
        assert (errors(found), found.flag) == ((1, 1, 1, 1), f"no objects in the {flag}")
    assert errors(segmentation(raster(), raster())) == (None,) * 4
    assert segmentation(raster(), raster()).flag == "no objects in either map"


def test_fields_of_coarser_maps_weigh_by_square_metres(map_of: object) -> None:
    fine, coarse = (map_of(3, shape=(60, 60), size_m=size) for size in (1.0, 10.0))  # type: ignore[operator]
    moved: View = map_of(3, shape=(60, 60), move=3.0)  # type: ignore[operator]
    good, bad = Pair(fine, fine), Pair(View(moved.p, moved.regions, moved.valid, (10.0, 10.0)), coarse)
    metric = build(Config())
    one, other = (totals(metric.book(pair)) for pair in (good, bad))
    both = {name: one[name] + other[name] for name in one}
    alone, pooled = ({v.name: v.value for v in metric.conclude(sums)} for sums in (other, both))
    assert pooled["over_segmentation"] == pytest.approx(alone["over_segmentation"] / 2)
    assert pooled["gtc"] == pytest.approx(alone["gtc"] * 100 / 101)


def test_rasters_of_two_shapes_are_refused() -> None:
    with pytest.raises(ScoreError, match="give two of one"):
        segmentation(np.ones((3, 3)), np.ones((3, 4)))
