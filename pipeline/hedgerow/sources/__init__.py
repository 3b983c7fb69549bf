"""Family: Where imagery and truth come from. One file, one choice."""
