"""Where does chance come from? One seed, one named stream per purpose; nothing seeds globally."""

import hashlib

import numpy as np


def rng_for(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random stream of `seed` that bears `names`, the same in every process and version of Python."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def integer_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for libraries (torch) that take one integer."""
    return int(rng_for(seed, *names).integers(2**63))
