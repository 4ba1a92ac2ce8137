"""`genimage-resnet50`: the baseline of GenImage (Zhu et al., NeurIPS 2023)."""

from __future__ import annotations

from detectors.card import InputSpec, TrainingData
from detectors.publication.facts import Publication, paper_figures
from detectors.publication.method import Method
from detectors.published.resnet import ResNet50

DETECTORS: dict[str, Method] = {
    "genimage-resnet50": Method(
        name="genimage-resnet50",
        build=ResNet50,
        input=InputSpec(size=224, resize_to=256, fit="shortest-crop", interpolation="bicubic"),
        reference="Zhu et al. 2023, NeurIPS, arXiv:2306.08571",
        summary="GenImage's ResNet-50, trained on Stable Diffusion 1.4, two outputs",
        # Folders in the order of the alphabet: `ai` is output 0, `nature` output 1.
        fake_logit="z0-z1",
        publication=Publication(
            url="https://github.com/GenImage-Dataset/GenImage",
            file="",
            training_data=TrainingData(
                dataset="GenImage, stable_diffusion_v_1_4; reals of ImageNet",
                generators=("stable_diffusion_v_1_4",),
            ),
            figures=paper_figures(
                "GenImage",
                "Zhu et al. 2023, trained on Stable Diffusion 1.4",
                {
                    "Midjourney": (54.9,),
                    "stable_diffusion_v_1_4": (99.9,),
                    "stable_diffusion_v_1_5": (99.7,),
                    "ADM": (53.5,),
                    "glide": (61.9,),
                    "wukong": (98.2,),
                    "VQDM": (56.6,),
                    "BigGAN": (52.0,),
                    "": (72.1,),
                },
                metrics=("accuracy",),
            ),
            notes=(
                "The paper says 224 px and no more: short side to 256 px, centre crop is timm's usual "
                "evaluation.",
                "Which output means AI-generated follows the order of the folders, ai before nature: hold "
                "it against the accuracy on Stable Diffusion 1.4, 99.9 % there, and pass --fake-logit "
                "z1-z0 where it comes out the other way.",
            ),
        ),
    ),
}
