"""What do booked edges say? Ratios, the counts behind them, and the shift at which most edges meet.

The shift is a diagnostic of registration. Each of the 49 whole shifts within 3 px has a count of reference edge pixels
that meet a candidate edge pixel displaced by it, booked on those pixels: so counts add up over tiles, and the shift
with the highest count wins wherever sums are concluded.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.shift import REACH_PX, SMALLEST_FIRST, meetings, most_met
from hedgerow.metrics._booking import Booking, booked
from hedgerow.metrics._policy import emptiness, not_applicable, ratio, sum_of
from hedgerow.records import Value

_MET = {shift: f"met{shift[0]:+d}{shift[1]:+d}" for shift in SMALLEST_FIRST}
_METRES = ("height_m", "width_m")


def meetings_booked(edges: NDArray[np.bool_], wanted: NDArray[np.bool_], pixel_size_m: tuple[float, float]) -> Booking:
    """Book on each edge pixel of the reference which shifts let it meet an edge, and how high and wide a pixel is.

    Args:
        edges: of the candidate (height, width).
        wanted: of the reference.
        pixel_size_m: (height, width) of a pixel in metres.
    """
    here = booked(wanted, wanted=None)
    met = {_MET[shift]: hits for shift, hits in meetings(edges, here.rows, here.cols).items()}
    metres = {name: np.full(len(here.rows), size) for name, size in zip(_METRES, pixel_size_m, strict=True)}
    return Booking(here.rows, here.cols, {**here.values, **metres, **met})


def shift_values(names: tuple[str, str, str], sums: Mapping[str, float], n_candidate: float) -> list[Value]:
    """Return the shift at which most edges meet: rows and columns in px, and its length in metres.

    The length is that on pixels of the mean height and width over the reference's edge pixels. Where nothing meets,
    there is no telling, and no value: neither 0 nor the window's 3 px would be true.

    Args:
        names: of the three values.
        sums: what `meetings_booked` booked.
        n_candidate: edge pixels of the candidate, to say which map shows none.
    """
    wanted, height_m, width_m = sum_of(sums, "wanted", *_METRES)
    units = dict(zip(names, ("px", "px", "m"), strict=True))
    best = most_met({shift: sums.get(name, 0.0) for shift, name in _MET.items()})
    if best is None:
        flag = emptiness(wanted, n_candidate, "edges") or f"no edge meets another within {REACH_PX} px"
        return [not_applicable(name, flag, unit=unit, n=wanted) for name, unit in units.items()]
    numbers = (float(best[0]), float(best[1]), hypot(best[0] * height_m / wanted, best[1] * width_m / wanted))
    return [Value(name, value, unit, round(wanted)) for (name, unit), value in zip(units.items(), numbers, strict=True)]


def ratios(tp: float, fp: float, fn: float, suffix: str = "") -> list[Value]:
    """Return F1, Jaccard index, precision and recall, in this order."""
    parts = {
        "erqa": (2 * tp, 2 * tp + fp + fn),
        "erqa_jaccard": (tp, tp + fp + fn),
        "erqa_precision": (tp, tp + fp),
        "erqa_recall": (tp, tp + fn),
    }
    return [
        ratio(
            name + suffix,
            part,
            whole,
            n_reference=tp + fn,
            n_candidate=tp + fp,
            what="edges",
            of_candidate=name == "erqa_precision",
        )
        for name, (part, whole) in parts.items()
    ]


def counts(tp: float, fp: float, fn: float, suffix: str = "") -> list[Value]:
    """Return how many edge pixels are kept, misplaced and missing."""
    flag = emptiness(tp + fn, tp + fp, "edges")
    nothing = not (tp or fp or fn)
    return [
        Value(f"erqa_{kind}{suffix}", None if nothing else count, "px", round(tp + fn), flag)
        for kind, count in (("tp", tp), ("fp", fp), ("fn", fn))
    ]
