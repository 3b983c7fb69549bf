"""Where do networks run? `auto` means the accelerator where torch sees one."""

import torch

from hedgerow.errors import ConfigError


def device_name(asked: str) -> str:
    """Return what torch calls the device that `auto`, `cpu` or `cuda` stands for.

    Raises:
        ConfigError: it is none of these, or an accelerator was asked for that torch does not see.
    """
    if asked.partition(":")[0] not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {asked}: there is auto, cpu and cuda")
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {asked} was asked for, but torch sees none: use --device cpu")
    return asked
