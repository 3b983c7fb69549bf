"""Where do networks run? `auto` means the accelerator where torch sees one."""

import torch

from hedgerow.errors import ConfigError


def device_name(asked: str) -> str:
    """Return what torch calls the device that `auto`, `cpu` or `cuda` stands for.

    Raises:
        ConfigError: it is none of these (`cuda:1` is the second accelerator), or one that torch does not see.
    """
    kind, colon, number = asked.partition(":")
    if kind not in ("cpu", "cuda") and asked != "auto":
        raise ConfigError(f"device {asked}: there is auto, cpu and cuda")
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {asked} was asked for, but torch sees none: use --device cpu")
    seen = torch.cuda.device_count() if kind == "cuda" else 1
    if colon and not (number.isdecimal() and int(number) < seen):
        raise ConfigError(f"device {asked}: there is {kind}:0{f' to {kind}:{seen - 1}' if seen > 1 else ''}")
    return asked
