import numpy as np
import pytest

from hedgerow.edges.layers import LAYERS
from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import totals
from hedgerow.metrics.boundary_f1 import boundary_f1
from hedgerow.metrics.erqa import erqa
from hedgerow.metrics.scale_consistency import Config, build, scale_consistency
from hedgerow.records import FIELD, FOREST, OTHER, Regions, Value

METRIC = build(Config())


def wall_at(column: int, shape: tuple[int, int] = (40, 64)) -> np.ndarray:
    labels = np.ones(shape, np.int32)
    labels[:, column:] = 2
    return labels


def view(labels: np.ndarray, valid: np.ndarray | None = None) -> View:
    regions = Regions(labels, np.array([OTHER, FIELD, FOREST, OTHER], np.uint8))
    return view_of_labels(regions, np.ones(labels.shape, bool) if valid is None else valid, (10.0, 10.0))


def values(test: View, reference: View) -> dict[str, Value]:
    return {value.name: value for value in METRIC.conclude(totals(METRIC.book(Pair(test, reference))))}


def test_a_wall_four_pixels_off_is_found_from_afar_only() -> None:
    # 4 px at full, 2 px at half, 1 px at quarter resolution: F = 0, 1, 1.
    found = scale_consistency(wall_at(36), wall_at(32))
    assert (found.f1, found.f1_half, found.f1_quarter) == (0.0, 1.0, 1.0)
    assert found.scale_consistency == 0.0
    assert found.n == 40


def test_a_border_lost_is_lost_at_every_resolution() -> None:
    # Walls at columns 16 and 48, one of them lost: precision 1, recall 1/2, F = 2/3 at each resolution.
    both = wall_at(16)
    both[:, 48:] = 3
    found = scale_consistency(wall_at(16), both)
    assert (found.f1, found.f1_half, found.f1_quarter) == (pytest.approx(2 / 3),) * 3
    assert found.scale_consistency == pytest.approx(1.0)


