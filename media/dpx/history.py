"""FADGI process history in the DPX user data: one line for each step a frame went through.

The Federal Agencies Digital Guidelines Initiative puts the user identification
``FADGI process history`` before lines after EBU R98, each beginning with ``O=`` and made of
``key=value`` pairs with commas between. What another program keeps in the user data is its own
and stays as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from media.dpx.header import GENERIC_BYTES, HEADER_BYTES, UNDEFINED, byte_order
from media.errors import InputError

USER_ID = "FADGI process history"
USER_LIMIT_BYTES = 1 << 20
_ID_BYTES = 32


def history_line(
    *,
    kind: str,
    bits: int,
    width: int,
    height: int,
    model: str,
    software: str,
    treatments: Sequence[str],
) -> str:
    """One line of process history, without line end.

    For instance ``O=DPXv2, W=10-bit, R=2048x1556, M=RGB Log, T=Wetgate 0.1.0; weave; flicker``.
    kind: the file format. width, height: pixels. model: color model in words. Commas inside a
    value become semicolons, since commas part the pairs.
    """
    pairs = (
        ("O", kind),
        ("W", f"{bits}-bit"),
        ("R", f"{width}x{height}"),
        ("M", model),
        ("T", "; ".join((software, *treatments))),
    )
    return ", ".join(f"{key}={_value(text)}" for key, text in pairs)


def _value(text: str) -> str:
    return " ".join(text.replace(",", ";").split())


def takes_history(header: bytes, history: str = "") -> bool:
    """Whether these lines can be added: the user data is free or a process history already.

    header: every byte before the pixels. False when another program's data lies there, or when
    the user data would pass its limit of one megabyte.
    """
    identity, body = _user_data(header)
    free = identity == b"" and body == b""
    ours = identity.startswith(b"FADGI") or (identity == b"" and _is_history(body))
    return (free or ours) and len(_joined(body, history)) + _ID_BYTES <= USER_LIMIT_BYTES - 3


def with_history(header: bytes, history: str) -> bytearray:
    """The header (2048 bytes or more) with lines added and the user length written.

    The header stays as long as it is where the new user data fits, else it grows to the next
    multiple of four, so that pixels stay on word boundaries. Offsets are the caller's to follow.
    raises: InputError when a line does not begin with ``O=``.
    """
    lines = history.splitlines()
    if not lines or not all(line.startswith("O=") for line in lines):
        raise InputError(
            f"process history {history!r} does not begin with O=", hint="build it by history_line"
        )
    identity, body = _user_data(header)
    user = (identity or USER_ID.encode()).ljust(_ID_BYTES, b"\0") + _joined(body, history)
    user += b"\0" * (-len(user) % 4)
    room = len(header) - HEADER_BYTES
    head = bytearray(header[:HEADER_BYTES]) + user
    if len(user) < room:
        head += b"\0" * (room - len(user))
    struct.pack_into(byte_order(header) + "I", head, 32, len(user))
    return head


def _joined(body: bytes, history: str) -> bytes:
    start = body + b"\n" if body and not body.endswith(b"\n") else body
    return start + "".join(f"{line}\n" for line in history.splitlines()).encode()


def _is_history(body: bytes) -> bool:
    return all(line.startswith(b"O=") for line in body.splitlines() if line.strip())


def _user_data(header: bytes) -> tuple[bytes, bytes]:
    """User identification and data as bytes, both empty where nothing is defined."""
    if len(header) <= GENERIC_BYTES or len(header) <= HEADER_BYTES:
        # Bytes between 1664 and 2048 in a short header belong to nobody we know.
        strange = header[GENERIC_BYTES:] if len(header) < HEADER_BYTES else b""
        return b"", strange.strip(b"\0\xff")
    claimed = struct.unpack_from(byte_order(header) + "I", header, 32)[0]
    area = header[HEADER_BYTES:]
    if claimed not in (0, UNDEFINED) and claimed <= len(area):
        rest = area[claimed:].strip(b"\0\xff")
        # What lies behind the declared user data is in the way of more lines.
        if rest:
            return b"\xff?", rest
        area = area[:claimed]
    identity = area[:_ID_BYTES].split(b"\0")[0].strip(b"\xff")
    return identity, area[_ID_BYTES:].rstrip(b"\0\xff")
