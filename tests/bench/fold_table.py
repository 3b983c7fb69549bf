"""What came out? One table of all methods on scenes that they had not seen, as Markdown and as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from fold_scores import COLUMNS, Values, pooled

_HEADS = {
    "boundary_f1@5m": "boundary F1, 5 m", "boundary_f1": "boundary F1, 2 px", "object_precision": "object precision",
    "object_recall": "object recall", "object_f1": "object F1",
}  # fmt: skip


def table_rows(methods: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per method and way to choose its settings, and one per subset of folds that another is limited to.

    Args:
        methods: `method`, `tracing`, and `folds`: each with its number, `settings`, `unseen` (counts by tile) and
            `denmark` (counts); a classical one also has `denmark_at_home`.
    """
    every = {frozenset(one["fold"] for one in method["folds"]) for method in methods}
    rows = []
    for method in methods:
        own = frozenset(one["fold"] for one in method["folds"])
        rows += [_row(method, folds) for folds in sorted(every, key=len, reverse=True) if folds <= own]
    return rows


def write_table(rows: Sequence[Mapping[str, Any]], told: Mapping[str, Any], out: Path) -> str:
    """Write `table.json` and `table.md`, and return the latter's text."""
    (out / "table.json").write_text(json.dumps({**told, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    text = "\n\n".join([
        f"Cross-validation over {told['tiles']} aerial tiles in {told['folds']} folds: scores on the tiles that each "
        "fold's method has not seen, pooled. Settings are chosen by boundary F1 at 5 m plus object F1; those of the "
        "preset `aerial` were chosen on these tiles. Steps are those of the training, without what it began "
        "from.",
        _markdown(rows, "unseen"),
        "The Danish scene, on which no fold trained: the mean over the folds (pixels of 10 m: within 5 m is on the "
        "same pixel). The models' maps are made with the preset `sentinel2-bgr`, the classical ones with the settings "
        "of the aerial tiles, no length below a pixel; *tuned on it* is the best that the classical method can do.",
        _markdown(rows, "denmark"),
        "Fold by fold.",
        _by_fold(rows),
    ])  # fmt: skip
    (out / "table.md").write_text(text + "\n", encoding="utf-8")
    return text


def _row(method: Mapping[str, Any], folds: frozenset[int]) -> dict[str, Any]:
    chosen = [one for one in method["folds"] if one["fold"] in folds]
    per_fold = [
        {
            "fold": one["fold"], "settings": one["settings"], "steps": one.get("steps"), "tiles": sorted(one["unseen"]),
            "unseen": pooled(one["unseen"].values()), "denmark": pooled([one["denmark"]]),
        }
        for one in chosen
    ]  # fmt: skip
    row = {
        "method": method["method"], "tracing": method["tracing"], "folds": sorted(folds),
        "unseen": pooled(sums for one in chosen for sums in one["unseen"].values()),
        "denmark": _mean([one["denmark"] for one in per_fold]), "per_fold": per_fold,
    }  # fmt: skip
    if home := method.get("denmark_at_home"):
        row["denmark_at_home"] = {"settings": home["settings"], **pooled([home["sums"]])}
    return row


def _mean(many: Sequence[Values]) -> Values:
    known = {name: [value for values in many if (value := values[name]) is not None] for name in COLUMNS}
    return {name: fmean(values) if values else None for name, values in known.items()}


def as_table(first: Sequence[str], rows: Iterable[tuple[Sequence[str], Values]]) -> str:
    """Return a table in Markdown: texts under the heads `first`, then scores; equal lines stand once."""
    lines = [
        _cells([*first, *(_HEADS[name] for name in COLUMNS)]),
        _cells(["---"] * len(first) + ["---:"] * len(COLUMNS)),
    ]
    lines += [_line(texts, values) for texts, values in rows]
    return "\n".join(dict.fromkeys(lines))


def _markdown(rows: Sequence[Mapping[str, Any]], where: str) -> str:
    lines: list[tuple[list[str], Values]] = []
    for row in rows:
        numbers = ", ".join(map(str, row["folds"]))
        lines.append(([row["method"], row["tracing"], numbers], row[where]))
        if where == "denmark" and (home := row.get("denmark_at_home")):
            lines.append(([row["method"], "tuned on it", "-"], home))
    return as_table(["method", "settings", "folds"], lines)


def _by_fold(rows: Sequence[Mapping[str, Any]]) -> str:
    lines: list[tuple[list[str], Values]] = []
    for row in rows:
        for one in row["per_fold"]:
            steps = "-" if one["steps"] is None else str(one["steps"])
            lines.append(([row["method"], row["tracing"], str(one["fold"]), steps], one["unseen"]))
    return as_table(["method", "settings", "fold", "steps"], lines)


def _line(first: Sequence[str], values: Values) -> str:
    return _cells([*first, *("-" if (value := values[name]) is None else f"{value:.3f}" for name in COLUMNS)])


def _cells(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"
