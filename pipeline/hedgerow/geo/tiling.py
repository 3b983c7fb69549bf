"""How is a raster cut up? Cores partition it exactly; the halo is context for the network, clipped to the raster."""

from odc.geo.geobox import GeoBox

from hedgerow.errors import GeometryError
from hedgerow.geo.windows import grid
from hedgerow.records import Tile


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
        Tile(index=index, core=core, padded=core.padded(halo_px).clipped(shape), geobox=geobox[core.slices])
        for index, core in grid(shape, size_px)
    )
