"""The command line as people and scripts meet it: data on stdout, talk on stderr, documented exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import subprocess
import sys

import pytest
import typer.main
from PIL import Image

from bench import registry
from bench.cli import main as entry
from bench.cli.examples import example_lines


def test_run_writes_a_board_and_prints_it(cli, tree, toy, tmp_path):
    code, out, err = cli("run", "-d", toy(), "--data", tree, "--suite", "smoke")
    assert code == 0
    assert out == (tmp_path / "runs" / "smoke" / "leaderboard.md").read_text()
    assert "48 images" in err
    for name in ("leaderboard.csv", "run.json", "manifest.parquet", "bad_images.csv"):
        assert (tmp_path / "runs" / "smoke" / name).is_file()
    code, out, _ = cli("board", "runs/smoke", "--format", "csv")
    assert code == 0
    assert out == (tmp_path / "runs" / "smoke" / "leaderboard.csv").read_text()
    code, out, _ = cli("board", "runs/smoke", "--json")
    assert code == 0
    assert json.loads(out)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "runs/smoke/leaderboard.csv").read_text())))
    wanted = (
        "detector,dataset,generator,domain,condition,seen,n_real,n_fake,threshold,accuracy,balanced_accuracy,"
        "precision,recall,f1,auc,ap,real_recall,fake_recall,accuracy_lo,accuracy_hi,auc_lo,auc_hi"
    )
    assert set(wanted.split(",")) <= set(rows[0])


def test_dry_run_scores_nothing_and_says_what_would_be_done(cli, tree, toy, tmp_path):
    args = (
        "run",
        "-d",
        toy(),
        "-d",
        "resnet34",
        "--data",
        tree,
        "--suite",
        "smoke",
        "--dry-run",
    )
    code, out, _ = cli(*args, "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["images"] == 48
    assert plan["cells"] == 6
    assert plan["forwards"] == 48 * 2  # jpeg and fgsm; the clean scores come with the gradient
    assert plan["gradients"] == 48
    assert "resnet34" in plan["missing_weights"]
    assert not (tmp_path / "runs").exists()
    assert plan["rates"]["Toy"] > 0
    assert not plan["given"]
    assert plan["device_hours"] > 0
    assert plan["cpu_hours"] > 0
    code, out, _ = cli(*args)
    assert "forward passes" in out


def test_a_given_rate_makes_the_hours(cli, tree, toy):
    args = ("run", "-d", toy(), "--data", tree, "--suite", "smoke", "--dry-run", "--json")
    one, two = (
        json.loads(cli(*args, "--rate", rate, "--threads", "2")[1]) for rate in ("90", "Toy=45")
    )
    # jpeg and fgsm forwards, a gradient as three: five passes an image.
    assert one["device_hours"] == pytest.approx(48 * 5 / 90 * 2 / 3600)
    assert two["device_hours"] == pytest.approx(2 * one["device_hours"])
    assert one["given"]
    for rate in ("0", "x", "Toy=-1", "nan"):
        code, _, err = cli(*args, "--rate", rate)
        assert (code, "forward passes a second" in err) == (2, True)
    code, _, err = cli(*args, "--rate", "Other=5")
    assert (code, "not among the detectors" in err) == (2, True)
    code, _, err = cli(*args[:-2], "--rate", "5")
    assert (code, "--dry-run" in err) == (2, True)


def test_profile_says_where_the_time_went(cli, tree, toy, tmp_path):
    args = ("run", "-d", toy(), "--data", tree, "--suite", "smoke", "--profile")
    code, out, err = cli(*args, "--out", tmp_path / "a")
    assert code == 0
    assert out == (tmp_path / "a" / "leaderboard.md").read_text()
    for word in (
        "decode",
        "corrupt",
        "fit",
        "attack",
        "forward",
        "store",
        "pure forward",
        "a second",
    ):
        assert word in err
    found = json.loads(cli(*args, "--out", tmp_path / "b", "--json")[1])
    assert found["profile"]["unit"] == "CPU"
    assert 0 < found["profile"]["forward_share"] < 1
    assert found["profile"]["stages"]["attack"] > 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["run"], 2, "no detector given"),
        (["run", "-d", "resnet5", "--data", "{tree}"], 2, "did you mean 'resnet50'"),
        (["run", "-d", "timm/resnet51", "--data", "{tree}"], 2, "timm knows no model"),
        (["run", "-d", "{toy}", "--suite", "corruption"], 2, "did you mean 'corruptions'"),
        (["run", "-d", "{toy}", "--data", "{tree}/nowhere"], 2, "nowhere"),
        (["run", "-d", "{toy}", "--data", "{empty}"], 5, "no image"),
        (["run", "-d", "{toy}", "-d", "{toy}", "--data", "{tree}"], 2, "given twice"),
        (["run", "-d", "{toy}", "--data", "{tree}", "--device", "gpu"], 2, "cpu or cuda:N"),
        (
            ["run", "-d", "{toy}", "--data", "{tree}", "--device", "cuda:7"],
            2,
            "--device cpu or auto",
        ),
        (["run", "-d", "{toy}", "--data", "{tree}", "--batch-size", "0"], 2, "--batch-size"),
        (["run", "-d", "{toy}", "--data", "{tree}", "--limit", "1"], 2, "--limit"),
        (["run", "-d", "{toy}", "--data", "{tree}", "--precision", "fp8"], 2, "fp32, bf16 or auto"),
        (["run", "-d", "{toy}", "--data", "{tree}", "--out", "{file}/x"], 2, "cannot write"),
        (["run", "-d", "{toy}", "--data", "{tree}", "--split", "test"], 0, ""),
        (["run", "-d", "{toy}", "--data", "{tree}", "--suite", "held-out-domain"], 5, "no domains"),
        (["run", "-d", "{toy}", "--data", "{tree}", "-w", "x=y.pth"], 2, "not among the detectors"),
        (["run", "-d", "resnet34", "--data", "{tree}"], 2, "--weights FILE"),
        (["run", "-d", "resnet34", "--data", "{tree}", "-w", "{file}"], 2, "--fake-logit"),
        (
            [
                "run",
                "-d",
                "resnet34",
                "--data",
                "{tree}",
                "-w",
                "{file}",
                "--fake-logit",
                "z",
            ],
            2,
            "weights",
        ),
        (["run", "-d", "nowhere.py:Toy", "--data", "{tree}"], 2, "no file at nowhere.py"),
        (["run", "-d", "{toy}y", "--data", "{tree}"], 2, "did you mean 'Toy'"),
        (["run", "-d", "{nocard}", "--data", "{tree}"], 2, "is not a detector"),
        (["run", "-d", "{raises}", "--data", "{tree}"], 12, "no such layer"),
        (["run", "--config", "nowhere.toml"], 2, "no configuration file"),
        (["board", "{tree}"], 2, "is not a run"),
        (["board", "{tree}", "--format", "pdf"], 2, "md, csv or json"),
        (["show", "resnet5"], 2, "did you mean 'resnet50'"),
        (["ls", "detectrs"], 2, "detectrs"),
        (["predict", "nowhere.png", "-d", "{toy}"], 2, "no image at nowhere.png"),
        (
            ["predict", "s3://bucket/x.png", "-d", "{toy}"],
            2,
            "s3:// is a URL: name files and folders",
        ),
        (["predict", "{file}", "-d", "hf:x", "--input", "crop(mean=half)"], 2, "it has no size"),
        (["predict", "{file}", "-d", "hf:x", "--input", "native(64)"], 2, "leave the size out"),
        (["predict", "{empty}", "-d", "{toy}"], 5, "no image in"),
        (["predict", "{file}", "{empty}", "-d", "{toy}"], 5, "no image in"),
        (["predict", "{file}", "-d", "{toy}"], 12, "could not be read"),
        (["data", "index", "{empty}"], 5, "no image"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_is_one_sentence_with_the_way_out(cli, tree, toy, tmp_path, args, code, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("not what it should be")
    places = {
        "tree": tree,
        "toy": toy(),
        "nocard": toy("NoCard"),
        "raises": toy("Raises"),
        "empty": tmp_path / "empty",
        "file": tmp_path / "file",
    }
    found, out, err = cli(*(arg.format(**places) for arg in args))
    assert found == code, err
    assert says in " ".join(err.split())
    assert "Traceback" not in err + out
    if code == 2:
        assert not list(tmp_path.glob("runs/*/leaderboard*"))


def test_config_file_under_environment_under_command_line(cli, tree, toy, tmp_path, monkeypatch):
    config = tmp_path / "run.toml"
    config.write_text(
        f'detector = "{toy()}"\ndata = "{tree}"\nsuite = "smoke"\nlimit = 8\nseed = 1\n'
    )
    args = ("run", "--config", config, "--dry-run", "--json")
    assert json.loads(cli(*args)[1])["images"] == 8
    monkeypatch.setenv("BENCH_LIMIT", "12")
    assert json.loads(cli(*args)[1])["images"] == 12
    assert json.loads(cli(*args, "--limit", "20")[1])["images"] == 20
    config.write_text("detectr = 'x'\n")
    code, _, err = cli(*args)
    assert code == 2
    assert "did you mean 'detector'" in err


def test_predict_scores_ones_own_images(cli, toy, tmp_path):
    Image.new("RGB", (50, 50), (200, 20, 20)).save(tmp_path / "red.png")
    Image.new("RGB", (50, 50), (20, 20, 200)).save(tmp_path / "[blue].webp", lossless=True)
    code, out, _ = cli("predict", "red.png", "[blue].webp", "-d", toy(), "--json")
    assert code == 0
    red, blue = json.loads(out)
    assert red["verdict"] == "AI-generated"
    assert red["logit"] == pytest.approx(40 * 180 / 255, rel=1e-5)
    assert blue["verdict"] == "real"
    code, out, _ = cli("predict", "red.png", "[blue].webp", "-d", toy())
    assert "[blue].webp" in out


NATIVE = """
import torch
from detectors import Detector, DetectorCard, InputSpec
class Native(Detector):
    card = DetectorCard(name="native", arch="native", input=InputSpec(size=None, fit="native"))
    def __init__(self): self.n = torch.nn.Conv2d(3, 1, 7)
    def logits(self, b): return self.n(b).mean((1, 2, 3))
