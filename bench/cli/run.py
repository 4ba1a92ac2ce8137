"""``bench run``: score detectors over a suite and write the leaderboard."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import typer

from bench.cli import detector_options, options, run_options, values
from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, put_json_text, say, say_lines
from bench.cli.signals import stoppable
from bench.cli.terminal import print_board
from bench.errors import EXIT_INCOMPLETE, BenchError
from bench.support.memory.collector import seldom, started

if TYPE_CHECKING:
    from pathlib import Path

    from bench.inference.numerics import Precision
    from bench.runs.estimate import Estimate
    from bench.runs.request import RunRequest
    from bench.runs.runner import RunResult

EXAMPLES = examples(
    "bench run --detector resnet50 --suite cross-generator --data /data/GenImage --split val",
    "bench run -d resnet50 --weights my.pth --fake-logit z --data photos.csv --until auc=0.01",
    "bench run -d resnet50 -d vit --suite adversarial --data /data/GenImage --dry-run",
)


def command(
    context: typer.Context,
    *,
    detector: run_options.Detectors = [],
    suite: run_options.SuiteName = "cross-generator",
    data: run_options.Data = None,
    layout: options.Layout = "auto",
    columns: options.Columns = "",
    reals: options.Reals = [],
    split: run_options.Split = None,
    out: run_options.Out = None,
    force: run_options.Force = False,
    store: run_options.Store = None,
    weights: run_options.Weights = [],
    fake_logit: options.FakeLogit = None,
    fake_label: detector_options.FakeLabels = [],
    ignore_label: detector_options.IgnoreLabels = [],
    processor: detector_options.Processors = [],
    input_rule: detector_options.Inputs = [],
    output: detector_options.Outputs = [],
    offline: detector_options.Offline = False,
    backbone: detector_options.Backbones = [],
    limit: run_options.Limit = None,
    until: run_options.Until = None,
    tighten: run_options.Tighten = False,
    device: options.Device = "auto",
    batch_size: options.BatchSize = "auto",
    threshold: run_options.Threshold = None,
    equalise: run_options.Equalise = None,
    pairing: run_options.Pairing = None,
    precision: run_options.Precision = "fp32",
    exact: run_options.Exact = False,
    compile_: run_options.Compile = False,
    threads: run_options.Threads = None,
    seed: run_options.Seed = 0,
    allow_untrained: options.AllowUntrained = False,
    no_audit: run_options.NoAudit = False,
    drop_duplicates: run_options.DropDuplicates = False,
    cache: options.Cache = None,
    cluster: run_options.Cluster = None,
    tls_ca: run_options.TlsCa = None,
    tls_cert: run_options.TlsCert = None,
    tls_key: run_options.TlsKey = None,
    isolate: run_options.Isolate = False,
    timeout: run_options.Timeout = None,
    save_adversarial: run_options.SaveAdversarial = None,
    dry_run: run_options.DryRun = False,
    profile: run_options.ShowProfile = False,
    rate: run_options.Rates = [],
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    config: run_options.Config = None,
) -> None:
    """Score detectors over a suite; writes leaderboard.md, leaderboard.csv and run.json.

    Scores are kept as they are made: after an interruption the same command goes on where it stopped.
    config.toml beside the board repeats it; a folder that holds another request is never replaced unasked.
    """
    if quiet and verbose:
        raise BenchError("--quiet and --verbose contradict each other: give one")
    del config  # its callback has given the other options their defaults
    values.check_choice("--precision", precision, ("fp32", "bf16", "auto"))
    detectors = detector_options.requests(
        detector,
        weights=weights,
        fake_logit=fake_logit,
        fake_label=fake_label,
        ignore_label=ignore_label,
        processor=processor,
        input_rule=input_rule,
        output=output,
        offline=offline,
        backbone=backbone,
    )
    _refuse_without_effect(context, dry_run=dry_run, cluster=cluster)
    with seldom(lasting=True):
        from bench.datasets.layouts.columns import parse_columns
        from bench.inference.numerics import Numerics
        from bench.protocol.suite import load_suite
        from bench.protocol.until import parse_until
        from bench.runs.request import RunRequest, Tls
        from bench.store.shards import folders_of
        from bench.support.objects.place import place_of

    own, parents = (None, ()) if store is None else folders_of(store)
    request = RunRequest(
        detectors=detectors,
        suite=load_suite(suite).asked(threshold=threshold, equalise=equalise, pairing=pairing),
        data=data,
        layout=layout,
        columns=parse_columns(columns),
        reals=tuple(map(place_of, reals)),
        split="" if split == "all" else split,
        out=out,
        store=own,
        parents=parents,
        limit=limit,
        until=None if until is None else parse_until(until),
        tighten=tighten,
        device=device,
        batch_size=values.parse_batch_size(batch_size),
        numerics=Numerics(cast("Precision", precision), exact, compile_, threads),
        seed=seed,
        allow_untrained=allow_untrained,
        audit=not no_audit,
        drop_duplicates=drop_duplicates,
        cache=cache,
        cluster=cluster,
        tls=Tls(tls_ca, tls_cert, tls_key),
        isolate=isolate,
        timeout=timeout,
        force=force,
        command=("bench", *sys.argv[1:]),
    )
    if dry_run:
        with stoppable("nothing was written"):
            plan = _estimate(request, values.parse_rates(rate), Bar(quiet=quiet, verbose=verbose))
        _print_estimate(plan, as_json=as_json)
        return
    with stoppable("what was scored is kept, run the same command to go on"):
        bar = Bar(quiet=quiet, verbose=verbose)
        result = _run(request, save_adversarial, bar, quiet=quiet)
    _print(result, as_json=as_json, profile=profile, quiet=quiet)


def _refuse_without_effect(context: typer.Context, *, dry_run: bool, cluster: str | None) -> None:
    refuse_without_effect(
        context,
        "--rate",
        when=not dry_run,
        why="without --dry-run: a run takes the time it takes",
    )
    refuse_without_effect(
        context,
        "--profile",
        "--save-adversarial",
        "--force",
        when=dry_run,
        why="beside --dry-run, which scores and writes nothing: leave one of the two out",
    )
    refuse_without_effect(
        context,
        "--cluster",
        when=dry_run,
        why="beside --dry-run, which estimates the time on this machine: leave one of the two out",
    )
    refuse_without_effect(
        context,
        "--tls-ca",
        "--tls-cert",
        "--tls-key",
        when=cluster is None,
        why="without --cluster: certificates are shown to the scheduler that it names",
    )
    refuse_without_effect(
        context,
        "--threads",
        when=cluster is not None and not dry_run,
        why="beside --cluster: a worker's threads are chosen where it is started; leave it out",
    )
    refuse_without_effect(
        context,
        "--profile",
        when=cluster is not None,
        why="beside --cluster: the time is spent in the workers; profile a run without --cluster",
    )


def _run(
    request: RunRequest, adversarial: tuple[int, Path] | None, progress: Bar, *, quiet: bool
) -> RunResult:
    with seldom(lasting=True):
        from bench.runs.runner import execute

    if adversarial is None:
        with started(), progress as bar:
            return execute(request, bar)
    import dataclasses

    from bench.pictures.adversarial_images import check_pictures, save_adversarial
    from bench.runs.prepare import prepare
    from bench.support.progress import Silent

    count, folder = adversarial
    check_pictures(request.suite, count)
    with progress as bar:
        result = execute(request, bar)
        written = dataclasses.replace(request, out=result.folder)
        pictures = save_adversarial(prepare(written, Silent()), count, folder)
    if pictures and not quiet:
        say(f"written: {len(pictures)} pictures in {pictures[0].parents[2]}")
    return result


def _print(result: RunResult, *, as_json: bool, profile: bool, quiet: bool) -> None:
    from bench.cli.timing import counts_line, profile_json, profile_table

    if as_json:
        for remark in result.report.remarks:
            say(remark)
    if as_json and profile:
        import json

        board = json.loads(result.board.to_json())
        put_json({**board, "profile": profile_json(result.profile)})
    elif as_json:
        put_json_text(result.board.to_json())
    else:
        print_board(result.report, result.folder)
        if profile:
            say_lines(profile_table(result.profile))
    if not quiet:
        say(counts_line(result.counts, result.profile.wall))
        say(f"written: {result.folder / 'leaderboard.md'}, {result.folder / 'leaderboard.csv'}")
    if result.report.incomplete:
        say(f"{result.report.incomplete} cells have no result: see the board's footnotes")
    if result.report.incomplete or result.report.lost_class:
        raise typer.Exit(EXIT_INCOMPLETE)


def _estimate(request: RunRequest, rates: dict[str, float], progress: Bar) -> Estimate:
    from bench.runs.estimate import estimate
    from bench.runs.folder.claim import located
    from bench.runs.prepare import prepare

    with progress as bar:
        return estimate(located(prepare(request, bar, dry=True)), rates)


def _print_estimate(plan: Estimate, *, as_json: bool) -> None:
    import dataclasses

    from bench.cli.timing import estimate_table

    if as_json:
        put_json(dataclasses.asdict(plan))
    else:
        put(estimate_table(plan))
