"""The files of a run as JSON Schema: what other programs may rely on, with a version of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
from pydantic import TypeAdapter

from bench.datasets.record import SCHEMA as MANIFEST
from bench.errors import BenchError, nearest
from bench.results.by_image.image_scores import CELL_COLUMNS, IMAGE_COLUMNS
from bench.store.run_spec import SCHEMA_VERSION, Failure, RunSpec
from bench.store.seal import SEAL
from bench.store.shards import SCHEMA as SHARD
from leaderboards.render.csv import NOTE_COLUMNS, UNDEFINED
from leaderboards.statistics.catalogue import count_columns
from leaderboards.tables.cells import TEXT_COLUMNS, board_columns

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
# What a table's column holds, by the beginning of its Arrow type.
_TYPES: Final = {"string": "string", "int": "integer", "float": "number", "bool": "boolean"}


def schemas() -> dict[str, Schema]:
    """Give the schema of every file, by name; a row of a table is an object of its columns."""
    return {name: _headed(name, make()) for name, make in _FILES.items()}


def schema(name: str) -> Schema:
    """Give the schema of one file.

    Raises:
        BenchError: There is no such file; suggests the nearest.
    """
    if name not in _FILES:
        raise BenchError(f"no file of a run is called {name!r}: {nearest(name, _FILES)}")
    return _headed(name, _FILES[name]())


def _headed(name: str, body: Schema) -> Schema:
    # The version is that of run.json: it rises where a file can no longer be read as before.
    return {"$schema": DRAFT, "$id": f"bench:{SCHEMA_VERSION}/{name}", **body}


def _run() -> Schema:
    body = RunSpec.model_json_schema(mode="serialization")
    body["properties"][SEAL] = {"type": "string", "description": "SHA-256 of all the rest."}
    # Files of earlier releases lack what was not recorded then.
    body["required"] = [
        key for key in RunSpec.model_fields if RunSpec.model_fields[key].is_required()
    ]
    return {**_with_optional_defaults(body), "title": "run.json: how a run was made"}


def _with_optional_defaults(body: Schema) -> Schema:
    """Require nothing that has a default: readers fill it in, and earlier releases left it out."""
    for part in body.get("$defs", {}).values():
        known = part.get("properties", {})
        if "required" in part:
            part["required"] = [
                key for key in part["required"] if "default" not in known.get(key, {})
            ]
    return body


def _failures() -> Schema:
    body = TypeAdapter(list[Failure]).json_schema()
    return {**body, "title": "failures.json: why cells have no scores"}


def _table(title: str, columns: pa.Schema, says: Mapping[str, str]) -> Schema:
    properties = {}
    for field in columns:
        kind = next(word for begin, word in _TYPES.items() if str(field.type).startswith(begin))
        properties[field.name] = {
            "type": [kind, "null"] if field.nullable else kind,
            **({"description": says[field.name]} if field.name in says else {}),
        }
    return {"title": title, "type": "object", "properties": properties}


def _manifest() -> Schema:
    body = _table("manifest.parquet: a row an image that was scored", MANIFEST, IMAGE_COLUMNS)
    return {**body, "required": MANIFEST.names}


def _units() -> Schema:
    names = {"detector": pa.string(), "condition": pa.string(), "start": pa.int64(),
             "stop": pa.int64(), "fingerprint": pa.string()}  # fmt: skip
    says = {
        "start": "First row of the manifest that the shard holds.",
        "stop": "The row behind its last.",
        "fingerprint": "Name of the shard: store/<first two digits>/<fingerprint>.parquet.",
    }
    body = _table("units.parquet: which shard holds what", pa.schema(list(names.items())), says)
    return {**body, "required": list(names)}


def _shard() -> Schema:
    says = {
        "logit": "Raw logit; null where the image could not be read.",
        "bad": "Why it could not be read.",
        "changed": "Whether the condition changed a pixel of it.",
        "linf": "Largest change of a value, in units of [0, 1].",
        "l2": "Euclidean norm of the change.",
    }
    return {
        **_table("store/*/*.parquet: a row an image", SHARD, says),
        "required": ["sample_id", "logit"],
    }


def _board() -> Schema:
    number: Schema = {"anyOf": [{"type": "number"}, {"const": UNDEFINED}]}
    whole: Schema = {"anyOf": [{"type": "integer"}, {"const": UNDEFINED}]}
    properties = {
        name: {"type": "string"}
        if name in TEXT_COLUMNS
        else whole
        if name in count_columns()
        else number
        for name in board_columns()
    }
    properties |= {
        name: whole if "left_out" in name else {"type": "string"} for name in NOTE_COLUMNS
    }
    return {
        "title": "leaderboard.csv: a row a cell (detector, slice, condition); see docs/protocol.md",
        "type": "object",
        "properties": properties,
        "required": [
            "detector",
            "dataset",
            "generator",
            "domain",
            "condition",
            "status",
            "n_real",
            "n_fake",
        ],
    }


def _scores() -> Schema:
    says = {**IMAGE_COLUMNS, **CELL_COLUMNS}
    numbers = ("label", "logit", "threshold", "called")
    properties: dict[str, Schema] = {
        name: {
            "type": ["number", "null"] if name in numbers else ["string", "null"],
            "description": text,
        }
        for name, text in says.items()
    }
    return {
        "title": "bench export --format scores: a row an image, detector and condition",
        "description": "Further columns are the parameters of the run's conditions and, as attack_*, what an "
        "attack did.",
        "type": "object",
        "properties": properties,
        "required": list(says),
        "additionalProperties": {"type": ["number", "string", "null"]},
    }


def _bad_images() -> Schema:
    properties = {name: {"type": "string"} for name in ("path", "reason")}
    return {
        "title": "bad_images.csv: images that were left out, and why",
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _gate() -> Schema:
    word = {"enum": ["PASS", "FAIL", "INCONCLUSIVE", "INCOMPLETE"]}
    number = {"type": ["number", "null"]}
    numbers = ("baseline", "candidate", "change", "lo", "hi", "lower", "p", "p_adjusted", "needed")
    verdict: Schema = {
        "type": "object",
        "properties": {
            **{
                name: {"type": "string"}
                for name in ("detector", "generator", "domain", "condition", "reason")
            },
            **dict.fromkeys(numbers, number),
            "verdict": word,
            "n_real": {"type": "integer"},
            "n_fake": {"type": "integer"},
        },
        "required": ["detector", "generator", "domain", "condition", "verdict", "reason"],
    }
    return {
        "title": "gate.json: whether a detector has become worse",
        "type": "object",
        "properties": {
            "schema_version": {"const": 1},
            "decision": {"enum": [*word["enum"], "ERROR"]},
            "exit_code": {"type": "integer"},
            "verdicts": {"type": "array", "items": verdict},
            "floors": {
                "type": "array",
                "items": {**verdict, "required": [*verdict["required"], "metric"]},
            },
            "notes": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["schema_version", "bench", "decision", "exit_code"],
    }


_FILES: Final[dict[str, Callable[[], Schema]]] = {
    "run.json": _run,
    "failures.json": _failures,
    "manifest.parquet": _manifest,
    "units.parquet": _units,
    "shard.parquet": _shard,
    "bad_images.csv": _bad_images,
    "leaderboard.csv": _board,
    "scores.csv": _scores,
    "gate.json": _gate,
}
