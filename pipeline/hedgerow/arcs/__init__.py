"""Kit: crack edges of a label raster, chained into arcs per tile and joined once."""
