"""What do the codes of a class raster mean? 0 other, 1 field, 2 forest, 3 border, unless it is said otherwise."""

from collections.abc import Sequence

from hedgerow.errors import ConfigError
from hedgerow.records import CLASSES
from hedgerow.registry import unknown

OWN_CODES = tuple(range(len(CLASSES)))
"""Class of each code in rasters of our own."""


def kind_and_codes(kind: str, kinds: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """Return a kind of raster and the class of each of its codes 0, 1, 2, ...

    Args:
        kind: one of `kinds`, or `classes=other,field,border` where the codes 0, 1, 2 mean that.
        kinds: all that there are.

    Raises:
        ConfigError: there is no such kind or class.
    """
    name, equals, told = kind.partition("=")
    if name not in kinds or (equals and name != "classes"):
        raise ConfigError(unknown("kind of raster", kind, tuple(kinds)))
    if not equals:
        return name, OWN_CODES
    names = tuple(word.strip() for word in told.split(","))
    for word in names:
        if word not in CLASSES:
            raise ConfigError(unknown(f"class in --as {kind}", word, CLASSES))
    return name, tuple(map(CLASSES.index, names))


def codes_told(class_of_code: Sequence[int]) -> str:
    """Return the codes in words: '0 other, 1 field'."""
    return ", ".join(f"{code} {CLASSES[c]}" for code, c in enumerate(class_of_code))
