"""What the report is made of: ranks, worst tiles, windows, pictures and words, each by hand."""

from pathlib import Path
from typing import Any

import cv2
import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS

from hedgerow.geo.windows import Window
from hedgerow.records import CLASSES
from hedgerow.report import pictures, wording
from hedgerow.report.cells import cell, difference_cell, ranks
from hedgerow.report.leavings import Leavings, ScoreTable
from hedgerow.report.quantized import site_groups
from hedgerow.report.standings import answer, low_bit_arms, standings
from hedgerow.report.worst import judged_arms, pixel_window, ranking, worst_tiles
from hedgerow.writers._tables import footprint

COLUMN = ("spatial_quality", "fp32")


def run_of(scores: dict[str, Any], tiles: Any = None, **arms: dict[str, Any]) -> Leavings:
    rows = [
        {"metric": COLUMN[0], "arm": arm, "against": "fp32", "layer": "all", "input": None, "value": value}
        | ({"low": value - 0.1, "high": value + 0.1} if value is not None else {"flag": "no borders"})
        for arm, value in scores.items()
    ]
    named = [{"name": name} | arms.get(name, {}) for name in ("fp32", *scores)]
    return Leavings(Path("out"), {"arms": named}, ScoreTable(tuple(rows)), tiles, ())


def test_best_and_worst_are_marked_among_what_is_shown_and_ties_share() -> None:
    run = run_of({"a": 0.9, "b": 0.90001, "c": 0.3, "d": None})
    rows = {row.name: row.cells[0] for row in standings(run, [COLUMN])}
    assert {name: cell.rank for name, cell in rows.items()} == {
        "fp32": "", "a": "best", "b": "best", "c": "worst", "d": "",
    }  # fmt: skip
    assert rows["fp32"].text == "reference"
    assert (rows["d"].text, rows["d"].reason) == ("n/a", "no borders")
    assert rows["c"].percent == pytest.approx(30)


def test_best_is_what_the_direction_of_the_score_says() -> None:
    table = ScoreTable(tuple(
        {"metric": metric, "arm": arm, "against": "truth", "value": value}
        for metric, values in {"hd95": (9.0, 3.0), "area_bias": (-1.0, 4.0), "sharpness_raw": (1.4, 0.9)}.items()
        for arm, value in zip("ab", values, strict=True)
    ))  # fmt: skip
    assert ranks(table, "hd95", "truth", "ab") == {"a": "worst", "b": "best"}
    assert ranks(table, "area_bias", "truth", "ab") == {"a": "best", "b": "worst"}
    assert ranks(table, "sharpness_raw", "truth", "ab") == {"a": "worst", "b": "best"}


def test_a_score_that_only_informs_has_no_best() -> None:
    rows = ({"metric": "no-such-score", "arm": arm, "against": "truth", "value": v} for arm, v in (("a", 1), ("b", 2)))
    assert ranks(ScoreTable(tuple(rows)), "no-such-score", "truth", "ab") == {}


def test_an_interval_is_shown_unless_every_resample_says_the_same() -> None:
    row = {"value": 0.5, "low": 0.4, "high": 0.6}
    assert cell(row).interval == "0.400\u20130.600"
    assert cell(row | {"low": 0.5, "high": 0.5}).interval == ""
    assert cell(row | {"low": None, "high": None}).interval == ""
    assert cell({"value": -3.5, "low": -4, "high": 1, "unit": "m"}).interval == "\u22124.000 to 1.000"


def test_a_difference_is_shown_with_its_sign_interval_and_verdict() -> None:
    row = {"value": -0.024, "low": -0.0361, "high": 0.0004, "n": 9, "verdict": "worse", "flag": None}
    found = difference_cell(row)
    assert (found.text, found.interval) == ("\u22120.024", "\u22120.036 to +0.000")
    assert (found.verdict, found.n) == ("worse", 9)
    missing = difference_cell({"value": None, "n": 2, "flag": "fp32: no borders", "verdict": None})
    assert (missing.text, missing.reason, missing.verdict) == ("n/a", "fp32: no borders", "")
    alone = difference_cell({"value": 0.1, "n": 2, "low": None, "high": None, "flag": "no interval: 2 tiles"})
    assert (alone.text, alone.reason) == ("+0.100", "no interval: 2 tiles")
    assert difference_cell(None) is None


def test_one_arm_alone_is_neither_best_nor_worst() -> None:
    assert standings(run_of({"a": 0.9}), [COLUMN])[1].cells[0].rank == ""


