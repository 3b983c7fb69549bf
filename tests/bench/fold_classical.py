"""What does the classical method score in every fold? Its grid is counted once per scene, then chosen from per fold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from classical import AERIAL_GRID, SENTINEL2_GRID, Settings, best, classical_fields, grid, grid_sums
from fold_pictures import write_picture
from fold_plan import Fold
from fold_scores import Case, Sums, aerial, denmark

RULES = {"Canny + watershed": True, "Canny + watershed, no texture rule": False}
"""Names of the method, and whether a region may be turned down for its texture."""

Table = dict[Settings, Sums]


def score_classical(folds: Sequence[Fold], out: Path) -> list[dict[str, Any]]:
    """Return the scores of every fold for either rule of what a field is, as `fold_table` reads them.

    Args:
        folds: the folds.
        out: folder that keeps what was counted and gets pictures of the maps.
    """
    cases, dane = {case.name: case for case in aerial()}, denmark()
    tables = {name: counted(case, AERIAL_GRID, out / "classical") for name, case in cases.items()}
    at_home = counted(dane, SENTINEL2_GRID, out / "classical")
    methods = []
    for name, texture in RULES.items():
        chosen = {fold: best([tables[tile] for tile in fold.known], texture=texture) for fold in folds}
        if texture:
            _draw({tile: (cases[tile], one) for fold, one in chosen.items() for tile in fold.unseen}, out / "overlays")
        own = best([at_home], texture=texture)
        methods.append({
            "method": name, "tracing": "chosen on the fold's training tiles",
            "folds": [
                {
                    "fold": fold.number, "settings": asdict(one), "denmark": _sums(dane, one.coarser(dane.pixel_m)),
                    "unseen": {tile: tables[tile][one] for tile in fold.unseen},
                }
                for fold, one in chosen.items()
            ],
            "denmark_at_home": {"settings": asdict(own), "sums": at_home[own]},
        })  # fmt: skip
    return methods


def counted(case: Case, axes: Mapping[str, Sequence[Any]], folder: Path) -> Table:
    """Return what is counted in a scene with every combination of the settings, from a file if it is there."""
    path, asked = folder / f"{case.name}.json", grid(axes)
    rows = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    table = {Settings(**row["settings"]): row["sums"] for row in rows}
    if missing := [one for one in asked if one not in table]:
        table |= dict(grid_sums(case, missing))
        rows = [{"settings": asdict(one), "sums": sums} for one, sums in table.items()]
        folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_text(json.dumps(rows), encoding="utf-8")
        path.with_suffix(".part").replace(path)
    return {one: table[one] for one in asked}


def _sums(case: Case, settings: Settings) -> Sums:
    return case.sums_of_fields(classical_fields(case, settings))


def _draw(maps: Mapping[str, tuple[Case, Settings]], folder: Path) -> None:
    for tile, (case, settings) in maps.items():
        write_picture(case, classical_fields(case, settings) + 1, folder / f"{tile}_classical.png")
