"""Write the GPU section of performance.md and the cost table of cluster.md from ``gpu.json``.

The tables of performance.md about millions of images are what ``bench plan --simulate`` gives.

Usage: ``python docs/generate_performance.py [--check]``. ``gpu.json`` is what
``python -m tests.benchmarks.gpu --out docs/gpu.json`` wrote, on a GPU or, where there was none, on a CPU.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.runs.scale.counts import Load
from bench.runs.scale.rates import rates_of
from bench.runs.scale.simulation import Worker, scenario
from bench.runs.scale.tables import markdown, rates_markdown

DOCS = Path(__file__).parent
SOURCE = DOCS / "gpu.json"
NO_GPU = "no GPU yet"
FASTEST = 8000  # images a second: what an H100-class card may do with a network of ResNet-50's size
RUN_MODE = "fp32, folded and channels last"  # what `bench run` does unless told otherwise

GENIMAGE = 2_600_000
CONDITIONS = 13
MACHINES = (
    ("1 GPU, 16 cores", 1, 16),
    ("8 GPUs, 128 cores", 8, 128),
    ("no GPU, 128 cores", 0, 128),
)
SCALE_IMAGES = (GENIMAGE, 100_000_000)
SCALE_WORKERS = (1, 10, 100, 1000)

Record = Mapping[str, Any]


def figures(record: Record, question: str) -> Mapping[str, Any]:
    """The figures of a question; empty where it was not asked."""
    answer = record["questions"].get(question, {})
    found: Mapping[str, Any] = answer.get("figures", {})
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(str(value) for value in row) + " |" for row in rows)]


def on_gpu(record: Record) -> bool:
    """Whether the figures are a GPU's."""
    device = record["device"]
    return device is not None and device["type"] == "cuda"


def networks(record: Record) -> dict[str, Mapping[str, Any]]:
    """Rates of the networks alone, by name."""
    found = figures(record, "forward")
    return {name: modes for name, modes in found.items() if isinstance(modes, Mapping)}


# ---- performance.md


def gpu_section(record: Record) -> Iterator[str]:
    """All that was asked."""
    device = record["device"]
    made = f"torch {record['releases']['torch']}, {record['date']}"
    if on_gpu(record):
        yield f"{device['name']}, driver {device.get('driver', 'unknown')}, {record['cores']} cores; {made}."
    else:
        yield (
            f"**{NO_GPU[0].upper()}{NO_GPU[1:]}.** No line of the CUDA path has been run. The figures "
            f"below are those of the small form (`--device cpu`) on {record['cores']} cores of "
            f"{device['name']}, beside other programs (load {record['load'][0]}); {made}. "
            "They show that the questions can be asked."
        )
    rows = [
        (name, answer["asks"], answer["status"], answer["reason"], answer["seconds"])
        for name, answer in record["questions"].items()
    ]
    yield ""
    yield from table(("question", "asks", "answer", "why not", "seconds"), rows)
    for part in (alone, budget, agreement, repetition, whole, gradients):
        lines = list(part(record))
        if lines:
            yield ""
            yield from lines


def alone(record: Record) -> Iterator[str]:
    """Networks alone."""
    found = networks(record)
    modes = list(dict.fromkeys(mode for rates in found.values() for mode in rates))
    if found:
        where = "of the GPU" if on_gpu(record) else "of one CPU core, batches of 2"
        yield f"Images a second {where}, networks alone at 224 px:"
        yield ""
        rows = [[name, *(rates.get(mode, "-") for mode in modes)] for name, rates in found.items()]
        yield from table(("network", *modes), rows)


def core_milliseconds(record: Record, column: str = "ms of a core") -> float:
    """Milliseconds that one image under one average condition takes before the network."""
    stages = figures(record, "lock").get("stages", {})
    return sum(stage["times a condition"] * stage[column] for stage in stages.values())


