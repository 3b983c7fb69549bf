"""What every metric promises: the moment a file exists in the family, it is held to this."""

import math

import numpy as np
import pytest

from hedgerow import registry
from hedgerow.contracts import Metric
from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.metrics._booking import totals
from hedgerow.records import OTHER, Regions, Tally
from hedgerow.stages.measure import better

KINDS = registry.available("metrics")
BOOKING = [kind for kind in KINDS if not hasattr(registry.build("metrics", kind), "compose")]
COMPOSITES = [kind for kind in KINDS if kind not in BOOKING]

PERFECT = {"higher": 1.0, "one": 1.0, "lower": 0.0, "zero": 0.0}


def built(kind: str) -> Metric:
    metric: Metric = registry.build("metrics", kind)
    return metric


@pytest.mark.parametrize("kind", BOOKING)
def test_identity_is_exactly_perfect(kind: str, map_of: object) -> None:
    view: View = map_of(11)  # type: ignore[operator]
    for value in built(kind).conclude(totals(built(kind).book(Pair(view, view)))):
        if value.unit == "dB":
            assert (value.value, value.flag) == (None, "no difference")  # a ratio to no noise at all is infinite
        elif better(value.name) != "neither":
            assert value.value == PERFECT[better(value.name)], value
            assert value.flag is None
            assert value.n > 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_score_says_which_way_is_better(kind: str) -> None:
    metric = registry.build("metrics", kind)
    values = metric.compose({}) if kind in COMPOSITES else metric.conclude({})
    directions = registry.module_of("metrics", kind).BETTER
    for value in values:
        stem, at, _ = value.name.partition("@")
        assert stem in directions or (at and better(stem) != "neither")  # or another kind's score, at a resolution
    assert all(better(name) == direction for name, direction in directions.items())


@pytest.mark.parametrize("kind", BOOKING)
def test_another_map_is_not_perfect(kind: str, pair: Pair, pair_with_nodata: Pair) -> None:
    # Moved borders keep their topology in one of the two worlds: counts of pieces and holes need the other one.
    chosen = pair_with_nodata if kind == "betti_error" else pair
    values = built(kind).conclude(totals(built(kind).book(chosen)))
    primary = values[0]
    assert primary.value is not None
    assert 0 < primary.value < 1 if better(primary.name) in ("higher", "one") else primary.value > 0


@pytest.mark.parametrize("kind", BOOKING)
@pytest.mark.parametrize("world", ["pair", "pair_with_nodata"])
def test_everything_is_booked_on_a_valid_pixel_with_a_finite_value(
    kind: str, world: str, request: pytest.FixtureRequest
) -> None:
    pair: Pair = request.getfixturevalue(world)
    for booking in built(kind).book(pair):
        assert (booking.rows >= 0).all()
        assert (booking.cols >= 0).all()
        assert (booking.rows < pair.shape[0]).all()
        assert (booking.cols < pair.shape[1]).all()
        assert all(np.isfinite(values).all() for values in booking.values.values())


@pytest.mark.parametrize("kind", BOOKING)
def test_a_map_without_anything_has_no_value_and_says_why(kind: str) -> None:
    empty = view_of_labels(
        Regions(np.ones((30, 30), np.int32), np.array([OTHER, OTHER], np.uint8)), np.ones((30, 30), bool), (1.0, 1.0)
    )
    metric = built(kind)
    for sums in ({}, totals(metric.book(Pair(empty, empty)))):
        for value in metric.conclude(sums):
            assert value.value is None or math.isfinite(value.value)
            assert value.value is not None or value.flag


@pytest.mark.parametrize("kind", BOOKING)
def test_one_empty_map_never_looks_good(kind: str, map_of: object) -> None:
    full: View = map_of(2)  # type: ignore[operator]
    regions = Regions(np.ones(full.shape, np.int32), np.array([OTHER, OTHER], np.uint8))
    empty = view_of_labels(regions, full.valid, full.pixel_size_m)
    metric = built(kind)
    for pair in (Pair(empty, full), Pair(full, empty)):
        for value in metric.conclude(totals(metric.book(pair))):
            if value.name == "ssim" and value.flag:
                assert value.value is not None
                assert value.value < 1  # a blank image is an image: the definition holds, and the flag warns
            elif better(value.name) == "higher":
                assert value.value in (0.0, None), value
                assert value.flag or value.value == 0.0


@pytest.mark.parametrize("kind", BOOKING)
def test_values_have_a_unit_and_names_of_their_own(kind: str) -> None:
    values = built(kind).conclude({})
    assert all(value.unit for value in values)
    assert len({value.name for value in values}) == len(values)


@pytest.mark.parametrize("kind", BOOKING)
def test_sums_of_other_parameters_are_not_added(kind: str) -> None:
    metric = built(kind)
    assert dict(metric.parameters) is not None
    one = Tally(metric.name, tuple(metric.parameters), {})
    assert one + one == one


@pytest.mark.parametrize("kind", BOOKING)
def test_the_same_pair_gives_the_same_sums(kind: str, pair: Pair) -> None:
    fresh = Pair(*(View(v.p, v.regions, v.valid, v.pixel_size_m) for v in (pair.candidate, pair.reference)))
    assert totals(built(kind).book(pair)) == totals(built(kind).book(fresh))


@pytest.mark.parametrize("kind", COMPOSITES)
def test_a_composite_of_nothing_says_why_it_has_no_value(kind: str) -> None:
    values = registry.build("metrics", kind).compose({})
    assert values
    assert all(value.value is None and value.flag and value.unit for value in values)


def test_no_two_metrics_share_a_name() -> None:
    names = [v.name for kind in BOOKING for v in built(kind).conclude({})]
    names += [v.name for kind in COMPOSITES for v in registry.build("metrics", kind).compose({})]
    assert len(set(names)) == len(names)
