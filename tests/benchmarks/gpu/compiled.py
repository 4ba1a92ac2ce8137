"""Images a second of networks that torch.compile made, beside those it did not: for fixed batch shapes."""

from __future__ import annotations

from collections.abc import Iterator

from bench.inference.replicas import Replicas
from tests.benchmarks.gpu.forward import batch_size, measured
from tests.benchmarks.gpu.setting import NETWORKS, Figures, Setting


def ask(setting: Setting) -> Iterator[Figures]:
    """Network by network: a compiler takes its time, and what is done by then counts."""
    size = batch_size(setting)
    yield {"batch": size}
    for name in ("genimage-cnn",) if setting.small else NETWORKS:
        detector = setting.detector(name)
        detector.fold()
        for precision in ("fp32",) if setting.small else ("fp32", "bf16"):
            for compiles in (False, True):
                replicas = Replicas(detector, setting.torch_device)
                rate = measured(setting, replicas, size, precision, compiles=compiles)
                yield {name: {f"{precision}, {'compiled' if compiles else 'not compiled'}": rate}}
