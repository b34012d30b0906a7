"""What nobody decided to change comes out as it went in, and every change is marked."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from media.movie import MovieReader
from media.movie.write import MovieWriter
from media.reel import PictureFormat, SampleType
from media.scan import read_codes
from media.write import AnyCodes
from tests.reels import hashes, project_of, put_reel, run_here, scene

SHARES = ("untouched", "adjusted", "borrowed", "invented")


def touch_planes(out: Path, reel: str = "R1") -> AnyCodes:
    """(T, H, W) of all touch planes of a reel."""
    files = sorted((out / "touch" / reel).iterdir())
    planes: AnyCodes = np.stack([read_codes(f)[:, :, 0].astype(np.uint8) for f in files])
    return planes


def test_dpx_passes_through_byte_for_byte(scans: list[Path], tmp_path: Path) -> None:
    outcome = run_here(project_of(scans, only="none"), tmp_path / "out")
    assert (outcome.exit_code, outcome.frames_delivered) == (0, 32)
    for reel in scans:
        assert hashes(tmp_path / "out/deliver/restored" / reel.name) == hashes(reel)
        assert not touch_planes(tmp_path / "out", reel.name).any()
    for path in (tmp_path / "out").glob("reels/*/verify/*.json"):
        share = json.loads(path.read_text("utf-8"))["touch_share"]
        assert [share[n] for n in SHARES] == [1.0, 0.0, 0.0, 0.0]


def _uint(bits: int) -> Callable[[], list[AnyCodes]]:
    def make() -> list[AnyCodes]:
        rng = np.random.default_rng(3)
        found = [rng.integers(0, 1 << bits, (64, 96, 3)) for _ in range(4)]
        return [c.astype(np.uint8) if bits == 8 else c.astype(np.uint16) for c in found]

    return make


def _float(kind: str) -> Callable[[], list[AnyCodes]]:
    def make() -> list[AnyCodes]:
        rng = np.random.default_rng(4)
        pictures: list[AnyCodes] = []
        for _ in range(4):
            values = np.exp(rng.normal(-2.0, 2.0, (64, 96, 3))).astype(np.float32)
            values[0, 0] = (-0.25, 0.0, 60000.0)
            values[1, 1] = (6e-8, 1e-7, 2.0)
            pictures.append(values.astype(kind).astype(np.float32))
        return pictures

    return make


@pytest.mark.parametrize(
    ("kind", "bits", "sample", "make", "encoding"),
    [
        ("png", 16, SampleType.UINT, _uint(16), "rec709"),
        ("png", 8, SampleType.UINT, _uint(8), "srgb"),
        ("tiff", 8, SampleType.UINT, _uint(8), "rec709"),
        ("tiff", 16, SampleType.UINT, _uint(16), "adx16"),
        ("dpx", 12, SampleType.UINT, _uint(12), "linear"),
        ("exr", 16, SampleType.HALF, _float("float16"), "linear"),
        ("exr", 32, SampleType.FLOAT, _float("float32"), "linear"),
    ],
)
def test_other_kinds_pass_through_code_for_code(
    tmp_path: Path,
    kind: str,
    bits: int,
    sample: SampleType,
    make: Callable[[], list[AnyCodes]],
    encoding: str,
) -> None:
    fmt = PictureFormat(width=96, height=64, channels=3, bits=bits, sample=sample)
    pictures = make()
    reel = put_reel(tmp_path / "R1", pictures, fmt=fmt, kind=kind)
    outcome = run_here(project_of([reel], only="none", encoding=encoding), tmp_path / "out")
    assert outcome.failed == ()
    files = sorted((tmp_path / "out/deliver/restored/R1").iterdir())
    assert [f.suffix for f in files] == [p.suffix for p in sorted(reel.iterdir())]
    for file, picture in zip(files, pictures, strict=True):
        found = read_codes(file)
        assert found.dtype == picture.dtype
        np.testing.assert_array_equal(found, picture)
    assert not touch_planes(tmp_path / "out").any()


def test_gray_passes_through(tmp_path: Path) -> None:
    fmt = PictureFormat(width=96, height=64, channels=1, bits=10)
    reel = put_reel(tmp_path / "R1", [c[:, :, 1:2] for c in scene(1, 4)], fmt=fmt)
    assert run_here(project_of([reel], only="none"), tmp_path / "out").failed == ()
    assert hashes(tmp_path / "out/deliver/restored/R1") == hashes(reel)


def test_a_movie_passes_through_with_its_sound(tmp_path: Path) -> None:
    path, plain = tmp_path / "R1.mkv", tmp_path / "plain.mkv"
    fmt = PictureFormat(width=96, height=64, channels=3, bits=10)
    pictures = scene(1, 6)
    sound = tmp_path / "sound.mkv"
    _tone(sound)
    for place, audio in ((plain, None), (path, sound)):
        with MovieWriter(
            place, fmt, Fraction(24), "ffv1", encoding="cineon", streams_from=audio
        ) as w:
            for picture in pictures:
                w.write(picture.astype(np.uint16))
    assert run_here(project_of([path], only="none"), tmp_path / "out").failed == ()
    delivered = tmp_path / "out/deliver/restored/R1.mkv"
    with MovieReader(path) as before, MovieReader(delivered) as after:
        for k in range(6):
            np.testing.assert_array_equal(before.read(k), after.read(k))
            np.testing.assert_array_equal(after.read(k), pictures[k])
    assert _samples(delivered) == _samples(path) != b""
    assert not touch_planes(tmp_path / "out").any()


def _tone(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000, layout="mono")
        samples = (8000 * np.sin(np.arange(12000) / 20)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _samples(path: Path) -> bytes:
    with av.open(str(path)) as container:
        frames = container.decode(audio=0)
        return b"".join(bytes(f.to_ndarray().tobytes()) for f in frames)


@pytest.mark.parametrize(
    "repair", ["weave", "flicker", "dirt", "scratch", "noise", "match", "balance"]
)
def test_a_repair_alone_changes_only_what_it_marks(
    scans: list[Path], tmp_path: Path, repair: str
) -> None:
    out = tmp_path / "out"
    assert run_here(project_of(scans, only=repair), out).failed == ()
    changed = marked = 0
    shares = np.zeros(4)
    for reel in scans:
        planes = touch_planes(out, reel.name)
        files = sorted((out / "deliver/restored" / reel.name).iterdir())
        for scan, file, plane in zip(sorted(reel.iterdir()), files, planes, strict=True):
            differs = (read_codes(scan) != read_codes(file)).any(axis=2)
            assert not (differs & (plane == 0)).any()
            changed += int(differs.sum())
            marked += int((plane > 0).sum())
            shares += [int((plane == k).sum()) for k in range(4)]
    if repair not in ("scratch", "match", "balance"):
        assert changed > 0
    strongest = {"dirt": 2, "scratch": 3}.get(repair, 1)
    assert shares[strongest + 1 :].sum() == 0
    verdicts = [json.loads(p.read_text("utf-8")) for p in out.glob("reels/*/verify/*.json")]
    for k, name in enumerate(SHARES):
        said = np.mean([v["touch_share"][name] for v in verdicts])
        assert said == pytest.approx(shares[k] / shares.sum(), abs=1e-5)
    if repair == "dirt":
        assert 0.2 < shares[0] / shares.sum() < 1.0


def test_a_protected_shot_is_untouched_and_its_neighbour_is_not(
    scans: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_here(project_of(scans[:1], 'policy.protected_shots=["R1_0010"]'), out)
    planes = touch_planes(out)
    assert not planes[:8].any()
    assert planes[8:].any()
    before, after = hashes(scans[0]), hashes(out / "deliver/restored/R1")
    names = sorted(before)
    assert [before[n] == after[n] for n in names] == [True] * 8 + [False] * 8
