"""The other deployments, on a real server: color, a helper that leads on, and the audit."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.reels import command_line, environment, put_title

SETS = ("render.workers=1", "policy.max_repaired_share=0.4")


def worked(root: str, said: str) -> None:
    """In a process of its own: a leader is killed, and what its flows then do."""
    from flows.settings import apply_offline

    apply_offline()
    from flows.server import own_server

    with own_server(Path(root) / "home") as address:
        found = _worked(Path(root), address)
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogHandler

        # This server goes, and what is on its way to it must not wait for it.
        APILogHandler().flush()
        EventsWorker.drain_all(timeout=10.0)
    Path(said).write_text(json.dumps(found), "utf-8")


def _worked(root: Path, address: str) -> dict[str, Any]:
    scans, out = [str(p) for p in put_title(root / "scans")], root / "out"
    told = ["run", *scans, "--encoding", "cineon", "--rate", "24", "--no-prefect"]
    told += [a for s in SETS for a in ("--set", s)]
    leader = subprocess.Popen(
        command_line(*told, "--out", out), env=environment(), stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (out / "store").is_dir() and time.monotonic() < deadline:
        time.sleep(0.02)
    leader.kill()
    leader.wait()
    os.environ["PREFECT_API_URL"] = address
    from flows.checking import verify
    from flows.join import join
    from flows.overnight import overnight
    from flows.prebalance import prebalance
    from wetgate.control import Word, say, withdraw
    from wetgate.files import Folder

    joined, checked = join(str(out)), verify(str(out))
    say(Folder(out), Word.CANCEL)
    asked: dict[str, Any] = {"encoding": "cineon", "rate": "24", "sets": list(SETS)}
    cancelled = overnight(scans, str(out), **asked, return_state=True).name
    withdraw(Folder(out))
    return {
        "join": joined,
        "verify": checked,
        "cancelled": cancelled,
        "prebalance": prebalance(scans, str(root / "grade"), encoding="cineon", rate="24"),
    }


def test_the_other_deployments_do_their_work(tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    process = multiprocessing.get_context("spawn").Process(
        target=worked, args=(str(tmp_path), str(said))
    )
    process.start()
    process.join(240)
    process.kill()
    found = json.loads(said.read_text("utf-8"))
    assert found["join"]["led"]
    assert found["join"]["frames_delivered"] == found["join"]["frames_planned"] == 32
    assert found["verify"]["findings"] == []
    assert found["cancelled"] == "Cancelled"
    assert "deliver/color/handover.json" in found["prebalance"]["files"]
    assert found["prebalance"]["shots"] == 4
