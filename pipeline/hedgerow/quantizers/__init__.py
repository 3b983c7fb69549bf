"""Family: Ways to make a network smaller. One file, one choice."""
