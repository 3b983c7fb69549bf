import numpy as np
import pyogrio
import pytest
import rasterio
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from hedgerow.edges.burn import burned_line, burned_regions
from hedgerow.edges.views import Pair, View, view_of_truth
from hedgerow.geo.metres import pixel_size_m
from hedgerow.metrics import boundary_f1, boundary_iou, displacement, objects
from hedgerow.metrics._booking import totals
from hedgerow.records import FIELD


@pytest.fixture(scope="module")
def truth_of(real_data):
    """Draws the hand-drawn fields of one aerial tile, moved east by so many pixels."""
    stem = sorted((real_data / "naip_us_fields").glob("*.tif"))[0]
    with rasterio.open(stem) as raster:
        geobox = GeoBox(raster.shape, raster.transform, CRS(raster.crs.to_wkt()))
    fields = pyogrio.read_dataframe(stem.with_name(f"{stem.stem}_fields.gpkg")).to_crs(str(geobox.crs))

    def make(shift_px: float) -> View:
        shapes = fields.geometry.translate(shift_px * geobox.transform.a, 0).to_numpy()
        regions = burned_regions(shapes, [FIELD] * len(shapes), geobox)
        valid = np.ones((geobox.shape[0], geobox.shape[1]), bool)
        return view_of_truth(regions, burned_line(shapes, geobox), valid, pixel_size_m(geobox))

    return make


def value(family, pair: Pair) -> float:
    metric = family.build(family.Config())
    return metric.conclude(totals(metric.book(pair)))[-1].value


@pytest.mark.real_data
def test_a_real_truth_that_moves_away_from_itself_loses_bands_first_and_objects_last(truth_of) -> None:
    reference = truth_of(0)
    steps = [[value(f, Pair(truth_of(k), reference)) for f in (boundary_iou, boundary_f1, objects)] for k in range(4)]
    assert steps[0] == [1.0, 1.0, 1.0]
    bands = [step[0] for step in steps]
    assert bands == sorted(bands, reverse=True)
    assert bands[3] < 0.5
    assert steps[2][1] > 0.95  # two pixels are the tolerance
    assert steps[3][1] < 0.7  # three are beyond it, but for borders that run east
    assert steps[3][2] > 0.9


@pytest.mark.real_data
@pytest.mark.parametrize("shift_px", [0, 1, 2])  # borders less than 3 px apart are nearer to each other
def test_a_real_truth_moved_east_has_moved_by_so_many_metres(truth_of, shift_px: int) -> None:
    pair, metric = Pair(truth_of(shift_px), truth_of(0)), displacement.build(displacement.Config())
    values = {value.name: value.value for value in metric.conclude(totals(metric.book(pair)))}
    assert values["border_shift_east"] == pytest.approx(shift_px * pair.pixel_size_m[1], rel=0.3)
    assert abs(values["border_shift_north"]) < 0.1 * max(shift_px, 1e-9)
