"""Family: What is scored. One file, one choice."""
