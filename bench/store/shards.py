"""Score shards by fingerprint: one Parquet file a unit of work, whole or absent.

A shard's name is the hash of everything that could change a score in it: a file of that name says that
the unit has been scored. That it still holds what was written is checked whenever it is read, against the
digest that it carries. Shards are small and never rewritten; several runs, processes and machines may
share one store.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import BenchError
from bench.store.seal import table_digest
from bench.support.files import ensure_writable, write_atomic
from bench.support.objects.place import ObjectPath, Place, place_of
from bench.support.objects.remote import ObjectError, is_url
from bench.support.tables import read_table

# One row an image, in chunk order. A null logit comes with the reason the image could not be decoded.
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("logit", pa.float32()),
        ("bad", pa.string()),
        ("changed", pa.bool_()),
        ("linf", pa.float32()),
        ("l2", pa.float32()),
        ("steps", pa.int32()),
        ("grad_zero", pa.float32()),
        ("unbounded", pa.int8()),
        ("unrounded", pa.float32()),
        ("psnr", pa.float32()),
        ("ssim", pa.float32()),
        ("pilot_votes", pa.int32()),
        ("votes", pa.int32()),
    ]
)
# Null where there is no attack, or it left the image alone; see `bench.scoring.attack_job.Attacked`.
PROBE_COLUMNS = ("unbounded", "unrounded")
ATTACK_COLUMNS = ("linf", "l2", "steps", "grad_zero", *PROBE_COLUMNS)

# Null but under a condition that changes one class, for its images; see `corruptions.likeness`.
LIKENESS_COLUMNS = ("psnr", "ssim")
# Null where there is no certificate; see `bench.scoring.certificates.votes.VoteCounts`.
VOTE_COLUMNS = ("pilot_votes", "votes")

_FINGERPRINT: Final = b"fingerprint"
_DIGEST: Final = b"digest"


class ShardDamagedError(BenchError):
    """Shards that exist and do not hold what was written: the disk, or a hand, changed them.

    Attributes:
        fingerprints: The units that are to be scored anew.
    """

    def __init__(self, message: str, fingerprints: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fingerprints = fingerprints


def folders_of(text: str) -> tuple[Path, tuple[Place, ...]]:
    """Read ``A`` or ``A:B:C``: the store that is written, and those that are only read.

    A folder whose name holds the separator (that of PATH) is taken as it is. Stores that are only read may
    be URLs.

    Raises:
        BenchError: A name is empty, a store that is to be read is not there, or one that is to be written
            is a URL.
    """
    names = [text] if Path(text).is_dir() else _split(text)
    if not all(names):
        raise BenchError(f"--store: a folder's name is empty between {os.pathsep!r}")
    first, *others = (place_of(name) if is_url(name) else Path(name) for name in names)
    if isinstance(first, ObjectPath):
        raise BenchError(
            f"--store {first}: scores are written to a folder on disk: give --store "
            f"FOLDER{os.pathsep}{first}, and copy what is in that folder to the URL afterwards"
        )
    for parent in others:
        is_there = (
            parent.kind() == "directory" if isinstance(parent, ObjectPath) else parent.is_dir()
        )
        if not is_there:
            raise BenchError(
                f"--store {first}: {parent} is no folder of scores: only the first may be new"
            )
    return first, tuple(others)


def _split(text: str) -> list[str]:
    """Split stores at the separator; a colon of a URL, before its slashes, port or password, is none."""
    names: list[str] = []
    for piece in re.split(rf"{os.pathsep}(?!//)", text):
        if names and re.fullmatch(r"\w+://[^/]+", names[-1]) and re.match(r"\d+/|.*@", piece):
            names[-1] += os.pathsep + piece
        else:
            names.append(piece)
    return names


class Store:
    """A folder of score shards.

    Args:
        root: The folder that is written.
        parents: Stores of others, which are only read: what they hold and this one lacks is copied into
            this one when it is asked for, so that a board never rests on a folder that may go away.
    """

    def __init__(self, root: Path, parents: Sequence[Place] = ()) -> None:
        self.root = root
        self._parents = tuple(parents)

    def prepare(self) -> None:
        """Make the folder and prove it can be written.

        Raises:
            OutputError: If it cannot.
        """
        ensure_writable(self.root)

    def path(self, fingerprint: str) -> Path:
        """Give the path at which the shard of ``fingerprint`` stands or would stand."""
        return self.root / _name(fingerprint)

    def has(self, fingerprint: str) -> bool:
        """Say whether the unit has been scored; whether its shard is still sound, `read` says.

        A shard of a parent counts where it is sound.

        Raises:
            ObjectError: An object store does not answer.
        """
        return self.path(fingerprint).is_file() or self._lent(fingerprint) is not None

    def take(self, fingerprint: str) -> bool:
        """Say whether the unit has been scored, for who is to use it: copied where a parent has it.

        The shard's time of change becomes now: it says when a run last asked for it.

        Raises:
            OutputError: The copy cannot be written.
            ObjectError: An object store does not answer.
        """
        path = self.path(fingerprint)
        with contextlib.suppress(OSError):  # a file of another user's may be read and not touched
            os.utime(path)
        if path.is_file():
            return True
        content = self._lent(fingerprint)
        if content is None:
            return False
        write_atomic(path, lambda stream: stream.write(content))
        return True

    def _lent(self, fingerprint: str) -> bytes | None:
        """Read a parent's shard, the first sound one; whatever is wrong with the others is theirs."""
        for parent in self._parents:
            try:
                content = (parent / _name(fingerprint)).read_bytes()
                table = pq.read_table(io.BytesIO(content), page_checksum_verification=True)
                # Earlier versions wrote shards without a digest; somebody else's is not believed for that.
                if _DIGEST not in (table.schema.metadata or {}):
                    continue
                _checked(table, fingerprint, None)
                return content
            except ObjectError:
                raise  # what it holds would be scored anew, perhaps for days
            except Exception:  # noqa: S112  (not there, or damaged in any way)
                continue
        return None

    def write(self, fingerprint: str, scores: pa.Table) -> None:
        """Keep one unit's scores; a crash at any moment leaves the shard whole or absent.

        Raises:
            ValueError: An image has neither a finite logit nor a reason why not.
            OutputError: The place cannot be written.
        """
        table = _completed(scores).cast(SCHEMA).replace_schema_metadata(None)
        _check_finite_or_bad(table)
        metadata = {_FINGERPRINT: fingerprint.encode(), _DIGEST: table_digest(table).encode()}
        table = table.replace_schema_metadata(metadata)
        write_atomic(
            self.path(fingerprint),
            lambda stream: pq.write_table(
                table, stream, compression="zstd", write_page_checksum=True
            ),
        )

    def read(
        self, fingerprint: str, sample_ids: pa.Array | None = None, *, set_aside: bool = True
    ) -> pa.Table:
        """Read one unit's scores, columns as in ``SCHEMA``, and make sure that they are what was written.

        Args:
            fingerprint: Name of the unit.
            sample_ids: Ids of the unit's images, in order; unchecked where left out.
            set_aside: Rename a damaged shard, so that the unit counts as not scored.

        Raises:
            ShardDamagedError: The file is unreadable, another unit's, about other images, or its scores
                are not those that were written.
            FileNotFoundError: The unit has not been scored.
        """
        path = self.path(fingerprint)
        if not path.is_file():
            raise FileNotFoundError(path)
        try:
            return _checked(read_table(path), fingerprint, sample_ids)
        # Whatever a decoder makes of damaged bytes.
        except Exception as error:
            if set_aside:
                with contextlib.suppress(FileNotFoundError):  # another run was faster
                    path.replace(path.with_suffix(".damaged"))
            raise ShardDamagedError(
                f"score shard {path.name[:12]} is damaged ({error}){' and set aside' if set_aside else ''}: "
                "run the same command again to score it anew",
                (fingerprint,),
            ) from error


