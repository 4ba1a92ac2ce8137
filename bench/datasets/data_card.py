"""Whose work a data set is, in a file beside it, and the data set described for others to find.

``data-card.toml`` in a data set's folder, or ``<name>.card.toml`` beside its table or archive, holds
reference, licence and citation; what a layout knows of its published data set stands in for it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from bench.datasets.layouts.base import DataCard
from bench.datasets.manifest import Manifest
from bench.datasets.record import FAKE
from bench.datasets.sources.names import stem
from bench.support.files import write_text
from bench.support.objects.place import Place
from bench.support.toml import read_toml

CARD_NAME: Final = "data-card.toml"
_IMAGES: Final = "images.csv"
_COLUMNS: Final = ("sample_id", "label", "generator", "domain", "split", "group", "sha256")
_CONTEXT: Final = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject", "fileSet": "cr:fileSet",
    "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField",
    "path": "cr:path", "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField",
    "transform": "cr:transform",
}  # fmt: skip


class _CardFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reference: str
    licence: str
    citation: str = ""


def card_places(data: Place) -> tuple[Place, ...]:
    """Name the files in which the card of what lies at a path is looked for."""
    if data.is_dir():
        return (data / CARD_NAME,)
    return (data.with_name(f"{stem(data.name)}.card.toml"), data.with_name(CARD_NAME))


def read_card(data: Place) -> DataCard | None:
    """Read the card beside a data set; None where there is none.

    Raises:
        BenchError: It is there and is no card; names the file and the key.
    """
    for place in card_places(data):
        if place.is_file():
            card = read_toml(place, _CardFile, f"no data card at {place}")
            return DataCard(card.reference, card.licence, card.citation)
    return None


def write_card(path: Path, card: DataCard) -> None:
    """Write a card as TOML.

    Raises:
        OutputError: The place cannot be written.
    """
    lines = [
        # JSON spells strings as TOML does, but for one control character.
        f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, value in (
            ("reference", card.reference), ("licence", card.licence), ("citation", card.citation),
        )
    ]  # fmt: skip
    write_text(path, "\n".join(lines) + "\n")


def write_croissant(path: Path, manifest: Manifest, card: DataCard | None) -> Path:
    """Describe a data set as Croissant 1.0 JSON-LD, its images listed in a CSV beside the file.

    Args:
        path: The JSON-LD file.
        manifest: The data set, indexed.
        card: Whose work it is; None where nobody says.

    Returns:
        Path of the CSV.

    Raises:
        OutputError: The place cannot be written.
    """
    listing = path.with_name(f"{path.name.split('.')[0]}-{_IMAGES}")
    text = _images_csv(manifest)
    write_text(listing, text)
    document = _croissant(manifest, card, listing.name, hashlib.sha256(text.encode()).hexdigest())
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return listing


def _images_csv(manifest: Manifest) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_COLUMNS, *manifest.free_names])
    columns = [manifest.table[name].to_pylist() for name in _COLUMNS]
    columns += [manifest.free[name].to_pylist() for name in manifest.free.column_names]
    writer.writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def _croissant(
    manifest: Manifest, card: DataCard | None, csv_name: str, digest: str
) -> dict[str, Any]:
    fakes = int((manifest.table["label"].to_numpy() == FAKE).sum())
    document: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest.name,
        "description": f"{len(manifest)} images, {fakes} of them AI-generated, by "
        f"{', '.join(manifest.pairing)}; label 1 = AI-generated, 0 = real.",
        "version": "1.0.0",
        "identifier": f"sha256:{manifest.digest}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": csv_name,
                "name": csv_name,
                "contentUrl": csv_name,
                "encodingFormat": "text/csv",
                "sha256": digest,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "key": {"@id": "images/sample_id"},
                "field": [_field(name, csv_name) for name in (*_COLUMNS, *manifest.free_names)],
            }
        ],
    }
    if card is not None:
        document |= {"license": card.licence, "citeAs": card.citation or card.reference}
        document["creator"] = {"@type": "sc:Organization", "name": card.reference}
    return document


def _field(name: str, csv_name: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"images/{name}",
        "name": name,
        "dataType": "sc:Integer" if name == "label" else "sc:Text",
        "source": {"fileObject": {"@id": csv_name}, "extract": {"column": name}},
    }
