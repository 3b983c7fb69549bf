"""One whole job each: plan, then do; the manifest last."""
