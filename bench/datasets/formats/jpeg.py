"""Whether a JPEG is whole: its entropy-coded data read to the end by a decoder that reports warnings.

libjpeg fills what is missing with gray and warns; Pillow swallows the warning. libjpeg-turbo, through
simplejpeg, stops at it. It gives no pixel here: it reads every coefficient and keeps one in 64.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import simplejpeg

from bench.datasets.policy import BadImageError

# libjpeg's warnings (jerror.h) that say that coefficients are missing or wrong. Whatever else it says,
# such as that it does not know a colour space, is no damage; Pillow decides whether it decodes.
_DAMAGE: Final = ("Corrupt JPEG data", "Premature end of JPEG file", "Inconsistent progression")
# About metadata, and reported before the data is read: only the first warning comes out.
_METADATA: Final = ("Warning: unknown JFIF", "Unknown Adobe", "Corrupt JPEG data: bad ICC marker")
_STRAY: Final = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
# Some cameras leave a few bytes between the data and the end marker.
_MOST_STRAY: Final = 4

_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_SOS, _EOI = 0xDA, 0xD9
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_COEFFICIENTS: Final = 64


class _Segment(NamedTuple):
    """A marker segment: its code, where it begins and ends, and what follows its length."""

    code: int
    start: int
    end: int
    content: bytes


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG whose data ends early or does not decode cleanly.

    Raises:
        BadImageError: no end marker, a scan that is cut or damaged, or a scan that is missing.
    """
    if data.rfind(b"\xff\xd9") < 0:
        raise BadImageError("a truncated JPEG (no end-of-image marker)")
    check_entropy_coded(data)
    _check_scans(data)


def check_entropy_coded(data: bytes) -> None:
    """Refuse a JPEG stream in which a scan is cut or damaged.

    Raises:
        BadImageError: says what libjpeg says.
    """
    warning = _warning(data)
    if warning.startswith(_METADATA):
        warning = _warning(_without_metadata(data))
    if warning.startswith(_DAMAGE) and not _only_padded(warning):
        raise BadImageError(f"a truncated or damaged JPEG ({warning})")


def _warning(data: bytes) -> str:
    """Read every coefficient; gives the decoder's first complaint, "" for none."""
    try:
        colour = simplejpeg.decode_jpeg_header(data, strict=False)[2]
        simplejpeg.decode_jpeg(
            data,
            colorspace={"Gray": "GRAY", "CMYK": "CMYK", "YCCK": "CMYK"}.get(colour, "RGB"),
            fastdct=True,
            fastupsample=True,
            min_height=1,
            min_width=1,
            min_factor=1,
            strict=True,
        )
    except MemoryError:
        raise
    except Exception as error:  # the kinds it raises are not documented
        return str(error)
    return ""


def _only_padded(warning: str) -> bool:
    stray = _STRAY.fullmatch(warning.strip())
    return stray is not None and int(stray[1]) <= _MOST_STRAY


def _segments(data: bytes) -> Iterator[_Segment]:
    """Walk the marker segments up to the first end marker, over the data between them."""
    position = 2
    while match := _MARKER.search(data, position):
        code, start = match[1][0], match.start()
        if code == _EOI:
            return
        length = int.from_bytes(data[match.end() : match.end() + 2], "big")
        if length < 2:  # no segment: libjpeg complains about what matters
            position = match.end()
            continue
        position = match.end() + length
        yield _Segment(code, start, position, data[match.end() + 2 : position])


def _without_metadata(data: bytes) -> bytes:
    """Leave out the application segments and comments, which hold no coefficient."""
    kept, position = [], 0
    for segment in _segments(data):
        if 0xE0 <= segment.code <= 0xEF or segment.code == 0xFE:
            kept.append(data[position : segment.start])
            position = segment.end
    return b"".join([*kept, data[position:]])


def _check_scans(data: bytes) -> None:
    """Refuse an image of several scans of which some never come.

    A progressive JPEG that is cut between two scans is valid to libjpeg: a coarse picture.

    Raises:
        BadImageError: a coefficient of a component is not sent to its last bit.
    """
    missing: dict[int, set[int]] = {}
    progressive = False
    for code, _, _, content in _segments(data):
        if code in _FRAMES and len(content) >= 6:
            progressive = code in _PROGRESSIVE
            coefficients = range(_COEFFICIENTS if progressive else 1)
            ids = content[6 : 6 + 3 * content[5] : 3]
            missing = {component: set(coefficients) for component in ids}
        elif code == _SOS and content and len(content) >= 4 + 2 * content[0]:
            count = content[0]
            first, last, bits = content[1 + 2 * count : 4 + 2 * count]
            for component in content[1 : 1 + 2 * count : 2]:
                if not progressive:
                    missing.pop(component, None)
                elif bits & 0x0F == 0 and component in missing:
                    missing[component] -= set(range(first, last + 1))
    incomplete = [component for component, left in missing.items() if left]
    if incomplete:
        kind = "progressive scans" if progressive else "scans"
        raise BadImageError(
            f"a truncated JPEG (the last {kind} of {len(incomplete)} of its {len(missing)} components "
            "are missing)"
        )
