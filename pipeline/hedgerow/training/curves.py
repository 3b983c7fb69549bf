"""How did a training go? Its evaluations as a CSV and a picture: loss, border F1, learning rate."""

import csv
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Rows = Sequence[Mapping[str, float]]


def write_csv(history: Rows, path: Path) -> None:
    """Write one line per evaluation."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[-1]))
        writer.writeheader()
        writer.writerows(history)
    part.replace(path)


def write_png(history: Rows, path: Path, *, title: str, kept_step: float) -> None:
    """Draw the curves; a dotted line marks the step whose weights were kept, a dashed one the last of shrunk crops."""
    figure = Figure(figsize=(7.2, 7.2), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
    sets = [name.removesuffix("_loss") for name in history[-1] if name.endswith("_loss")]
    colours = {name: f"C{i}" for i, name in enumerate(("training crops", *sets))}  # one colour in all panels
    losses = {"training crops": "loss"} | {name: f"{name}_loss" for name in sets}
    _draw(panels[0], history, losses, "loss", colours)
    _draw(panels[1], history, {name: f"{name}_border_f1" for name in sets}, "border F1 (2 px), held out", colours)
    _draw(panels[2], history, {"training crops": "rate"}, "learning rate", colours)
    panels[2].set_xlabel("step")
    panels[2].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in panels:
        axes.axvline(kept_step, color="0.4", lw=1, ls=":", label="weights kept")
        for switch in _switches(history):
            axes.axvline(switch, color="0.4", lw=1, ls="--", label="from here at full resolution")
    panels[0].legend(fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=11, parse_math=False)
    part = path.with_name(f".{path.stem}.part.png")
    figure.savefig(part, dpi=110)
    part.replace(path)


def _switches(history: Rows) -> list[float]:
    return [one["step"] for one, two in pairwise(history) if one["shrink"] != two["shrink"]]


def _draw(axes: Axes, history: Rows, lines: Mapping[str, str], label: str, colours: Mapping[str, str]) -> None:
    for name, key in lines.items():
        steps, values = [row["step"] for row in history], [row[key] for row in history]
        axes.plot(steps, values, marker=".", lw=1.2, color=colours[name], label=name)
    axes.set_ylabel(label)
    axes.grid(lw=0.4, alpha=0.5)
