"""What every tracer promises, over everything available, and what is special about each."""

import pickle

import numpy as np
import pytest

from hedgerow import registry
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.records import BORDER, FIELD, FOREST, OTHER

KINDS = registry.available("tracers")
SHAPE = (20, 30)


def pixels_for(kind):
    rng = np.random.default_rng(0)
    if kind == "arcs":
        return rng.integers(0, 4, SHAPE).astype(np.int32)
    share = rng.dirichlet([1, 1, 1, 1], SHAPE).transpose(2, 0, 1)
    return np.rint(255 * share).astype(np.uint8)


def valid_mask():
    valid = np.ones(SHAPE, bool)
    valid[:5, :7] = False
    return valid


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def tracer(kind):
    return registry.build("tracers", kind)


def test_the_three_ways_are_there():
    assert {"arcs", "components", "watershed"} <= set(KINDS)


def test_a_tracer_pickles(tracer):
    assert pickle.loads(pickle.dumps(tracer)) == tracer


def test_seeds_lie_on_valid_pixels_and_have_a_class(tracer, kind):
    keys = tracer.seeds(pixels_for(kind), valid_mask())
    assert keys.shape == SHAPE
    assert keys.dtype == np.int32
    assert (keys[~valid_mask()] == 0).all()
    assert {tracer.class_of(int(k)) for k in np.unique(keys[keys > 0])} <= {OTHER, FIELD, FOREST}


def test_flooding_keeps_markers_and_never_touches_invalid_pixels(tracer, kind):
    pixels, valid = pixels_for(kind), valid_mask()
    markers = np.where(tracer.seeds(pixels, valid) > 0, np.arange(1, 601).reshape(SHAPE), 0).astype(np.int32)
    flooded = tracer.flood(markers, pixels, valid)
    assert flooded.dtype == np.int32
    assert np.array_equal(flooded[markers > 0], markers[markers > 0])
    assert (flooded[~valid] == 0).all()
    assert (flooded[valid] > 0).all(), "every valid pixel is within reach of a marker here"


def test_seeds_depend_on_nothing_beyond_their_reach(kind):
    settings = {"kind": kind} if kind == "arcs" else {"kind": kind, "border_low": 0.2, "halo_px": 3}
    tracer = registry.build("tracers", settings)
    pixels, valid = pixels_for(kind), valid_mask()
    whole, px = tracer.seeds(pixels, valid), tracer.seed_reach_px
    assert px == (0 if kind == "arcs" else 3)
    seen = (slice(8 - px, 12 + px), slice(10 - px, 20 + px))
    found = tracer.seeds(pixels[(..., *seen)], valid[seen])
    assert np.array_equal(found[px : px + 4, px : px + 10], whole[8:12, 10:20])


def test_necks_are_cut_only_when_asked_for(tracer):
    assert tracer.neck_m == 0


def test_the_input_is_left_alone(tracer, kind):
    pixels, valid = pixels_for(kind), valid_mask()
    before = pixels.copy()
    markers = tracer.seeds(pixels, valid)
    kept = markers.copy()
    tracer.flood(markers, pixels, valid)
    assert np.array_equal(pixels, before)
    assert np.array_equal(markers, kept)


def test_pixels_of_the_wrong_kind_are_refused_with_the_way_out(tracer, kind):
    wrong = pixels_for("watershed" if kind == "arcs" else "arcs")
    with pytest.raises(GeometryError, match="choose the tracer"):
        tracer.seeds(wrong, valid_mask())


def test_an_unknown_setting_is_refused(kind):
    with pytest.raises(ConfigError, match="smoothness"):
        registry.build("tracers", {"kind": kind, "smoothness": 3})


def probabilities(other, field, forest, border):
    return np.array([other, field, forest, border], np.uint8).reshape(4, 1, 1)


@pytest.mark.parametrize(
    ("pixel", "key"),
    [
        (probabilities(0, 255, 0, 0), 1 + FIELD),
        (probabilities(0, 90, 89, 76), 1 + FIELD),  # 76 < 0.3 * 255 = 76.5, and 90 of 179 is more than half
        (probabilities(0, 90, 88, 77), 0),  # border too strong
        (probabilities(80, 85, 80, 10), 0),  # 85 of 245 is less than half: no class is sure
        (probabilities(128, 127, 0, 0), 1 + OTHER),
        (probabilities(0, 0, 200, 55), 1 + FOREST),
    ],
)
def test_a_watershed_seed_is_where_a_class_is_sure_and_border_is_unlikely(pixel, key):
    tracer = registry.build("tracers", "watershed")
    assert tracer.seeds(pixel, np.ones((1, 1), bool)).item() == key


def test_the_flood_meets_on_the_ridge_even_if_one_seed_is_nearer():
    border = np.array([[0, 10, 20, 30, 40, 200, 10, 0]], np.uint8)
    pixels = np.concatenate([np.zeros((3, 1, 8), np.uint8), border[None]])
    markers = np.array([[1, 0, 0, 0, 0, 0, 0, 2]], np.int32)
    flooded = registry.build("tracers", "watershed").flood(markers, pixels, np.ones((1, 8), bool))
    assert flooded[0, :5].tolist() == [1] * 5
    assert flooded[0, 6:].tolist() == [2, 2]


def test_components_give_border_pixels_to_the_nearest():
    pixels = np.zeros((4, 1, 9), np.uint8)
    pixels[FIELD] = 255
    pixels[:, 0, 3:7] = np.array([0, 0, 0, 255])[:, None]
    tracer = registry.build("tracers", "components")
    keys = tracer.seeds(pixels, np.ones((1, 9), bool))
    assert keys.tolist() == [[2, 2, 2, 0, 0, 0, 0, 2, 2]]
    markers = np.array([[1, 1, 1, 0, 0, 0, 0, 2, 2]], np.int32)
    assert tracer.flood(markers, pixels, np.ones((1, 9), bool)).tolist() == [[1, 1, 1, 1, 1, 2, 2, 2, 2]]


def test_labels_keep_apart_whatever_their_sign():
    tracer = registry.build("tracers", "arcs")
    labels = np.array([[-2, -1, 0, 1, 2]])
    keys = tracer.seeds(labels, np.ones((1, 5), bool))
    assert len(np.unique(keys)) == 5
    assert keys.min() > 0


def test_labels_too_large_to_number_are_refused():
    with pytest.raises(GeometryError, match="number them anew"):
        registry.build("tracers", "arcs").seeds(np.array([[2**31]]), np.ones((1, 1), bool))


def test_border_is_no_region_class_even_where_it_is_likeliest():
    pixels = np.zeros((4, 1, 1), np.uint8)
    pixels[BORDER] = 255
    for kind in ("components", "watershed"):
        assert registry.build("tracers", kind).seeds(pixels, np.ones((1, 1), bool)).item() == 0
