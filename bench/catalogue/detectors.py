"""Detectors as `bench ls` lists them: from names, summaries and cards alone, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import registry
from detectors import zoo

Row = dict[str, Any]


def rows() -> list[Row]:
    """List architectures, further weights that ship, and the spellings that adapters understand."""
    shipped = zoo.weights()
    architectures = [
        {
            "name": name,
            "weights": next(
                (tag for tag in shipped if zoo.find(name) == shipped[tag]), "none shipped"
            ),
            "summary": summary,
        }
        for name, summary in registry.detector_summaries().items()
    ]
    defaults = {row["weights"] for row in architectures}
    further_weights = [
        {"name": name, "weights": name, "summary": f"trained on {_training_data(path)}"}
        for name, path in shipped.items()
        if name not in defaults
    ]
    spellings = [
        {"name": pattern, "weights": adapter.weights, "summary": adapter.summary}
        for pattern, adapter in registry.adapters().items()
    ]
    return [*architectures, *further_weights, *spellings]


def _training_data(weights: Path) -> str:
    """What the card beside shipped weights says they were trained on, read without the card's schema."""
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    data = card.get("training_data")
    return "unknown data" if data is None else f"{data['dataset']}: {', '.join(data['generators'])}"