def coarse_by_hand(labels: np.ndarray, k: int) -> np.ndarray:
    """Most frequent label of each block, for two labels only: 2 needs more than half, or half and the first pixel."""
    blocks = labels.reshape(labels.shape[0] // k, k, labels.shape[1] // k, k)
    share = (blocks == 2).mean(axis=(1, 3))
    return np.where((share > 0.5) | ((share == 0.5) & (blocks[:, 0, :, 0] == 2)), 2, 1)


def boundary(labels: np.ndarray) -> np.ndarray:
    found = np.zeros(labels.shape, bool)
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[:-1] |= labels[:-1] != labels[1:]
    return found


@pytest.mark.parametrize("seed", range(5))
def test_each_resolution_has_the_boundary_f_of_its_own_boundaries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    test, reference = (np.kron(rng.integers(1, 3, (10, 14)), np.ones((7, 7), int))[:68, :96] for _ in range(2))
    test[:20] = reference[:20]
    found = scale_consistency(test, reference)
    expected = [boundary_f1(boundary(test), boundary(reference)).f1]
    expected += [boundary_f1(*(boundary(coarse_by_hand(labels, k)) for labels in (test, reference))).f1 for k in (2, 4)]
    assert [found.f1, found.f1_half, found.f1_quarter] == expected
    numbers = [f for f in expected if f is not None]
    assert found.scale_consistency == 1 - (max(numbers) - min(numbers))


def test_edges_are_those_of_the_averaged_probabilities(pair: Pair) -> None:
    found = values(pair.candidate, pair.reference)
    for k in (2, 4):
        small = [
            np.floor(v.p.reshape(96 // k, k, 120 // k, k).mean(axis=(1, 3)) + 0.5).astype(np.uint8)
            for v in (pair.candidate, pair.reference)
        ]
        expected = erqa(*small)
        assert found[f"erqa@1/{k}"].value == expected.f1
        assert found[f"erqa@1/{k}"].n == expected.tp + expected.fn > 0


def test_the_function_and_the_metric_agree(pair_with_nodata: Pair) -> None:
    pair = pair_with_nodata
    found = scale_consistency(pair.candidate.regions.labels, pair.reference.regions.labels, valid=pair.valid)
    by_name = values(pair.candidate, pair.reference)
    assert found.scale_consistency == by_name["scale_consistency"].value
    assert found.f1_half == by_name["boundary_f1@1/2"].value
    assert found.f1_quarter == by_name["boundary_f1@1/4"].value


def test_what_is_seen_at_one_resolution_only_has_no_consistency() -> None:
    # Nodata from column 32 on; the boundary lies in column 29, counted up to 29. At a half it is column 14 of 13.
    valid = np.ones((40, 64), bool)
    valid[:, 32:] = False
    found = values(view(wall_at(30), valid), view(wall_at(30), valid))
    assert found["boundary_f1@1/2"].value is None
    assert found["scale_consistency"].value is None
    assert found["scale_consistency"].flag == "boundaries at one resolution only"


def test_a_resolution_without_boundaries_is_left_out() -> None:
    # Boundary in column 25, counted up to 29; at a half in column 12, counted up to 13; at a quarter in 6 of 5.
    valid = np.ones((40, 64), bool)
    valid[:, 32:] = False
    found = values(view(wall_at(26), valid), view(wall_at(26), valid))
    assert found["scale_consistency"].value == 1.0
    assert found["scale_consistency"].terms_used == ("boundary_f1", "boundary_f1@1/2")


def test_a_map_without_borders_is_not_consistent() -> None:
    nothing = np.ones((40, 64), np.int32)
    for test, reference in ((nothing, wall_at(32)), (wall_at(32), nothing)):
        found = scale_consistency(test, reference)
        assert found.scale_consistency == 0.0
        assert found.flag
    assert scale_consistency(nothing, nothing).scale_consistency is None
    assert scale_consistency(nothing, nothing).flag == "no boundaries in either map"


def test_maps_smaller_than_a_block_have_the_resolutions_that_they_can_have() -> None:
    labels = np.ones((3, 9), np.int32)
    labels[:, 4:] = 2
    found = values(view(labels), view(labels))
    assert found["scale_consistency"].terms_used == ("boundary_f1", "boundary_f1@1/2")
    assert found["boundary_f1@1/4"].value is None


def test_coarse_pixels_are_booked_inside_their_block_on_valid_pixels(pair_with_nodata: Pair) -> None:
    for booking in METRIC.book(pair_with_nodata):
        assert pair_with_nodata.valid[booking.rows, booking.cols].all()
    (edge,) = (b for b in METRIC.book(Pair(view(wall_at(32)), view(wall_at(32)))) if "n_ref@1/4" in b.values)
    assert set(edge.cols) == {30}  # coarse column 7 covers 28..31
    assert edge.rows.tolist() == list(range(2, 40, 4))


def test_a_kind_of_border_has_its_own_consistency() -> None:
    # The wall field|forest is 4 px off, the wall forest|other stands: the layers of the middles of the blocks tell.
    reference = wall_at(16)
    reference[:, 48:] = 3
    moved = wall_at(20)
    moved[:, 48:] = 3
    pair = Pair(view(moved), view(reference))
    layer = {code: dict.fromkeys(totals(METRIC.book(pair)), 0.0) for code in range(len(LAYERS))}
    for booking in METRIC.book(pair):
        for name, booked in booking.values.items():
            for code in layer:
                layer[code][name] += float(booked[pair.layers[booking.rows, booking.cols] == code].sum())
    by_kind = {LAYERS[code]: METRIC.conclude(sums)[0].value for code, sums in layer.items()}
    assert by_kind["field|forest"] == 0.0
    assert by_kind["forest|other"] == 1.0
    assert by_kind["field|field"] is None


def test_rasters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ScoreError, match="label rasters"):
        scale_consistency(wall_at(3), wall_at(3)[1:])
    with pytest.raises(ScoreError, match="whole numbers"):
        scale_consistency(wall_at(3) / 2, wall_at(3))