def budget(record: Record) -> Iterator[str]:
    """Python under the lock, per image and condition."""
    lock = figures(record, "lock")
    if not lock:
        return
    yield (
        "Milliseconds for one 500 x 375 JPEG under one condition of `corruptions` (there are 13, and the "
        "image is decoded once for all), and those under Python's lock:"
    )
    yield ""
    columns = ("times a condition", "ms of a core", "ms under the lock")
    rows = [
        (name, *(f"{stage[column]:.3f}" for column in columns))
        for name, stage in lock["stages"].items()
    ]
    core, held = core_milliseconds(record), core_milliseconds(record, "ms under the lock")
    rows.append(("**a condition**", "", f"**{core:.3f}**", f"**{held:.3f}**"))
    yield from table(("stage", *columns), rows)
    yield ""
    batch = 128
    handed = {
        name.removeprefix("timm/"): each["ms"] / batch
        for name, each in lock["handing over a batch"].items()
    }
    named = ", ".join(f"{name} {1e3 * ms:.0f} µs" for name, ms in handed.items())
    yield (
        f"Handing a network's operations to the device, in batches of {batch}: {named} an image"
        + ("." if on_gpu(record) else ", computed from the operators and what one costs here.")
    )
    most = held + max(handed.values())
    yield (
        f"So one process makes at most 1,000 / {most:.3f} = {1e3 / most:,.0f} scores a second, however "
        f"many cores it has; {FASTEST:,} a second need {FASTEST * core / 1e3:.0f} cores, and 16 cores "
        f"feed {16e3 / core:,.0f}: "
        + ("the cores run out first." if 16e3 / core < 1e3 / most else "the lock runs out first.")
    )


def agreement(record: Record) -> Iterator[str]:
    """The GPU beside the CPU."""
    found = {k: v for k, v in figures(record, "agreement").items() if k not in ("tf32", "seconds")}
    if not on_gpu(record) or not found:
        return
    yield "The GPU's scores beside the CPU's (TF32 off):"
    yield ""
    rows = []
    for name, conditions in found.items():
        for condition, line in conditions.items():
            logit, auc = line["largest logit difference"], line["auc difference"]
            differ = line.get("successes that differ", line.get("verdicts that differ"))
            rows.append((name, condition, line["n"], f"{logit:.2g}", f"{auc:.2g}", differ))
    yield from table(
        (
            "detector",
            "condition",
            "n",
            "largest logit difference",
            "AUC difference",
            "verdicts (or successes) that differ",
        ),
        rows,
    )


def repetition(record: Record) -> Iterator[str]:
    """Bytes of the same command twice."""
    found = figures(record, "repetition")
    if not on_gpu(record) or not found:
        return
    plain = found["as a run is"]
    blame = ", ".join(found.get("operations to blame", [])) or "none"
    yield (
        f"The same command twice: {'equal' if plain['boards equal'] else 'different'} boards, "
        f"{len(plain['cells that differ'])} of {plain['cells']} cells with other bits; operations that "
        f"torch calls not deterministic: {blame}."
    )


def whole(record: Record) -> Iterator[str]:
    """A whole run beside the network."""
    found = {k: v for k, v in figures(record, "whole_run").items() if isinstance(v, Mapping)}
    if not on_gpu(record) or not found:
        return
    yield "A whole run of `corruptions` from JPEG files of 500 x 375:"
    yield ""
    rows = [
        (name, line["scores a second"], networks(record).get(name, {}).get(RUN_MODE, "-"),
         line["share of the device"], line["share of the cores"], line["held by"])
        for name, line in found.items()
    ]  # fmt: skip
    yield from table(
        ("network", "scores a second", "network alone", "device busy", "cores busy", "held by"),
        rows,
    )


def gradients(record: Record) -> Iterator[str]:
    """Attacks beside torchattacks."""
    found = {k: v for k, v in figures(record, "gradients").items() if isinstance(v, Mapping)}
    if found:
        yield "Gradients a second, bench and torchattacks on the same device:"
        yield ""
        rows = [
            (name, attack, sides.get("bench", "-"), sides.get("torchattacks", "-"))
            for name, attacks in found.items()
            for attack, sides in attacks.items()
        ]
        yield from table(("network", "attack", "bench", "torchattacks"), rows)


