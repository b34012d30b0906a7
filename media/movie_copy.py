"""Sound, subtitles and other streams of a movie, copied packet for packet and kept in sync."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from media.errors import InputError

_KINDS = ("audio", "subtitle")
"""Streams that are copied; a timecode track is written anew, attachments have no packets."""


class CopiedStreams:
    """The packets of another movie's streams, to be muxed beside new pictures."""

    def __init__(self, source: Path, target: OutputContainer, name: str, start_s: Fraction) -> None:
        """start_s: when the source's first picture is shown; the new one is shown at zero.

        raises: InputError when the source cannot be read or a stream does not fit the target.
        """
        try:
            self._source: InputContainer = av.open(str(source))
        except av.FFmpegError as error:
            raise InputError(
                f"sound of {source.name} cannot be read: {error.strerror}",
                hint="check the movie the sound is taken from",
            ) from error
        self._start_s = start_s
        self._target = target
        self._streams: dict[int, Stream] = {}
        for stream in self._source.streams:
            if stream.type not in _KINDS:
                continue
            try:
                self._streams[stream.index] = target.add_stream_from_template(stream)
            except (av.FFmpegError, ValueError) as error:
                self.close()
                raise InputError(
                    f"{stream.type} of {source.name} does not fit {name}: {error}",
                    hint="set reels.sound = false to deliver without, or deliver another format",
                ) from error
        self._packets = self._retargeted()

    def mux(self, until_s: Fraction | None) -> None:
        """Mux packets up to a time (seconds from the first picture); None muxes all the rest."""
        for packet in self._packets:
            time_s = Fraction(packet.dts) * Fraction(packet.time_base)
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
            if packet.dts is None:
                continue
            if self._start_s:
                ticks = round(self._start_s / Fraction(packet.time_base))
                packet.dts -= ticks
                packet.pts = None if packet.pts is None else packet.pts - ticks
            packet.stream = self._streams[packet.stream.index]
            yield packet
