import numpy as np
import pytest

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.average_precision import Config, average_precision, build, confidences
from hedgerow.records import FIELD, FOREST, OTHER, Regions, Value

SHAPE = (24, 42)
PLACES = [np.s_[y : y + 4, x : x + 5] for y in range(1, 24, 6) for x in range(1, 40, 7)]  # of 20 px, apart


def raster(*boxes: tuple[slice, slice], values: tuple[int, ...] = ()) -> np.ndarray:
    """Box k has the number k + 1, or the value given."""
    drawn = np.zeros(SHAPE, np.int32)
    for box, value in zip(boxes, values or range(1, len(boxes) + 1), strict=True):
        drawn[box] = value
    return drawn


def scored(boxes: list[tuple[slice, slice]], sure: tuple[int, ...], wanted: list[tuple[slice, slice]]) -> float | None:
    """AP at .50 of boxes with a confidence of so many 255ths each."""
    probability = raster(*boxes, values=sure).astype(np.uint8)
    return average_precision(raster(*boxes), raster(*wanted), probability=probability).ap50


def test_a_false_object_between_two_right_ones() -> None:
    # Precision 1 up to recall 1/2, at the recalls 0, .01 ... .50, then 2/3 at the other fifty.
    found = scored(PLACES[:3], (250, 200, 150), [PLACES[0], PLACES[2]])
    assert found == pytest.approx((51 * 1 + 50 * 2 / 3) / 101, abs=1e-12)


def test_a_false_object_after_all_right_ones_costs_nothing() -> None:
    assert scored(PLACES[:3], (250, 150, 200), [PLACES[0], PLACES[2]]) == 1.0


def test_a_false_object_before_all_right_ones_costs_most() -> None:
    assert scored(PLACES[:3], (200, 250, 150), [PLACES[0], PLACES[2]]) == pytest.approx(2 / 3, abs=1e-12)


def test_objects_of_equal_confidence_enter_together_whatever_their_order() -> None:
    for order in ([0, 1, 2], [1, 0, 2], [2, 1, 0]):
        boxes = [PLACES[k] for k in order]
        assert scored(boxes, (200, 200, 200), [PLACES[0], PLACES[2]]) == pytest.approx(2 / 3, abs=1e-12)


def test_confidences_closer_than_a_step_are_equal() -> None:
    probability = np.where(raster(PLACES[0]) > 0, 200, 199).astype(np.uint8)
    probability[PLACES[0]][0, 0] = 190  # a mean of 199.5: 200.28 steps of 1/256; 199 are 199.78 steps
    found = average_precision(raster(*PLACES[:2]), raster(PLACES[1]), probability=probability)
    assert found.ap50 == pytest.approx(1 / 2, abs=1e-12)
    probability[PLACES[0]] = 201  # 201.79 steps: now it comes first, and still costs as much
    probability[PLACES[1]] = 202  # 202.79 steps: now the right one comes first
    assert average_precision(raster(*PLACES[:2]), raster(PLACES[1]), probability=probability).ap50 == 1.0


def test_a_match_counts_at_the_thresholds_that_its_iou_exceeds() -> None:
    threequarters = np.s_[1:4, 1:6]  # 15 of the 20 px of the first place
    found = average_precision(raster(threequarters), raster(PLACES[0]))
    assert (found.ap50, found.ap75) == (1.0, 0.0)
    assert found.ap == pytest.approx(5 / 10, abs=1e-12)  # .50, .55, .60, .65, .70; .75 is not exceeded


def test_a_recall_that_is_met_exactly_is_met() -> None:
    # 7 of 20 are 35 of 100: recalls 0, .01 ... .35; in floats 35 x .01 > 7 / 20.
    assert 35 * 0.01 > 7 / 20
    assert scored(PLACES[:7], (255,) * 7, PLACES[:20]) == pytest.approx(36 / 101, abs=1e-12)


def test_without_confidences_all_objects_tie_and_it_says_so_where_that_matters() -> None:
    found = average_precision(raster(*PLACES[:4]), raster(*PLACES[:3]))
    assert found.ap == pytest.approx(3 / 4, abs=1e-12)
    assert found.flag == "no confidences: all objects tie"
    same = average_precision(raster(*PLACES[:4]), raster(*PLACES[:4]))
    assert (same.ap, same.flag) == (1.0, None)