def _name(fingerprint: str) -> str:
    """Name a shard's file in any store, POSIX."""
    return f"{fingerprint[:2]}/{fingerprint}.parquet"


def _checked(table: pa.Table, fingerprint: str, sample_ids: pa.Array | None) -> pa.Table:
    """Hold a shard against its own digest, its name and the images it is about."""
    metadata = table.schema.metadata or {}
    table = table.replace_schema_metadata(None)
    if metadata.get(_FINGERPRINT) != fingerprint.encode():
        raise ValueError("it holds another unit")
    # Shards of earlier versions carry their name alone, and nothing else.
    older = metadata.keys() == {_FINGERPRINT}
    if not older and metadata.get(_DIGEST) != table_digest(table).encode():
        raise ValueError("its scores are not those that were written")
    table = _completed(table).cast(SCHEMA)
    table.validate(full=True)
    if sample_ids is not None and not table["sample_id"].combine_chunks().equals(sample_ids):
        raise ValueError("it is about other images")
    _check_finite_or_bad(table)
    return table


def _check_finite_or_bad(table: pa.Table) -> None:
    """Require of every image either a finite logit, or a reason why it has none."""
    scored = pc.fill_null(pc.is_finite(table["logit"]), False)
    without = pc.is_null(table["logit"])
    sound = pc.if_else(pc.is_null(table["bad"]), scored, without)
    if not pc.all(sound, min_count=0).as_py():
        raise ValueError("an image has neither a finite logit nor a reason why not")


def _completed(table: pa.Table) -> pa.Table:
    """Add the columns that a shard of an earlier version, or of imported scores, lacks, as null."""
    for name in (*ATTACK_COLUMNS, *LIKENESS_COLUMNS, *VOTE_COLUMNS):
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
    # What has other columns still is left as it is, for the cast to refuse.
    return table.select(SCHEMA.names) if set(table.column_names) == set(SCHEMA.names) else table
