"""How do results look in a terminal? Tables by Rich; widths follow the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_MB = 1e6
_WITH_INTERVAL = "spatial_quality__fp32"  # the score that answers; intervals of the others stand in the report
_LARGEST_RATIO = 10
_GOOD = {"higher": "high", "lower": "low", "zero": "near 0", "one": "near 1", "neither": ""}
"""Which way a score is good, in few letters."""


def show_arms(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the comparison, one row per arm."""
    table = Table(title="Which arm keeps the borders?", header_style="bold")
    table.add_column("arm", no_wrap=True)
    table.add_column("size MB", justify="right")
    table.add_column("s/tile", justify="right")
    scores = [name for name in rows[0] if "__" in name] if rows else []
    for name in scores:
        metric, against = name.split("__")
        table.add_column(f"{metric}\nvs {against}", justify="right", overflow="fold")
    for row in rows:
        mark = " *" if row["simulated"] else ""
        table.add_row(
            row["arm"], f"{row['size_bytes'] / _MB:.2f}{mark}", _number(row["seconds_per_tile"]),
            *(_score(row, name) for name in scores),
        )  # fmt: skip
    console = _console()
    console.print(table)
    if any(row["intervals"] for row in rows):
        console.print("below a score: its 95 % interval; against truth, worse or better than fp32 where that shows")
    if any(row["simulated"] for row in rows):
        console.print("* simulated: computed in float on the integer grid; the size is what packed codes would take")


def show_scores(rows: Sequence[Mapping[str, Any]], inputs: Sequence[Mapping[str, Any]]) -> None:
    """Print scores by metric, borders of all kinds, and the main ones of every input; all else with --json or -o."""
    console = _console()
    table = Table(title="Pooled over all inputs" if inputs else None, header_style="bold")
    for column in ("metric", "score", "value", "unit", "good", "n", "flag"):
        table.add_column(
            column, justify="right" if column in ("value", "n") else "left", no_wrap=column in ("score", "value", "n")
        )
    shown = ""
    for row in rows:
        title, shown = "" if row["metric"] == shown else row["metric"], row["metric"]
        table.add_row(
            title, row["score"], _measured(row["value"], row["unit"]), row["unit"], _GOOD[row["better"]], str(row["n"]),
            row["flag"] or "",
        )  # fmt: skip
    if inputs:
        console.print(_by_input(inputs))
    console.print(table)


def _by_input(inputs: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="By input", header_style="bold")
    for column in inputs[0]:
        table.add_column(column, justify="left" if column == "input" else "right", overflow="fold")
    for row in inputs:
        table.add_row(row["input"], *(_number(row[name], 4) for name in row if name != "input"))
    return table


def show_plan(summary: Mapping[str, Any]) -> None:
    """Print what would run."""
    table = Table(title="Plan", header_style="bold")
    for column in ("input", "size px", "CRS", "m/px", "network m/px", "tiles", "truth", "notes"):
        table.add_column(column, overflow="fold")
    for scene in summary["inputs"]:
        table.add_row(
            *(str(scene[key]) for key in ("name", "size", "crs", "gsd_m", "network_gsd_m", "tiles", "truth", "notes"))
        )
    console = _console()
    console.print(table)
    for scene in summary["inputs"]:
        if scene["members"]:
            count, empty = len(scene["members"]), scene["empty_tiles"]
            console.print(
                f"{scene['name']}: one map of {count} inputs, each pixel from the first that has it; "
                f"of {scene['tiles'] + empty} tiles {empty} hold none and are skipped"
            )
            console.print(_members(scene["members"]))
    for failure in summary["failures"]:
        console.print(f"cannot be run: {failure['input']}: {failure['error']}", style="red", soft_wrap=True)
    for path in summary["passed_over"]:
        console.print(f"passed over: {path}", soft_wrap=True)
    console.print(f"model {summary['model']}, licence: {summary['licence']}")
    console.print(
        f"{summary['tiles']} tiles x {len(summary['arms'])} arm(s), {summary['megapixels']:.2f} Mpx; "
        f"networks about {summary['seconds']:.0f} s, memory about {summary['gigabytes']:.1f} GB (rough guesses)"
    )


def _members(members: Sequence[Mapping[str, Any]]) -> Table:
    """Show what a mosaic is made of, on whose grid it is and where."""
    table = Table(header_style="bold")
    for column in ("input", "size px", "CRS", "m/px", "read", "first row, column"):
        table.add_column(column, overflow="fold")
    for member in members:
        rows, cols = member["shape"]
        top, left = member["window"][:2]
        size, gsd_m, place = f"{cols} x {rows}", f"{member['gsd_m']:.3g}", f"{top}, {left}"
        table.add_row(member["name"], size, member["crs"], gsd_m, member["read"], place)
    return table


def show_components(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print every choice, one line each."""
    console = _console()
    for family, kinds in found.items():
        console.print(family, style="bold")
        for kind in kinds:
            models = f" ({', '.join(kind['models'])})" if kind.get("models") else ""
            console.print(f"  {kind['name']:<18} {kind['about']}{models}", soft_wrap=True)


def show_findings(findings: Sequence[Mapping[str, str]]) -> None:
    """Print a health check."""
    table = Table(header_style="bold")
    for column in ("what", "found", "state", "fix"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding["what"], finding["found"], finding["state"], finding["fix"])
    _console().print(table)


def _measured(value: float | None, unit: str) -> str:
    """Write ratios with four decimals, counts and quantities with up to six digits."""
    if value is None or (unit == "1" and abs(value) < _LARGEST_RATIO):
        return _number(value, 4)
    return f"{value:.6g}"


def _score(row: Mapping[str, Any], column: str) -> str:
    """Write a score: below it its interval where that is shown, and the verdict where it differs from FP32's."""
    interval = row["intervals"].get(column) if column == _WITH_INTERVAL else None
    verdict = row["verdicts"].get(column)
    below = [f"{_number(interval[0])}-{_number(interval[1])}"] if interval and interval[0] < interval[1] else []
    below += [verdict] if verdict in ("worse", "better") else []
    return "\n".join([_number(row[column]), *below])


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _console() -> Console:
    """Return a console that takes texts as they are: paths hold brackets. A pipe is as wide as a table."""
    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, width=200)
