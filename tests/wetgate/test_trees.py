"""Folders of a job are walked whole, and what moves under the walk is no error."""

from __future__ import annotations

from pathlib import Path

from wetgate.events import Events, read_events
from wetgate.files import Folder
from wetgate.guard import delivered_files, sweep_unfinished
from wetgate.trees import bytes_in, files_in


def test_files_of_all_depths_count_and_links_to_folders_do_not(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "one").write_bytes(b"1")
    (top / "a" / "b" / "three").write_bytes(b"333")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big").write_bytes(b"0" * 100)
    (top / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (top / "gone").symlink_to(tmp_path / "nothing")
    assert sorted(e.name for e in files_in(top)) == ["one", "three"]
    assert bytes_in(top) == 4
    assert bytes_in(tmp_path / "nowhere") == 0


def test_a_file_that_goes_while_it_is_counted_takes_no_other_with_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/1", "a/2", "a/3"):
        (tmp_path / name).write_bytes(b"12345")
    walk = files_in(tmp_path)
    first = next(walk)
    Path(first.path).unlink()
    assert sorted(e.name for e in walk) == sorted({"1", "2", "3"} - {first.name})
    assert bytes_in(tmp_path) == 10


def test_unfinished_files_are_no_deliverables_and_are_swept(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for path in (folder.deliver / "r" / "1.dpx", folder.touch / "r" / "1.png"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"whole")
        path.with_name(f"{path.name}.part-7").write_bytes(b"torn")
    whole = [folder.deliver / "r" / "1.dpx", folder.touch / "r" / "1.png"]
    assert delivered_files(folder) == whole
    assert sweep_unfinished(folder) == 2
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(whole)


def test_events_can_be_read_by_what_is_in_their_lines(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    events.emit("run_started")
    events.emit("shot_done", {"shot": "a"})
    events.emit("analysed", {"seconds": 2.0})
    found = read_events(tmp_path / "events.jsonl", having=('"run_started"', '"seconds"'))
    assert [e["event"] for e in found] == ["run_started", "analysed"]
    assert len(read_events(tmp_path / "events.jsonl")) == 3
