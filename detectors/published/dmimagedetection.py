"""`corvi-latent`, `corvi-progan`: a ResNet-50 that keeps the full size longer (Corvi et al., ICASSP 2023)."""

from __future__ import annotations

import functools

from detectors.card import InputSpec, TrainingData
from detectors.publication.facts import PROGAN_20, Publication
from detectors.publication.method import Method
from detectors.published.resnet import ResNet50

REFERENCE = "Corvi et al. 2023, ICASSP, arXiv:2211.00680 (DMimageDetection)"
URL = "https://github.com/grip-unina/DMimageDetection"
LICENCE = "LicenseRef-GRIP-UNINA-nonprofit"
INPUT = InputSpec(size=None, fit="native")

_network = functools.partial(ResNet50, stride=1, pool_stride=1)

DETECTORS: dict[str, Method] = {
    "corvi-latent": Method(
        name="corvi-latent",
        build=_network,
        input=INPUT,
        reference=REFERENCE,
        summary="Corvi (DMimageDetection), stride-1 ResNet-50 trained on latent diffusion",
        fake_logit="z",
        publication=Publication(
            url=URL,
            file="Grag2021_latent/model_epoch_best.pth",
            licence=LICENCE,
            training_data=TrainingData(
                dataset="200,000 latent diffusion images; reals of COCO and LSUN",
                generators=("ldm",),
                n_real=200_000,
                n_fake=200_000,
            ),
            notes=("SIDBench calls the same file dimd/corvi22_latent_model.pth.",),
        ),
    ),
    "corvi-progan": Method(
        name="corvi-progan",
        build=_network,
        input=INPUT,
        reference=REFERENCE,
        summary="Corvi (DMimageDetection), stride-1 ResNet-50 trained on ProGAN",
        fake_logit="z",
        publication=Publication(
            url=URL,
            file="Grag2021_progan/model_epoch_best.pth",
            licence=LICENCE,
            training_data=PROGAN_20,
            notes=("SIDBench calls the same file dimd/corvi22_progan_model.pth.",),
        ),
    ),
}
