"""Where can a tensor be seen or quantized that is no layer's input? At a tap: an identity that bears a name."""

from torch import nn


class Tap(nn.Identity):
    """A named place in a network. It passes its tensor on; a quantizer may put a fake quantizer in its stead."""

    @property
    def watched(self) -> bool:
        """Whether a hook wants to see the tensor; if not, the network need not make it."""
        return bool(self._forward_hooks or self._forward_pre_hooks)
