"""The detectors of a run as their parent knows them: by card and identity, each in a process of its own."""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from bench.inference.detector import DetectorRequest
from bench.inference.foreign import Broken, Elsewhere, identify
from bench.protocol.condition import Condition
from bench.runs.cluster.task import Context
from bench.runs.isolation import child as inside
from bench.runs.isolation.process import CAN_ISOLATE, ChildDiedError, ChildError, Children
from bench.runs.loading import Loaded, load, refuse_if_all_broken
from bench.runs.prepare import environment
from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.support.progress import Progress
from detectors.base import Detector
from detectors.identity.values import Identity


@dataclass(frozen=True, slots=True)
class Isolation:
    """A loader that starts processes for detectors; see :func:`bench.runs.loading.load`.

    Attributes:
        children: The processes of the detectors, by name.
        progress: Where a death is told of at once.
        own_files_only: Whether only detectors of somebody's own file have a process, and those that bench
            or a package brings are built here.
        run: Id of the run.
        deaths: By label: how often its process has died since it last scored a unit.
    """

    children: Children
    progress: Progress
    own_files_only: bool = False
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    deaths: Counter[str] = field(default_factory=Counter)

    def load(
        self,
        request: RunRequest,
        conditions: Sequence[Condition],
        device: torch.device,
        *,
        dry: bool = False,
    ) -> Loaded:
        """Have detectors and surrogates built in processes of their own, and described from there.

        Raises:
            BenchError: If one cannot be built, or all fail.
        """
        assert not dry, "an estimate isolates nothing"
        loaded = Loaded()
        for requested in request.detectors:
            label = requested.label
            loaded.detectors[label], loaded.identities[label] = self._loaded(
                requested, request, device
            )
        refuse_if_all_broken(loaded, request)
        by_label = {requested.label: requested for requested in request.detectors}
        for name in dict.fromkeys(
            name for condition in conditions for name in condition.surrogates
        ):
            if name in loaded.detectors:
                loaded.surrogates[name] = loaded.detectors[name]
                continue
            requested = by_label.get(name) or DetectorRequest(name)
            loaded.surrogates[name], loaded.identities[name] = self._loaded(
                requested, request, device
            )
        return loaded

    def _loaded(
        self, requested: DetectorRequest, request: RunRequest, device: torch.device
    ) -> tuple[Detector, Identity]:
        label = requested.label
        if self.own_files_only and not (CAN_ISOLATE and ".py:" in requested.name):
            alone = dataclasses.replace(request, detectors=(requested,))
            loaded = load(alone, (), device, only=[label])
            return loaded.detectors[label], loaded.identities[label]
        detector = self._described(requested, request, device)
        return detector, identify(detector)

    def _described(
        self, requested: DetectorRequest, request: RunRequest, device: torch.device
    ) -> Detector:
        label = requested.label
        context = self._context(requested, request, device)
        name = f"{label} alone"
        try:
            description: inside.Description = self.children.of(name).call(
                inside.describe, context, label
            )
        except ChildDiedError as death:
            self.children.drop(name)
            reason = f"while it was built, {about(death)}"
            self.progress.note(f"{label}: {reason}: none of its cells is tried")
            return Broken(label, f"{label}: {reason}")
        except ChildError as error:
            return Broken(label, f"{label}: it cannot be built ({error})")
        if description.broken:
            return Broken(label, description.broken)

        def ask(question: Callable[..., Any], *arguments: Any) -> Any:
            try:
                return self.children.of(name).call(inside.ask, context, label, question, *arguments)
            except ChildDiedError as death:
                self.children.drop(name)
                self.deaths[label] += 1
                self.progress.note(f"{label}: asked a few things before its scores, {about(death)}")
                raise

        return Elsewhere(description.card, description.identity, ask, foreign=description.foreign)

    def _context(
        self, requested: DetectorRequest, request: RunRequest, device: torch.device
    ) -> Context:
        """Describe what a process needs to build one detector, and no surrogate."""
        alone = dataclasses.replace(
            request,
            detectors=(requested.absolute(),),
            device=str(device),
            suite=request.suite.model_copy(update={"conditions": ["clean"]}),
        )
        return Context(
            run=f"{self.run}-{requested.label}",
            request=alone,
            root=None,
            environment=environment(request, device),
            identities={requested.label: ""},
            codes={},
            settled=Settled({}),
        )


def about(death: ChildDiedError) -> str:
    """Say as a clause how a process ended."""
    text = str(death)
    return text if text.startswith("its ") else f"it {text}"
