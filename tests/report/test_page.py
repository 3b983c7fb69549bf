"""The report: self-contained, complete, safe with any name, and tolerant of what is missing."""

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hedgerow.errors import SourceError
from hedgerow.report import build_report

VOID = {"meta", "img", "br", "wbr", "hr", "link", "input", "use", "path"}


class Outline(HTMLParser):
    """What a browser would meet: tags that balance, texts, addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        assert tag != "script"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def outline_of(run_folder: Path) -> Outline:
    path = build_report(run_folder)
    assert path == run_folder / "report.html"
    return Outline(path.read_text(encoding="utf-8"))


def test_the_page_is_whole_and_needs_no_network(run_folder: Path) -> None:
    page = outline_of(run_folder)
    assert page.open == []
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= set(page.ids)
    style = (run_folder / "report.html").read_text()
    assert not re.search(r"@import|url\((?!#)", style)


def test_the_answer_names_the_best_arm_and_the_best_and_worst_of_four_bits(run_folder: Path) -> None:
    text = outline_of(run_folder).text
    assert (
        "int8 keeps the borders best: spatial_quality 0.970 of 1 against fp32, with 1.3 MB instead of 4.8 MB." in text
    )
    assert "w4a4-spatial keeps most (spatial_quality 0.710) and w4a4-minmax least (0.420)" in text


def test_the_page_shows_every_promised_part(run_folder: Path) -> None:
    page = outline_of(run_folder)
    for part in ("Arms", "Where most was lost", "Inputs", "What failed", "What was quantized", "Settings"):
        assert part in page.text
    assert page.text.count("simulated") >= 2
    assert "W4 A4 at 12 sites: blocks.*.attn.qkv" in page.text
    assert "tracer.kind watershed" in page.text
    assert "field|forest (n = 300)" in page.text
    assert "forest|other" not in page.text  # no border of that kind: nothing to draw
    # Six tiles of 64 px in a raster of 96 x 128 px make four; each with image, two maps and an overlay.
    pictures = [address for address in page.addresses if address.startswith("data:")]
    assert len(pictures) == 4 * 4
    assert max(map(len, pictures)) < 150_000 * 4 / 3


def test_names_and_errors_are_text_and_never_markup(run_folder: Path) -> None:
    page = (run_folder / "report.html", outline_of(run_folder))
    assert "<wood>" not in page[0].read_text()
    assert "farm & <wood>" in page[1].text
    assert "broken.tif: <not> a raster" in page[1].text


def test_dollar_signs_in_the_name_of_an_arm_are_no_formula(run_folder: Path, edit: Callable[..., None]) -> None:
    for name in ("scores.json", "run.json"):
        file = run_folder / name
        file.write_text(file.read_text().replace('"int8"', '"$int8<$"'))
    assert "$int8<$ keeps the borders best" in outline_of(run_folder).text


@pytest.mark.parametrize("missing", ["scores.json", "tiles.parquet", "farm & <wood>"])
def test_missing_pieces_are_said_and_the_rest_is_shown(run_folder: Path, missing: str) -> None:
    path = run_folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = outline_of(run_folder)
    assert "What was quantized" in page.text
    if path.suffix:
        assert f"{missing} is missing or broken" in page.text
    else:
        assert "No tile can be shown" in page.text


def test_imagery_that_is_gone_leaves_its_place(run_folder: Path) -> None:
    (run_folder.parent / "image.tif").unlink()
    page = outline_of(run_folder)
    assert page.text.count("the image is no longer there") == 4


@pytest.mark.parametrize("key", ["inputs", "arms", "config", "versions", "seconds", "failures"])
def test_a_manifest_without_one_of_its_keys_still_makes_a_page(
    run_folder: Path, edit: Callable[..., None], key: str
) -> None:
    edit(**{key: None})
    assert outline_of(run_folder).open == []


def test_an_empty_manifest_makes_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    text = outline_of(tmp_path).text
    assert "cannot say which keeps the borders" in text
    assert "The run lists no arm." in text


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"run\.json"):
        build_report(tmp_path)


def test_building_twice_gives_the_same_bytes(run_folder: Path) -> None:
    first = build_report(run_folder).read_bytes()
    assert build_report(run_folder).read_bytes() == first
