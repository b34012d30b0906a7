"""Is everything that was delivered still there, whole, and what the manifest says?"""

from __future__ import annotations

from dataclasses import dataclass

from media.errors import StoreError, UsageError, WetgateError
from media.fixity import file_sha256
from wetgate import ledger
from wetgate.files import digest, read_json
from wetgate.guard import delivered_files
from wetgate.job import Job
from wetgate.manifest import read_delivered, self_digest
from wetgate.solved import known_digests
from wetgate.store import Store


@dataclass(frozen=True)
class Audit:
    """Findings in plain words; none means all is well."""

    files: int
    chunks: int
    decisions: int
    findings: tuple[str, ...]


def audit(job: Job) -> Audit:
    """Check manifest, delivered files, decisions, ledger and every chunk in the store.

    raises: UsageError when nothing has been delivered yet.
    """
    manifest = read_json(job.folder.manifest)
    if manifest is None:
        raise UsageError("nothing has been delivered yet", hint="run 'wetgate run'")
    findings: list[str] = []
    if manifest.get("manifest_sha256") != self_digest(manifest):
        findings.append("manifest.json was edited after it was written")
    files = read_delivered(manifest)
    for name, file in files.items():
        path = (job.folder.root / name).resolve()
        if not path.is_relative_to(job.folder.root):
            findings.append(f"{name} leads out of the output folder")
        elif not path.is_file():
            findings.append(f"{name} is missing")
        elif file_sha256(path) != file.sha256:
            findings.append(f"{name} does not match its SHA-256")
    for path in delivered_files(job.folder):
        name = path.relative_to(job.folder.root).as_posix()
        if name not in files:
            findings.append(f"{name} is not in the manifest")
    decisions = 0
    try:
        decisions = ledger.check(job.folder.ledger)
    except WetgateError as error:
        findings.append(str(error))
    findings += _edited(job)
    chunks, damaged = _chunks(job.store)
    findings += damaged
    return Audit(len(files), chunks, decisions, tuple(findings))


def _edited(job: Job) -> list[str]:
    """Decision files that do not say what was written there."""
    known = known_digests(job.folder)
    findings = []
    for path in sorted(job.folder.root.glob("reels/*/decisions/*.json")):
        try:
            same = digest(read_json(path)) in known.get(path.stem, [""])
        except StoreError as error:
            findings.append(error.what)
            continue
        if path.stem in known and not same:
            findings.append(f"decisions/{path.name} was edited after it was written")
    return findings


def _chunks(store: Store) -> tuple[int, list[str]]:
    keys = store.keys()
    findings = []
    for key in keys:
        try:
            store.get(key)
        except StoreError as error:
            findings.append(f"{error.what}; it is made again on the next run")
    return len(keys), findings
