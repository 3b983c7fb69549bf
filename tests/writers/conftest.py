"""A small exact map: two fields of 100 m x 100 m that share one border, in UTM."""

import geopandas
import pytest
import shapely

from hedgerow.records import FieldMap

CRS = "EPSG:32632"


@pytest.fixture
def two_fields() -> FieldMap:
    left, right = shapely.box(500000, 6000000, 500100, 6000100), shapely.box(500100, 6000000, 500200, 6000100)
    fields = geopandas.GeoDataFrame(
        {
            "id": [1, 2], "class": ["field", "forest"], "area_m2": [10_004.5, 123_456_789.123456],
            "perimeter_m": [400.125, 400.25], "confidence": [0.9, 1 / 3], "source": ["a/ø,b.tif", "a/ø,b.tif"],
        },
        geometry=[left, right], crs=CRS,
    )  # fmt: skip
    borders = geopandas.GeoDataFrame(
        {
            "id": [1, 2], "left_id": [1, 1], "right_id": [2, 0], "class_pair": ["field|forest", "field|other"],
            "length_m": [100.0, 300.0], "confidence": [0.5, 0.25], "open": [False, True],
        },
        geometry=[
            shapely.LineString([(500100, 6000000), (500100, 6000100)]),
            shapely.LineString([(500100, 6000100), (500000, 6000100), (500000, 6000000), (500100, 6000000)]),
        ],
        crs=CRS,
    )  # fmt: skip
    return FieldMap(fields, borders)


@pytest.fixture
def empty_map(two_fields: FieldMap) -> FieldMap:
    return FieldMap(two_fields.fields.iloc[:0], two_fields.borders.iloc[:0])
