import numpy as np
import pytest

from hedgerow.edges.contingency import matches, objects_of, overlaps
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.areas import AreaMetric, Areas, _bookings, areas


def raster(*boxes: tuple[slice, slice]) -> np.ndarray:
    """Labels (20, 40): box k has the number k + 1."""
    labels = np.zeros((20, 40), np.int32)
    for number, box in enumerate(boxes, start=1):
        labels[box] = number
    return labels


def scores(found: Areas) -> tuple[float | None, ...]:
    return found.area_error, found.area_bias, found.area_bias_ha


FIELD, LARGER, SMALLER, FAR = np.s_[4:14, 5:15], np.s_[4:14, 5:16], np.s_[4:14, 5:14], np.s_[4:14, 25:35]
FAR_LARGER = np.s_[4:14, 25:37]


def test_a_field_that_grew_by_a_tenth() -> None:
    found = areas(raster(LARGER), raster(FIELD), pixel_size_m=(10, 10))
    assert scores(found) == (10, 10, 0.1)  # ten pixels of 100 m2
    assert (found.n_reference, found.n_test, found.matched, found.flag) == (1, 1, 1, None)


def test_gains_and_losses_cancel_in_the_bias_and_not_in_the_error() -> None:
    found = areas(raster(SMALLER, FAR_LARGER), raster(FIELD, FAR), pixel_size_m=(10, 10))
    assert scores(found) == (15, 5, 0.05)  # -10 px and +20 px of 2 x 100 px


def test_pixels_need_not_be_square() -> None:
    found = areas(raster(SMALLER), raster(FIELD), pixel_size_m=(5, 20))
    assert scores(found) == (10, -10, -0.1)


def test_a_moved_field_of_equal_area_has_no_error() -> None:
    assert scores(areas(raster(np.s_[5:15, 5:15]), raster(FIELD))) == (0, 0, 0)


def test_lost_and_invented_fields_do_not_count() -> None:
    found = areas(raster(LARGER, np.s_[16:20, 0:30]), raster(FIELD, FAR))
    assert found.area_bias == 10
    assert found.matched == 1


def test_nothing_matched_has_no_value_and_says_so() -> None:
    found = areas(raster(FAR), raster(FIELD))
    assert (scores(found), found.flag) == ((None, None, None), "no object is matched")


def test_an_empty_map_has_lost_or_invented_every_hectare() -> None:
    lost = areas(raster(), raster(FIELD, FAR_LARGER), pixel_size_m=(10, 10))
    assert (scores(lost), lost.flag) == ((100, -100, -1.1), "no objects in the candidate")  # 1.0 and 1.2 ha
    invented = areas(raster(FIELD, FAR_LARGER), raster(), pixel_size_m=(10, 10))
    assert (scores(invented), invented.flag) == ((100, 100, 1.1), "no objects in the reference")
    neither = areas(raster(), raster())
    assert (scores(neither), neither.flag) == ((None, None, None), "no objects in either map")


def test_maps_of_two_resolutions_are_pooled_by_square_metres() -> None:
    wanted = objects_of(raster(FIELD))
    sums: dict[str, float] = {}
    for box, size in ((LARGER, 10.0), (SMALLER, 20.0)):
        found = objects_of(raster(box))
        pairs = matches(found, wanted, overlaps(found.labels, wanted.labels), 0.5)
        for name, value in totals(_bookings(found, wanted, pairs, (size, size))).items():
            sums[name] = sums.get(name, 0) + value
    error, bias, bias_ha = (v.value for v in AreaMetric().conclude(sums))
    assert (error, bias) == (10, 100 * (1000 - 4000) / (10_000 + 40_000))
    assert bias_ha == -0.15  # +0.1 and -0.4 ha


def test_units_are_percent_and_hectares() -> None:
    assert [(v.name, v.unit) for v in AreaMetric().conclude({})] == [
        ("area_error", "%"), ("area_bias", "%"), ("area_bias_ha", "ha"),
    ]  # fmt: skip


def test_rasters_of_two_shapes_are_refused() -> None:
    with pytest.raises(ScoreError, match="give two of one"):
        areas(np.ones((3, 3)), np.ones((3, 4)))
