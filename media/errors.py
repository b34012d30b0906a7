"""The one error tree. Every error says where, what, and what to do now.

    WetgateError                                                   retry  exit
      UsageError            wrong command line, unwritable output     no     2
      ConfigError           project, overrides, presets               no     2
      InputError            something is wrong with the material      no     2
        FrameMissing        a gap in the numbering
        FrameDuplicate      two files claim one frame number
        FrameUnreadable     zero bytes, truncated, NaN, wrong magic
        ReelMixed           size, depth or channels change inside a reel
        EncodingUndeclared  color encoding not stated and never guessed
        SourceChanged       the scan is not the one that was ingested
      DeliveryExists        a deliverable is there, --replace not given no     2
      RepairError           an operator cannot do its work on a shot   no     4
        NotFinite           an operator made NaN or Inf
        ModelRefused        weights without card, licence or right hash no     2
      StoreError            a chunk is not what its record says        yes    1
      WorkerError           the machine, not the material              yes    1
        OutOfMemory
        StorageFull         pause; resumes when there is room          yes    4
        StorageGone         the disk went away and did not come back       yes    4
      CalledOff             a person cancelled the work                no     130

``retryable`` tells a scheduler whether trying again can help. ``exit_code`` is the
process exit code when nothing else was delivered (see the README for the full table).
"""

from __future__ import annotations


class WetgateError(Exception):
    """Base of all named errors.

    what:  one sentence, what is wrong.
    hint:  one sentence, what a person can do now.
    reel, shot, frame: where, as far as known; ``frame`` is the scan's own number.
    """

    retryable = False
    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        hint: str = "",
        reel: str | None = None,
        shot: str | None = None,
        frame: int | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.reel = reel
        self.shot = shot
        self.frame = frame

    def where(self) -> str:
        """The place, in the words used everywhere: reel, shot, frame."""
        parts = []
        if self.reel is not None:
            parts.append(f"reel {self.reel}")
        if self.shot is not None:
            parts.append(f"shot {self.shot}")
        if self.frame is not None:
            parts.append(f"frame {self.frame}")
        return ", ".join(parts)

    def __str__(self) -> str:
        where = self.where()
        text = f"{where}: {self.what}" if where else self.what
        return f"{text} ({self.hint})" if self.hint else text

    def as_dict(self) -> dict[str, str | int | bool | None]:
        """Machine-readable form for --json, events and reports."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "hint": self.hint,
            "reel": self.reel,
            "shot": self.shot,
            "frame": self.frame,
            "retryable": self.retryable,
        }


class UsageError(WetgateError):
    """The command line or the output folder cannot be used as given."""

    exit_code = 2


class ConfigError(WetgateError):
    """A project, preset, override or --set value is wrong."""

    exit_code = 2


class InputError(WetgateError):
    """Something is wrong with the material; retrying cannot help."""

    exit_code = 2


class FrameMissing(InputError):
    """The numbering has a gap."""


class FrameDuplicate(InputError):
    """Two files claim the same frame number."""


class FrameUnreadable(InputError):
    """A frame is empty, truncated, not what its name says, or not finite."""


class ReelMixed(InputError):
    """Size, depth or channel count change inside one reel."""


class EncodingUndeclared(InputError):
    """The color encoding is not declared, and it is never guessed."""


class SourceChanged(InputError):
    """A source frame is not the one that was ingested."""


class DeliveryExists(WetgateError):
    """A deliverable that this run did not make is in the way."""

    exit_code = 2


class RepairError(WetgateError):
    """An operator cannot do its work on a shot; the shot is parked, the reel goes on."""

    exit_code = 4


class NotFinite(RepairError):
    """An operator produced NaN or Inf."""


class ModelRefused(RepairError):
    """Weights without a card, with the wrong digest, or without a usable licence."""

    exit_code = 2


class StoreError(WetgateError):
    """A stored chunk is not what its record says."""

    retryable = True


class WorkerError(WetgateError):
    """The machine failed, not the material; another try or worker may succeed."""

    retryable = True


class OutOfMemory(WorkerError):
    """The worker ran out of memory on this piece of work."""


class StorageFull(WorkerError):
    """No room to write. Work is paused; the same command resumes it."""

    exit_code = 4


class StorageGone(WorkerError):
    """The disk of the output folder, or of the scans, went away and did not come back in time."""

    exit_code = 4


class CalledOff(WetgateError):
    """A person cancelled the work. What is finished is kept."""

    exit_code = 130
