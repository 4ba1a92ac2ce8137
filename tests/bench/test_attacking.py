"""The engine under attack: shared gradients keep their bits, surrogates count, probes tell."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import bench
from attacks.fgsm import FGSM
from attacks.mifgsm import MIFGSM
from bench.datasets import index, load
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.protocol.condition import parse
from bench.protocol.suite import Suite
from bench.protocol.surrogates import each_surrogate
from bench.scoring.logit_functions import Remembered
from bench.store.rundir import RunDir
from bench.store.shards import Store
from corruptions.jpeg import Jpeg

NET = '''
import torch
from detectors import Detector, DetectorCard, InputSpec

class Net(Detector):
    """A small convolutional net with fixed random weights."""

    card = DetectorCard(name="net", arch="net", fake_logit="z", input=InputSpec(size=32, fit="crop"))
    seed = 0

    def __init__(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.net = torch.nn.Sequential(
                torch.nn.Conv2d(3, 8, 5, padding=2), torch.nn.BatchNorm2d(8), torch.nn.SiLU(),
                torch.nn.Conv2d(8, 16, 3, stride=2), torch.nn.SiLU(),
                torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 1),
            )

    def logits(self, batch):
        return 5 * self.net(batch).squeeze(1)

class Other(Net):
    card = DetectorCard(name="other", arch="net", fake_logit="z", input=InputSpec(size=24, fit="crop"))
    seed = 1

class Dead(Net):
    def logits(self, batch):
        return super().logits((batch * 255).round() / 255)
'''


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(textwrap.dedent(NET))
    return lambda name="Net": f"{path}:{name}"


def shards(run):
    """(detector, condition) -> stored columns, in order."""
    folder = RunDir(run.folder)
    store = Store(folder.store(folder.spec()))
    found: dict = {}
    for unit in folder.units().to_pylist():
        part = store.read(unit["fingerprint"]).to_pylist()
        found.setdefault((unit["detector"], unit["condition"]), []).extend(part)
    return found


def suite(*conditions):
    return Suite(name="mini", slices=["generator"], conditions=list(conditions))


FAMILY = [f"fgsm(eps={k}/255)" for k in (1, 2, 4, 8)]


@pytest.mark.parametrize("batch_size", [5, 32])
@pytest.mark.parametrize("options", ["", ",loss=ce", ",goal=evade", ",quantize=false"])
def test_a_family_scored_together_has_the_bits_of_each_scored_apart(
    tree, net, tmp_path, batch_size, options
):
    conditions = [text.replace(")", options + ")") for text in FAMILY]
    common = {"data": tree, "batch_size": batch_size}
    whole = bench.run(net(), suite=suite("clean", *conditions), out=tmp_path / "all", **common)
    together = shards(whole)
    assert len(together) == 5
    for number, text in enumerate(["clean", *conditions]):
        alone = bench.run(net(), suite=suite(text), out=tmp_path / str(number), **common)
        condition = str(parse(text))
        assert shards(alone)["Net", condition] == together["Net", condition]


def test_a_family_takes_one_gradient_and_no_forward_pass_for_the_clean_scores(
    tree, net, tmp_path, monkeypatch
):
    calls = {"forward": 0, "backward": 0}
    real = torch.autograd.grad

    def counted(outputs, *args, **kwargs):
        calls["backward"] += outputs.numel() == 32
        return real(outputs, *args, **kwargs)

    from detectors.base import Detector

    shaped = Detector.shaped

    def forward(self, logits, batch):
        calls["forward"] += 1
        return shaped(self, logits, batch)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    monkeypatch.setattr(Detector, "shaped", forward)
    monkeypatch.setattr("bench.scoring.attacking.probe", lambda *args: None)
    bench.run(net(), suite=suite("clean", *FAMILY), data=tree, out=tmp_path / "out", batch_size=32)
    # 48 images are two batches: one gradient each, then four scored conditions each.
    # Somebody else's code is asked six times more, to see what it is and whether it answers steadily.
    assert calls == {"forward": 2 + 4 * 2 + 6, "backward": 2}


def test_memory_answers_only_the_very_same_question():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 1))
    asked = []

    def logits(images):
        asked.append(len(images))
        return net(images).squeeze(1)

    memory = Remembered(logits)
    canvas = (
        torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    ).round() / 255
    labels = torch.arange(6) % 2
    for attack in (FGSM(), FGSM(eps=2 / 255), FGSM(loss="ce"), MIFGSM(steps=3), FGSM(goal="frame")):
        ours = attack(memory, canvas, labels, range(6), 0.1)
        theirs = attack(logits, canvas, labels, range(6), 0.1)
        assert torch.equal(ours.adversarial, theirs.adversarial)
        assert ours.grad_zero == theirs.grad_zero or np.isnan(ours.grad_zero)


def test_transfer_takes_the_surrogates_gradient_and_its_identity_counts(tree, net, tmp_path):
    conditions = ["clean", "pgd(eps=4/255)", "transfer(surrogate=each,eps=4/255)"]
    names = [net(), net("Other")]
    run = bench.run(names, suite=suite(*conditions), data=tree, out=tmp_path / "out")
    found = shards(run)
    assert {condition for _, condition in found} == {
        "clean", "pgd(eps=4/255)", "transfer(eps=4/255,surrogate=Net)",
        "transfer(eps=4/255,surrogate=Other)",
    }  # fmt: skip
    labels = RunDir(run.folder).manifest().column("label").to_numpy()

    def harm(detector, condition):
        before, after = (
            np.array([row["logit"] for row in found[detector, name]])
            for name in ("clean", condition)
        )
        return float(np.mean((after - before) * (1 - 2 * labels)))

    for target in ("Net", "Other"):
        own = harm(target, f"transfer(eps=4/255,surrogate={target})")
        other = {"Net": "Other", "Other": "Net"}[target]
        assert own > max(0, harm(target, f"transfer(eps=4/255,surrogate={other})"))
    prints = {
        (u["detector"], u["condition"]): u["fingerprint"]
        for u in RunDir(run.folder).units().to_pylist()
    }
    # Other weights of the surrogate under the same name: the target's shard no longer counts.
    path = tmp_path / "net.py"
    path.write_text(path.read_text().replace("seed = 1", "seed = 2"))
    again = bench.run(names, suite=suite(*conditions), data=tree, out=tmp_path / "out2")
    after = {
        (u["detector"], u["condition"]): u["fingerprint"]
        for u in RunDir(again.folder).units().to_pylist()
    }
    key = ("Net", "transfer(eps=4/255,surrogate=Other)")
    assert after[key] != prints[key]


def test_surrogates_are_written_out_and_unknown_ones_are_refused_before_any_work(
    tree, net, tmp_path
):
    spelled = [str(c) for c in each_surrogate([parse("clean"), parse("transfer")], ["a", "b"])]
    assert (
        spelled == ["clean", "transfer(surrogate=a)", "transfer(surrogate=b)"] or len(spelled) == 3
    )
    with pytest.raises(BenchError, match=r"no detector called 'resnet5'.*resnet50"):
        bench.run(
            net(), suite=suite("transfer(surrogate=resnet5)"), data=tree, out=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


THIRD = """
class Third(Net):
    card = DetectorCard(name="third", arch="net", fake_logit="z", input=InputSpec(size=32, fit="crop"))
    seed = 7
