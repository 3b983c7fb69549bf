"""Regions of a scene: the same whatever the blocks, the workers and the order; touching fields stay apart."""

import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter

from hedgerow import registry
from hedgerow.edges.blocks import ArrayReader, BlockStore, read_padded
from hedgerow.edges.components import block_components, join, label_equal
from hedgerow.edges.regions import VOID
from hedgerow.errors import GeometryError
from hedgerow.geo.windows import Window, grid, whole
from hedgerow.records import BORDER, FIELD, FOREST, OTHER
from hedgerow.stages.label import label_array, label_scene


def everything(store):
    return store.regions().labels, store.class_of, store.area_px


def assert_same(a, b):
    for mine, theirs in zip(everything(a), everything(b), strict=True):
        assert np.array_equal(mine, theirs)


def scene(height=90, width=110, fields=12, seed=0, sigma=1.5):
    """Probabilities of a mosaic: label 1 of three is forest, of another `other`; borders are ridges."""
    rng = np.random.default_rng(seed)
    points = np.zeros((height, width), bool)
    points[rng.integers(0, height, fields), rng.integers(0, width, fields)] = True
    row, col = distance_transform_edt(~points, return_distances=False, return_indices=True)
    parcel = label_equal(row * width + col + 1)
    kind = rng.choice([FIELD, FIELD, FOREST, OTHER], parcel.max() + 1)[parcel]
    line = np.zeros((height, width))
    line[:, 1:] += parcel[:, 1:] != parcel[:, :-1]
    line[1:] += parcel[1:] != parcel[:-1]
    border = np.clip(gaussian_filter(line, sigma) * 3, 0, 1)
    rest = np.stack([(kind == k) * 0.8 + 0.2 / 3 for k in range(3)])
    return np.rint(255 * np.concatenate([rest * (1 - border), border[None]])).astype(np.uint8), parcel


def labelled(pixels, folder, kind="watershed", *, valid=None, **options):
    valid = np.ones(pixels.shape[-2:], bool) if valid is None else valid
    tracer = registry.build("tracers", kind)
    return label_scene(ArrayReader(pixels), ArrayReader(valid), tracer, folder, **options)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000), st.sampled_from([1, 5, 16]))
def test_components_joined_over_blocks_are_those_of_the_whole(height, width, seed, block_px):
    keys = np.random.default_rng(seed).integers(0, 3, (height, width))
    blocks, local = [], {}
    for index, window in grid(keys.shape, block_px):
        local[index], summary = block_components(keys[window.slices], index, window, width)
        blocks.append(summary)
    random.Random(seed).shuffle(blocks)
    found, expected = join(blocks), label_equal(keys)
    for index, window in grid(keys.shape, block_px):
        assert np.array_equal(found.tables[index][local[index]], expected[window.slices])
    assert np.array_equal(found.area_px[1:], np.bincount(expected.ravel())[1:])
    assert [keys.ravel()[first] for first in found.first_px[1:]] == found.key[1:].tolist()
    assert [int(np.argmax(expected.ravel() == i)) for i in range(1, found.count + 1)] == found.first_px[1:].tolist()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10_000))
def test_label_arrays_do_not_depend_on_the_blocks(height, width, seed):
    labels = np.random.default_rng(seed).integers(-1, 3, (height, width))
    base = label_array(labels)
    for block_px in (1, 5, 16):
        assert_same(label_array(labels, block_px=block_px), base)
    assert np.array_equal(base.regions().valid, labels != 0)


def test_label_rasters_read_by_windows_give_what_the_array_gives(tmp_path):
    labels = np.random.default_rng(0).integers(-2, 4, (37, 53)).astype(np.int16)
    by_blocks = labelled(labels, tmp_path, "arcs", valid=labels != 0, block_px=16)
    assert_same(by_blocks, label_array(labels))


def test_voids_have_ids_after_all_regions():
    store = label_array(np.array([[0, 1, 0], [2, 2, 0]]))
    assert store.ids.read(whole((2, 3))).tolist() == [[3, 1, 4], [2, 2, 4]]
    assert store.class_of.tolist()[1:] == [FIELD, FIELD, VOID, VOID]
    assert store.area_px.tolist()[1:] == [1, 2, 1, 2]
    assert store.count == 2
    assert store.regions().labels.tolist() == [[0, 1, 0], [2, 2, 0]]


def test_the_mask_decides_what_is_valid_when_there_is_one():
    labels = np.array([[0, 0], [7, 7]])
    store = label_array(labels, np.array([[True, True], [True, False]]))
    assert store.regions().labels.tolist() == [[1, 1], [2, 0]]


def test_labels_may_be_large():
    labels = np.array([[2**40, 2**40 + 1], [-5, 2**40]])
    assert label_array(labels).regions().labels.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros(4, int), np.zeros((1, 2, 2), int)])
def test_what_is_no_label_raster_is_refused(labels):
    with pytest.raises(GeometryError, match="integers"):
        label_array(labels)


def test_regions_do_not_depend_on_the_order_of_blocks_or_on_pickling(shuffled_and_pickled, tmp_path):
    pixels, _ = scene()
    base = labelled(pixels, tmp_path / "a", block_px=32)
    for seed in (1, 2):
        again = labelled(pixels, tmp_path / str(seed), block_px=32, each=shuffled_and_pickled(seed))
        assert_same(again, base)
        assert_same(pickle.loads(pickle.dumps(again)), base)


