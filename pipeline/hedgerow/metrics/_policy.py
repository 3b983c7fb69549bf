"""What is a score when there is little or nothing to compare? One rule for all: never NaN.

Nothing in either map: no value, with a flag. Something in exactly one of them: the worst value, with a flag. Leaving
such cases out would let a score improve while a model fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from hedgerow.records import Value


def sum_of(sums: Mapping[str, float], *names: str) -> tuple[float, ...]:
    """Return the named sums; one that nobody booked is 0."""
    return tuple(float(sums.get(name, 0.0)) for name in names)


def not_applicable(name: str, flag: str, *, unit: str = "1", n: float = 0) -> Value:
    """Return a value that says why there is none."""
    return Value(name, None, unit, round(n), flag)


def ratio(
    name: str,
    part: float,
    whole: float,
    *,
    n_reference: float,
    n_candidate: float,
    what: str,
    unit: str = "1",
    of_candidate: bool = False,
) -> Value:
    """Return part / whole under the rule for empty maps; its worst value is 0.

    Args:
        name: of the score.
        part: what was kept.
        whole: out of what; 0 gives 0.
        n_reference: how much the reference shows: the support.
        n_candidate: how much the candidate shows.
        what: what is counted, in the plural, for the flag.
        unit: of the score.
        of_candidate: whether the support is what the candidate shows instead, as for a precision.
    """
    flag = emptiness(n_reference, n_candidate, what)
    if not n_reference and not n_candidate:
        return Value(name, None, unit, 0, flag)
    value = part / whole if whole and flag is None else 0.0
    return Value(name, value, unit, round(n_candidate if of_candidate else n_reference), flag)


def emptiness(n_reference: float, n_candidate: float, what: str) -> str | None:
    """Say which of the maps shows nothing, or None when both show something."""
    if not n_reference and not n_candidate:
        return f"no {what} in either map"
    if not n_reference:
        return f"no {what} in the reference"
    return None if n_candidate else f"no {what} in the candidate"


def first(values: Mapping[str, Value], name: str) -> float | None:
    """Return a named value's number, or None where it is absent or does not apply."""
    return values[name].value if name in values else None