"""


def test_an_ensemble_climbs_the_mean_logit_of_all_but_the_target(tree, net, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(path.read_text() + THIRD)
    text = "transfer(eps=4/255,surrogate=others,method=fgsm)"
    chosen = suite("clean", text, f"{text}+jpeg(quality=50)")
    names = [net(), net("Other"), net("Third")]
    run = bench.run(names, suite=chosen, data=tree, out=tmp_path / "out", exact=True)
    found = shards(run)
    manifest = index(tree)
    records = list(manifest.records(range(len(manifest))))
    assert [r.sample_id for r in records] == [row["sample_id"] for row in found["Net", "clean"]]
    detectors = {
        n.split(":")[1]: resolve(DetectorRequest(n)).to(torch.device("cpu")) for n in names
    }
    target, others = detectors["Net"], [detectors["Other"], detectors["Third"]]
    pictures = np.stack([target.fit(load(tree, record)) for record in records])
    images = (torch.from_numpy(pictures).float() / 255).requires_grad_()
    small = F.interpolate(images, (24, 24), mode="bilinear", antialias=True)
    mean = (others[0].logits(small) + others[1].logits(images)) / 2
    (gradient,) = torch.autograd.grad(mean.sum(), images)
    away = torch.tensor([1 - 2 * record.label for record in records]).reshape(-1, 1, 1, 1)
    moved = (images + 4 / 255 * away * gradient.sign()).clamp(0, 1).mul(255).round().byte()
    delivered = np.stack([Jpeg(quality=50)(p.permute(1, 2, 0).numpy(), None) for p in moved])
    for name, batch in ((text, moved), (f"{text}+jpeg(quality=50)", _planes(delivered))):
        with torch.no_grad():
            expected = target.logits(batch.float() / 255)
        stored = [row["logit"] for row in found["Net", str(parse(name))]]
        assert np.allclose(stored, expected.numpy(), atol=1e-4)
    # A target's own weights are in no ensemble that is held against it.
    table = run.board.transfer_matrix()
    assert list(table["surrogate"]) == ["others", "others"]
    assert set(detectors) <= set(table.columns)


def _planes(pictures):
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def test_an_ensemble_of_nobody_is_refused(tree, net, tmp_path):
    with pytest.raises(BenchError, match="others are the other detectors of the run"):
        bench.run(net(), suite=suite("transfer(surrogate=others)"), data=tree, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_probes_are_stored_for_a_few_images(tree, toy, tmp_path):
    run = bench.run(
        toy(), suite=suite("clean", "pgd(eps=4/255)", "fgsm(eps=4/255)"), data=tree,
        out=tmp_path / "out",
    )  # fmt: skip
    found = shards(run)
    pgd = found["Toy", "pgd(eps=4/255)"]
    probed = [row for row in pgd if row["unbounded"] is not None]
    assert len(probed) == 8
    assert all(row["unbounded"] == 1 for row in probed)
    assert all(abs(row["unrounded"] - row["logit"]) < 0.5 for row in probed)
    assert all(row["grad_zero"] == pytest.approx(1 / 3) for row in pgd)
    assert all(row["unbounded"] is None for row in found["Toy", "fgsm(eps=4/255)"])
    assert all(row["grad_zero"] is None for row in found["Toy", "clean"])


def test_square_scores_where_the_gradient_is_of_no_use(tree, net, tmp_path):
    run = bench.run(
        net("Dead"), suite=suite("clean", "pgd(eps=8/255)", "square(eps=8/255,queries=30)"),
        data=tree, out=tmp_path / "out",
    )  # fmt: skip
    status = run.board.rows.set_index("condition")["status"]
    assert set(status["pgd(eps=8/255)"]) == {"not attackable"}
    assert set(status["square(eps=8/255,queries=30)"]) == {"ok"}
    reason = run.board.failures()["reason"].iloc[0]
    assert "rounding" in reason
    assert "square(eps=8/255,queries=30) needs none, see there" in reason
    assert "black-box" in run.board.to_markdown()


def test_an_attack_that_a_blind_one_beats_is_marked_and_shows_no_number(tree, net, tmp_path):
    """Nearly all gradient hidden: PGD moves one pixel, random squares move them all."""
    path = tmp_path / "net.py"
    masked = """

