"""A published method: its network by name, and what its paper published beside it."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.card import DetectorCard, FakeLogit, WeightsRef
from detectors.network import Architecture
from detectors.publication.facts import Publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Architecture):
    """A detector as its paper published it, before it has weights.

    Attributes:
        publication: Where its weights are, what they saw, and the figures of its paper.
    """

    publication: Publication

    def card(self, sha256: str, fake_logit: FakeLogit, backbone_sha256: str = "") -> DetectorCard:
        """Write the card of a weights file that comes without one.

        A file that is known not to be the published one is a training of somebody's own: what it saw and
        under which licence it stands is then unknown.

        Args:
            sha256: Hash of the weights file.
            fake_logit: Which output of it means AI-generated.
            backbone_sha256: Hash of the backbone's file; empty where there is none.
        """
        facts = self.publication
        published = not facts.sha256 or facts.sha256 == sha256
        return DetectorCard(
            name=self.name,
            arch=self.name,
            reference=self.reference,
            licence=facts.licence if published else "unknown",
            fake_logit=fake_logit,
            input=self.input,
            weights=WeightsRef(
                sha256=sha256,
                url=facts.url if published else "",
                key_map=dict(facts.key_map),
                backbone_sha256=backbone_sha256,
            ),
            training_data=facts.training_data if published else None,
            differentiable=not facts.not_attackable,
        )
