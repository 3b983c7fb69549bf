"""What are the parts of a file called that was too large for its format? NAME_part1.shp, NAME_part2.shp, ..."""

import re
from pathlib import Path

_PART = re.compile(r"(.+)_part[0-9]+")


def part_path(path: Path, number: int) -> Path:
    """Name part `number`, from 1, of `path`."""
    return path.with_name(f"{path.stem}_part{number}{path.suffix}")


def whole_of(path: Path) -> Path:
    """Name the whole of which `path` is a part; what is no part is a whole."""
    found = _PART.fullmatch(path.stem)
    return path.with_name(f"{found[1]}{path.suffix}") if found else path
