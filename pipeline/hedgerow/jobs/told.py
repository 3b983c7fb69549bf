"""What of a map can a truth judge? A file of parcels says nothing of forests: they are not held against the map."""

import numpy as np

from hedgerow.edges.distance import nearest
from hedgerow.edges.layers import boundary_of
from hedgerow.edges.views import View
from hedgerow.records import FIELD, FOREST


def as_told(view: View, known: frozenset[int]) -> View:
    """Return a map without the classes that are not `known`: they count as `other`.

    Borders that vanish with them vanish from the line view too: p is 0 where the nearest border was one of those.
    """
    untold = frozenset({FIELD, FOREST}) - known
    if not np.isin(view.regions.class_of[np.unique(view.regions.labels)], [*untold]).any():
        return view
    regions = view.regions.without(untold)
    p, line = view.p, view.burned_line
    if view.boundary.any():
        kept = boundary_of(regions.labels)[nearest(view.boundary)]
        p = np.where(kept, p, np.uint8(0))
        line = None if line is None else line & kept
    return View(p, regions, view.valid, view.pixel_size_m, burned_line=line, probabilities=view.probabilities)
