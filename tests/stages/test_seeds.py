"""Seeds of a scene: weak borders and narrow passages part them, and no block shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label
from skimage.filters import apply_hysteresis_threshold

from hedgerow import registry
from hedgerow.edges.blocks import ArrayReader
from hedgerow.edges.necks import BODY, CORE, widths
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.geo.windows import whole
from hedgerow.records import BORDER, FIELD, FOREST
from hedgerow.stages.label import label_scene
from hedgerow.stages.seeds import scene_markers

METRE = (1.0, 1.0)


def labelled(pixels, folder, *, pixel_m=METRE, block_px=1024, **settings):
    valid = np.ones(pixels.shape[-2:], bool)
    tracer = registry.build("tracers", settings)
    return label_scene(
        ArrayReader(pixels), ArrayReader(valid), tracer, folder, pixel_m=pixel_m, block_px=block_px
    ).regions()  # fmt: skip


def markers_of(pixels, folder, block_px, *, each=map, **settings):
    found = scene_markers(
        ArrayReader(pixels), ArrayReader(np.ones(pixels.shape[-2:], bool)), registry.build("tracers", settings),
        folder, pixel_m=METRE, each=each, block_px=block_px,
    )  # fmt: skip
    return found.labels.read(whole(pixels.shape[-2:])), found.class_of


def two_fields(gap, height=40, width=60):
    """Two fields with a sure border between them, but for a gap of some px in its middle."""
    pixels = np.zeros((4, height, width), np.uint8)
    pixels[FIELD] = 255
    middle = height // 2
    line = np.ones(height, bool)
    line[middle - gap // 2 : middle - gap // 2 + gap] = False
    for col in (width // 2 - 1, width // 2):
        pixels[FIELD, line, col], pixels[BORDER, line, col] = 0, 255
    return pixels


@pytest.mark.parametrize("kind", ["watershed", "components"])
@pytest.mark.parametrize(("neck_m", "fields"), [(0, 1), (4, 1), (8, 2)])
def test_a_gap_narrower_than_the_neck_parts_two_fields(tmp_path, kind, neck_m, fields):
    # The gap is 6 px of 1 m; the fields are 40 m x 29 m, more than four times as wide.
    regions = labelled(two_fields(6), tmp_path, kind=kind, neck_m=neck_m)
    assert regions.labels.max() == fields
    if fields == 2:
        assert (regions.labels[:, :28] == 1).all(), "the flood gives back what the cut took away"
        assert (regions.labels[:, 32:] == 2).all()


def test_the_neck_is_measured_in_metres(tmp_path):
    pixels = two_fields(6)
    assert labelled(pixels, tmp_path / "a", kind="watershed", neck_m=8, pixel_m=(2.0, 2.0)).labels.max() == 1
    assert labelled(pixels, tmp_path / "b", kind="watershed", neck_m=14, pixel_m=(2.0, 2.0)).labels.max() == 2


def test_a_neck_without_the_size_of_a_pixel_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="pixel_m"):
        labelled(two_fields(6), tmp_path, kind="watershed", neck_m=8, pixel_m=None)


def test_a_narrow_field_stays_a_field(tmp_path):
    # A strip of 4 px between two wide fields: nowhere wide, so it is no passage.
    pixels = np.zeros((4, 40, 64), np.uint8)
    pixels[FIELD] = 255
    for col in (29, 34):
        pixels[FIELD, :, col], pixels[BORDER, :, col] = 0, 255
    assert labelled(pixels, tmp_path / "a", kind="watershed").labels.max() == 3
    assert labelled(pixels, tmp_path / "b", kind="watershed", neck_m=6).labels.max() == 3


def test_a_field_with_a_narrow_tongue_stays_one(tmp_path):
    # The tongue, 4 px wide, leads nowhere: it is no passage between two fields, and the flood gives it back.
    pixels = np.zeros((4, 40, 70), np.uint8)
    pixels[BORDER] = 255
    pixels[FIELD, 2:38, 2:40], pixels[BORDER, 2:38, 2:40] = 255, 0
    pixels[FIELD, 18:22, 40:68], pixels[BORDER, 18:22, 40:68] = 255, 0
    assert labelled(pixels, tmp_path, kind="watershed", neck_m=6).labels.max() == 1


def weak_line():
    """A border of 0.6 whose lower half fades to 0.2, and a faint spot of 0.2 inside the left field."""
    pixels = np.zeros((4, 40, 60), np.uint8)
    pixels[BORDER, :20, 29:31], pixels[BORDER, 20:, 29:31] = 153, 51
    pixels[BORDER, 10:14, 10:14] = 51
    pixels[FIELD] = 255 - pixels[BORDER]
    return pixels


def test_weak_border_pixels_part_fields_where_they_go_on_from_strong_ones(tmp_path):
    tracer = {"kind": "watershed", "max_seed_border": 0.4}
    assert labelled(weak_line(), tmp_path / "a", **tracer).labels.max() == 1
    assert labelled(weak_line(), tmp_path / "b", **tracer, border_low=0.15).labels.max() == 2
    pixels = weak_line()
    seeds = registry.build("tracers", tracer | {"border_low": 0.15}).seeds(pixels, np.ones((40, 60), bool))
    assert (seeds[10:14, 10:14] == 1 + FIELD).all(), "a faint spot of its own is none"


def test_components_know_weak_borders_as_well(tmp_path):
    assert labelled(weak_line(), tmp_path / "a", kind="components").labels.max() == 1
    assert labelled(weak_line(), tmp_path / "b", kind="components", border_low=0.15).labels.max() == 2


def test_weak_pixels_are_followed_only_so_far():
    line = np.zeros((4, 1, 12), np.uint8)
    line[BORDER, 0] = [255, *[100] * 11]
    line[FIELD] = 255 - line[BORDER]
    tracer = registry.build("tracers", {"kind": "watershed", "max_seed_border": 0.8, "border_low": 0.3, "halo_px": 4})
    assert (tracer.seeds(line, np.ones((1, 12), bool)) > 0).tolist() == [[False] * 5 + [True] * 7]
    assert tracer.seed_reach_px == 4


def test_a_low_threshold_above_the_high_one_is_refused():
    with pytest.raises(ConfigError, match="border_low"):
        registry.build("tracers", {"kind": "watershed", "max_seed_border": 0.2, "border_low": 0.3})
    with pytest.raises(ConfigError, match=r"border_low 0\.3 must not exceed max_field_seed_border 0\.2"):
        registry.build("tracers", {"kind": "watershed", "max_field_seed_border": 0.2, "border_low": 0.3})


@pytest.mark.parametrize(("settings", "regions"), [({}, 2), ({"max_field_seed_border": 0.1}, 3)])
def test_a_faint_border_parts_fields_and_no_woods(tmp_path, settings, regions):
    """A field over a wood, both with the same faint line down their middle."""
    pixels = np.zeros((4, 40, 60), np.uint8)
    pixels[FIELD, :20], pixels[FOREST, 20:] = 250, 250
    for col in (29, 30):
        pixels[FIELD, :20, col], pixels[FOREST, 20:, col], pixels[BORDER, :, col] = 210, 210, 45
    found = labelled(pixels, tmp_path, kind="watershed", **settings)
    assert found.labels.max() == regions
    assert (found.labels[20:] == found.labels[-1, -1]).all(), "the wood is one"
    assert (found.labels[:20, 0] == 1).all()
    assert (found.labels[:20, -1] == regions - 1).all()


@st.composite
def noisy(draw):
    """Smooth random probabilities, with necks and broken ridges of every width."""
    shape = draw(st.integers(1, 48)), draw(st.integers(1, 48))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    share = np.stack([gaussian_filter(rng.standard_normal(shape), draw(st.sampled_from([1, 2.5]))) for _ in range(4)])
    share = np.exp(share / share.std() * 2)
    return np.rint(255 * share / share.sum(axis=0)).astype(np.uint8)


RULES = {"kind": "watershed", "min_seed_px": 4, "border_low": 0.15, "max_seed_border": 0.4, "halo_px": 6}


@settings(deadline=None, max_examples=40)
@given(noisy(), st.sampled_from([0, 1.9, 3.0]), st.integers(0, 9))
def test_seeds_do_not_depend_on_the_blocks_or_their_order(shuffled_and_pickled, tmp_path_factory, pixels, neck_m, seed):
    folder = tmp_path_factory.mktemp("blocks")
    labels, class_of = markers_of(pixels, folder / "whole", 64, **RULES, neck_m=neck_m)
    for block_px in (5, 16):
        again, classes = markers_of(
            pixels, folder / str(block_px), block_px, each=shuffled_and_pickled(seed), **RULES, neck_m=neck_m
        )
        assert np.array_equal(again, labels)
        assert np.array_equal(classes, class_of)


@settings(deadline=None, max_examples=40)
@given(noisy(), st.sampled_from([1.9, 3.0]))
def test_seeds_are_wide_cores_and_what_has_none(tmp_path_factory, pixels, neck_m):
    """The rule in plain words, over the whole array at once: scipy's components, one area after another."""
    keys = registry.build("tracers", RULES).seeds(pixels, np.ones(pixels.shape[1:], bool))
    wide = widths(keys, neck_m=neck_m, pixel_m=METRE)
    expected = []
    for key in np.unique(keys[keys > 0]):
        areas, count = label(keys == key)
        for area in (areas == k for k in range(1, count + 1)):
            cores, parts = label(area & (wide >= CORE))
            bodies = [cores == k for k in range(1, parts + 1) if (wide[cores == k] == BODY).any()]
            expected += bodies or [area]
    grown = [part for part in expected if part.sum() >= RULES["min_seed_px"]]
    labels, class_of = markers_of(pixels, tmp_path_factory.mktemp("blocks"), 16, **RULES, neck_m=neck_m)
    instances = [part for part in grown if class_of[labels[part][0]] in (FIELD, FOREST)]
    assert np.array_equal(labels > 0, np.any([np.zeros_like(labels, bool), *grown], axis=0))
    assert all(len(np.unique(labels[part])) == 1 for part in grown)
    assert len({labels[part][0] for part in instances}) == len(instances)


def test_weak_borders_are_those_of_hysteresis_where_the_reach_is_enough():
    rng = np.random.default_rng(0)
    border = gaussian_filter(rng.standard_normal((60, 60)), 2)
    border = (255 * (border - border.min()) / np.ptp(border)).astype(np.uint8)
    pixels = np.zeros((4, 60, 60), np.uint8)
    pixels[BORDER], pixels[FIELD] = border, 255 - border
    tracer = registry.build("tracers", {"kind": "watershed", "max_seed_border": 0.7, "border_low": 0.5, "halo_px": 200})
    seeds = tracer.seeds(pixels, np.ones((60, 60), bool)) > 0
    # scikit-image counts what is above a threshold, here it is what reaches it; and it connects at corners, too.
    assert np.array_equal(~seeds, apply_hysteresis_threshold(border, 0.5 * 255 - 0.5, 0.7 * 255 - 0.5))
