"""How sure the audit is: planted copies, false alarms, and what it costs. Prints; asserts nothing.

    python tests/benchmarks/audit.py copies CIFAKE     recall of planted copies, false alarms among the others
    python tests/benchmarks/audit.py alarms CIFAKE     warnings in 200 random class splits of one class

CIFAKE is the published folder tree.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image, ImageOps

from bench.audit.copies.similar import Fingerprints, similar_pairs
from bench.audit.features import baselines
from bench.audit.images.description import Description
from bench.audit.images.gather import Pool, gather
from bench.audit.images.hashes import hashes
from bench.audit.shortcuts import Images, shortcuts
from bench.datasets import REAL, index
from bench.support.progress import Silent


def encoded(image, quality):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def scaled(image, factor):
    return image.resize([round(side * factor) for side in image.size], Image.Resampling.BICUBIC)


PLANTS = {
    "exact": lambda image: image,
    "JPEG 90": lambda image: encoded(image, 90),
    "JPEG 75": lambda image: encoded(image, 75),
    "JPEG 50": lambda image: encoded(image, 50),
    "JPEG 30": lambda image: encoded(image, 30),
    "resized x2": lambda image: scaled(image, 2),
    "resized x.75": lambda image: scaled(image, 0.75),
    "resized x.5": lambda image: scaled(image, 0.5),
    "resized x2, JPEG 75": lambda image: encoded(scaled(image, 2), 75),
    "mirrored": ImageOps.mirror,
    "mirrored, JPEG 75": lambda image: encoded(ImageOps.mirror(image), 75),
}


def described(root, split="test", depth="pixels"):
    manifest = index(root, split=split)
    rows = np.arange(len(manifest), dtype=np.int64)
    start = time.perf_counter()
    facts = gather(manifest, rows, Description(depth, depth == "pixels"), Pool(Silent()))
    print(f"{len(rows)} images described in {time.perf_counter() - start:.1f} s (or read back)")
    return manifest, facts


def copies(root, count=500):
    manifest, facts = described(root)
    thumbnails = np.frombuffer(b"".join(facts["thumbnail"].to_pylist()), np.uint8).reshape(-1, 192)
    known = [facts["hash"].to_numpy(), facts["mirrored"].to_numpy(), thumbnails]
    chosen = np.random.default_rng(0).choice(len(manifest), count, replace=False)
    locators = manifest.table["locator"].to_pylist()
    pixel = [Image.open(manifest.root / locators[i]).convert("RGB") for i in chosen]
    alone = similar_pairs(Fingerprints(*known))
    exact = np.unique(manifest.table["sha256"].to_pylist(), return_inverse=True)[1]
    pairs = np.concatenate([alone.near, alone.mirrored])
    others = int((exact[pairs[:, 0]] != exact[pairs[:, 1]]).sum())
    print(f"without plants: {others} pairs that are not equal files, of {len(manifest)} images")
    for name, plant in PLANTS.items():
        made = [hashes(np.asarray(plant(image)), perceptual=True) for image in pixel]
        more = [
            np.array([h.hash for h in made], np.uint64),
            np.array([h.mirrored for h in made], np.uint64),
            np.stack([np.frombuffer(h.thumbnail, np.uint8) for h in made]),
        ]
        start = time.perf_counter()
        joined = [np.concatenate(both) for both in zip(known, more, strict=True)]
        result = similar_pairs(Fingerprints(*joined))
        every = np.concatenate([result.near, result.mirrored])
        wanted = {(int(source), len(manifest) + i) for i, source in enumerate(chosen)}
        got = {tuple(sorted(pair)) for pair in every.tolist()}
        # A plant may be tied to an equal file of its source instead of to the source itself.
        connected = connections(every, len(joined[0]))
        hit = sum(connected[a] == connected[b] for a, b in wanted)
        false = sum(connected[b] != connected[a] for a, b in got if b >= len(manifest)) + wrong(
            got, chosen, exact, len(manifest)
        )
        print(
            f"{name:22} recall {hit / count:.3f}, false alarms {false} of {count}, "
            f"{time.perf_counter() - start:.1f} s"
        )


def connections(pairs, n):
    parent = list(range(n))

    def root(node):
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for a, b in pairs.tolist():
        parent[root(a)] = root(b)
    return [root(i) for i in range(n)]


def wrong(pairs, chosen, exact, n):
    """Pairs of a plant with an image that is not its source nor equal to it."""
    return sum(a < n <= b and exact[a] != exact[chosen[b - n]] for a, b in pairs)


def alarms(root, splits=200, size=400):
    manifest, facts = described(root)
    reals = np.flatnonzero(manifest.table["label"].to_numpy() == REAL)
    warned, kinds = 0, {}
    for seed in range(splits):
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(reals, size, replace=False))
        label = rng.permutation(np.repeat([0, 1], size // 2))
        names = np.where(label == 1, "fake", "real").astype(object)
        images = Images(label, names, np.arange(size), {"fake": ("real",)}, seed)
        warnings = [
            s.name for s in shortcuts(baselines(facts.take(pa.array(rows))), images) if s.warns
        ]
        warned += bool(warnings)
        for name in warnings:
            kinds[name] = kinds.get(name, 0) + 1
        if seed % 20 == 19:
            print(f"{seed + 1} splits: {warned} with a warning", flush=True)
    print(f"{splits} random class splits of {size} reals: {warned} with a warning {kinds}")


if __name__ == "__main__":
    {"copies": copies, "alarms": alarms}[sys.argv[1]](Path(sys.argv[2]))
