"""``bench run``: score detectors over a suite and write the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.cli import options
from bench.cli.output import Bar, put, put_json, say, table
from bench.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, BenchError

if TYPE_CHECKING:
    from bench.inference.profiling import Profile
    from bench.runs.estimate import Estimate
    from bench.runs.request import RunRequest
    from bench.scoring.engine import Counts

EXAMPLE = "Example: bench run --detector resnet50 --suite cross-generator --data /data/GenImage"


def command(
    detector: list[str] = typer.Option(
        [], "--detector", "-d", envvar="BENCH_DETECTOR", help=options.DETECTOR_HELP + " Repeatable."
    ),
    suite: str = typer.Option(
        "cross-generator",
        "--suite",
        "-s",
        envvar="BENCH_SUITE",
        help="A suite's name or TOML file.",
    ),
    data: str | None = typer.Option(
        None, envvar="BENCH_DATA", help="Folder or file of images; the suite's own set by default."
    ),
    layout: str = typer.Option("auto", envvar="BENCH_LAYOUT", help="How the data is laid out."),
    split: str | None = typer.Option(
        None, envvar="BENCH_SPLIT", help="Split to score, or all; the suite's by default."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", envvar="BENCH_OUT", help="Folder of the results; default runs/<suite>."
    ),
    store: Path | None = typer.Option(
        None,
        envvar="BENCH_STORE",
        help="Folder of scores, to share between runs; default <out>/store.",
    ),
    weights: list[str] = typer.Option(
        [], "--weights", "-w", envvar="BENCH_WEIGHTS", help=options.WEIGHTS_HELP
    ),
    fake_logit: str | None = typer.Option(
        None, envvar="BENCH_FAKE_LOGIT", help=options.FAKE_LOGIT_HELP
    ),
    limit: int | None = typer.Option(
        None, envvar="BENCH_LIMIT", help="Score about N images, stratified; stamped on the board."
    ),
    device: str = typer.Option("auto", envvar="BENCH_DEVICE", help=options.DEVICE_HELP),
    batch_size: str = typer.Option(
        "auto",
        envvar="BENCH_BATCH_SIZE",
        help="Images a batch, or auto (halved when memory runs out).",
    ),
    threshold: str | None = typer.Option(
        None,
        envvar="BENCH_THRESHOLD",
        help="Policy instead of the suite's: 0, 'calibrate(split=val)', 'fpr(0.01, split=val)' or oracle.",
    ),
    precision: str = typer.Option(
        "fp32", envvar="BENCH_PRECISION", help="fp32 or bf16, of the forward pass; recorded."
    ),
    exact: bool = typer.Option(
        False,
        "--exact",
        help="Plain order of operations; by default batch norm is folded, logits within 1e-4.",
    ),
    compile_: bool = typer.Option(
        False,
        "--compile",
        help="Score with networks compiled by torch.compile: slow to start, needs a compiler; recorded.",
    ),
    threads: int | None = typer.Option(
        None,
        envvar="BENCH_THREADS",
        help="CPU threads, each with a batch of its own; all cores by default. Scores do not depend on it.",
    ),
    seed: int = typer.Option(0, envvar="BENCH_SEED", help="Of noise, random starts and --limit."),
    allow_untrained: bool = typer.Option(
        False,
        "--allow-untrained",
        help="Score detectors without trained weights: noise, on purpose.",
    ),
    cache: Path | None = typer.Option(
        None, envvar="BENCH_CACHE", help="Folder of cached manifests; the user's cache by default."
    ),
    cluster: str | None = typer.Option(
        None,
        envvar="BENCH_CLUSTER",
        help="Score on Dask workers: local:N, tcp://HOST:PORT, tls://HOST:PORT or slurm.toml.",
    ),
    tls_ca: Path | None = typer.Option(
        None, envvar="BENCH_TLS_CA", help="Certificate of the authority, for --cluster."
    ),
    tls_cert: Path | None = typer.Option(
        None, envvar="BENCH_TLS_CERT", help="Certificate to show, for --cluster."
    ),
    tls_key: Path | None = typer.Option(
        None, envvar="BENCH_TLS_KEY", help="Its key, for --cluster."
    ),
    save_adversarial: tuple[int, Path] | None = typer.Option(
        None,
        "--save-adversarial",
        metavar="N DIR",
        help="Write N image pairs of every detector and attack as PNG, with their difference.",
    ),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Say what would be done and about how long it takes; score nothing.",
    ),
    profile: bool = typer.Option(
        False, "--profile", help="Say where the time went, and the share of it that was networks."
    ),
    rate: list[str] = typer.Option(
        [],
        "--rate",
        metavar="[DETECTOR=]N",
        help="With --dry-run: forward passes a second, instead of timing them here.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the board (or the dry run) as JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No remarks and no progress."),
    config: Path | None = typer.Option(
        None,
        envvar="BENCH_CONFIG",
        is_eager=True,
        callback=options.load_config,
        help="TOML file with any of these flags; command line > BENCH_* > file.",
    ),
) -> None:
    """Score detectors over a suite; writes leaderboard.md, leaderboard.csv and run.json.

    Scores are kept as they are made: after an interruption the same command goes on where it stopped.
    """
    del config
    if precision not in ("fp32", "bf16"):
        raise BenchError(f"--precision {precision}: choose fp32 or bf16")
    files = options.weights_by_detector(detector, weights)
    direction = options.fake_logit(fake_logit)
    from bench.inference.detector import DetectorRequest
    from bench.inference.numerics import Numerics
    from bench.protocol.suite import load_suite
    from bench.runs.request import RunRequest, Tls

    protocol = load_suite(suite)
    if threshold is not None:
        protocol = protocol.with_threshold(threshold)
    request = RunRequest(
        detectors=tuple(DetectorRequest(name, files.get(name), direction) for name in detector),
        suite=protocol,
        data=data,
        layout=layout,
        split="" if split == "all" else split,
        out=out,
        store=store,
        limit=limit,
        device=device,
        batch_size=options.batch_size(batch_size),
        numerics=Numerics("bf16" if precision == "bf16" else "fp32", exact, compile_, threads),
        seed=seed,
        allow_untrained=allow_untrained,
        cache=cache,
        cluster=cluster,
        tls=Tls(tls_ca, tls_cert, tls_key),
    )
    try:
        if dry_run:
            _dry_run(request, options.rates(rate), as_json=as_json, quiet=quiet)
        elif rate:
            raise BenchError("--rate goes with --dry-run: a run takes the time it takes")
        else:
            _run(request, as_json=as_json, quiet=quiet, save=save_adversarial, profile=profile)
    except KeyboardInterrupt:
        say("interrupted: what was scored is kept, run the same command to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _run(
    request: RunRequest,
    *,
    as_json: bool,
    quiet: bool,
    save: tuple[int, Path] | None,
    profile: bool,
) -> None:
    from bench.runs.runner import execute

    with Bar(quiet=quiet) as bar:
        result = execute(request, bar)
        pictures = _save(request, *save) if save else []
    if pictures and not quiet:
        say(f"written: {len(pictures)} pictures in {pictures[0].parents[2]}")
    if as_json:
        text = result.board.to_json()
        put_json(_with_times(text, result.profile)) if profile else put(text)
    else:
        put(result.board.to_markdown())
        if profile:
            say(table(_spent(result.profile)))
    if not quiet:
        say(_done(result.counts, result.profile.wall))
        say(f"written: {result.folder / 'leaderboard.md'}, {result.folder / 'leaderboard.csv'}")
    if result.report.incomplete:
        say(f"{result.report.incomplete} cells have no result: see the board's footnotes")
        raise typer.Exit(EXIT_INCOMPLETE)


def _save(request: RunRequest, count: int, folder: Path) -> list[Path]:
    from bench.pictures.adversarial_images import save_adversarial
    from bench.runs.prepare import prepare
    from bench.support.progress import Silent

    return save_adversarial(prepare(request, Silent()), count, folder)


def _done(counts: Counts, seconds: float) -> str:
    told = f"{counts.decoded} images decoded, {counts.scored} scored in this run"
    if not counts.scored:
        return told
    return f"{told}, in {seconds:.1f} s: {counts.scored / seconds:.4g} a second"


def _with_times(board: str, profile: Profile) -> dict[str, Any]:
    import dataclasses
    import json

    times = {**dataclasses.asdict(profile), "forward_share": profile.forward_share}
    return {**json.loads(board), "profile": times}


def _spent(profile: Profile) -> list[dict[str, Any]]:
    """The stages as a table; seconds and share of the whole."""
    whole = profile.whole or 1.0
    rows = [*profile.stages.items(), ("other", profile.other), ("whole", profile.whole)]
    told = f"{profile.unit} seconds"
    share = "n/a" if profile.forward_share is None else f"{profile.forward_share:.1%}"
    return [
        *({"stage": n, told: f"{s:.2f}", "share": f"{s / whole:.1%}"} for n, s in rows),
        {"stage": "pure forward", told: "", "share": share},
        {
            "stage": f"on the clock, {profile.cores} threads",
            told: f"{profile.wall:.2f}",
            "share": "",
        },
    ]


def _dry_run(request: RunRequest, rates: dict[str, float], *, as_json: bool, quiet: bool) -> None:
    import dataclasses

    from bench.runs.estimate import estimate
    from bench.runs.prepare import prepare

    with Bar(quiet=quiet) as bar:
        plan = estimate(prepare(request, bar, dry=True), rates)
    if as_json:
        put_json(dataclasses.asdict(plan))
        return
    put(table([{"what": name, "value": value} for name, value in _lines(plan)]))


def _lines(plan: Estimate) -> list[tuple[str, str]]:
    limited = f" of {plan.available} (limited)" if plan.images < plan.available else ""
    how = ", as given" if plan.given else f", measured on {plan.device}, {plan.threads} threads"
    rates = plan.rates.items()
    missing = [(f"missing: {name}", reason) for name, reason in plan.missing_weights.items()]
    return [
        ("dataset", plan.dataset),
        ("images", f"{plan.images}{limited}"),
        ("detector x condition pairs", str(plan.cells)),
        ("units of work", f"{plan.units}, {plan.stored} stored already"),
        ("images to decode", str(plan.decodes)),
        ("forward passes", str(plan.forwards)),
        ("gradients", f"{plan.gradients} (each takes about three forward passes)"),
        *((f"rate: {name}", f"{rate:.4g} forward passes a second{how}") for name, rate in rates),
        ("networks", _hours(plan.device_hours, f"hours on {plan.device}")),
        ("images", _hours(plan.cpu_hours, "CPU-hours to decode, corrupt and fit")),
        (
            "estimate",
            _hours(plan.seconds and plan.seconds / 3600, f"h here, {plan.threads} threads"),
        ),
        *missing,
    ]


def _hours(hours: float | None, what: str) -> str:
    return "n/a" if hours is None else f"about {hours:.3g} {what}"
