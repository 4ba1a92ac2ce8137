"""`cnndetection-0.1` and `cnndetection-0.5`: a ResNet-50 on ProGAN (Wang et al., CVPR 2020)."""

from __future__ import annotations

from detectors.card import InputSpec
from detectors.publication.facts import (
    FORENSYNTHS,
    PROGAN_20,
    PaperFigure,
    Publication,
    paper_figures,
)
from detectors.publication.method import Method
from detectors.publication.tables import aigibench
from detectors.published.resnet import ResNet50

# The paper's own crop; its authors found the whole image better on most sets: see the notes.
INPUT = InputSpec(size=224, fit="crop", padding="zero")
REFERENCE = "Wang et al. 2020, CVPR, arXiv:1912.11035"


def _publication(probability: str, figures: tuple[PaperFigure, ...]) -> Publication:
    return Publication(
        url="https://github.com/PeterWang512/CNNDetection",
        file=f"blur_jpg_prob{probability}.pth",
        licence="CC-BY-NC-SA-4.0",
        training_data=PROGAN_20,
        figures=figures + aigibench("CNNDetection"),
        notes=(
            "The paper's figures are of a 224 px centre crop; its authors found the whole image better on "
            "most sets: --input native.",
        ),
    )


_SOURCE = "Wang et al. 2020, their repository's table at 224 px"
_HALF = paper_figures(
    FORENSYNTHS,
    _SOURCE,
    {
        "progan": (100.0, 100.0),
        "stylegan": (73.4, 98.5),
        "biggan": (59.0, 88.2),
        "cyclegan": (80.8, 96.8),
        "stargan": (81.0, 95.4),
        "gaugan": (79.3, 98.1),
        "crn": (87.6, 98.9),
        "imle": (94.1, 99.5),
        "seeingdark": (78.3, 92.7),
        "san": (50.0, 63.9),
        "deepfake": (51.1, 66.3),
        "stylegan2": (68.4, 98.0),
        "whichfaceisreal": (63.9, 88.8),
    },
)
_TENTH = paper_figures(
    FORENSYNTHS,
    _SOURCE,
    {
        "progan": (100.0, 100.0),
        "stylegan": (87.1, 99.6),
        "biggan": (70.2, 84.5),
        "cyclegan": (85.2, 93.5),
        "stargan": (91.7, 98.2),
        "gaugan": (78.9, 89.5),
        "crn": (86.3, 98.2),
        "imle": (86.2, 98.4),
        "seeingdark": (90.3, 97.2),
        "san": (50.5, 70.5),
        "deepfake": (53.5, 89.0),
        "stylegan2": (84.4, 99.1),
        "whichfaceisreal": (83.6, 93.2),
    },
)

DETECTORS: dict[str, Method] = {
    "cnndetection-0.1": Method(
        name="cnndetection-0.1",
        build=ResNet50,
        input=INPUT,
        reference=REFERENCE,
        summary="CNNDetection, ResNet-50 trained with blur and JPEG on 10 % of its images",
        fake_logit="z",
        publication=_publication("0.1", _TENTH),
    ),
    "cnndetection-0.5": Method(
        name="cnndetection-0.5",
        build=ResNet50,
        input=INPUT,
        reference=REFERENCE,
        summary="CNNDetection, ResNet-50 trained with blur and JPEG on 50 % of its images",
        fake_logit="z",
        publication=_publication("0.5", _HALF),
    ),
}