class Masked(Net):
    def logits(self, batch):
        seen = batch.clone().detach()
        seen[:, :, :1, :1] = batch[:, :, :1, :1]
        z = 60 * (seen[:, 0].mean((1, 2)) - seen[:, 2].mean((1, 2)))
        return z
"""
    path.write_text(path.read_text() + masked)
    run = bench.run(
        net("Masked"), suite=suite("clean", "pgd(eps=8/255)", "square(eps=8/255,queries=60)"),
        data=tree, out=tmp_path / "out",
    )  # fmt: skip
    rows = run.board.rows[run.board.rows["condition"] == "pgd(eps=8/255)"]
    assert set(rows["status"]) == {"attack unreliable"}
    reason = rows["reason"].iloc[0]
    assert "gradient: finite, 0." in reason
    assert "at least as strong as without the gradient" in reason
    assert rows["accuracy"].isna().all()
    assert "**failed**" in run.board.to_markdown()


@pytest.mark.parametrize("after", ["jpeg(quality=40)", "noise(sigma=0.1)"])
def test_an_attack_that_knows_what_follows_survives_it(tree, net, tmp_path, after):
    text = "pgd(eps=8/255{})+" + after
    plain, aware = (text.format(x) for x in ("", ",samples=2,aware=true"))
    common = {"data": tree, "suite": suite("clean", after, plain, aware)}
    run = bench.run(net(), out=tmp_path / "out", **common)
    found = shards(run)
    labels = RunDir(run.folder).manifest().column("label").to_numpy()

    def harm(text):
        logits = np.array([row["logit"] for row in found["Net", str(parse(text))]])
        return float(np.mean(logits * (1 - 2 * labels)))

    assert min(harm(aware), harm(plain)) > harm(after)
    if "jpeg" in after:  # noise of its own leaves the direction as it is
        assert harm(aware) > harm(plain)
    assert {row["steps"] for row in found["Net", str(parse(aware))]} == {20}
    other = shards(bench.run(net(), out=tmp_path / "other", batch_size=5, **common))
    for one, two in zip(
        found["Net", str(parse(aware))], other["Net", str(parse(aware))], strict=True
    ):
        assert one["logit"] == pytest.approx(two["logit"], abs=0.05)


def test_aware_of_nothing_is_refused():
    with pytest.raises(BenchError, match="no corruption follows"):
        parse("pgd(aware=true)")
