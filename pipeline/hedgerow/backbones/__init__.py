"""Family: Segmentation networks. One file, one choice."""
