"""Sound and subtitles of a movie, copied packet for packet and kept in sync with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from media.errors import InputError
from media.movie.walk import is_no_text, open_movie

COPIED = ("audio", "subtitle")
"""Kinds that are copied; a timecode track is written anew, attachments have no packets."""
_QUICKTIME_LANGUAGES = {
    "deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi",
    "fre": "fra", "cze": "ces", "slo": "slk", "rum": "ron", "wel": "cym", "sqi": "alb",
    "hye": "arm", "kat": "geo", "bod": "tib", "mya": "bur", "msa": "may", "fas": "iri",
}  # fmt: skip
"""QuickTime numbers languages; FFmpeg knows each of its numbers by one of two ISO 639-2 codes."""
_MAX_CLOCK = 1 << 30
_LOOKED_AT = 5000
"""Packets looked at for the beginning of the sound."""
_HINT = "set reels.sound = false to deliver without, or deliver another kind of file"


def first_sound_s(source: Path) -> Fraction | None:
    """When the first sound of a movie is heard (seconds); None without sound.

    What lies before zero is there to start a decoder and is not heard. raises: av.FFmpegError.
    """
    found: dict[int, Fraction] = {}
    with open_movie(source) as container:
        waited_for = len(container.streams.audio)
        if not waited_for:
            return None
        for count, packet in enumerate(container.demux(container.streams.audio)):
            if packet.pts is not None and packet.size:
                heard = max(Fraction(0), packet.pts * Fraction(packet.time_base))
                found.setdefault(packet.stream.index, heard)
            if len(found) == waited_for or count > _LOOKED_AT:
                break
    return min(found.values(), default=None)


def shared_clock(rate: Fraction, lead_s: Fraction) -> tuple[int, Fraction]:
    """Ticks per second in which pictures at ``rate`` and a lead are whole numbers, and the lead.

    The lead is rounded to such a tick where no clock holds both.
    """
    clock = lcm(rate.numerator, lead_s.denominator)
    if clock > _MAX_CLOCK:
        clock = rate.numerator * max(1, 1_000_000 // rate.numerator)
    return clock, Fraction(round(lead_s * clock), clock)


class CopiedStreams:
    """The packets of another movie's streams, to be muxed beside new pictures."""

    def __init__(
        self, source: Path, target: OutputContainer, name: str, earlier_s: Fraction
    ) -> None:
        """earlier_s: how much earlier than in the source the packets are shown (seconds).

        raises: InputError when the source cannot be read or a stream does not fit the target.
        """
        try:
            self._source: InputContainer = open_movie(source)
        except av.FFmpegError as error:
            raise InputError(
                f"sound of {source.name} cannot be read: {error.strerror}",
                hint="check the movie the sound is taken from",
            ) from error
        self._name = source.name
        self._earlier_s = earlier_s
        self._target = target
        self._streams: dict[int, Stream] = {}
        for stream in self._source.streams:
            if stream.type in COPIED:
                try:
                    self._streams[stream.index] = self._added(stream)
                except (av.FFmpegError, ValueError, AttributeError) as error:
                    unfit = _unfit(stream, source.name, name)
                    self.close()  # After the last look at the stream: closing frees it.
                    raise unfit from error
        self._packets = self._retargeted()

    def __bool__(self) -> bool:
        return bool(self._streams)

    def _added(self, stream: Stream) -> Stream:
        added = self._target.add_stream_from_template(stream)
        language = stream.metadata.get("language", "")
        if self._target.format.name == "mov":
            language = _QUICKTIME_LANGUAGES.get(language, language)
        title = stream.metadata.get("title") or stream.metadata.get("name")
        for key, text in (("language", language), ("title", title)):
            if text:
                added.metadata[key] = text
        added.disposition = stream.disposition
        return added

    def mux(self, until_s: Fraction | None) -> None:
        """Mux packets up to a time (seconds in the new movie); None muxes all the rest."""
        for packet in self._packets:
            time_s = Fraction(packet.dts or 0) * Fraction(packet.time_base)
            self._target.mux(packet)
            if until_s is not None and time_s >= until_s:
                return

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def _retargeted(self) -> Iterator[av.Packet]:
        if not self._streams:
            return
        sources = [s for s in self._source.streams if s.index in self._streams]
        for packet in self._source.demux(sources):
            if not packet.size or is_no_text(packet):
                continue
            if packet.dts is None:
                raise InputError(
                    f"{packet.stream.type} of {self._name} has packets without a time",
                    hint=_HINT,
                )
            if self._earlier_s:
                ticks = round(self._earlier_s / Fraction(packet.time_base))
                packet.dts -= ticks
                packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.stream = self._streams[packet.stream.index]
            yield packet


def _unfit(stream: Stream, source: str, target: str) -> InputError:
    known: object = stream.codec_context
    codec = stream.codec_context.name if known is not None else "of a kind not known here"
    return InputError(
        f"{stream.type} stream {stream.index} of {source} ({codec}) does not fit {target}",
        hint=_HINT,
    )


def streams_that_do_not_fit(source: Path, container: str) -> list[str]:
    """Sound and subtitles of a movie that a container cannot hold, named; to refuse early.

    container: FFmpeg's name, ``media.movie.codecs.CODECS[name].container``.
    raises: InputError when the source cannot be read.
    """
    unfit = []
    try:
        with open_movie(source) as movie:
            for stream in movie.streams:
                if stream.type not in COPIED:
                    continue
                with av.open("/dev/null", "w", format=container) as target:
                    try:
                        target.add_stream_from_template(stream)
                    except (av.FFmpegError, ValueError, AttributeError):
                        unfit.append(_unfit(stream, source.name, container).what)
    except av.FFmpegError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror}") from error
    return unfit
