"""Plain functions, one per step of the work; none of them knows of Dask."""