def test_touching_fields_do_not_fuse_and_borders_go_to_their_regions(tmp_path):
    pixels, parcel = scene(sigma=1.0)
    labels = labelled(pixels, tmp_path).regions().labels
    assert (labels > 0).all()
    inner = pixels[BORDER] < 40
    for region in range(1, labels.max() + 1):
        parcels = np.unique(parcel[inner & (labels == region)])
        kinds = {int(np.argmax(pixels[:3, parcel == p].sum(axis=1))) for p in parcels}
        assert len(parcels) <= 1 or kinds == {OTHER}, "only `other` has no instances"
    # Almost every pixel lies in the region that holds most of its own parcel.
    majority = {p: np.bincount(labels[parcel == p]).argmax() for p in np.unique(parcel)}
    agreeing = np.vectorize(majority.get)(parcel) == labels
    assert agreeing.mean() > 0.97


def test_the_border_line_is_found_where_the_ridge_is(tmp_path):
    # Two fields, the border probability highest between columns 19 and 20: symmetric, so the line is at 20.
    border = np.exp(-((np.arange(40) - 19.5) ** 2) / 8) * 250
    pixels = np.zeros((4, 30, 40), np.uint8)
    pixels[BORDER] = border
    pixels[FIELD] = 255 - pixels[BORDER]
    labels = labelled(pixels, tmp_path).regions().labels
    assert (labels[:, :20] == 1).all()
    assert (labels[:, 20:] == 2).all()


def test_a_seam_between_blocks_leaves_no_trace_in_a_clear_scene(tmp_path):
    # The ridge runs along a block line, and a field crosses another: blocks of 16 px give what one block gives.
    pixels, _ = scene(64, 64, fields=6, sigma=1.0)
    small, large = (labelled(pixels, tmp_path / str(px), block_px=px).regions().labels for px in (16, 64))
    assert (small == large).mean() > 0.99
    assert small.max() == large.max()


def test_small_seeds_do_not_grow_a_region(tmp_path):
    pixels = np.zeros((4, 24, 24), np.uint8)
    pixels[FIELD] = 255
    pixels[:, 10:13, 10:13] = np.array([0, 0, 255, 0], np.uint8)[:, None, None]  # 9 px of forest, fewer than 16
    assert labelled(pixels, tmp_path).count == 1
    pixels[:, 10:14, 10:14] = np.array([0, 0, 255, 0], np.uint8)[:, None, None]  # 16 px
    store = labelled(pixels, tmp_path / "b")
    assert store.class_of[1:].tolist() == [FIELD, FOREST]
    assert store.area_px[1:].tolist() == [24 * 24 - 16, 16]


def test_seeds_are_counted_over_the_whole_scene(tmp_path):
    # A 4 x 4 seed cut by four blocks into 4 x 4 px has 16 px in all: large enough.
    pixels = np.zeros((4, 16, 16), np.uint8)
    pixels[FIELD] = 255
    pixels[:, 6:10, 6:10] = np.array([0, 0, 255, 0], np.uint8)[:, None, None]
    assert labelled(pixels, tmp_path, block_px=8).class_of[1:].tolist() == [FIELD, FOREST]


def test_pixels_out_of_reach_become_other(tmp_path):
    pixels = np.zeros((4, 12, 12), np.uint8)
    pixels[BORDER] = 255  # no seed anywhere
    store = labelled(pixels, tmp_path)
    assert store.class_of[1:].tolist() == [OTHER]


def test_invalid_pixels_belong_to_no_region_and_part_fields(tmp_path):
    pixels = np.zeros((4, 12, 13), np.uint8)
    pixels[FIELD] = 255
    valid = np.ones((12, 13), bool)
    valid[:, 6] = False
    store = labelled(pixels, tmp_path, valid=valid, block_px=8)
    assert np.array_equal(store.regions().valid, valid)
    assert store.area_px[1:].tolist() == [72, 72, 12]


def test_nothing_valid_gives_no_region(tmp_path):
    store = labelled(np.zeros((4, 5, 5), np.uint8), tmp_path, valid=np.zeros((5, 5), bool))
    assert store.count == 0


def test_a_mask_of_another_shape_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="differ"):
        labelled(np.zeros((4, 5, 5), np.uint8), tmp_path, valid=np.zeros((5, 6), bool))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.data())
def test_any_window_of_a_block_store_is_that_of_the_array(tmp_path_factory, height, width, block_px, data):
    array = np.arange(height * width, dtype=np.int32).reshape(height, width)
    store = BlockStore(tmp_path_factory.mktemp("blocks"), array.shape, block_px)
    for index, window in store.blocks():
        store.write(index, array[window.slices])
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window = Window(y0, x0, data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width)))
    assert np.array_equal(store.read(window), array[window.slices])
    padded = np.pad(array, 2, constant_values=-1)
    grown = Window(window.y0, window.x0, window.y1 + 4, window.x1 + 4)
    assert np.array_equal(read_padded(store, window, 2, fill=-1), padded[grown.slices])


def test_a_block_store_renumbers_while_reading(tmp_path):
    store = BlockStore(tmp_path, (1, 4), 2)
    store.write((0, 0), np.array([[0, 1]], np.uint8))
    store.write((0, 1), np.array([[1, 2]], np.uint8))
    read = store.renumber([((0, 0), np.array([0, 70_000])), ((0, 1), np.array([0, 5, 6]))]).read(Window(0, 0, 1, 4))
    assert read.tolist() == [[0, 70_000, 5, 6]]


def test_a_window_beyond_the_raster_is_refused(tmp_path):
    with pytest.raises(GeometryError, match="beyond"):
        BlockStore(tmp_path, (4, 4)).read(Window(0, 0, 5, 4))