def test_an_empty_map_is_worst_and_two_have_no_score() -> None:
    for pair, flag in (((raster(), raster(PLACES[0])), "candidate"), ((raster(PLACES[0]), raster()), "reference")):
        found = average_precision(*pair)
        assert (found.ap, found.ap50, found.ap75, found.flag) == (0, 0, 0, f"no objects in the {flag}")
    neither = average_precision(raster(), raster())
    assert (neither.ap, neither.flag) == (None, "no objects in either map")


def test_rasters_of_several_shapes_are_refused() -> None:
    with pytest.raises(ScoreError, match="give all of one"):
        average_precision(raster(), raster(), probability=np.zeros((3, 3), np.uint8))


def view(objects: dict[int, int], *, moved: int = 0, sure: dict[int, int] | None = None) -> View:
    """A map with objects of these classes at these places, whose class has a probability of `sure`, 100 elsewhere."""
    labels = np.ones(SHAPE, np.int32)
    probabilities = np.full((4, *SHAPE), 100, np.uint8)
    for number, (place, kind) in enumerate(objects.items(), start=2):
        rows, cols = PLACES[place]
        box = rows, slice(cols.start + moved, cols.stop + moved)
        labels[box] = number
        probabilities[kind][box] = (sure or {}).get(place, 100)
    plain = view_of_labels(
        Regions(labels, np.array([OTHER, OTHER, *objects.values()], np.uint8)), np.ones(SHAPE, bool), (1, 1)
    )
    return View(plain.p, plain.regions, plain.valid, probabilities=None if sure is None else probabilities)


def values(candidate: View, reference: View) -> dict[str, Value]:
    metric = build(Config())
    return {value.name: value for value in metric.conclude(totals(metric.book(Pair(candidate, reference))))}


def test_an_object_is_as_sure_as_its_own_class_on_the_mean_of_its_pixels() -> None:
    drawn = view({0: FIELD, 1: FOREST}, sure={0: 204, 1: 51})
    drawn.probabilities[FIELD][PLACES[0]][:2] = 102  # type: ignore[index]  # half of its pixels
    assert confidences(drawn) == pytest.approx([0.6, 0.2], abs=1e-12)
    assert confidences(view({0: FIELD})) is None


def test_the_right_outline_of_the_wrong_class_is_false() -> None:
    # Fields: a false one, then the right one; forests: none of one.
    found = values(view({0: FIELD, 1: FIELD}, sure={0: 250, 1: 200}), view({0: FOREST, 1: FIELD}))
    assert found["object_ap50"].value == pytest.approx((1 / 2 + 0) / 2, abs=1e-12)


def test_classes_weigh_the_same_and_only_those_of_the_reference_count() -> None:
    candidate = view({0: FIELD, 1: FIELD, 2: FOREST}, sure={0: 250, 1: 250, 2: 250})
    assert values(candidate, view({0: FIELD, 1: FIELD}))["object_ap"].value == 1.0
    found = values(candidate, view({0: FIELD, 1: FIELD, 3: FOREST}))["object_ap"]
    assert (found.value, found.n) == (0.5, 3)


def test_every_object_of_the_candidate_is_counted_once_a_match_on_its_partners_centre() -> None:
    bookings = build(Config()).book(Pair(view({0: FIELD, 1: FIELD}, moved=1, sure={0: 51, 1: 51}), view({0: FIELD})))
    places = [
        (name, *place)
        for b in bookings
        for name, levels in b.levels.items()
        for place in zip(b.rows.tolist(), b.cols.tolist(), levels.tolist(), strict=True)
    ]
    # Moved by 1 of 5 px: 16 of 24 px are shared, an IoU of .67; 0.2 is 51.2 steps of 1/256.
    assert places == [("alone_field", 2, 11, 51 / 256), ("passed_field_0.65", 2, 3, 51 / 256)]


def test_some_maps_without_confidences_are_told_from_all() -> None:
    metric = build(Config())
    ranked = totals(metric.book(Pair(view({0: FIELD, 1: FIELD}, sure={0: 200, 1: 100}), view({0: FIELD}))))
    plain = totals(metric.book(Pair(view({0: FIELD, 1: FIELD}), view({0: FIELD}))))
    both = {name: ranked.get(name, 0) + plain.get(name, 0) for name in ranked.keys() | plain.keys()}
    assert metric.conclude(ranked)[0].flag is None
    assert metric.conclude(plain)[0].flag == "no confidences: all objects tie"
    assert metric.conclude(both)[0].flag == "some maps have no confidences: their objects tie"
