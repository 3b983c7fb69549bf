import numpy as np

from hedgerow.edges.layers import LAYERS, PAIR_LAYERS, boundary_of, layers_of
from hedgerow.records import FIELD, FOREST, OTHER, Regions


def test_the_kinds_of_border_bear_the_names_of_the_outputs() -> None:
    assert LAYERS == ("all", "field|field", "field|forest", "field|other", "forest|other")


def test_boundary_is_left_of_and_above_a_change_and_never_at_nodata() -> None:
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 0], [3, 3, 0, 0]], np.int32)
    expected = np.array([[0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    assert np.array_equal(boundary_of(labels), expected)


def test_the_frame_is_no_boundary() -> None:
    assert not boundary_of(np.ones((4, 5), np.int32)).any()


def test_each_pixel_has_the_class_pair_of_its_nearest_boundary() -> None:
    labels = np.repeat(np.array([[1, 2, 3, 4]], np.int32), 6, axis=1).repeat(4, axis=0)
    regions = Regions(labels, np.array([OTHER, FIELD, FIELD, FOREST, OTHER], np.uint8))
    row = layers_of(regions, boundary_of(labels))[0]
    names = [("none", *PAIR_LAYERS)[code] for code in row]
    # Boundaries lie in columns 5 (field|field), 11 (field|forest) and 17 (forest|other); column 8 is as near to both.
    assert names[:8] == ["field|field"] * 8
    assert names[9:14] == ["field|forest"] * 5
    assert names[15:] == ["forest|other"] * 9


def test_the_right_neighbour_decides_before_the_lower_one() -> None:
    labels = np.array([[1, 2], [3, 3]], np.int32)
    regions = Regions(labels, np.array([OTHER, FIELD, FOREST, OTHER], np.uint8))
    assert layers_of(regions, boundary_of(labels))[0, 0] == LAYERS.index("field|forest")


def test_the_right_neighbour_decides_only_where_it_is_valid() -> None:
    labels = np.array([[1, 0], [2, 2]], np.int32)
    regions = Regions(labels, np.array([OTHER, FIELD, FOREST], np.uint8))
    assert layers_of(regions, boundary_of(labels))[0, 0] == LAYERS.index("field|forest")


def test_two_forests_meet_in_no_layer_of_their_own() -> None:
    labels = np.array([[1, 2]], np.int32)
    regions = Regions(labels, np.array([OTHER, FOREST, FOREST], np.uint8))
    assert boundary_of(labels).any()
    assert not layers_of(regions, boundary_of(labels)).any()


def test_without_any_boundary_there_is_no_layer() -> None:
    regions = Regions(np.ones((3, 3), np.int32), np.array([OTHER, FIELD], np.uint8))
    assert not layers_of(regions, boundary_of(regions.labels)).any()
