"""Kit: edges, thinning, distances, corners, components and contingency, exact and shared by all metrics."""
