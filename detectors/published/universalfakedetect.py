"""`universalfakedetect`: a linear probe on CLIP ViT-L/14 (Ojha et al., CVPR 2023)."""

from __future__ import annotations

from detectors.card import InputSpec
from detectors.probe import probe_builder
from detectors.publication.facts import (
    CLIP_MEAN,
    CLIP_STD,
    FORENSYNTHS,
    PROGAN_20,
    Backbone,
    Publication,
    paper_figures,
)
from detectors.publication.method import Method
from detectors.publication.tables import aigibench

MODEL = "vit_large_patch14_clip_quickgelu_224.openai"

DETECTORS: dict[str, Method] = {
    "universalfakedetect": Method(
        name="universalfakedetect",
        build=probe_builder(MODEL, projected=True),
        input=InputSpec(size=224, fit="crop", padding="zero", mean=CLIP_MEAN, std=CLIP_STD),
        reference="Ojha et al. 2023, CVPR, arXiv:2302.10174",
        summary="UniversalFakeDetect (UniFD): a linear probe on CLIP ViT-L/14",
        fake_logit="z",
        publication=Publication(
            url="https://github.com/WisconsinAIVision/UniversalFakeDetect",
            file="fc_weights.pth",
            licence="MIT",
            training_data=PROGAN_20,
            key_map={"": "fc."},
            backbone=Backbone(MODEL, "backbone"),
            figures=paper_figures(
                FORENSYNTHS,
                "Tan et al. 2024 (NPR), table 2, row Ojha",
                {
                    "progan": (99.7, 100.0),
                    "stylegan": (89.0, 98.7),
                    "stylegan2": (83.9, 98.4),
                    "biggan": (90.5, 99.1),
                    "cyclegan": (87.9, 99.8),
                    "stargan": (91.4, 100.0),
                    "gaugan": (89.9, 100.0),
                    "deepfake": (80.2, 90.2),
                    "": (89.1, 98.3),
                },
            )
            + aigibench("UniFD"),
            notes=(
                "Accuracies of its own paper are at a threshold fitted on the test set, so they do not "
                "stand here.",
                "The file holds the linear layer alone; CLIP comes from --backbone, in the names of timm, "
                "OpenAI's state dict, open_clip or transformers.",
            ),
        ),
    ),
}
