"""Family: What training minimises. One file, one choice."""
