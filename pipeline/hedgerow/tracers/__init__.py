"""Family: How pixels become regions. One file, one choice."""
