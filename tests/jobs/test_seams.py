"""`hedgerow trace --check-seams`: three tile sizes, no difference; and if there were one, where."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from hedgerow.errors import SourceError
from hedgerow.jobs import tracing
from hedgerow.jobs.seams import check_seams, tile_sizes
from hedgerow.jobs.tracing import Rules
from hedgerow.stages.label import label_array
from hedgerow.stages.trace import trace_scene

TRANSFORM = Affine(2, 0, 500000, 0, -2, 5000000)


def labels() -> np.ndarray:
    """Twelve fields of 5 x 6 px."""
    return np.kron(np.arange(1, 13).reshape(3, 4), np.ones((5, 6))).astype(np.int32)


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    pixels = labels()
    with rasterio.open(
        tmp_path / "l.tif", "w", driver="GTiff", count=1, height=pixels.shape[0], width=pixels.shape[1], dtype="int32",
        crs="EPSG:32633", transform=TRANSFORM,
    ) as dataset:  # fmt: skip
        dataset.write(pixels, 1)
    return tmp_path / "l.tif"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer that loses a pixel when the tiles are of 8 px: pixel (7, 8) goes to the field on its left."""

    def seamy(regions: Any, *rest: Any, **options: Any) -> Any:
        if options["tile_px"] == 8:
            wrong = labels()
            wrong[5:10, 12] = wrong[5:10, 11]
            regions = replace(regions, ids=label_array(wrong).ids)
        return trace_scene(regions, *rest, **options)

    monkeypatch.setattr(tracing, "trace_scene", seamy)


@pytest.mark.parametrize("tile_px", [1, 2, 5, 6, 7, 1000, 1024])
def test_three_sizes_differ(tile_px: int) -> None:
    sizes = tile_sizes(tile_px)
    assert sizes[0] == tile_px
    assert len(set(sizes)) == 3
    assert min(sizes) >= 1


@pytest.mark.parametrize("rules", [Rules(), Rules(simplify_m=9.0, min_area_m2=130.0)])
def test_tiles_do_not_show(raster: Path, rules: Rules) -> None:
    report = check_seams(raster, tile_px=7, rules=rules)
    assert report.differences == ()
    assert report.tile_px == (7, 2, 15)
    # Fields of 120 m2 are below the smallest area: they go to their neighbours, two by two at least.
    assert report.fields == 12 if rules == Rules() else 1 <= report.fields <= 6
    assert str(report).endswith("0 features differ at tiles of 2 and 15 px")


def test_nothing_is_written(raster: Path) -> None:
    check_seams(raster, tile_px=7)
    assert [file.name for file in raster.parent.iterdir()] == ["l.tif"]


def test_a_difference_is_said_with_its_place(raster: Path, broken: None) -> None:
    report = check_seams(raster, tile_px=25, scheduler="sync")
    assert report.tile_px == (25, 8, 51)
    assert {one.tile_px for one in report.differences} == {8}
    fields = [one.bounds for one in report.differences if one.layer == "fields"]
    # Fields 6 and 7 (columns 6..12 and 12..18, rows 5..10) as they are, and with the seam one pixel further east.
    as_is = [(500012.0, 4999980.0, 500024.0, 4999990.0), (500024.0, 4999980.0, 500036.0, 4999990.0)]
    wrong = [(500012.0, 4999980.0, 500026.0, 4999990.0), (500026.0, 4999980.0, 500036.0, 4999990.0)]
    # And the fields above and below on the right, in whose outline the seam's two ends lie: before and after.
    beside = [(500024.0, 4999990.0, 500036.0, 5000000.0), (500024.0, 4999970.0, 500036.0, 4999980.0)]
    assert sorted(fields) == sorted(as_is + wrong + 2 * beside)
    assert report.as_row()["differences"][0].keys() == {"layer", "tile_px", "bounds"}


def test_what_cannot_be_traced_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read as a raster"):
        check_seams(tmp_path / "missing.tif")
