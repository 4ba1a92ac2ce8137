"""An ONNX file in onnxruntime: what its input and output are, and images through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.errors import DetectorError, described
from detectors.onnx_model.graph import GraphFacts, read_facts

_TYPES: Final[dict[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxFile:
    """An ONNX model that onnxruntime has loaded.

    Attributes:
        path: Path of the model.
        facts: What decides the model beside its own bytes.
        session: The session of onnxruntime.
        input: Name of its one input.
        dtype: Type of the input's numbers.
        layout: Order of the input's axes.
        batch: Images it takes at a time; None for any number.
        size: Height and width in px; None where they are open.
        output: Name of its one output.
    """

    path: Path
    facts: GraphFacts
    session: Any
    input: str
    dtype: Any
    layout: Layout
    batch: int | None
    size: tuple[int, int] | None
    output: str

    @classmethod
    def load(cls, path: Path, device: torch.device) -> OnnxFile:
        """Load a file onto a device: CUDA where onnxruntime has it, else the CPU.

        Raises:
            DetectorError: onnxruntime is absent, or the file is none that can be scored with.
        """
        facts = read_facts(path)
        if facts.foreign:
            raise DetectorError(
                f"{path} uses the operator {facts.foreign}, which needs code of its own: bench loads none, "
                "export the network with standard operators"
            )
        session = _session(path, device)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            names = ", ".join(each.name for each in (*inputs, *outputs))
            raise DetectorError(
                f"{path} has {len(inputs)} inputs and {len(outputs)} outputs ({names}): export it with one "
                "of each, images and logits"
            )
        taken, given = inputs[0], outputs[0]
        if taken.type not in _TYPES:
            raise DetectorError(
                f"{path} takes {taken.type}, which images are not: export it for float, float16 or uint8"
            )
        if given.type not in _TYPES or given.type == "tensor(uint8)":
            raise DetectorError(f"{path} gives {given.type}, no scores: export its logits")
        layout, batch, size = _shape(path, taken.shape)
        dtype = _TYPES[taken.type]
        return cls(path, facts, session, taken.name, dtype, layout, batch, size, given.name)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that decide what it computes, the model itself first."""
        return (self.path, *self.facts.external)

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score images, in as many pieces as the model asks for.

        Args:
            images: (N, 3, h, w) float32, normalised; in [0, 1] where the model takes uint8.

        Returns:
            (N, k) float32 outputs.

        Raises:
            DetectorError: onnxruntime refuses them, or the output is not one row an image.
        """
        count = len(images)
        step = self.batch or max(count, 1)
        pieces = [
            self._piece(images[start : start + step], step) for start in range(0, count, step)
        ]
        return np.concatenate(pieces)[:count]

    def _piece(self, images: NDArray[np.float32], step: int) -> NDArray[np.float32]:
        short = (self.batch or len(images)) - len(images)
        if short:
            images = np.concatenate([images, np.repeat(images[-1:], short, axis=0)])
        if self.dtype == np.uint8:
            images = np.round(images * 255).clip(0, 255)
        if self.layout == "NHWC":
            images = images.transpose(0, 2, 3, 1)
        batch = np.ascontiguousarray(images.astype(self.dtype))
        try:
            answer = np.asarray(self.session.run([self.output], {self.input: batch})[0])
        except Exception as error:  # errors of onnxruntime share no class
            raise DetectorError(
                f"{self.path.name} fails on a batch of shape {batch.shape} ({described(error)})"
            ) from error
        if answer.ndim == 0 or len(answer) != len(batch) or answer.size % len(batch):
            raise DetectorError(
                f"{self.path.name} gives shape {answer.shape} for {len(batch)} images: export it with one "
                "row of logits an image"
            )
        del step
        return answer.reshape(len(batch), -1).astype(np.float32)


def _session(path: Path, device: torch.device) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise DetectorError(
            f"{path} needs onnxruntime, which is not installed: pip install 'detector-bench[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    # Parallel are batches, not the parts of one; and what is added in one order gives the same bits.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": device.index or 0}))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # errors of onnxruntime share no class
        raise DetectorError(
            f"{path} cannot be loaded by onnxruntime {onnxruntime.__version__} ({described(error)}): "
            "export it again, for an opset that it has"
        ) from error


def _shape(path: Path, shape: list[Any]) -> tuple[Layout, int | None, tuple[int, int] | None]:
    """Layout, batch and size by the shape that the graph declares; names stand for any number."""
    known = [axis if isinstance(axis, int) and axis > 0 else None for axis in shape]
    spelled = " x ".join(str(axis) for axis in shape)
    if len(known) != 4:
        raise DetectorError(f"{path} takes an input of {spelled}: it must be a batch of images")
    layout: Layout = "NHWC" if known[1] not in (3, None) and known[3] == 3 else "NCHW"
    if known[1] is None and known[3] == 3:
        layout = "NHWC"
    channels, sides = (known[1], known[2:]) if layout == "NCHW" else (known[3], known[1:3])
    if channels not in (3, None):
        raise DetectorError(f"{path} takes an input of {spelled}: images have 3 channels")
    height, width = sides
    size = (height, width) if height is not None and width is not None else None
    return layout, known[0], size
