"""What is asked of an object store, through fsspec: one door, with retries and one sentence for a failure.

Nothing is contacted before somebody names a URL. No credentials go through here: stores find them where
their own tools do, and a URL that holds some is refused before it is written down anywhere.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from bench.errors import BenchError, DataError

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_WEB: Final = ("http", "https")
_WAITS_S: Final = (0.5, 2.0)  # before the second try, and before the third
_GONE: Final = (404, 410)
_EXTRA: Final = (
    "pip install 'detector-bench[object]', and for stores other than s3 the package named"
)

Answer = TypeVar("Answer")


class ObjectError(DataError):
    """An object store that does not answer, or not with what was asked."""


class DeniedError(ObjectError):
    """An object store that does not let us in."""


def is_url(text: str) -> bool:
    """Whether a text names a place by a URL: ``s3://bucket/x``, not ``/data/x`` and not ``C:/x``."""
    return _URL.fullmatch(text) is not None


def was_url(path: Path) -> bool:
    """Whether a path has been made of a URL, of whose slashes one is left: ``s3:/bucket/x``."""
    return bool(path.parts) and re.fullmatch(r"[\w+.-]{2,}:", path.parts[0]) is not None


def split_url(url: str) -> tuple[str, str]:
    """Split a URL into its protocol in lower case and the rest.

    Examples:
        >>> split_url("S3://bucket/a/b")
        ('s3', 'bucket/a/b')
    """
    match = _URL.fullmatch(url)
    assert match is not None, "no URL"
    return match[1].lower(), match[2]


def check_harmless(url: str) -> None:
    """Refuse a URL that holds credentials, or may: it would stand in records, logs and boards.

    Raises:
        BenchError: Names the URL without them.
    """
    protocol, rest = split_url(url)
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    port = host.partition(":")[2]
    # A password may hold a slash: what stands before it then looks like a port.
    odd = bool(port) and not port.isdigit()
    if odd or (at and (":" in user or protocol in _WEB)):
        shown = f"{protocol}://{'...' if odd else host.partition('?')[0]}"
        raise BenchError(
            f"the URL {shown} holds a user or a password, which would end up in records: leave them "
            "out and give them as the store's own tools expect them (environment, profile, configuration)"
        )
    if mark := next((m for m in ("?", "#") if m in rest and (m == "?" or protocol in _WEB)), ""):
        raise BenchError(
            f"the URL {protocol}://{f'{host}{slash}{path}'.partition(mark)[0]} goes on after {mark!r}, where "
            "tokens stand, which would end up in records: leave that out, or download the file"
        )


def file_system(url: str) -> Any:
    """Give the fsspec file system of a URL, made once a process; listings are never taken from a cache.

    Raises:
        BenchError: The package for it is not installed, or nobody knows the protocol.
    """
    protocol, rest = split_url(url)
    # A fork has neither the connections nor the thread that serves them.
    return _file_system(protocol, rest.partition("/")[0], os.getpid())


@functools.lru_cache(maxsize=16)
def _file_system(protocol: str, host: str, _process: int) -> Any:
    url = f"{protocol}://{host}"
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415  (an extra, and nothing else needs it)

        return url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)[0]
    except ImportError as error:
        raise BenchError(f"{url} cannot be opened ({_in_words(error)}): {_EXTRA}") from error
    except Exception as error:
        raise BenchError(
            f"{url} cannot be opened ({_in_words(error)}): give a URL that fsspec knows, such as "
            "s3://BUCKET/x, or a path"
        ) from error


def ask(url: str, question: Callable[[Any], Answer]) -> Answer:
    """Ask a store something, up to three times.

    Args:
        url: What is asked about.
        question: Gets the file system.

    Raises:
        FileNotFoundError: The store answers that there is no such thing.
        DeniedError: It does not let us in.
        ObjectError: It does not answer, or with something else.
    """
    system = file_system(url)
    for wait in (*_WAITS_S, None):
        try:
            return question(system)
        except (BenchError, MemoryError):
            raise
        except Exception as error:
            problem = _problem(url, error)
            if isinstance(problem, FileNotFoundError | DeniedError) or wait is None:
                raise problem from error
            time.sleep(wait)
    raise AssertionError


def _problem(url: str, error: Exception) -> FileNotFoundError | ObjectError:
    """Say what an error of a file system means."""
    cause: BaseException = error
    if isinstance(error, FileNotFoundError) and split_url(url)[0] in _WEB and error.__cause__:
        # fsspec calls whatever went wrong over HTTP a missing file.
        cause = error.__cause__
        if getattr(cause, "status", None) in _GONE:
            return error
    elif isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return FileNotFoundError(url)
    if isinstance(cause, PermissionError) or getattr(cause, "status", None) in (401, 403):
        return DeniedError(
            f"{url} cannot be read (access denied: {_in_words(cause)}): give this machine the credentials, "
            "as the store's own tools expect them"
        )
    return ObjectError(
        f"{url} cannot be read ({_in_words(cause)}): check the address, the network and the credentials, and "
        "run the same command again"
    )


def _in_words(error: BaseException) -> str:
    """Put an error into one line, without what follows a question mark in an address."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return re.sub(r"(\w://[^\s?]*)\?\S*", r"\1", text)
