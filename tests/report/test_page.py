"""The report: self-contained, complete, safe with any name, and tolerant of what is missing."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hedgerow.errors import SourceError
from hedgerow.report import build_report
from hedgerow.report.wording import number_text

ARMS = ("fp32", "int8", "w4a4-spatial", "w4a4-minmax")
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
    for part in ("Arms", "Against truth: is any arm worse than fp32?", "By kind of border", "Where most was lost",
                 "Inputs", "Every score", "What failed", "What was quantized", "Settings"):  # fmt: skip
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


def test_the_page_says_of_every_arm_whether_it_is_worse_than_fp32(run_folder: Path) -> None:
    text = outline_of(run_folder).text
    assert "int8: no difference to fp32 is shown in any of the scores looked at (1)." in text
    assert "w4a4-minmax is worse than fp32 in boundary_f1, of the scores looked at (1)." in text
    # 0.6 x (0.42 - 1) = -0.348, from -0.368 to -0.329
    assert "0.252 \u22120.348 \u22120.368 to \u22120.329 \u25bd worse" in text
    assert "for int8: no difference shown (\u22120.018, 95% interval \u22120.038 to +0.001)" in text


def test_intervals_are_shown_and_explained(run_folder: Path) -> None:
    text = outline_of(run_folder).text
    assert "0.950\u20130.990" in text
    assert "95% intervals from 123 random draws of the 4 tiles" in text


def test_a_run_without_truth_says_so(run_folder: Path) -> None:
    path = run_folder / "scores.json"
    content = json.loads(path.read_text())
    content["scores"] = [row for row in content["scores"] if row["against"] == "fp32"]
    path.write_text(json.dumps(content | {"differences": []}))
    page = outline_of(run_folder)
    assert "The run has no truth" in page.text
    assert "less fp32's" not in page.text


def test_scores_from_before_there_were_intervals_still_make_a_page(run_folder: Path) -> None:
    path = run_folder / "scores.json"
    rows = [row | {"low": None, "high": None} for row in json.loads(path.read_text())["scores"]]
    path.write_text(json.dumps({"scores": rows}))
    text = outline_of(run_folder).text
    assert "the tiles are too few to say whether it is worse than fp32" in text
    assert "random draws" not in text


def test_every_pooled_number_can_be_found_with_its_support_flag_and_unit(run_folder: Path) -> None:
    page = (run_folder / "report.html", outline_of(run_folder))
    arms = re.findall(r"<details>.*?</details>", page[0].read_text(), flags=re.DOTALL)
    assert [re.search(r"<summary>(\S+)", arm).group(1) for arm in arms] == list(ARMS)
    rows = json.loads((run_folder / "scores.json").read_text())["scores"]
    for name, text in zip(ARMS, arms, strict=True):
        for row in rows:
            if row["arm"] == name and row["input"] is None and (row["layer"] == "all" or row["value"] is not None):
                assert row["metric"] in text
                assert number_text(row["value"]) in text if row["value"] is not None else row["flag"] in text
    assert "hd95 \u2193 m" in " ".join(Outline(arms[1]).text.split())
    assert "4\u202f321" in arms[1]
    assert "3 objects were missed" in arms[1]


def test_kinds_of_border_stand_with_the_scores_of_every_arm(run_folder: Path) -> None:
    page = (run_folder / "report.html", outline_of(run_folder))[0].read_text()
    section = page[page.index('id="borders"') : page.index('id="tiles"')]
    text = Outline(f"<p>{section[section.index('>') + 1 :].rpartition('</section>')[0]}</p>").text
    assert "field|field 900 px in fp32" in text
    assert "field|forest 300 px in fp32" in text
    assert "forest|other" not in text  # no such border
    assert text.count("\u25b2 0.920") == 2  # int8 is best of both kinds: 0.97 - 0.05


def test_the_worst_tiles_are_ranked(run_folder: Path) -> None:
    page = (run_folder / "report.html", outline_of(run_folder))[0].read_text()
    section = page[page.index("The worst tiles in their order") : page.index('id="inputs"')]
    assert re.findall(r"<th scope=\"row\">(\d+)</th>", section) == ["1", "2", "3", "4"]
    assert re.findall(r'class="worst">([\d.]+)<', section) == ["0.390", "0.400", "0.410", "0.420"]


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
