"""What do the scores look like? Two charts as inline SVG whose colours are the page's own, in light and in dark.

Drawn with matplotlib's objects, without pyplot: nothing global is opened or left open.
"""

import io
import re
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hedgerow.report.leavings import REFERENCE, Leavings
from hedgerow.report.standings import answering_metric
from hedgerow.report.wording import count_text, score_text

# Colours that stand for the page's CSS variables; see `_svg`.
_VARIABLES = {"#010101": "currentColor", "#020202": "var(--bar)", "#030303": "var(--line)", "#040404": "var(--paper)"}
_TEXT, _BAR, _LINE, _PAPER = _VARIABLES
_LEADER = {"arrowstyle": "-", "color": _TEXT, "alpha": 0.35, "lw": 0.8, "shrinkB": 5, "relpos": (0, 0.5)}


def size_chart(run: Leavings) -> str | None:
    """Return a chart of the answering score over the size of each arm, or None where the run has no two points."""
    metric = answering_metric(run.scores)
    points, intervals = [], []
    for arm in run.arms if metric else ():
        name, size = str(arm.get("name")), arm.get("size_bytes")
        value = 1.0 if name == REFERENCE else run.scores.value(str(metric), name, REFERENCE)
        if size and value is not None:
            points.append((float(size) / 1e6, value, name, bool(arm.get("simulated"))))
            intervals.append(_interval(run, str(metric), name))
    if len(points) < 2:
        return None
    figure = Figure(figsize=(7.2, max(3.6, 0.3 * len(points))), layout="constrained")
    axes = _bare(figure.add_subplot())
    for (size_mb, value, _, simulated), interval in zip(points, intervals, strict=True):
        if interval is not None:
            axes.plot([size_mb] * 2, interval, color=_BAR, lw=1.6, solid_capstyle="butt")
        axes.plot(size_mb, value, "o", ms=8, mew=1.6, mec=_BAR, mfc=_PAPER if simulated else _BAR, zorder=3)
    axes.set_xlim(0, 1.35 * max(point[0] for point in points))
    axes.set_ylim(min(0.0, *(point[1] for point in points)), 1.08)
    axes.set_xlabel("size, MB (hollow: simulated, size computed)", color=_TEXT)
    axes.set_ylabel(f"{metric} against {REFERENCE}", color=_TEXT)
    axes.grid(color=_LINE, lw=0.7)
    _label(axes, [point[:3] for point in points])
    return _svg(figure, "size", f"{metric} of each arm over its size")


def layer_chart(run: Leavings, metric: str = "boundary_f1") -> str | None:
    """Return bars of one score for each kind of border and arm, or None where the run has no kinds."""
    arms = [str(arm.get("name")) for arm in run.arms if arm.get("name") != REFERENCE]
    layers = [layer for layer in run.scores.layers(metric, REFERENCE) if _support(run, metric, arms, layer)]
    if not layers or not arms:
        return None
    figure = Figure(figsize=(7.2, 0.5 + len(layers) * (0.45 + 0.24 * len(arms))), layout="constrained")
    for i, layer in enumerate(layers):
        axes = _bare(figure.add_subplot(len(layers), 1, i + 1))
        values = [run.scores.value(metric, arm, REFERENCE, layer=layer) for arm in arms]
        _bars(axes, arms, values, [_interval(run, metric, arm, layer=layer) for arm in arms])
        support = count_text(_support(run, metric, arms, layer))
        axes.set_title(f"{layer}  (n = {support})", loc="left", fontsize=10, color=_TEXT, parse_math=False)
        axes.tick_params(labelbottom=i == len(layers) - 1)
    return _svg(figure, "layers", f"{metric} against {REFERENCE} for each kind of border")


def _support(run: Leavings, metric: str, arms: Sequence[str], layer: str) -> int:
    rows = (run.scores.find(metric, arm, REFERENCE, layer=layer) for arm in arms)
    return max((int(row.get("n") or 0) for row in rows if row), default=0)


def _interval(run: Leavings, metric: str, arm: str, *, layer: str = "all") -> tuple[float, float] | None:
    row = run.scores.find(metric, arm, REFERENCE, layer=layer)
    if row is None or row.get("low") is None or row.get("high") is None:
        return None
    return float(row["low"]), float(row["high"])


def _bars(
    axes: Axes, arms: Sequence[str], values: Sequence[float | None], intervals: Sequence[tuple[float, float] | None]
) -> None:
    axes.barh(range(len(arms)), [value or 0.0 for value in values], height=0.62, color=_BAR)
    for i, (value, interval) in enumerate(zip(values, intervals, strict=True)):
        if interval is not None:
            axes.plot(interval, [i, i], color=_TEXT, lw=1.4, solid_capstyle="butt")
        text = "n/a" if value is None else score_text(value)
        end = max(value or 0.0, interval[1] if interval else 0.0)
        axes.text(end + 0.01, i, text, va="center", fontsize=9, color=_TEXT)
    axes.set_yticks(range(len(arms)), arms, parse_math=False)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xlim(0, 1.1)
    axes.tick_params(axis="y", length=0)


def _bare(axes: Axes) -> Axes:
    axes.patch.set_visible(False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_LINE)
    axes.tick_params(colors=_TEXT, labelcolor=_TEXT, labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_axisbelow(True)
    return axes


def _label(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write names beside points, pushed apart where arms of one size score alike; a thin line leads back."""
    low, high = axes.get_ylim()
    step, width = 0.062 * (high - low), 0.28 * axes.get_xlim()[1]
    placed: list[tuple[float, float]] = []
    for x, y, name in sorted(points, key=lambda point: -point[1]):
        below = [py for px, py in placed if abs(px - x) < width]
        text_y = min([y, *(py - step for py in below)])
        placed.append((x, text_y))
        axes.annotate(
            name, (x, y), xytext=(x + 0.03 * axes.get_xlim()[1], text_y), va="center", fontsize=9, color=_TEXT,
            parse_math=False, arrowprops=_LEADER,
        )  # fmt: skip


def _svg(figure: Figure, name: str, description: str) -> str:
    """Return inline SVG: text stays text, colours become the page's, ids are unique on the page."""
    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    text = drawn.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)
