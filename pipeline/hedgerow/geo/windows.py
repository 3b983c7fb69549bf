"""Which part of a raster? A half-open rectangle of pixels, rows first."""

from collections.abc import Iterator
from dataclasses import dataclass

from hedgerow.errors import GeometryError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Rows `y0..y1` and columns `x0..x1` (half-open) of a raster; may reach beyond its frame."""

    y0: int
    x0: int
    y1: int
    x1: int

    def __post_init__(self) -> None:
        if self.y1 < self.y0 or self.x1 < self.x0:
            raise GeometryError(f"window {self} ends before it starts: give (y0, x0, y1, x1) with y1 >= y0, x1 >= x0")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this window in an array of the whole raster; the window must lie inside it."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def padded(self, px: int) -> "Window":
        """Return the window grown by `px` on every side, unclipped."""
        return Window(self.y0 - px, self.x0 - px, self.y1 + px, self.x1 + px)

    def clipped(self, shape: tuple[int, int]) -> "Window":
        """Return the part inside a raster of `shape` (height, width)."""
        y0, x0 = min(max(self.y0, 0), shape[0]), min(max(self.x0, 0), shape[1])
        return Window(y0, x0, max(y0, min(self.y1, shape[0])), max(x0, min(self.x1, shape[1])))

    def inside(self, outer: "Window") -> "Window":
        """Return this window in the pixel coordinates of `outer`."""
        return Window(self.y0 - outer.y0, self.x0 - outer.x0, self.y1 - outer.y0, self.x1 - outer.x0)

    def common(self, other: "Window") -> "Window | None":
        """Return what both cover; None where they share no pixel."""
        y0, x0 = max(self.y0, other.y0), max(self.x0, other.x0)
        y1, x1 = min(self.y1, other.y1), min(self.x1, other.x1)
        return Window(y0, x0, y1, x1) if y1 > y0 and x1 > x0 else None

    def contains(self, other: "Window") -> bool:
        """Say whether `other` lies fully inside."""
        return self.y0 <= other.y0 and self.x0 <= other.x0 and self.y1 >= other.y1 and self.x1 >= other.x1


def whole(shape: tuple[int, int]) -> Window:
    """Return the window of a whole raster of `shape` (height, width)."""
    return Window(0, 0, shape[0], shape[1])


def grid(shape: tuple[int, int], size_px: int) -> Iterator[tuple[tuple[int, int], Window]]:
    """Yield ((row, col), window) of the square cells, anchored at the origin, that partition a raster exactly."""
    if size_px < 1:
        raise GeometryError(f"a tile of {size_px} px is impossible: the size must be at least 1")
    for row, y0 in enumerate(range(0, shape[0], size_px)):
        for col, x0 in enumerate(range(0, shape[1], size_px)):
            yield (row, col), Window(y0, x0, y0 + size_px, x0 + size_px).clipped(shape)
