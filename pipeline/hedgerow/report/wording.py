"""How is a value written for a person? Sizes, times, scores and settings as short text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NOTHING = "\u2013"
MINUS = "\u2212"
TIMES = "\u2009\u00d7\u2009"


def score_text(value: float | None) -> str:
    """Write a score with three decimals; a true minus; nothing as a dash."""
    return NOTHING if value is None else f"{value:.3f}".replace("-", MINUS)


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
