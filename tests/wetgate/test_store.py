"""The store keeps whole chunks, and never takes anything else for one."""

from __future__ import annotations

import json
import multiprocessing
import pickletools
import shutil
import time
import zlib
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from media.encoding import encoding
from media.errors import StoreError
from media.fixity import file_sha256
from media.log_planes import CodedFrame
from media.reel import PictureFormat
from wetgate.files import digest
from wetgate.packing import Packed, PackedFrame, Room
from wetgate.store import Chunk, Store
from wetgate.touch import counts

KEY = digest("a chunk")


def chunk(seed: int = 1) -> Chunk:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 1024, (3, 8, 12, 3)).astype(np.uint16)
    touch = rng.integers(0, 4, (3, 8, 12)).astype(np.uint8)
    return Chunk(codes, touch, {"touch_counts": {"0": 4}})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def set_aside(store: Store) -> list[Path]:
    return sorted(store.place(KEY).parent.parent.glob("damaged-*"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x20
    path.write_bytes(data)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_what_is_put_is_what_is_got(store: Store, dtype: type[np.generic]) -> None:
    put = Chunk(np.asarray(chunk().codes).astype(dtype), chunk().touch, {"seconds": 1.5})
    assert not store.has(KEY)
    assert not store.check(KEY)
    store.put(KEY, put)
    assert store.check(KEY)
    got = store.get(KEY)
    assert got.codes.dtype == dtype
    np.testing.assert_array_equal(got.codes, put.codes)
    np.testing.assert_array_equal(got.touch, put.touch)
    assert (got.facts, store.keys()) == ({"seconds": 1.5}, [KEY])


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (3, 4, 6, 1), (1, 1, 1, 1), (2, 3, 4, 3)])
@pytest.mark.parametrize("top", [1023, 1024, 65535])
def test_ten_bits_are_kept_in_words(store: Store, shape: tuple[int, ...], top: int) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 1024, shape).astype(np.uint16)
    # The last of all: what does not fit must be noticed wherever it lies.
    codes.flat[-1] = top
    store.put(KEY, Chunk(codes, np.zeros(shape[:3], np.uint8), {}))
    got = store.get(KEY).codes
    assert got.shape == shape
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, codes)
    np.testing.assert_array_equal(got[shape[0] - 1], codes[-1])
    record = json.loads((store.place(KEY) / "record.json").read_text("utf-8"))
    assert ("packed" in record) == (top < 1024)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_packed_frames_look_as_they_would_unpacked(channels: int, step: int) -> None:
    fmt = PictureFormat(width=17, height=11, channels=channels, bits=10)
    room, rng = Room(fmt, 2), np.random.default_rng(0)
    for at in range(2):
        room.frame(at)[:] = rng.integers(0, 1024, (11, 17, channels))
        room.filled(at)
    codes, space = room.codes(2), encoding("rec709")
    assert isinstance(codes, Packed)
    packed, plain = PackedFrame(codes, 1, fmt, space), CodedFrame(codes[1], fmt, space)
    assert packed.size_px == plain.size_px == (11, 17)
    assert torch.equal(packed.means(step), plain.means(step))
    assert torch.equal(packed.whole, plain.whole)
    assert torch.equal(packed.part(slice(2, 5), slice(3, 9)), plain.whole[:, 2:5, 3:9])


@pytest.mark.parametrize("marks", ["none", "all", "few", "noise"])
def test_touch_planes_come_back(store: Store, marks: str) -> None:
    rng = np.random.default_rng(0)
    touch = np.zeros((3, 40, 50), np.uint8)
    touch += {"none": 0, "all": 1, "few": 1, "noise": 0}[marks]
    if marks == "few":
        touch[1, 3:7, 8:20] = 2
        touch[2, -1, -1] = 3
    if marks == "noise":
        touch[:] = rng.integers(0, 4, touch.shape)
    store.put(KEY, Chunk(np.zeros((3, 40, 50, 1), np.uint8), touch, {}))
    np.testing.assert_array_equal(store.touch(KEY), touch)
    want = [[int((plane == k).sum()) for k in range(4)] for plane in touch]
    assert counts(touch).tolist() == want


def test_chunks_of_the_first_kind_are_read(store: Store) -> None:
    """As they were written before codes were packed and marks kept as runs."""
    put = chunk()
    store.put(KEY, put)
    place = store.place(KEY)
    np.save(place / "pixels.npy", np.asarray(put.codes))
    (place / "touch.z").write_bytes(zlib.compress(put.touch.tobytes(), 1))
    record = json.loads((place / "record.json").read_text("utf-8"))
    for name in ("packed", "shape", "touch_coding"):
        del record[name]
    for name in record["files"]:
        record["files"][name] = file_sha256(place / name)
    (place / "record.json").write_text(json.dumps(record), "utf-8")
    np.testing.assert_array_equal(store.get(KEY).codes, put.codes)
    np.testing.assert_array_equal(store.get(KEY).touch, put.touch)


