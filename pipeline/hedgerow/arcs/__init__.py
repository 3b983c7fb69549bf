"""Kit: borders as arcs on the corner grid of a raster: crack edges, chaining, joins, merges, faces, simplification."""
