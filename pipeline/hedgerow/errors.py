"""What can go wrong, by the part of the work that a person has to look at.

Every message says what, which value, where, and what to do next.
"""


class HedgerowError(Exception):
    """A known error: the command line prints its text as one line and exits with 1."""


class ConfigError(HedgerowError):
    """A setting, a name or a combination of options that cannot be run."""


class SourceError(HedgerowError):
    """Imagery or truth that cannot be read as it is."""


class ModelError(HedgerowError):
    """Weights, a backbone or a quantizer that does not fit."""


class GeometryError(HedgerowError):
    """A grid, a CRS or a coverage that breaks a promise."""


class ScoreError(HedgerowError):
    """Two maps that cannot be compared."""
