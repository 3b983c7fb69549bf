"""How is a raster cut up? Cores partition it exactly; the halo is context for the network, clipped to the raster."""

from odc.geo.geobox import GeoBox

from hedgerow.errors import GeometryError
from hedgerow.geo.windows import Window, grid
from hedgerow.records import Tile

_STEP_PX = 16


def tile_geobox(geobox: GeoBox, size_px: int, halo_px: int) -> tuple[Tile, ...]:
    """Plan the tiles of a raster, in row-major order, without opening it.

    Args:
        geobox: the grid of the raster.
        size_px: side of the square cores; those at the right and lower frame are smaller.
        halo_px: context added on each side, cut at the frame.
    """
    if halo_px < 0:
        raise GeometryError(f"halo of {halo_px} px is impossible: give 0 or more")
    shape = (geobox.shape[0], geobox.shape[1])
    return tuple(
        Tile(index=index, core=core, padded=_context(core, size_px, halo_px).clipped(shape), geobox=geobox[core.slices])
        for index, core in grid(shape, size_px)
    )


def _context(core: Window, size_px: int, halo_px: int) -> Window:
    """Return the core with its halo; a core cut short by the right or lower frame sees as far inwards as a whole one.

    A network that is shown a narrow strip and its mirror image answers by chance. The step keeps the phase of what is
    averaged or cut into patches.
    """
    if not halo_px:
        return core
    rows, cols = ((size_px - side) // _STEP_PX * _STEP_PX for side in core.shape)
    return Window(core.y0 - halo_px - rows, core.x0 - halo_px - cols, core.y1 + halo_px, core.x1 + halo_px)
