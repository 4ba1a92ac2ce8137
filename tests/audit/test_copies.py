"""Copies that were planted are found, and told apart by what they mean."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from bench.audit.audit import AuditRequest, audit
from bench.audit.copies.duplicates import (
    ALIKE,
    CONFLICT,
    GENERATORS,
    OTHER_SET,
    REPEATS,
    SHARED_REALS,
    SPLITS,
    VARIATIONS,
    find_copies,
)
from bench.audit.copies.neighbours import bits_apart, near_pairs
from bench.audit.copies.sides import Side
from bench.audit.images.description import Description
from bench.audit.images.gather import gather
from bench.audit.images.hashes import has_perceptual_hash, hashes
from bench.datasets import index
from tests.audit.conftest import as_png, photo

needs_hash = pytest.mark.skipif(not has_perceptual_hash(), reason="ImageHash is not installed")


def jpeg(image, path, quality=60):
    image.save(path, quality=quality)


def audited(root, pool, against=None, **options):
    manifest = index(root, cache_dir=pool.cache)
    other = None if against is None else index(against, cache_dir=pool.cache)
    return audit(manifest, AuditRequest(**options), pool, other)


def found(result):
    return {(count.relation, count.kind): 0 for count in result.copies.counts} | {
        (c.relation, c.kind): result.copies.images(c.relation, c.kind) for c in result.copies.counts
    }


def test_pairs_are_those_of_comparing_all():
    rng = np.random.default_rng(0)
    base = rng.integers(0, 2**64, 400, dtype=np.uint64)
    other = base.copy()
    for _ in range(8):
        other ^= np.uint64(1) << rng.integers(0, 64, 400).astype(np.uint64)
    every = {
        (i, int(j))
        for i in range(400)
        for j in np.flatnonzero(bits_apart(np.repeat(base[i : i + 1], 400), other) <= 8)
    }
    assert set(map(tuple, near_pairs(base, other, 8).tolist())) == every
    assert len(every) >= 400
    assert bin(int(base[0] ^ other[0])).count("1") == bits_apart(base[:1], other[:1])[0]


@needs_hash
def test_hashes_are_imagehashs():
    import imagehash

    picture = photo(5)
    own = hashes(picture, perceptual=True)
    image = Image.fromarray(picture)
    assert f"{own.hash:016x}" == str(imagehash.phash(image))
    assert f"{own.mirrored:016x}" == str(imagehash.phash(ImageOps.mirror(image)))


@needs_hash
def test_planted_copies_are_found_and_nothing_else(make, pool):
    root = make(as_png)
    fakes = root / "alpha" / "fake"
    first = [Image.open(fakes / f"{i:03d}.png") for i in range(4)]
    (fakes / "exact.png").write_bytes((fakes / "000.png").read_bytes())
    first[0].save(fakes / "pixels.bmp")
    jpeg(first[1], fakes / "encoded.jpg")
    first[2].resize((48, 48)).save(fakes / "resized.png")
    ImageOps.mirror(first[3]).save(fakes / "mirrored.png")
    result = audited(root, pool)
    assert found(result) == {
        (REPEATS, "file"): 1,
        (REPEATS, "pixels"): 1,
        (REPEATS, "near"): 2,
        (REPEATS, "mirrored"): 1,
    }
    clusters = [set(cluster.images) for cluster in result.copies.clusters]
    assert {"alpha/fake/003.png", "alpha/fake/mirrored.png"} in clusters
    assert {"alpha/fake/000.png", "alpha/fake/exact.png", "alpha/fake/pixels.bmp"} in clusters
    assert len(clusters) == 4


def test_what_a_copy_means_depends_on_where_it_lies(tmp_path, pool):
    def put(place, seed):
        path = tmp_path / "data" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(seed)).save(path)
        return path

    for g, generator in enumerate(("alpha", "beta")):
        for kind in ("real", "fake"):
            for split in ("train", "test"):
                for i in range(3):
                    seed = hash((g, kind == "fake", split == "test", i)) % 10_000
                    put(f"{split}/{generator}/{kind}/{i}.png", seed)
    put("test/alpha/real/both.png", 11_001)
    put("test/alpha/fake/both.png", 11_001)
    put("train/alpha/fake/leak.png", 11_002)
    put("test/alpha/fake/leak.png", 11_002)
    put("test/alpha/fake/two.png", 11_003)
    put("test/beta/fake/two.png", 11_003)
    put("test/alpha/real/shared.png", 11_004)
    put("test/beta/real/shared.png", 11_004)
    result = audited(tmp_path / "data", pool)
    assert found(result) == {
        (CONFLICT, "file"): 2,
        (SPLITS, "file"): 2,
        (GENERATORS, "file"): 2,
        (SHARED_REALS, "file"): 2,
    }
    codes = [finding.caution.code for finding in result.findings]
    assert codes.index("copies: conflicting labels") < codes.index("copies: across splits")
    assert not any("shared" in w.caution.code for w in result.warnings)
    left = audited(tmp_path / "data", pool, drop_duplicates=True)
    # Both of the conflict, and one of two fakes; leaks and shared reals are other rows of other cells.
    assert left.dropped == 3


@needs_hash
def test_variations_of_one_group_are_no_conflict(tmp_path, pool):
    rows = ["path,label,generator,group"]
    for i in range(8):
        Image.fromarray(photo(i)).save(tmp_path / f"r{i}.png")
        jpeg(Image.fromarray(photo(i)), tmp_path / f"f{i}.jpg")
        rows += [f"r{i}.png,0,camera,g{i}", f"f{i}.jpg,1,sd,g{i}"]
    table = tmp_path / "data.csv"
    table.write_text("\n".join(rows))
    result = audited(table, pool)
    assert {relation for relation, _ in found(result)} == {VARIATIONS}
    assert audited(table, pool, drop_duplicates=True).dropped == 0
    table.write_text("\n".join(row.rpartition(",")[0] for row in rows))
    result = audited(table, pool)
    assert {relation for relation, _ in found(result)} == {ALIKE}
    # Nobody has said that they belong together, and no label need be wrong: a note, and nothing is dropped.
    assert not any("alike" in w.caution.code for w in result.warnings)
    assert any("alike" in f.caution.code for f in result.findings)
    assert audited(table, pool, drop_duplicates=True).dropped == 0


def test_without_imagehash_the_audit_says_what_it_did_not_look_for(make, pool, monkeypatch):
    monkeypatch.setattr("bench.audit.audit.has_perceptual_hash", lambda: False)
    result = audited(make(as_png, n=4), pool)
    assert {"near", "mirrored"} <= result.not_looked_for.keys()
    assert "detector-bench[audit]" in result.not_looked_for["near"]
    assert "pixels" not in result.not_looked_for


def test_a_group_in_two_splits_is_told(tmp_path, pool):
    rows = ["path,label,generator,split,group"]
    for i in range(8):
        Image.fromarray(photo(i)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{i % 2},g,{'train' if i < 4 else 'test'},p{i % 4}")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    result = audited(tmp_path / "data.csv", pool)
    assert result.copies.split_groups == 4
    assert "groups across splits" in [w.caution.code for w in result.warnings]


@needs_hash
def test_a_second_data_set_is_compared(make, pool):
    train = make(as_png, name="train", n=8)
    test = make(lambda p, f, i, k, g: as_png(255 - p, f, i, k, g), name="test", n=8)
    source = Image.open(train / "alpha" / "fake" / "000.png")
    jpeg(source, test / "alpha" / "fake" / "seen.jpg")
    jpeg(ImageOps.mirror(source), test / "beta" / "fake" / "seen.jpg")
    result = audited(test, pool, against=train)
    assert result.copies.images(OTHER_SET) >= 2
    named = {name for c in result.copies.clusters for name in c.images}
    assert "other set: alpha/fake/000.png" in named
    assert "copies: in the other data set" in [w.caution.code for w in result.warnings]


def test_blank_pictures_do_not_drown_the_search(make, pool):
    def save(picture, folder, i, kind, generator):
        del generator
        blank = np.full((40, 40, 3), i * 5 + (kind == "fake"), np.uint8)
        Image.fromarray(picture if i > 20 else blank).save(folder / f"{i:03d}.png")

    result = audited(make(save), pool)
    assert result.audited == 96


def test_without_hashes_of_files_the_audit_says_so(make, pool):
    manifest = index(make(as_png, n=4), cache_dir=pool.cache, hash=False)
    result = audit(manifest, AuditRequest(), pool)
    assert "--no-hash" in result.copies.not_compared["file"]


CIFAKE = os.environ.get("BENCH_TEST_CIFAKE", "")


@pytest.mark.skipif(not CIFAKE, reason="BENCH_TEST_CIFAKE names no folder")
def test_the_duplicates_of_cifake(tmp_path):
    manifest = index(CIFAKE, cache_dir=tmp_path)
    if len(manifest) != 120_000:
        pytest.skip("BENCH_TEST_CIFAKE is not the whole of CIFAKE")
    rows = np.arange(len(manifest))
    copies = find_copies(Side.of(manifest, rows, manifest.table.select(["bytes"])))
    counts = {(c.where, c.copied_from): c.images for c in copies.counts}
    test, train = (f"{split} / fake / stable_diffusion_v_1_4" for split in ("test", "train"))
    assert counts[test, train] == 378
    assert counts[test, test] == 38
    assert counts[train, train] == 920
    assert not any("real" in where for where, _ in counts)


def test_what_was_read_is_kept(make, pool, monkeypatch):
    root = make(as_png, n=4)
    manifest = index(root, cache_dir=pool.cache)
    rows = np.arange(len(manifest))
    first = gather(manifest, rows, Description("pixels"), pool)

    def read_again(*_args, **_options):
        raise AssertionError("an image was read again")

    monkeypatch.setattr("bench.audit.images.gather.describe_all", read_again)
    assert gather(manifest, rows, Description("pixels"), pool).equals(first)


@needs_hash
def test_pairs_that_were_found_are_kept(make, pool, monkeypatch):
    root = make(as_png, n=6)
    source = Image.open(root / "alpha" / "fake" / "000.png")
    jpeg(source, root / "alpha" / "fake" / "near.jpg")
    ImageOps.mirror(source).save(root / "alpha" / "fake" / "mirrored.png")
    monkeypatch.setattr("bench.audit.copies.similar._KEPT_FROM", 2)
    first = audited(root, pool).copies

    def search_again(*_arguments):
        raise AssertionError("the search was made again")

    monkeypatch.setattr("bench.audit.copies.similar.near_pairs", search_again)
    again = audited(root, pool).copies
    assert again.counts == first.counts
    assert len(first.counts) == 2


def test_an_image_that_is_gone_is_told(make, pool):
    root = make(as_png, n=6)
    manifest = index(root, cache_dir=pool.cache)
    (root / "alpha" / "fake" / "000.png").unlink()
    result = audit(manifest, AuditRequest(), pool)
    assert result.audited == 23
    assert any("could not be read" in f.caution.title for f in result.findings)


def test_rows_stay_in_order_whatever_the_parts(make, pool, monkeypatch):
    manifest = index(make(as_png, n=7), cache_dir=pool.cache)
    monkeypatch.setattr("bench.audit.images.gather.PART", 5)
    rows = np.arange(len(manifest))[::-2].copy()
    rows.sort()
    facts = gather(manifest, rows, Description("file"), pool)
    assert facts["bytes"].to_pylist() == manifest.table["bytes"].take(rows).to_pylist()
    stream = io.BytesIO(
        (manifest.root / manifest.table["locator"][int(rows[0])].as_py()).read_bytes()
    )
    assert facts["width"][0].as_py() == Image.open(stream).width
