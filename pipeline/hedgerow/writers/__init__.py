"""Family: File formats. One file, one choice."""
