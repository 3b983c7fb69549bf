"""The licence of the model and the warnings of a run stand on its page, each once."""

import json
from collections.abc import Callable
from pathlib import Path

from hedgerow.report import build_report


def page_of(run_folder: Path) -> str:
    return build_report(run_folder).read_text(encoding="utf-8")


def test_a_model_s_facts_stand_with_the_settings(run_folder: Path, edit: Callable[..., None]) -> None:
    edit(model={"name": "m <1>", "licence": "MIT", "bands": ["red", "nir"], "gsd_m": [0.5, 10.0]})
    page = page_of(run_folder)
    assert "<dt>licence</dt><dd>MIT</dd>" in page
    assert "<dt>gsd_m</dt><dd>0.5 to 10 m per pixel</dd>" in page
    assert "<dt>bands</dt><dd>red, nir</dd>" in page
    assert "made by the model m &lt;1&gt;; its licence: MIT." in page


def test_whom_the_model_s_card_names_is_named(run_folder: Path, edit: Callable[..., None]) -> None:
    edit(model={"name": "m", "licence": "CC-BY-4.0", "attribution": "Parcels: the <Survey>", "bands": ["red"]})
    assert "<p>Parcels: the &lt;Survey&gt;</p>" in page_of(run_folder)


def test_an_unknown_licence_is_said_to_be_asked_for(run_folder: Path, edit: Callable[..., None]) -> None:
    edit(model={"name": "m", "licence": "unknown", "bands": ["red"], "gsd_m": None})
    assert "ask its makers before the maps are passed on" in page_of(run_folder)


def test_a_run_without_model_and_warnings_says_nothing_of_them(run_folder: Path) -> None:
    page = page_of(run_folder)
    assert "its licence" not in page
    assert 'id="warnings"' not in page


def test_a_warning_of_many_inputs_is_told_once_with_the_first_of_them(
    run_folder: Path, edit: Callable[..., None]
) -> None:
    (record,) = json.loads((run_folder / "run.json").read_text())["inputs"]
    names = [f"scene{i}" for i in range(8)]
    records = [record | {"name": name, "warnings": ["too coarse"]} for name in names]
    records[7]["warnings"] = ["too coarse", "a <collar>"]
    edit(inputs=records)
    page = page_of(run_folder)
    assert page.count("too coarse") == 1
    assert '<td class="text">scene0, scene1, scene2, scene3, scene4 and 3 more</td>' in page
    assert '<td class="text">a &lt;collar&gt;</td><td class="text">scene7</td>' in page
    assert "2 warnings: see" in page
