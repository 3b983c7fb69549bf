"""How is the report made? Everything it shows is gathered as plain values, then one template writes one file.

The page needs no network and no script; it is read on a phone, on paper, in light and in dark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hedgerow.report import borders, caveats, charts, lost, truth, wording
from hedgerow.report.cells import interval_note, spans
from hedgerow.report.every import every_score
from hedgerow.report.leavings import REFERENCE, TRUTH, Leavings, Row, read_leavings
from hedgerow.report.quantized import site_groups
from hedgerow.report.standings import answer, answering_metric, shown_columns, standings
from hedgerow.writers._staging import staged

MOST_INPUTS = 200
"""A folder of ten thousand scenes still gives a page that opens: the rest stands in scores.json."""


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input in the table of inputs; `scores` stand in the order of the arms."""

    name: str
    facts: tuple[str, ...]
    status: str
    scores: tuple[str, ...]
    truth_scores: tuple[str, ...]


def build_report(out: Path) -> Path:
    """Write `report.html` into the folder of a finished run, from what lies there, and return its path.

    Raises:
        SourceError: `out` holds no finished run.
    """
    run = read_leavings(out)
    page = _environment().get_template("report.html.j2").render(_content(run))
    path = out / "report.html"
    with staged(path) as folder:
        (folder / path.name).write_text(page, encoding="utf-8")
    return path


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hedgerow.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": wording.count_text, "score": wording.score_text, "seconds": wording.seconds_text}
    return environment


def _content(run: Leavings) -> dict[str, Any]:
    columns = shown_columns(run)
    arms = [str(arm.get("name")) for arm in run.arms]
    return {
        "answer": answer(run),
        "facts": _facts(run),
        "columns": columns,
        "against": spans(columns),
        "standings": standings(run, columns),
        "interval_note": interval_note(run),
        "has_truth": any(row.get("against") == TRUTH for row in run.scores.rows),
        **truth.section(run),
        **borders.section(run),
        **lost.section(run),
        **caveats.section(run),
        "every": every_score(run),
        "charts": [(title, Markup(svg)) for title, svg in _charts(run) if svg],
        "arms": arms,
        "input_metric": answering_metric(run.scores),
        "inputs": [_input_row(run, record, arms) for record in run.inputs[:MOST_INPUTS]],
        "inputs_have_truth": any(record.get("truth") for record in run.inputs),
        "inputs_left_out": max(0, len(run.inputs) - MOST_INPUTS),
        "failures": run.failures,
        "quantized": [(str(arm.get("name")), bool(arm.get("simulated")), site_groups(arm)) for arm in run.arms],
        "settings": _pairs(run.manifest.get("config")),
        "versions": _pairs(run.manifest.get("versions")),
        "seconds": _seconds(run.manifest.get("seconds")),
        "attributions": _attributions(run),
        "notes": run.notes,
    }


def _charts(run: Leavings) -> list[tuple[str, str | None]]:
    return [
        (f"{answering_metric(run.scores)} over size", charts.size_chart(run)),
        ("boundary_f1 for each kind of border", charts.layer_chart(run)),
    ]


def _facts(run: Leavings) -> list[tuple[str, str]]:
    """Return the run in a few numbers."""
    facts = [("inputs", wording.count_text(len(run.inputs))), ("arms", str(len(run.arms)))]
    if run.tiles is not None:
        facts.append(("tiles", wording.count_text(len(run.tiles[["input", "tile"]].drop_duplicates()))))
    if run.failures:
        facts.append(("failed", wording.count_text(len(run.failures))))
    seconds = run.manifest.get("seconds")
    stages = {k: v for k, v in seconds.items() if isinstance(v, int | float)} if isinstance(seconds, Mapping) else {}
    if stages:
        facts.append(("time", wording.seconds_text(stages.get("total", sum(stages.values())))))
    return facts


def _input_row(run: Leavings, record: Row, arms: Sequence[str]) -> InputRow:
    name, metric = str(record.get("name")), answering_metric(run.scores)
    shape, gsd_m = record.get("shape"), record.get("gsd_m")
    facts = (
        wording.TIMES.join(map(str, shape)) if isinstance(shape, list) else wording.NOTHING,
        f"{gsd_m:.3g} m" if isinstance(gsd_m, int | float) else wording.NOTHING,
        _crs_name(record.get("crs")),
        wording.value_text(record.get("bands")),
        Path(str(record["truth"])).name if record.get("truth") else wording.NOTHING,
    )
    values = [run.scores.value(metric or "", arm, REFERENCE, input=name) for arm in arms if arm != REFERENCE]
    truths = [run.scores.value("boundary_f1", arm, "truth", input=name) for arm in arms]
    texts = tuple(map(wording.score_text, values)), tuple(map(wording.score_text, truths))
    return InputRow(name, facts, str(record.get("status") or wording.NOTHING), *texts)


def _crs_name(crs: Any) -> str:
    """'EPSG:32632', or the name inside a long WKT."""
    text = wording.value_text(crs)
    return text if len(text) <= 24 else text.partition('"')[2].partition('"')[0] or f"{text[:24]}…"


def _pairs(settings: Any) -> list[tuple[str, str]]:
    return list(wording.flattened(settings)) if isinstance(settings, Mapping) else []


def _seconds(seconds: Any) -> list[tuple[str, str]]:
    if not isinstance(seconds, Mapping):
        return []
    return [(str(k), wording.seconds_text(v)) for k, v in seconds.items() if isinstance(v, int | float)]


def _attributions(run: Leavings) -> list[str]:
    """Return whom the model's card and the inputs ask to name."""
    model = run.manifest.get("model")
    card = model if isinstance(model, Mapping) else {}
    said = [card.get("attribution"), *(record.get("attribution") for record in run.inputs)]
    return list(dict.fromkeys(wording.value_text(text) for text in said if text))
