"""CLIP image towers under the names of the libraries that publish them, as timm names them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

# What OpenAI and open_clip call a part of the image tower, behind ``visual.``, and what timm calls it.
_OPEN_CLIP = (
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^proj$", "head.weight"),
)
# The same for transformers, behind ``vision_model.``; "layrnorm" is its own spelling.
_TRANSFORMERS = (
    (r"^encoder\.layers\.", "blocks."),
    (r"\.layer_norm([12])\.", r".norm\1."),
    (r"\.self_attn\.out_proj\.", ".attn.proj."),
    (r"^embeddings\.patch_embedding\.", "patch_embed.proj."),
    (r"^embeddings\.class_embedding$", "cls_token"),
    (r"^embeddings\.position_embedding\.weight$", "pos_embed"),
    (r"^pre_layrnorm\.", "norm_pre."),
    (r"^post_layernorm\.", "norm."),
)


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Rename the image tower of a published CLIP as timm names it; the text tower is left out.

    Args:
        state: Tensors of OpenAI's, open_clip's or transformers' CLIP by key.

    Returns:
        The image tower, with the projection as ``head``, whose bias is zero; ``None`` where the keys are
        none of these.
    """
    if "visual.class_embedding" in state:
        tower = _below(state, "visual.")
        named = {_renamed(key, _OPEN_CLIP): value for key, value in tower.items()}
        if "head.weight" in named:
            named["head.weight"] = named["head.weight"].T.contiguous()
    elif "vision_model.embeddings.class_embedding" in state:
        tower = _with_joint_attention(_below(state, "vision_model."))
        tower.pop("embeddings.position_ids", None)
        named = {_renamed(key, _TRANSFORMERS): value for key, value in tower.items()}
        if "visual_projection.weight" in state:
            named["head.weight"] = state["visual_projection.weight"]
    else:
        return None
    width = named["cls_token"].numel()
    named["cls_token"] = named["cls_token"].reshape(1, 1, width)
    named["pos_embed"] = named["pos_embed"].reshape(1, -1, width)
    if "head.weight" in named:
        named["head.bias"] = torch.zeros(len(named["head.weight"]))
    return named


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)
    }


def _renamed(key: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        key = re.sub(pattern, replacement, key)
    return key


def _with_joint_attention(tower: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join the three projections of every attention, which timm keeps in one matrix."""
    joint = {key: value for key, value in tower.items() if not re.search(r"\.[qkv]_proj\.", key)}
    for key in tower:
        match = re.fullmatch(r"(.*)\.self_attn\.q_proj\.(weight|bias)", key)
        if match:
            parts = [tower.get(f"{match[1]}.self_attn.{part}_proj.{match[2]}") for part in "qkv"]
            present = [part for part in parts if part is not None]
            if len(present) == len(parts):
                joint[f"{match[1]}.attn.qkv.{match[2]}"] = torch.cat(present)
    return joint
