"""Is there a collar that nothing flags as nodata? It is reported, never guessed: black may be water, white may be snow.

Found on a thinned grid of the raster: pixels that hold one extreme value in every band and are joined to the frame.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hedgerow.contracts import Composed, Source
from hedgerow.geo.windows import Window, whole

_SHARE = 0.01  # of the raster; less may well be a shadow or a roof
_SIDE_PX = 512  # of the thinned grid


def collar_warning(source: Source) -> str | None:
    """Return one line on a collar of valid pixels that are all 0, or all at the top of their type; None without one.

    Raises:
        SourceError: the raster cannot be read.
    """
    pixels, valid = _thinned(source)
    for value in (0, np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "iu" else (0,):
        share = _joined_to_frame(np.equal(pixels, value).all(axis=0) & valid).mean()
        if share > _SHARE:
            return (
                f"{share:.1%} of the raster is exactly {value} in every band and reaches its frame: "
                f"if that is a collar without data, pass --set nodata={value}"
            )
    return None


def mosaic_collar_warning(source: Source) -> str | None:
    """Return `collar_warning` of a source; of one made of others that of the first that has a collar, and how many do.

    Each is looked at by itself: what its collar hides of its neighbours cannot be seen in the whole.
    """
    if not isinstance(source, Composed):
        return collar_warning(source)
    found = [(one.name, text) for one in source.members if (text := collar_warning(one)) is not None]
    more = f" ({len(found) - 1} more inputs have collars)" if len(found) > 1 else ""
    return f"{found[0][0]}: {found[0][1]}{more}" if found else None


def _thinned(source: Source) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return every k-th row and column: data (bands, height, width) and valid (height, width)."""
    shape = (source.geobox.shape[0], source.geobox.shape[1])
    step = -(-max(shape) // _SIDE_PX)
    if step == 1:
        patch = source.read(whole(shape))
        return patch.data, patch.valid
    rows = [source.read(Window(y, 0, y + 1, shape[1])) for y in range(0, shape[0], step)]
    data = np.concatenate([row.data[:, :, ::step] for row in rows], axis=1)
    return data, np.concatenate([row.valid[:, ::step] for row in rows])


def _joined_to_frame(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(mask)
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    joined: NDArray[np.bool_] = np.isin(labels, np.unique(frame[frame > 0]))
    return joined
