"""How does a network join that exists only as an ONNX graph? It runs in onnxruntime as an arm in FP32.

What it takes and gives is told by its model card (see `Fit`): bands, range, classes. A graph of fixed height and
width sees the image in overlapping windows, of each of which the middle counts. No quantizer can change a graph.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hedgerow.backbones._adapter import Fit, as_fed, as_ours, at_size
from hedgerow.backbones._extras import needed
from hedgerow.errors import ModelError

# Field 13 of a tensor, a list of (key, value): its first key is always `location`, the file that holds the numbers.
_EXTERNAL = re.compile(rb"\x6a.{1,2}\x0a\x08location\x12", re.DOTALL)
_TYPES: Mapping[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
}  # fmt: skip
_MARGIN = 8  # of a window of fixed size, this part of its side is left out at every seam
_opening = threading.Lock()


class Config(Fit):
    """The graph's file, and what it takes and gives."""

    file: str
    """The .onnx file; in a model card its name, beside the card."""
    layout: Literal["nchw", "nhwc"] = "nchw"
    """Order of the axes: channels before or after height and width."""
    output_name: str | None = None
    """Which output is the map; None: the first."""


def build(config: Config) -> "OnnxNetwork":
    """Read and open the graph.

    Raises:
        ModelError: no file, no ONNX graph that can be run, weights in other files, or inputs that are no image.
        ConfigError: onnxruntime is missing.
    """
    needed("onnxruntime", "onnx")
    try:
        content = Path(config.file).read_bytes()
    except OSError as error:
        raise ModelError(f"{config.file}: cannot be read: {error.strerror}") from error
    if not content:
        raise ModelError(f"{config.file}: is empty. Copy it again")
    network = OnnxNetwork(config, content)
    network.graph()
    return network.eval()


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph that is open in this process; sizes are None where it takes any."""

    session: Any
    input: str
    output: str
    dtype: type[np.floating[Any]]
    batch: int | None
    channels: int | None
    height: int | None
    width: int | None


class OnnxNetwork(nn.Module):
    """Maps (n, bands, height, width) in [0, 1] to logits of our classes; it computes on the CPU.

    It holds the file's bytes and opens them where it runs, with torch's number of threads: so it copies and pickles.
    """

    content: Tensor

    def __init__(self, config: Config, content: bytes) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("content", torch.frombuffer(bytearray(content), dtype=torch.uint8))
        self._graph: Graph | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_graph": None}

    def graph(self) -> Graph:
        """Return the open graph; it is opened at the first call."""
        with _opening:
            if self._graph is None:
                self._graph = _opened(self.content.cpu().numpy().tobytes(), self.config)
            return self._graph

    def forward(self, image: Tensor) -> Tensor:
        graph, (height, width) = self.graph(), image.shape[-2:]
        feed = as_fed(image.float().cpu(), self.config)
        if graph.channels not in (None, feed.shape[1]):
            raise ModelError(
                f"{self.config.file}: the graph takes {graph.channels} channels, not {feed.shape[1]}: "
                f"list its bands in the card, or say with `order` which band each channel takes"
            )
        rows, cols = (graph.height or self._whole(height)), (graph.width or self._whole(width))
        feed = F.pad(feed, (0, max(0, cols - width), 0, max(0, rows - height)), mode="replicate")
        logits = torch.empty(len(feed), 4, *feed.shape[-2:])
        for y, down in _pieces(feed.shape[-2], rows):
            for x, across in _pieces(feed.shape[-1], cols):
                seen = feed[..., y : y + rows, x : x + cols]
                out = as_ours(at_size(self._run(graph, seen), seen), self.config)
                inner = out[..., down.start - y : down.stop - y, across.start - x : across.stop - x]
                logits[..., down, across] = inner
        return logits[..., :height, :width].to(image.device)

    def _whole(self, length: int) -> int:
        return -(-length // self.config.multiple_px) * self.config.multiple_px

    def _run(self, graph: Graph, feed: Tensor) -> Tensor:
        parts = torch.split(feed, graph.batch or len(feed))
        return torch.cat([self._run_batch(graph, part) for part in parts])

    def _run_batch(self, graph: Graph, feed: Tensor) -> Tensor:
        """Run one batch; where the graph's is larger, the last image is repeated to fill it."""
        missing = (graph.batch or len(feed)) - len(feed)
        full = torch.cat([feed, feed[-1:].expand(missing, -1, -1, -1)]) if missing else feed
        full = full.permute(0, 2, 3, 1) if self.config.layout == "nhwc" else full
        values: NDArray[Any] = np.ascontiguousarray(full.numpy(), graph.dtype)
        try:
            (out,) = graph.session.run([graph.output], {graph.input: values})
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise ModelError(f"{self.config.file}: fails for {values.shape}: {_line(error)}") from error
        if out.dtype.kind != "f":
            raise ModelError(f"{self.config.file}: {graph.output} holds {out.dtype}, not logits or probabilities")
        maps = torch.from_numpy(np.asarray(out, np.float32))[: len(feed)]
        return maps.permute(0, 3, 1, 2) if self.config.layout == "nhwc" and maps.ndim == 4 else maps


def _pieces(length: int, side: int) -> Iterator[tuple[int, slice]]:
    """Yield where windows begin along an axis, and the part of the axis that each of them decides.

    Neighbours overlap by a quarter of their side or more; the seam lies in the middle of what they share.
    """
    if length <= side:
        yield 0, slice(0, length)
        return
    margin = side // _MARGIN
    count = -(-(length - 2 * margin) // (side - 2 * margin))
    starts = [round(i * (length - side) / (count - 1)) for i in range(count)]
    seams = [0, *((a + side + b) // 2 for a, b in pairwise(starts)), length]
    yield from ((start, slice(*part)) for start, part in zip(starts, pairwise(seams), strict=True))


def _opened(content: bytes, config: Config) -> Graph:
    if _EXTERNAL.search(content):
        raise ModelError(
            f"{config.file}: keeps its weights in another file: make it one with "
            f"`onnx.save(onnx.load({Path(config.file).name!r}), {Path(config.file).name!r})`"
        )
    runtime = needed("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3  # errors; they are raised as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class of their own
        raise ModelError(f"{config.file}: is no ONNX graph that can be run: {_line(error)}") from error
    return _described(session, config)


def _described(session: Any, config: Config) -> Graph:
    inputs, outputs = session.get_inputs(), [out.name for out in session.get_outputs()]
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
        told = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
        raise ModelError(f"{config.file}: takes {told}: one input of four axes in floating point is needed")
    output = config.output_name or outputs[0]
    if output not in outputs:
        raise ModelError(f"{config.file}: has no output {output!r}, but {', '.join(outputs)}: set `output_name`")
    sizes = [size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape]
    batch, *rest = sizes
    channels, height, width = rest if config.layout == "nchw" else (rest[2], rest[0], rest[1])
    return Graph(session, inputs[0].name, output, _TYPES[inputs[0].type], batch, channels, height, width)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
