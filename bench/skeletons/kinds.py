"""What ``bench new`` can begin: one skeleton a kind of plug-in."""

from __future__ import annotations

from typing import Final

from bench.skeletons.skeleton import Skeleton

SKELETONS: Final = {
    skeleton.kind: skeleton
    for skeleton in (
        Skeleton(
            kind="detector",
            group="bench.detectors",
            runs="bench run --detector $own --suite smoke --out runs/$name",
        ),
        Skeleton(
            kind="adapter",
            group="bench.adapters",
            runs="bench run --detector $name:32 --suite smoke --out runs/$name",
        ),
        Skeleton(kind="corruption", group="bench.corruptions", runs="bench show $name"),
        Skeleton(kind="attack", group="bench.attacks", runs="bench show $name"),
        Skeleton(kind="laundering", group="bench.launderings", runs="bench show $name"),
        Skeleton(
            kind="defence",
            group="bench.defences",
            runs="bench run --detector 'defended(genimage-cnn,$name)' --suite smoke --out runs/$name",
        ),
        Skeleton(
            kind="layout", group="bench.layouts", runs="bench data index FOLDER --layout $name"
        ),
        Skeleton(
            kind="metric",
            group="bench.metrics",
            runs="bench run --detector genimage-cnn --suite smoke --out runs/$name",
        ),
        Skeleton(kind="page", group="bench.pages", runs="bench report RUN -o report.html"),
        Skeleton(
            kind="suite",
            group="",
            runs="bench run --detector genimage-cnn --suite $path --out runs/$name",
            ending="toml",
        ),
        Skeleton(
            kind="recipe",
            group="",
            runs="bench train --recipe $path --detector mobilenetv2_100 --data FOLDER",
            ending="toml",
        ),
    )
}
