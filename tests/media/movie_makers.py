"""Movies as other programs write them, with sound and subtitles whose place is known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from media.movie import MovieWriter
from media.movie.walk import picture_stream
from media.reel import PictureFormat
from media.write import AnyCodes

RATE = Fraction(24)
SOUND_HZ = 48000
WIDTH, HEIGHT = 64, 48


def fmt_of(bits: int, channels: int = 3, width: int = 80, height: int = 66) -> PictureFormat:
    return PictureFormat(width=width, height=height, channels=channels, bits=bits)


def noise(fmt: PictureFormat, count: int = 3, seed: int = 5) -> list[Any]:
    """Pictures that no coder can guess."""
    kind = np.uint8 if fmt.bits == 8 else np.uint16
    shape = (count, fmt.height, fmt.width, fmt.channels)
    return list(np.random.default_rng(seed).integers(0, fmt.full_scale + 1, shape).astype(kind))


def put_movie(
    path: Path,
    fmt: PictureFormat,
    pictures: list[Any],
    codec: str,
    *,
    rate: Fraction = RATE,
    encoding: str = "rec709",
    timecode: str | None = "01:00:00:00",
    streams_from: Path | None = None,
    start_s: Fraction = Fraction(0),
) -> Path:
    """A movie of our own."""
    with MovieWriter(
        path,
        fmt,
        rate,
        codec,
        encoding=encoding,
        timecode=timecode,
        streams_from=streams_from,
        streams_start_s=start_s,
        durable=False,
    ) as out:
        for picture in pictures:
            out.write(picture)
    return path


def foreign(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    rate: Fraction = RATE,
    count: int = 25,
    first: int = 0,
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int, int] | None = (1, 1, 1, 1),
    sounds: tuple[str, ...] = (),
    click: int | None = None,
    languages: tuple[str, ...] = ("deu", "fra"),
    size: tuple[int, int] = (WIDTH, HEIGHT),
    aspect: Fraction | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A movie whose picture k is brighter than picture k - 1, and whose stripe moves on.

    first: time of the first picture, in pictures. times: of all pictures, instead. tags:
    primaries, transfer, matrix, range. sounds: codecs. click: position of the picture at whose
    time the sound has its only click.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = (*size, pix_fmt)
        context = stream.codec_context
        if codec.startswith("mpeg"):
            stream.bit_rate, context.qmax = 8_000_000, 2
        if tags is not None:
            context.color_primaries, context.color_trc = tags[:2]
            context.colorspace, context.color_range = tags[2:]
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        voices: list[Any] = []
        for name, language in zip(sounds, languages, strict=False):
            voice = container.add_stream(name, rate=SOUND_HZ, layout="mono")
            voice.metadata["language"] = language
            voices.append(voice)
        for n in range(count):
            gray = np.full((size[1], size[0], 3), 40 + 4 * n, np.uint8)
            gray[:, n : n + 8] = 230
            frame = av.VideoFrame.from_ndarray(gray, "rgb24").reformat(format=pix_fmt)
            frame.pts = first + (n if times is None else times[n])
            frame.time_base = 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        at_s = None if click is None else Fraction(first + click) / rate
        for voice in voices:
            _put_sound(container, voice, Fraction(first + count) / rate, at_s)
    return path


def _put_sound(container: Any, voice: Any, length_s: Fraction, click_s: Fraction | None) -> None:
    samples = np.zeros(int(length_s * SOUND_HZ), np.float32)
    if click_s is not None:
        samples[round(click_s * SOUND_HZ)] = 0.9
    block = voice.codec_context.frame_size or 1024
    for at in range(0, len(samples), block):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + block], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, at, Fraction(1, SOUND_HZ)
        container.mux(voice.encode(frame))
    container.mux(voice.encode(None))


def add_subtitles(
    source: Path, target: Path, codec: str, lines: list[tuple[int, int, str]]
) -> Path:
    """A copy of a movie with text subtitles. lines: start and end in ms, and the words."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        streams: dict[int, Any] = {}
        for stream in before.streams:
            if stream.type in ("video", "audio"):
                streams[stream.index] = after.add_stream_from_template(stream)
        text: Any = after.add_mux_stream(codec)
        text.metadata["language"] = "eng"
        text.time_base = Fraction(1, 1000)
        for packet in before.demux():
            if packet.size and packet.stream.index in streams:
                packet.stream = streams[packet.stream.index]
                after.mux(packet)
        for start, end, words in lines:
            data = words.encode()
            if codec == "mov_text":
                data = len(data).to_bytes(2, "big") + data
            packet = av.Packet(data)
            packet.pts = packet.dts = start
            packet.duration, packet.time_base, packet.stream = end - start, Fraction(1, 1000), text
            after.mux(packet)
    return target


def payload(path: Path, kind: str, at: int = 0) -> tuple[int, bytes]:
    """Number of packets of a stream, and what is in them."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][at]
        packets = [bytes(p) for p in container.demux(stream) if p.size]
    return len(packets), b"".join(packets)


def click_after_first_picture_s(path: Path, at: int = 0) -> Fraction:
    """When the loudest sample is heard, in seconds after the first picture is shown."""
    with av.open(str(path)) as container:
        stream = picture_stream(container)
        assert stream is not None
        shown = min(
            p.pts * p.time_base
            for p in container.demux(stream)
            if p.pts is not None and not p.is_discard
        )
    loudest, when = 0.0, Fraction(0)
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[at]):
            values = np.abs(np.atleast_2d(frame.to_ndarray()).astype(np.float64)[0])
            place = int(values.argmax())
            if values[place] > loudest and frame.pts is not None:
                loudest = float(values[place])
                when = frame.pts * frame.time_base + Fraction(place, frame.sample_rate)
    return when - Fraction(shown)


def means(pictures: list[AnyCodes]) -> list[float]:
    return [float(p.mean()) for p in pictures]


def changed(path: Path, target: Path, at: int, data: bytes) -> Path:
    """A copy with some bytes overwritten."""
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    target.write_bytes(bytes(content))
    return target


def atom(path: Path, *kinds: bytes) -> int:
    """Where an atom of a MOV starts, by the path of its kinds; -1 where there is none."""
    data = path.read_bytes()
    start, stop, found = 0, len(data), -1
    for kind in kinds:
        at, found = start, -1
        while at + 8 <= stop:
            size = int.from_bytes(data[at : at + 4], "big") or stop - at
            if data[at + 4 : at + 8] == kind:
                found = at
                break
            at += size
        if found < 0:
            return -1
        start, stop = found + 8, found + size
    return found