"""


def test_one_image_on_which_a_detector_fails_leaves_the_others_alone(cli, tmp_path):
    (tmp_path / "own.py").write_text(NATIVE)
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64), (9, 9, 200)).save(tmp_path / name)
    code, out, _ = cli("predict", "a.png", "one.png", "b.png", "-d", "own.py:Native", "--json")
    assert code == 12
    a, one, b = json.loads(out)
    assert a["logit"] == b["logit"] is not None
    assert one["logit"] is None
    assert "RuntimeError" in one["reason"]
    code, _, err = cli("predict", "one.png", "-d", "own.py:Native")
    assert code == 2
    assert "internal" not in err


def test_one_of_two_sets_of_weights_is_named_after_the_file(cli, tmp_path, tree):
    import torch

    from detectors.architectures.genimage_cnn import DETECTORS

    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append(DETECTORS["genimage-cnn"].build(2).state_dict())
    torch.save({"state_dict": states[0], "state_dict_ema": states[1]}, tmp_path / "both.pth")
    Image.new("RGB", (64, 64), (200, 20, 20)).save(tmp_path / "red.png")
    command = ("predict", "red.png", "-d", "genimage-cnn", "--fake-logit", "z1-z0", "--json", "-w")
    code, _, err = cli(*command, "both.pth")
    assert code == 2
    assert "'state_dict' and 'state_dict_ema'" in err
    logits = {}
    for part, state in zip(("state_dict", "state_dict_ema"), states, strict=True):
        torch.save(state, tmp_path / "alone.pth")
        (alone,) = json.loads(cli(*command, "alone.pth")[1])
        (chosen,) = json.loads(cli(*command, f"both.pth::{part}")[1])
        assert chosen["logit"] == alone["logit"]
        logits[part] = chosen["logit"]
    assert len(set(logits.values())) == 2
    code, _, err = cli(
        "run", "-d", "genimage-cnn", "-w", "both.pth::state_dict_ema", "--fake-logit", "z1-z0",
        "--data", tree, "--suite", "smoke", "--limit", "8", "--out", "r", "--device", "cpu",
    )  # fmt: skip
    assert code == 0, err
    assert "state_dict_ema" in (tmp_path / "r" / "run.json").read_text()


def test_data_index_says_what_it_recognised(cli, tree):
    code, out, _ = cli("data", "index", tree)
    assert code == 0
    assert "recognised" in out
    assert "alpha" in out
    found = json.loads(cli("data", "index", tree, "--json")[1])
    assert found["images"] == 48
    assert set(found["pairing"]) == {"alpha", "beta"}


@pytest.mark.parametrize(
    "kind",
    ["detectors", "suites", "corruptions", "attacks", "certificates", "layouts", "datasets"],
)
def test_everything_listed_can_be_shown(cli, kind):
    code, out, _ = cli("ls", kind, "--json")
    assert code == 0
    rows = json.loads(out)
    assert rows
    for row in rows:
        if "<" in row["name"] or ":" in row["name"]:
            continue
        code, out, err = cli("show", row["name"], "--json")
        assert code == 0, err
        assert json.loads(out)
    assert rows[0]["name"] in cli("ls", kind)[1]


def test_doctor_finds_the_five_packages_here(cli, monkeypatch, tmp_path):
    code, out, err = cli("doctor", "--json")
    facts = json.loads(out)["facts"]
    assert "torch" in facts
    assert "cuda devices" in facts
    for name in ("bench", "detectors", "attacks", "corruptions", "leaderboards"):
        assert facts[f"package {name}"].endswith(name)
    assert code == 0, err


def test_doctor_notices_a_package_that_hides_ours(tmp_path):
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks" / "__init__.py").write_text("")
    code = "import sys; sys.argv = ['bench', 'doctor']; from bench.cli.main import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "package 'attacks' comes from" in found.stderr


@pytest.mark.parametrize(
    "command", ["run", "board", "ls", "show", "predict", "doctor", "data index"]
)
def test_every_command_has_help_with_an_example(cli, command):
    code, out, _ = cli(*command.split(), "--help")
    assert code == 0
    assert f"Examples: bench {command.split()[0]}" in " ".join(out.split())


def test_help_and_import_need_no_torch():
    code = (
        "import sys; sys.argv = ['bench', '--help']\n"
        "import bench\n"
        "from bench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'pandas', 'numpy', 'sklearn', 'PIL', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout


def test_rebuilding_a_board_needs_no_torch(cli, tree, toy):
    cli("run", "-d", toy(), "--data", tree, "--suite", "cross-generator", "-o", "r")
    code = (
        "import sys; sys.argv = ['bench', 'board', 'r']\n"
        "from bench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Leaderboard")


def test_show_draws_the_severities_of_a_corruption(cli, tmp_path):
    code, out, err = cli("show", "jpeg", "--sheet", "jpeg.png")
    assert code == 0
    assert "quality" in out
    assert "jpeg(quality=30)" in err
    with Image.open(tmp_path / "jpeg.png") as sheet:
        assert sheet.size[0] > 5 * sheet.size[1] - 100
    code, _, err = cli("show", "jpeg", "--sheet", "jpeg.gif")
    assert code != 0
    assert "ends in .png" in err
    code, _, err = cli("show", "pgd", "--sheet", "pgd.png")
    assert code != 0
    assert "no corruption called 'pgd'" in err


def test_show_lists_what_platforms_rest_on(cli):
    code, out, _ = cli("show", "upload", "--json")
    assert code == 0
    rows = {row["platform"]: row for row in json.loads(out)["table"]}
    assert rows["whatsapp"]["sourced"] == "nothing"
    assert "1280 px" in rows["telegram"]["chain"]


def test_a_run_with_strengths_writes_curves_and_what_the_protocol_assumes(cli, tree, toy, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'name = "mine"\nsource = "a paper"\nexact = ["the numbers"]\nassumed = ["the order"]\n'
        'slices = ["generator"]\n'
        'conditions = ["jpeg(quality=90)", "jpeg(quality=30)", "upload(platform=reddit)", "fgsm"]\n'
    )
    code, out, _ = cli("run", "-d", toy(), "--data", tree, "--suite", suite, "-o", "r")
    assert code == 0
    for text in (
        "Protocol after: a paper",
        "Exact: the numbers",
        "Assumed: the order",
        "WebP quality 75",
    ):
        assert text in out
    assert "## Severity: drop of AUC by strength" in out
    curve = list(csv.DictReader((tmp_path / "r" / "severity.csv").open()))
    assert {row["family"] for row in curve} == {"jpeg"}
    assert {row["strength"] for row in curve} == {"0", "1", "2"}
    assert cli("board", "r")[1] == out


ROOT_COMMAND = typer.main.get_command(entry.app)


def commands(group=ROOT_COMMAND, path=("bench",)):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = {" ".join(path): command for path, command in commands()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_page_ends_with_three_examples_of_its_command(cli, name):
    code, out, _ = cli(*name.split()[1:], "--help")
    assert code == 0
    lines = [line.strip() for line in out.rstrip().splitlines()[-4:]]
    assert lines[0] == "Examples:"
    assert lines[1:] == example_lines(COMMANDS[name].epilog), "an example is wrapped or missing"
    assert len(set(lines)) == 4
    assert all(
        line.startswith(f"{name} ") or line == name for line in lines[1:] if "&&" not in line
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_parses(name, tmp_path, monkeypatch):
    """Unknown options, missing arguments and values of the wrong type are all errors of parsing."""
    monkeypatch.chdir(tmp_path)
    for example in example_lines(COMMANDS[name].epilog):
        for line in example.split("&&"):
            words = shlex.split(re.split(r"[>|]", line)[0])
            path = next(p for p in (" ".join(words[:3]), " ".join(words[:2])) if p in COMMANDS)
            arguments = words[len(path.split()) :]
            with COMMANDS[path].make_context(path, arguments) as context:
                typed = {word.split("=")[0] for word in arguments if re.match(r"--?[a-z]", word)}
                known = {flag for parameter in context.command.params for flag in parameter.opts}
                assert typed <= known


DRY = ("run", "-d", "{toy}", "--data", "{tree}", "--suite", "smoke", "--dry-run")
RUN = ("run", "-d", "{toy}", "--data", "{tree}", "--suite", "smoke")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((*DRY, "--profile"), "--profile has no effect beside --dry-run"),
        (
            (*DRY, "--save-adversarial", "2", "x"),
            "--save-adversarial has no effect beside --dry-run",
        ),
        ((*DRY, "--cluster", "local:2"), "--cluster has no effect beside --dry-run"),
        ((*RUN, "--rate", "90"), "--rate has no effect without --dry-run"),
        ((*RUN, "--tls-ca", "ca.pem"), "--tls-ca has no effect without --cluster"),
        ((*RUN, "--tls-cert", "c.pem"), "--tls-cert has no effect without --cluster"),
        ((*RUN, "--tls-key", "k.pem"), "--tls-key has no effect without --cluster"),
        (
            (*RUN, "--cluster", "local:2", "--threads", "4"),
            "--threads has no effect beside --cluster",
        ),
        ((*RUN, "--cluster", "local:2", "--profile"), "--profile has no effect beside --cluster"),
        (("board", "x", "--table", "training", "--write"), "--write has no effect beside --table"),
        (
            ("board", "x", "--format", "csv", "--json"),
            "--format csv and --json contradict each other",
        ),
        (("gate", "x", "-b", "y", "-f", "md", "--json"), "--format md and --json contradict"),
        (("export", "x", "-f", "csv", "--metric", "auc"), "--metric has no effect on --format csv"),
        (
            ("export", "x", "-f", "md", "--detector", "vit"),
            "--detector has no effect on --format md",
        ),
        (("export", "x", "-f", "json", "--dataset-id", "a/b"), "--dataset-id has no effect"),
        (("export", "x", "-f", "latex", "--out", "y"), "--out has no effect on --format latex"),
        (
            ("train", "-d", "vit", "--data", "{tree}", "--devices", "2", "--device", "cuda:0"),
            "--devices 2 has no effect beside --device cuda:0",
        ),
    ],
)
def test_an_option_that_has_no_effect_is_an_error_that_says_why(
    cli, tree, toy, tmp_path, args, says
):
    code, out, err = cli(*(arg.format(tree=tree, toy=toy()) for arg in args))
    assert code == 2
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1
    assert not out
    assert not (tmp_path / "runs").exists()


def test_what_environment_and_file_set_may_go_unused(cli, tree, toy, tmp_path, monkeypatch):
    """They are standing defaults for many commands; only what is typed is meant for this one."""
    monkeypatch.setenv("BENCH_TLS_CA", "ca.pem")
    config = tmp_path / "run.toml"
    config.write_text(f'detector = "{toy()}"\ndata = "{tree}"\nsuite = "smoke"\nprofile = true\n')
    code, out, _ = cli("run", "--config", config, "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["images"] == 48


def test_adversarial_images_that_cannot_be_drawn_are_refused_before_the_run(
    cli, tree, toy, tmp_path
):
    args = ("run", "-d", toy(), "--data", tree, "--out", tmp_path / "r", "--save-adversarial")
    for suite, count, says in (
        ("cross-generator", 2, "holds no attack"),
        ("smoke", 0, "at least 1"),
    ):
        code, _, err = cli(*args, count, tmp_path / "png", "--suite", suite)
        assert (code, says in err) == (2, True)
        assert not (tmp_path / "r").exists()


def test_detectors_are_listed_without_torch():
    code = (
        "import sys\nfrom bench.cli.main import app\n"
        "try:\n    app(['ls', 'detectors', '--json'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'timm', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    listing, heavy = done.stdout.rsplit("\n[", 1)[0], done.stdout.strip().splitlines()[-1]
    assert heavy == "[]"
    by_name = {row["name"]: row for row in json.loads(listing)}
    for name, detector in registry.detectors().items():
        assert by_name[name]["summary"] == detector.summary
    assert {"timm/<model>", "path/to/file.py:Name", "<file>.safetensors"} <= by_name.keys()


@pytest.mark.parametrize(
    "args",
    [
        ["run", "-d", "genimage-cnn", "--suite", "smoke", "--suite", "full"],
        ["run", "-d", "genimage-cnn", "-s", "smoke", "--suite=full"],
        ["run", "-d", "genimage-cnn", "--seed", "1", "--seed", "2", "--dry-run"],
        ["predict", "x.png", "-d", "resnet50", "--detector", "vit"],
        ["data", "index", "x", "--layout", "auto", "--layout", "generic"],
    ],
)
def test_an_option_of_one_value_given_twice_is_an_error(cli, args):
    code, _, err = cli(*args)
    assert code == 2
    assert "is given 2 times and takes one value" in err


def test_options_that_may_be_repeated_still_may(cli, tree):
    code, out, _ = cli("run", "-d", "genimage-cnn", "--detector", "genimage-cnn.vae", "--data", tree,
                       "--suite", "smoke", "--dry-run", "--rate", "100", "--json")  # fmt: skip
    assert code == 0
    assert json.loads(out)["cells"]
