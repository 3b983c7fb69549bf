"""How is a value written for a person? Sizes, times, scores and settings as short text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NOTHING = "\u2013"
MINUS = "\u2212"
TIMES = "\u2009\u00d7\u2009"


def score_text(value: float | None) -> str:
    """Write a score with three decimals; a true minus; nothing as a dash."""
    return NOTHING if value is None else f"{value:.3f}".replace("-", MINUS)


def number_text(value: float, *, signed: bool = False) -> str:
    """Write a number of any unit with about three digits that count, whole ones from 2 on as counts.

    With a plus where it is above 0, if `signed`.
    """
    whole = float(value).is_integer() and abs(value) >= 2
    return _number(value, 1000.0 if whole else abs(value), signed=signed)


def interval_text(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Write an interval, both ends to the same decimals; nothing where there is none."""
    if low is None or high is None:
        return ""
    size = max(abs(low), abs(high))
    between = " to " if signed or low < 0 else NOTHING
    return f"{_number(low, size, signed=signed)}{between}{_number(high, size, signed=signed)}"


def _number(value: float, size: float, *, signed: bool) -> str:
    """Write a number beside others of a size."""
    if size >= 1000:
        text = count_text(round(abs(value)))
    elif size and size < 0.0005:
        text = f"{abs(value):.2g}"
    else:
        text = f"{abs(value):.{1 if size >= 100 else 3}f}"
    return (MINUS if value < 0 else "+" if signed and value else "") + text


def size_text(size: float | None) -> str:
    """Write bytes in decimal units, three digits."""
    if size is None:
        return NOTHING
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def seconds_text(seconds: float | None) -> str:
    """Write a duration: ms, s, or minutes and seconds."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def count_text(count: int) -> str:
    """Write a count with narrow spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f")


def value_text(value: Any) -> str:
    """Write any setting on one line."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(item)}" for key, item in value.items()) or NOTHING
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(value_text(item) for item in value) or NOTHING
    return str(value)


def flattened(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings as dotted names and short text, those left at nothing passed over."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        elif value not in (None, [], ""):
            yield f"{prefix}{key}", value_text(value)
