"""Runs that nobody works on any more are scheduled again; all others are left alone."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any


def swept(home: str, root: str, said: str) -> None:
    """In a process of its own: a server, runs in every state, and the sweep over them."""
    from flows.settings import apply_offline

    apply_offline()
    from flows.server import own_server

    with own_server(Path(home)) as address:
        os.environ["PREFECT_API_URL"] = address
        Path(said).write_text(json.dumps(_sweep_over(Path(root))), "utf-8")
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogHandler

        # This server goes, and what is on its way to it must not wait for it.
        APILogHandler().flush()
        EventsWorker.drain_all(timeout=10.0)


def _sweep_over(root: Path) -> dict[str, Any]:
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled, Completed, Crashed, Failed, Running

    from flows.join import join
    from flows.marks import HELPS, LEADS, marked
    from flows.overnight import overnight
    from flows.sweep import sweep
    from wetgate.crew import leases_of
    from wetgate.files import Folder
    from wetgate.leases import LEAD

    states: dict[str, Any] = {
        "done": Completed(),
        "broken": Failed(),
        "stopped": Cancelled(),
        "killed": Crashed(message="its process was killed"),
        "replaced": Crashed(message="its process was killed"),
    }
    runs: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow(overnight), "overnight", entrypoint="flows.overnight:overnight"
        )
        hands = client.create_deployment(
            client.create_flow(join), "join", entrypoint="flows.join:join"
        )
        names = ("lost", "led", "foreign", "poison", "by hand", "hand", "lost hand", "free hand")
        for name in (*names, *states, "replacement"):
            told: dict[str, Any] = {
                "name": name,
                "parameters": {"sources": [], "out": str(root / name)},
                "tags": ["other"] if name == "foreign" else [LEADS],
            }
            if name.endswith("hand") and name != "by hand":
                told |= {"parameters": {"out": str(root / "led")}, "tags": [HELPS]}
                if name == "free hand":
                    told["parameters"]["out"] = str(root / "over")
                run = client.create_flow_run_from_deployment(hands, **told)
            elif name == "replacement":
                told["parameters"]["out"] = str(root / "replaced")
                run = client.create_flow_run_from_deployment(deployment, **told)
            elif name == "by hand":
                run = client.create_flow_run(overnight, **told)
            else:
                run = client.create_flow_run_from_deployment(deployment, **told)
            if name != "replacement":
                client.set_flow_run_state(run.id, Running(), force=True)
            if name == "poison":
                for _ in range(4):
                    client.set_flow_run_state(run.id, Running(), force=True)
            if name in states:
                client.set_flow_run_state(run.id, states[name], force=True)
            runs[name] = run.id
        for name, phase in (("led", "render"), ("over", "over")):
            (root / name).mkdir()
            said = {"schema": 1, "phase": phase, "leader": "", "work": "", "numerics": {}}
            (root / name / "crew.json").write_text(json.dumps(said), "utf-8")
        leases = leases_of(Folder(root / "led"))
        hand = leases_of(Folder(root / "led"), marked(runs["hand"]))
        leases.beat_s = hand.beat_s = 0.2
        assert leases.claim(LEAD)
        assert hand.claim(f"worker-{hand.owner}")
        result = sweep(expiry_s=6.0, new_s=0.0)
        twice = sweep(expiry_s=3.0, new_s=0.0)
        leases.close()
        hand.close()
        after = {n: client.read_flow_run(i) for n, i in runs.items()}
    return {
        "result": result,
        "twice": twice,
        "states": {n: r.state.name if r.state else "" for n, r in after.items()},
    }


def test_only_what_is_lost_is_scheduled_again(tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    process = multiprocessing.get_context("spawn").Process(
        target=swept, args=(str(tmp_path / "home"), str(tmp_path), str(said))
    )
    process.start()
    process.join(120)
    process.kill()
    assert process.exitcode == 0
    found = json.loads(said.read_text("utf-8"))
    result = {k: sorted(v) for k, v in found["result"].items()}
    assert result == {"again": ["killed", "lost", "lost hand"], "given_up": ["by hand", "poison"]}
    assert found["twice"] == {"again": [], "given_up": []}
    assert found["states"] == {
        "lost": "AwaitingRetry",
        "led": "Running",
        "killed": "AwaitingRetry",
        "replaced": "Crashed",
        "replacement": "Scheduled",
        "hand": "Running",
        "lost hand": "AwaitingRetry",
        "free hand": "Crashed",
        "foreign": "Running",
        "poison": "Crashed",
        "by hand": "Crashed",
        "done": "Completed",
        "broken": "Failed",
        "stopped": "Cancelled",
    }


def test_what_the_sweep_looks_for_is_on_every_run_that_leads() -> None:
    from flows.marks import HELPS, LEADS

    text = (Path(__file__).resolve().parents[2] / "prefect.yaml").read_text("utf-8")
    for deployment in importlib.import_module("yaml").safe_load(text)["deployments"]:
        leads = deployment["entrypoint"] == "flows.overnight:overnight"
        assert (LEADS in deployment["tags"]) == leads, deployment["name"]
        helps = deployment["entrypoint"] in ("flows.join:join", "flows.hands:hands")
        assert (HELPS in deployment["tags"]) == helps, deployment["name"]
