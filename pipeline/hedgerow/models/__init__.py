"""Model folders: `model.safetensors` and `model.json` (the card). The shipped models lie here, too."""