def test_the_first_chunk_stays(store: Store) -> None:
    store.put(KEY, chunk(1))
    store.put(KEY, chunk(2))
    np.testing.assert_array_equal(store.get(KEY).codes, chunk(1).codes)
    assert not list(store.place(KEY).parent.parent.glob(".part-*"))


def test_a_chunk_that_is_not_there(store: Store) -> None:
    with pytest.raises(StoreError, match="not in the store") as caught:
        store.get(KEY)
    assert caught.value.retryable
    assert store.keys() == []


@pytest.mark.parametrize(
    ("name", "at"), [("pixels.npy", 20), ("pixels.npy", 300), ("pixels.npy", -1), ("touch.z", 5)]
)
def test_a_flipped_bit_is_found(store: Store, name: str, at: int) -> None:
    for find in ("check", "get"):
        store.put(KEY, chunk())
        flip(store.place(KEY) / name, at)
        if find == "check":
            assert not store.check(KEY)
        else:
            with pytest.raises(StoreError, match=name):
                store.get(KEY)
        assert not store.has(KEY)
    assert len(set_aside(store)) == 2
    store.put(KEY, chunk())
    assert store.check(KEY)


@pytest.mark.parametrize("name", ["pixels.npy", "touch.z"])
def test_a_missing_file_is_found(store: Store, name: str) -> None:
    for find in ("check", "get"):
        store.put(KEY, chunk())
        (store.place(KEY) / name).unlink()
        if find == "check":
            assert not store.check(KEY)
        else:
            with pytest.raises(StoreError, match="is missing"):
                store.get(KEY)
        assert not store.has(KEY)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text[:0],
        lambda text: text.replace(KEY, digest("another")),
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: text.replace("pixels.npy", "pixels.txt"),
        lambda text: f"[{text}]",
        lambda text: text + "\udcff",
    ],
    ids=["torn", "empty", "foreign", "schema", "names", "list", "not text"],
)
def test_a_record_that_vouches_for_nothing(store: Store, damage: object) -> None:
    assert callable(damage)
    store.put(KEY, chunk())
    record = store.place(KEY) / "record.json"
    record.write_bytes(damage(record.read_text("utf-8")).encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError):
        store.get(KEY)
    assert not store.check(KEY)
    assert len(set_aside(store)) == 1
    store.put(KEY, chunk())
    assert store.check(KEY)


def test_pictures_without_a_record_are_no_chunk_and_not_in_the_way(store: Store) -> None:
    store.put(KEY, chunk())
    (store.place(KEY) / "record.json").unlink()
    assert (store.has(KEY), store.keys()) == (False, [])
    store.put(KEY, chunk())
    assert store.check(KEY)
    assert len(set_aside(store)) == 1


def _put(root: str, seed: int) -> bool:
    store = Store(Path(root))
    store.put(KEY, chunk(seed))
    return store.check(KEY)


def test_many_threads_put_the_same_chunk(store: Store) -> None:
    root = str(store.place(KEY).parent.parent)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(_put, [root] * 16, [1] * 16))
    assert [p.name for p in Path(root).iterdir()] == [KEY[:2]]
    np.testing.assert_array_equal(store.get(KEY).codes, chunk().codes)


def test_many_processes_put_the_same_chunk(store: Store) -> None:
    root = str(store.place(KEY).parent.parent)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert all(pool.map(_put, [root] * 8, [1] * 8))
    assert [p.name for p in Path(root).iterdir()] == [KEY[:2]]


def test_many_threads_find_the_same_damage(store: Store) -> None:
    store.put(KEY, chunk())
    flip(store.place(KEY) / "pixels.npy", 200)
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(store.check, [KEY] * 8))
    assert len(set_aside(store)) == 1


def test_the_sweep_takes_only_what_was_left_half_made(store: Store) -> None:
    store.put(KEY, chunk())
    root = store.place(KEY).parent.parent
    old = root / ".part-1-aa"
    shutil.copytree(store.place(KEY), old)
    now = time.time()
    assert store.sweep(3600.0, now) == 0
    assert store.sweep(3600.0, now + 4000.0) == 1
    assert not old.exists()
    assert store.check(KEY)
    assert Store(root / "nowhere").sweep(0.0, now) == 0


def test_nothing_is_pickled(store: Store, reference: Path) -> None:
    store.put(KEY, chunk())
    kinds = {p.suffix for p in reference.rglob("*") if p.is_file()} - {""}
    assert kinds <= {
        ".csv", ".json", ".jsonl", ".npz", ".npy", ".z", ".otio", ".toml", ".txt",
        ".dpx", ".png", ".cc", ".ccc", ".cdl", ".edl", ".ale", ".clf", ".cube", ".html",
    }  # fmt: skip
    for path in (*reference.rglob("*.npz"), *reference.rglob("*.npy")):
        with path.open("rb") as stream:
            np.load(stream, allow_pickle=False)
    for path in reference.rglob("*.z"):
        with pytest.raises(ValueError, match=r"pickle|opcode"):
            list(pickletools.genops(path.read_bytes()))
    record = json.loads((store.place(KEY) / "record.json").read_text("utf-8"))
    assert sorted(record["files"]) == ["pixels.npy", "touch.z"]
