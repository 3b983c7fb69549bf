"""Where is every number? All pooled scores of an arm, with interval, support, flag and unit, in one long table."""

from dataclasses import dataclass

from hedgerow.report.cells import ARROWS, Cell, DifferenceCell, cell, difference_cell
from hedgerow.report.leavings import REFERENCE, TRUTH, Leavings, Row
from hedgerow.report.wording import count_text
from hedgerow.stages.measure import better


@dataclass(frozen=True, slots=True)
class Against:
    """One score against one reference; `flag` is what the file says beside the number."""

    cell: Cell
    n: str
    flag: str


@dataclass(frozen=True, slots=True)
class EveryRow:
    """One score of an arm: against FP32, against truth, and its difference to FP32's."""

    metric: str
    unit: str
    arrow: str
    fp32: Against | None
    truth: Against | None
    difference: DifferenceCell | None


@dataclass(frozen=True, slots=True)
class EveryScore:
    """All pooled scores of one arm, by kind of border."""

    name: str
    reference: bool
    layers: tuple[tuple[str, tuple[EveryRow, ...]], ...]
    count: int


def every_score(run: Leavings) -> list[EveryScore]:
    """Return the pooled scores of each arm; of a kind of border only those that have a value."""
    names = [str(arm.get("name")) for arm in run.arms]
    return [_of_arm(run, name) for name in names if any(row.get("arm") == name for row in run.scores.rows)]


def _of_arm(run: Leavings, arm: str) -> EveryScore:
    addresses: dict[str, dict[str, None]] = {}
    for row in run.scores.rows:
        layer = str(row.get("layer", "all"))
        if row.get("arm") == arm and row.get("input") is None and (layer == "all" or row.get("value") is not None):
            addresses.setdefault(layer, {})[str(row.get("metric"))] = None
    layers = tuple((layer, tuple(_row(run, arm, layer, m) for m in metrics)) for layer, metrics in addresses.items())
    return EveryScore(arm, arm == REFERENCE, layers, sum(len(rows) for _, rows in layers))


def _row(run: Leavings, arm: str, layer: str, metric: str) -> EveryRow:
    fp32, truth = (run.scores.find(metric, arm, against, layer=layer) for against in (REFERENCE, TRUTH))
    unit = next((str(row["unit"]) for row in (fp32, truth) if row and row.get("unit")), "1")
    difference = difference_cell(run.differences.find(metric, arm, TRUTH, layer=layer))
    return EveryRow(metric, unit, ARROWS[better(metric)], _against(fp32), _against(truth), difference)


def _against(row: Row | None) -> Against | None:
    return None if row is None else Against(cell(row), count_text(int(row.get("n") or 0)), str(row.get("flag") or ""))
