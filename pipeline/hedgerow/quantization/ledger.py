"""What does a model weigh? Bytes by kind: weights or codes, scales and zero-points, float leftovers."""

from dataclasses import dataclass

from torch import Tensor, nn

from hedgerow.quantization.grids import FakeQuantize
from hedgerow.quantization.sites import QuantizedLayer


@dataclass(frozen=True, slots=True)
class Ledger:
    """Bytes of one model; for a simulated arm computed, as packed codes would take."""

    codes: int
    grids: int
    floats: int

    @property
    def total(self) -> int:
        """All bytes."""
        return self.codes + self.grids + self.floats


def ledger_of(model: nn.Module) -> Ledger:
    """Count the bytes of a float or quantized network.

    Codes are packed to their bits, a scale takes 4 bytes, an activation's zero-point 1; all else stays as it is.
    """
    codes = grids = 0
    for module in model.modules():
        if isinstance(module, QuantizedLayer):
            codes += -(-module.codes.numel() * module.plan.weight.bits // 8)
            grids += 4 * module.weight_scale.numel()
        elif isinstance(module, FakeQuantize):
            grids += 5 * module.scale.numel()
    floats = sum(t.numel() * t.element_size() for t in (*model.parameters(), *_plain_buffers(model)))
    return Ledger(codes, grids, floats)


def _plain_buffers(model: nn.Module) -> list[Tensor]:
    """Return the buffers that a file would hold and that are no grid's."""
    ours = {id(b) for m in model.modules() if isinstance(m, QuantizedLayer | FakeQuantize) for b in m.buffers()}
    stored = {id(b) for b in model.state_dict(keep_vars=True).values()}
    return [b for b in model.buffers() if id(b) in stored and id(b) not in ours]