# ---- cluster.md


def cost_section(record: Record) -> Iterator[str]:
    """Hours for the whole of GenImage, with the formula."""
    rates = {
        name.removeprefix("timm/"): float(modes[RUN_MODE])
        for name, modes in networks(record).items()
        if isinstance(modes.get(RUN_MODE), int | float)
    }
    core = core_milliseconds(record) / 1e3
    scores = GENIMAGE * CONDITIONS
    yield (
        f"N = {GENIMAGE:,} images, C = {CONDITIONS} conditions (`corruptions`), {len(rates)} detectors d "
        f"at r_d images a second each; c = {1e3 * core:.2f} ms of a core to decode, corrupt and fit one "
        "image under one condition, once for all detectors of one geometry. With G GPUs and K cores:"
    )
    yield ""
    yield "    device hours = N C (1/r_1 + 1/r_2 + ...) / 3600"
    yield "    core hours   = N C c / 3600"
    yield "    clock hours  = the larger of device hours / G and core hours / K; without a GPU their sum / K"
    yield ""
    kind = "GPU" if on_gpu(record) else "one core"
    named = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
    yield f"Rates measured ({kind}, fp32): {named}. Core hours: {scores * core / 3600:,.0f}."
    yield ""
    device = scores * sum(1 / rate for rate in rates.values()) / 3600
    rows = [
        (name, *hours(record, device, scores * core / 3600, gpus, cores))
        for name, gpus, cores in MACHINES
    ]
    yield from table(("machine", "device hours", "clock hours", "held by"), rows)


def hours(
    record: Record, device: float, core: float, gpus: int, cores: int
) -> tuple[str, str, str]:
    """Device hours, clock hours and what holds them, for a machine."""
    if gpus == 0 and not on_gpu(record):
        return f"{device:,.0f} of a core", f"{(device + core) / cores:,.1f}", "cores"
    if gpus == 0:
        return "-", "-", "not measured on this machine"
    if not on_gpu(record):
        return NO_GPU, f"at least {core / cores:,.1f}", "cores, if the GPU is quicker"
    clock = max(device / gpus, core / cores)
    return f"{device:,.1f}", f"{clock:,.1f}", "GPUs" if device / gpus >= core / cores else "cores"


# ---- performance.md, from the plan's own figures


def scale_section() -> Iterator[str]:
    """What `bench plan --simulate` says of many images on many GPUs."""
    rates = rates_of({}, 3, gpu=True, cores=16, figures={})
    scenarios = [
        scenario(Load(images, 3, CONDITIONS, workers=workers), Worker(), rates, simulate=True)
        for images in SCALE_IMAGES
        for workers in SCALE_WORKERS
    ]
    yield from markdown(scenarios).splitlines()
    yield ""
    yield "The rates behind it:"
    yield ""
    yield from rates_markdown(rates).splitlines()


# ---- both


def replaced(page: str, name: str, lines: Iterator[str]) -> str:
    """The page with the lines between its marks.

    Raises:
        ValueError: The marks are not there.
    """
    begin, end = (
        f"<!-- {name}: generated by docs/generate_performance.py -->\n",
        f"<!-- end of {name} -->",
    )
    before, mark, rest = page.partition(begin)
    _, closing, after = rest.partition(end)
    if not (mark and closing):
        raise ValueError(f"no marks for {name}")
    return before + begin + "\n".join(lines) + "\n" + end + after


def main() -> int:
    """Write or check; returns the exit code."""
    write_or_check = runpy.run_path(str(DOCS / "write_page.py"))["write_or_check"]
    record = json.loads(SOURCE.read_text(encoding="utf-8"))
    code = 0
    for page, name, section in (
        ("performance.md", "gpu", gpu_section(record)),
        ("performance.md", "scale", scale_section()),
        ("cluster.md", "cost", cost_section(record)),
    ):
        path = DOCS / page
        text = replaced(path.read_text(encoding="utf-8"), name, section)
        code |= write_or_check(path, text, __file__)
    return code


if __name__ == "__main__":
    sys.exit(main())
