"""What must a reader know before trusting the map, or passing it on? What was noted of the inputs, and the licence."""

from collections.abc import Mapping
from typing import Any

from hedgerow.report import wording
from hedgerow.report.leavings import Leavings

_MOST_NAMES = 5
_FACTS = ("name", "licence", "bands", "gsd_m")


def section(run: Leavings) -> dict[str, Any]:
    """Return the model with its licence, and every warning with the inputs that it is about."""
    return {"model": _model(run), "warnings": _warnings(run)}


def _model(run: Leavings) -> dict[str, str] | None:
    """Return name, licence, bands and range of resolutions as text; None where a run does not tell."""
    told = run.manifest.get("model")
    if not isinstance(told, Mapping):
        return None
    facts = {name: wording.value_text(told.get(name)) for name in _FACTS}
    gsd_m = told.get("gsd_m")
    if isinstance(gsd_m, list) and len(gsd_m) == 2:
        facts["gsd_m"] = f"{wording.value_text(gsd_m[0])} to {wording.value_text(gsd_m[1])} m per pixel"
    return facts


def _warnings(run: Leavings) -> list[tuple[str, str]]:
    """Return each text once, with the names of its inputs."""
    names: dict[str, list[str]] = {}
    for record in run.inputs:
        for text in record.get("warnings") or ():
            names.setdefault(str(text), []).append(str(record.get("name")))
    return [(text, _listed(inputs)) for text, inputs in names.items()]


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {wording.count_text(more)} more" if more > 0 else "")