def test_a_lead_within_the_intervals_is_called_too_small() -> None:
    assert any("too small to call" in remark for remark in answer(run_of({"a": 0.9, "b": 0.75})).remarks)
    assert not any("too small to call" in remark for remark in answer(run_of({"a": 0.9, "b": 0.65})).remarks)


@pytest.mark.parametrize(
    ("name", "sites", "low"),
    [
        ("w4a4-minmax", None, True), ("w4a8-group", None, True), ("w8a4", None, True), ("w6a6-repq", None, False),
        ("int8", None, False), ("fp16", None, False), ("nf4", None, True), ("ternary", None, True),
        ("mine", {"head": "W8 A8", "blocks.0.fc1": "W4 A8"}, True), ("w4a4-by-name-only", {"head": "W8 A8"}, False),
    ],
)  # fmt: skip
def test_arms_of_four_bits_or_fewer_are_known_by_their_sites_else_by_name(
    name: str, sites: dict[str, str] | None, low: bool
) -> None:
    assert low_bit_arms([{"name": name, "sites": sites}]) == ([name] if low else [])


def test_the_worst_tiles_are_the_lowest_each_once_and_of_few_bits_only() -> None:
    box = footprint(GeoBox((10, 10), Affine(1, 0, 500000, 0, -1, 6000000), "EPSG:32632"))
    rows = [("a", "t0", "w4a4", 0.5), ("a", "t0", "w3a4", 0.2), ("a", "t1", "w4a4", 0.4), ("b", "t0", "int8", 0.1),
            ("b", "t0", "w4a4", None)]  # fmt: skip
    frame = geopandas.GeoDataFrame(
        [dict(zip(("input", "tile", "arm", "erq_boundary__fp32"), row, strict=True)) for row in rows],
        geometry=[box] * len(rows), crs="EPSG:4326",
    )  # fmt: skip
    run = run_of({"w4a4": 0.5, "w3a4": 0.2, "int8": 0.1}, frame)
    found = [(tile.input, tile.tile, tile.arm, tile.score) for tile in worst_tiles(run)]
    assert found == [("a", "t0", "w3a4", 0.2), ("a", "t1", "w4a4", 0.4)]
    assert len(worst_tiles(run, most=1)) == 1
    ranked = ranking(run)
    assert judged_arms(run) == ["w4a4", "w3a4"]
    assert [(row.rank, row.tile.tile, row.scores) for row in ranked] == [(1, "t0", (0.5, 0.2)), (2, "t1", (0.4, None))]
    # The middle of 10 m from the corner of a zone's central meridian lies 5 m east of 9 degrees.
    assert ranked[0].place.endswith(f"{9 + 5 / (111_320 * np.cos(np.radians(54.15))):.5f} E")


def test_tiles_with_hardly_a_border_are_not_ranked() -> None:
    box = footprint(GeoBox((10, 10), Affine(1, 0, 500000, 0, -1, 6000000), "EPSG:32632"))
    names = ("input", "tile", "arm", "erq_boundary__fp32", "border_px__fp32")
    rows = [("a", "woods", "w4a4", 0.0, 49), ("a", "fields", "w4a4", 0.4, 50)]
    frame = geopandas.GeoDataFrame(
        [dict(zip(names, row, strict=True)) for row in rows], geometry=[box] * len(rows), crs="EPSG:4326"
    )
    assert [tile.tile for tile in worst_tiles(run_of({"w4a4": 0.5}, frame))] == ["fields"]


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3035"])
def test_a_footprint_gives_back_its_window_on_any_grid(crs: str) -> None:
    corner, side = ((9.0, 54.0), 1e-4) if crs == "EPSG:4326" else ((4_300_000.0, 3_200_000.0), 10.0)
    corner = (500_000.0, 6_000_000.0) if crs == "EPSG:32632" else corner
    transform = Affine.translation(*corner) @ Affine.rotation(20) @ Affine.scale(side, -side)
    window = Window(128, 256, 200, 300)
    tile = GeoBox(window.shape, transform @ Affine.translation(window.x0, window.y0), crs)
    assert pixel_window(footprint(tile), CRS.from_user_input(crs), transform, (400, 500)) == window


