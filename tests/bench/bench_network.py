"""How fast is the shipped network beside the trunk that such work commonly stands on?"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_clock import in_turn, say
from torch.utils.flop_counter import FlopCounterMode

from hedgerow.backbones import vit
from hedgerow.models.store import load, locate


def bench_network(_: Path) -> None:
    """Compare inference of the shipped model with that of a plain ViT-S/16 trunk: 512 x 512, two threads."""
    ours = load(locate("hedgerow-tiny"))
    small = vit.build(vit.Config(width=384, depth=12, heads=6, patch_px=16, class_token=True, positions="none"))
    image = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    runs = (partial(ours, image), partial(small.hidden, image))
    with torch.inference_mode():
        torch.set_num_threads(1)
        alone_fast, alone_slow = in_turn(runs, time.process_time)
        torch.set_num_threads(2)
        fast, slow = in_turn(runs, time.perf_counter)
        few, many = _flops(ours, runs[0]), _flops(small, runs[1])
    say(
        "hedgerow-tiny over the trunk of a ViT-S/16, 512 x 512, two threads",
        f"{fast / slow:.2f} times the time ({1000 * fast:.0f} ms, {1000 * slow:.0f} ms); "
        f"processor time of one thread {alone_fast / alone_slow:.2f} times ({1000 * alone_fast:.0f} ms, "
        f"{1000 * alone_slow:.0f} ms), which a busy machine changes less; "
        f"{few / many:.2f} times the operations ({few / 1e9:.1f} and {many / 1e9:.1f} GFLOP)",
        "at most 0.5 times the time",
    )


def _flops(model: Any, run: Callable[[], Any]) -> int:
    """Count operations, two per multiplication and addition; attention maps are watched, as the counter needs them."""
    hooks = [block.attn.softmax_tap.register_forward_hook(lambda *_: None) for block in model.blocks]
    with FlopCounterMode(display=False) as counter:
        run()
    for hook in hooks:
        hook.remove()
    return int(counter.get_total_flops())
