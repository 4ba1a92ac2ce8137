"""How logits are computed: precision, order of operations, compilation, threads. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from bench.errors import BenchError

Precision = Literal["fp32", "bf16", "auto"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Form = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The arithmetic of one detector.

    Attributes:
        scores: Form of the forward pass that scores.
        gradients: Form of the gradients that attacks climb; what they find is scored as ``scores`` says.
    """

    scores: Form = "fp32"
    gradients: Form = "fp32"


@dataclass(frozen=True, slots=True)
class Numerics:
    """The arithmetic of a run, chosen once and carried whole.

    Attributes:
        precision: ``fp32``, or ``bf16`` for the forward pass that scores, with gradients in fp32; ``auto``
            chooses for each detector, by a check on the first images.
        exact: Keep the network's plain order of operations; by default batch normalisation is folded
            and memory laid out channels last, where logits stay within 1e-4.
        compile: Score with networks that ``torch.compile`` made quicker; gradients keep the plain ones.
        threads: CPU threads; ``None`` takes torch's own number, beside an accelerator every core.
    """

    precision: Precision = "fp32"
    exact: bool = False
    compile: bool = False
    threads: int | None = None

    @classmethod
    def recorded(cls, environment: Mapping[str, Any]) -> Numerics:
        """Read the arithmetic back from the environment that a run has recorded."""
        return cls(
            precision=environment.get("precision", "fp32"),
            exact=environment.get("exact", True),
            compile=environment.get("compiled", False),
        )

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The settings that can change a bit of a score: all but the number of threads."""
        return {"precision": self.precision, "exact": self.exact, "compiled": self.compile}

    @property
    def arithmetic(self) -> Arithmetic:
        """The arithmetic of a detector for which none has been chosen."""
        return Arithmetic("bf16" if self.precision == "bf16" else "fp32")

    def gradient_scores(self, arithmetic: Arithmetic) -> bool:
        """Tell whether the forward pass that comes with a gradient is the very one that scores."""
        return arithmetic == Arithmetic() and not self.compile

    def check(self) -> None:
        """Refuse settings that cannot be computed with.

        Raises:
            BenchError: One sentence with the way out.
        """
        if self.precision not in PRECISIONS:
            raise BenchError(f"--precision {self.precision}: choose {', '.join(PRECISIONS)}")
        if self.threads is not None and self.threads < 1:
            raise BenchError(f"--threads {self.threads}: give at least 1")

    def sentences(self) -> Iterator[str]:
        """Describe the arithmetic in words, for the foot of a board."""
        if self.exact:
            yield "Networks ran in their plain order of operations (--exact)."
        else:
            yield (
                "Networks ran with batch normalisation folded and channels last where that keeps logits "
                "within 1e-4, relative to the largest (--exact keeps the plain order)."
            )
        if self.precision == "bf16":
            yield (
                "Networks scored in bf16 arithmetic (--precision bf16): a logit has two to three digits; "
                "gradients of attacks are fp32."
            )
        if self.precision == "auto":
            yield (
                "Networks scored in bf16 arithmetic where a check against fp32 allowed it (--precision auto; "
                "table Arithmetic)."
            )
        if self.compile:
            yield (
                "Networks scored as compiled by torch.compile (--compile); gradients took the plain ones."
            )
