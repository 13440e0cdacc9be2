"""The log: text or JSON, always one line per event, with priorities for the journal."""
import json
import os
import subprocess

from harness import HOST, free_port, wait_for, weir_binary


def test_json_lines(lab):
    group = lab.group(1, config={"log": {"format": "json", "level": "debug"}})
    rows = [json.loads(line) for line in group.weir.log().splitlines()]
    assert {"time", "level", "thread", "text"} == set(rows[0])
    assert any(row["text"].startswith("master is") and row["level"] == "notice" for row in rows)
    assert {row["thread"] for row in rows} >= {"control"}
    assert all(row["time"].endswith("Z") for row in rows)


def test_format_changes_while_weir_runs(lab):
    weir = lab.group(1).weir
    length = len(weir.log())
    weir.reload(log={"format": "json"})
    last = lambda: weir.log()[length:].splitlines()[-1]  # noqa: E731
    assert "is in force" in json.loads(last())["text"]
    weir.reload(log={"format": "text"})
    assert last().endswith("1 key has changed") and not last().startswith("{")


def run_briefly(tmp_path, environment, stderr, said):
    ini = tmp_path / "weir.ini"
    ini.write_text(f"[proxy]\nlisten = {HOST}:{free_port()}\nworkers = 1\n[replication]\nmaster = {HOST}:{free_port()}\n"
                   f"[admin]\nlisten =\n")
    process = subprocess.Popen([weir_binary(), "-c", ini], stderr=stderr, env=dict(os.environ, **environment))
    try:
        wait_for(lambda: "runs with" in said(), what="weir runs")
    finally:
        process.terminate()
        assert process.wait(20) == 0
    return said()


def test_priorities_for_the_journal_and_nobody_else(tmp_path):
    path = tmp_path / "stderr"
    with open(path, "wb") as file:
        status = os.fstat(file.fileno())
        mine = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        text = run_briefly(tmp_path, mine, file, path.read_text)
    assert all(line.startswith("<") for line in text.splitlines())
    assert any(line.startswith("<5>") and "runs with" in line for line in text.splitlines())
    with open(path, "wb") as file:
        others = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"}
        text = run_briefly(tmp_path, others, file, path.read_text)
    assert not any(line.startswith("<") for line in text.splitlines())
