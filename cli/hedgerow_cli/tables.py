"""How do results look in a terminal? Tables by Rich; widths follow the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

_MB = 1e6


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
            *(_number(row[name]) for name in scores),
        )  # fmt: skip
    console = _console()
    console.print(table)
    if any(row["simulated"] for row in rows):
        console.print("* simulated: computed in float on the integer grid; the size is what packed codes would take")


def show_scores(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print scores, one row each, borders of all kinds; others with --json."""
    table = Table(header_style="bold")
    for column in ("input", "score", "value", "unit", "n", "flag"):
        table.add_column(column, justify="right" if column in ("value", "n") else "left")
    for row in rows:
        if row["layer"] == "all":
            table.add_row(
                row["input"] or "",
                row["metric"],
                _number(row["value"], 4),
                row["unit"],
                str(row["n"]),
                row["flag"] or "",
            )
    _console().print(table)


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
    for failure in summary["failures"]:
        console.print(f"cannot be run: {failure['input']}: {failure['error']}", style="red", soft_wrap=True)
    for path in summary["passed_over"]:
        console.print(f"passed over: {path}", soft_wrap=True)
    console.print(
        f"{summary['tiles']} tiles x {len(summary['arms'])} arm(s), {summary['megapixels']:.2f} Mpx; "
        f"networks about {summary['seconds']:.0f} s, memory about {summary['gigabytes']:.1f} GB (rough guesses)"
    )


def show_components(found: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """Print every choice, one line each."""
    console = _console()
    for family, kinds in found.items():
        console.print(family, style="bold")
        for kind in kinds:
            console.print(f"  {kind['name']:<18} {kind['about']}", soft_wrap=True)


def show_findings(findings: Sequence[Mapping[str, str]]) -> None:
    """Print a health check."""
    table = Table(header_style="bold")
    for column in ("what", "found", "state", "fix"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding["what"], finding["found"], finding["state"], finding["fix"])
    _console().print(table)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _console() -> Console:
    """Return a console that takes texts as they are: paths hold brackets. A pipe is as wide as a table."""
    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, width=200)