def borders(*rows: int, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    raster = np.zeros((len(CLASSES), *shape), np.uint8)
    raster[3, list(rows)] = 255
    return raster


def test_a_line_moved_by_one_pixel_is_kept_and_by_three_is_missing_and_misplaced() -> None:
    near = pictures.overlay(borders(11), borders(10))
    assert (near.kept, near.missing, near.misplaced) == (60, 0, 0)
    far = pictures.overlay(borders(13), borders(10))
    assert (far.kept, far.missing, far.misplaced) == (0, 60, 60)
    assert far.picture[10, 30].tolist() == list(pictures.MISSING)
    assert far.picture[14, 30].tolist() == list(pictures.MISPLACED)
    assert far.picture[30, 30].tolist() == [0, 0, 0]


def test_the_part_shown_of_a_large_tile_holds_the_errors() -> None:
    picture = np.zeros((1200, 1500, 3), np.uint8)
    picture[1100, 1400] = pictures.MISSING
    part = pictures.worst_part(Window(1000, 2000, 2200, 3500), picture)
    assert part.shape == (512, 512)
    assert part.contains(Window(2100, 3400, 2101, 3401))
    small = Window(5, 7, 105, 207)
    assert pictures.worst_part(small, np.zeros((100, 200, 3), np.uint8)) == small


def test_the_class_map_is_the_colour_of_the_class_and_white_where_invalid() -> None:
    raster = np.zeros((len(CLASSES), 1, 3), np.uint8)
    raster[1, 0, 0] = raster[2, 0, 1] = 255
    shown = pictures.class_map(raster, np.array([[True, True, False]]))
    assert shown[0, 0].tolist() == list(pictures.CLASS_COLOURS["field"])
    assert shown[0, 1].tolist() == list(pictures.CLASS_COLOURS["forest"])
    assert shown[0, 2].tolist() == [255, 255, 255]


def test_imagery_is_shown_red_first_in_the_range_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "bgr.tif"
    stored = np.stack([np.full((8, 9), value, np.uint16) for value in (1000, 2000, 3000)])
    with rasterio.open(
        path, "w", driver="GTiff", height=8, width=9, count=3, dtype="uint16", crs="EPSG:32632",
        transform=Affine(1, 0, 500000, 0, -1, 6000000),
    ) as dataset:  # fmt: skip
        dataset.write(stored)
    # The ranges stand in the order in which the bands are shown: red, green, blue.
    record = {
        "path": str(path), "display_bands": [2, 1, 0], "scaling": {"low": [1000, 1000, 500], "high": [3000, 3000, 1000]}
    }  # fmt: skip
    shown = pictures.image_of(record, Window(0, 0, 8, 9))
    assert shown is not None
    assert shown[0, 0].tolist() == [255, 127, 255]
    one_file_per_band = {"band_files": [str(path)] * 3} | record
    assert np.array_equal(pictures.image_of(one_file_per_band, Window(0, 0, 8, 9)), shown)
    assert pictures.image_of(record, Window(0, 0, 8, 10)) is None
    assert pictures.image_of(record | {"path": str(tmp_path / "gone.tif")}, Window(0, 0, 8, 9)) is None


def test_noise_stays_below_the_limit_of_a_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    for uri in (pictures.jpeg(noise),):
        head, _, body = uri.partition(",")
        assert head == "data:image/jpeg;base64"
        assert len(body) * 3 / 4 <= pictures.LARGEST_BYTES + 3
    lines = np.zeros((512, 512, 3), np.uint8)
    cv2.circle(lines, (256, 256), 100, pictures.MISSING, 3)
    assert len(pictures.png(lines)) < 20_000


def test_sites_of_one_kind_stand_under_one_name() -> None:
    sites = {f"blocks.{i}.mlp.fc1": "W4 A4" for i in range(12)} | {"head": "W8 A8", "conv2": "W8 A8"}
    groups = site_groups({"sites": sites})
    assert [(g.setting, g.count, g.names) for g in groups] == [
        ("W4 A4", 12, ("blocks.*.mlp.fc1",)), ("W8 A8", 2, ("head", "conv2")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (wording.size_text(4_812_345), "4.81 MB"), (wording.size_text(512), "512 B"),
        (wording.size_text(None), "\u2013"),
        (wording.seconds_text(0.0213), "21.3 ms"), (wording.seconds_text(200), "3 min 20 s"),
        (wording.number_text(0.123456), "0.123"), (wording.number_text(-0.000123), "\u22120.00012"),
        (wording.number_text(12.5, signed=True), "+12.500"), (wording.number_text(1402.0), "1\u202f402"),
        (wording.number_text(37.0), "37"), (wording.number_text(1.0), "1.000"), (wording.number_text(0.0), "0.000"),
        (wording.number_text(123.456), "123.5"), (wording.interval_text(0.0001, 0.2), "0.000\u20130.200"),
        (wording.interval_text(None, 0.2), ""),
        (wording.score_text(-0.25), "\u22120.250"), (wording.count_text(1234567), "1\u202f234\u202f567"),
        (wording.value_text({"a": [1, 2.5], "b": True}), "a 1, 2.5, b yes"),
    ],
)  # fmt: skip
def test_values_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected
