"""FADGI process history: lines where there is a place for them, nobody's data touched."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from media.dpx import (
    decode_dpx,
    header_metadata,
    header_of,
    history_line,
    parse_header,
    patched_header,
    takes_history,
)
from media.errors import InputError
from media.scan import inspect, read_codes
from media.write import write_frame
from tests.dpx_files import Layout, build

LINE = "O=DPXv2, W=10-bit, R=5x3, M=RGB Log, T=Wetgate 0.1.0; weave; flicker"
ID = b"FADGI process history"


def file_of(layout: Layout) -> bytes:
    count = layout.width * layout.height * layout.channels
    return build(layout, [k * 7 % (1 << layout.bits) for k in range(count)])


def layout_of(user: bytes = b"", offset: int = 2048, order: str = ">") -> Layout:
    return Layout(width=5, height=3, user=user, offset=offset, order=order, trailing=b"end")


def user_area(head: bytes) -> tuple[bytes, bytes]:
    length = struct.unpack_from(parse_header(head).byte_order + "I", head, 32)[0]
    area = head[2048 : 2048 + length]
    return area[:32].rstrip(b"\0"), area[32:].rstrip(b"\0")


def test_the_line_is_built_by_the_rules() -> None:
    built = history_line(
        kind="DPXv2", bits=10, width=5, height=3, model="RGB Log", software="Wetgate 0.1.0",
        treatments=["weave", "flicker"],
    )  # fmt: skip
    assert built == LINE
    odd = history_line(
        kind="DPXv2", bits=16, width=5, height=3, model="Y", software="a, b", treatments=["c\nd"]
    )
    assert odd.endswith("T=a; b; c d")
    assert odd.count(",") == 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("user", "offset", "kept"),
    [
        (b"", 2048, b""),
        (b"", 8192, b""),
        (b"", 1664, b""),
        (b"\0" * 40, 2088, b""),
        (b"\xff" * 40, 2088, b""),
        (ID.ljust(32, b"\0") + b"O=film, T=scan\n", 2095, b"O=film, T=scan\n"),
        (ID.ljust(32, b"\0") + b"O=film, T=scan", 8192, b"O=film, T=scan\n"),
        (b"FADGI".ljust(64, b"\0"), 2112, b""),
    ],
)
def test_a_line_is_added(tmp_path: Path, user: bytes, offset: int, kept: bytes, order: str) -> None:
    source, target = tmp_path / "scan.0000123.dpx", tmp_path / "out" / "scan.0000123.dpx"
    target.parent.mkdir()
    source.write_bytes(file_of(layout_of(user, offset, order)))
    data = source.read_bytes()
    assert takes_history(header_of(data), LINE)
    fmt, before = inspect(source)
    write_frame(target, read_codes(source), fmt, "dpx", template=source, history=LINE)
    written = target.read_bytes()
    head = header_of(written)
    identity, body = user_area(head)
    assert identity in (ID, b"FADGI")
    assert body == kept + LINE.encode() + b"\n"
    # Sizes and offsets follow, pixels stay on words, and nothing else moves.
    assert struct.unpack_from(order + "I", head, 4)[0] == len(head)
    assert len(head) % 4 == 0
    assert struct.unpack_from(order + "I", written, 16)[0] == len(written) - len(b"end")
    assert written[len(head) :] == data[offset:]
    assert np.array_equal(decode_dpx(written), decode_dpx(data))
    after = inspect(target)[1]
    assert after["history"] == (kept + LINE.encode()).decode()
    moving = {"history", "user_id", "user_bytes", "data_offset", "file_bytes", "industry_bytes"}
    assert {k: v for k, v in after.items() if k not in moving} == {
        k: v for k, v in before.items() if k not in moving
    }
    if offset == 8192:
        assert len(head) == 8192
    # One more treatment, one more line.
    again = tmp_path / "again.dpx"
    write_frame(again, read_codes(target), fmt, "dpx", template=target, history="O=DPXv2, T=b")
    assert user_area(header_of(again.read_bytes()))[1] == body + b"O=DPXv2, T=b\n"


@pytest.mark.parametrize(
    ("user", "offset"),
    [
        (b"Scanner Inc".ljust(32, b"\0") + b"private", 2087),
        (b"\0" * 32 + b"\x01\x02private", 2089),
        (ID.ljust(32, b"\0") + b"x" * ((1 << 20) - 40), 2048 + (1 << 20) - 8),
    ],
)
def test_what_belongs_to_others_stays(tmp_path: Path, user: bytes, offset: int) -> None:
    source, target = tmp_path / "scan.0000123.dpx", tmp_path / "out" / "scan.0000123.dpx"
    target.parent.mkdir()
    source.write_bytes(file_of(layout_of(user, offset)))
    assert not takes_history(header_of(source.read_bytes()), LINE)
    write_frame(
        target, read_codes(source), inspect(source)[0], "dpx", template=source, history=LINE
    )
    assert target.read_bytes() == source.read_bytes()


def test_data_behind_the_declared_user_data_is_not_written_over() -> None:
    head = bytearray(header_of(file_of(layout_of(b"", 8192))))
    head[5000:5007] = b"hidden!"
    assert not takes_history(bytes(head), LINE)
    struct.pack_into(">I", head, 32, 64)
    assert not takes_history(bytes(head), LINE)


def test_a_date_is_only_written_when_it_is_given() -> None:
    head = header_of(file_of(layout_of()))
    assert patched_header(head) == head
    dated = patched_header(head, creation_date="2026-11-22T10:20:30Z")
    assert header_metadata(parse_header(dated))["creation_date"] == "2026-11-22T10:20:30Z"
    assert [k for k in range(len(head)) if head[k] != dated[k] and not 136 <= k < 160] == []
    with pytest.raises(InputError, match="longer than"):
        patched_header(head, creation_date="2026-11-22T10:20:30+00:00 or so")
    for bad in ("T=x", "", "O=x\nT=y"):
        with pytest.raises(InputError, match="begin with O="):
            patched_header(head, history=bad)
