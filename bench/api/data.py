"""Indexing and auditing data sets, as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.places import PathLike
from bench.support.progress import Progress, Silent

if TYPE_CHECKING:
    from bench.audit.audit import Audit
    from bench.datasets import Manifest


def index(
    data: PathLike,
    *,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    reals: Sequence[PathLike] = (),
    splits: Sequence[str] | None = None,
    cache: PathLike | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Index a data set; the Python form of ``bench data index``.

    Args:
        data: ``pocket``, or the path or URL of a folder, an archive or a table.
        layout: A layout's name, or ``auto``.
        columns: Which columns of tables are which of ours.
        reals: Places of further real images.
        splits: Read only the images of these; ``None`` reads all.
        cache: Folder of cached manifests; ``None`` is the user's.
        progress: Shows how many images have been read; silent by default.

    Raises:
        BenchError: If there is none, or it cannot be recognised.
    """
    from bench.datasets.open import open_data  # noqa: PLC0415

    return open_data(
        str(data),
        progress or Silent(),
        layout=layout,
        columns=columns,
        reals=reals,
        splits=splits,
        cache=None if cache is None else Path(cache),
    )


def audit(
    data: Manifest | PathLike,
    *,
    against: Manifest | PathLike | None = None,
    limit: int | None = None,
    equalise: str = "",
    drop_duplicates: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Audit a data set: shortcuts in its files, copies and leaks; the Python form of ``bench audit``.

    Args:
        data: A data set, or its place as for :func:`index`.
        against: A data set that it must not share images with, such as a training set.
        limit: Audit about so many images, the same share of every kind; ``None`` for all.
        equalise: Chain of corruptions that every image goes through first.
        drop_duplicates: Describe what is left without copies.
        seed: Seed of samples, folds and corruptions.
        progress: Shows how many images have been read; silent by default.

    Raises:
        BenchError: On bad input; the message says the way out.
    """
    from bench.audit.audit import AuditRequest  # noqa: PLC0415
    from bench.audit.audit import audit as audited  # noqa: PLC0415
    from bench.audit.images.gather import Pool  # noqa: PLC0415
    from bench.protocol.equaliser import parse_equaliser  # noqa: PLC0415

    request = AuditRequest(
        limit=limit,
        equalise=parse_equaliser(equalise).resolved if equalise else "",
        drop_duplicates=drop_duplicates,
        seed=seed,
    )
    listener = progress or Silent()
    opened, other = (
        index(place, progress=listener) if isinstance(place, str | Path) else place
        for place in (data, against)
    )
    assert opened is not None
    return audited(opened, request, Pool(listener), other)
