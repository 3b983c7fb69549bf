"""Kit: grids, observers, sites and the ledger that quantizers are composed from."""
