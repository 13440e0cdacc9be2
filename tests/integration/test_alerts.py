"""deploy/monitoring/weir-alerts.yml: every alert in a case in which it fires and in
one in which it is silent, judged by promtool; and none asks for what is not told."""
import json
import re
import subprocess

import pytest

from harness import TOP, promtool, wait_for
from test_dashboard import SCRAPE_LABELS, scrape, selectors

ALERTS = TOP / "deploy" / "monitoring" / "weir-alerts.yml"
MINUTES = 75


def series(name, values, **labels):
    labels = {"instance": "a", **labels}
    return {"series": name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}", "values": values}


def steady(name, value, **labels):
    return series(name, f"{value}x{MINUTES}", **labels)


def rising(name, step, start=0, **labels):
    return series(name, f"{start}+{step}x{MINUTES}", **labels)


def once(name, **labels):
    """A counter that rises by one in the fifth minute before the end."""
    return series(name, f"0x{MINUTES - 5} 1x5", **labels)


def replica(readable=1, drained=0, up=1, **more):
    return [steady("weir_replica_readable", readable, node="r"), steady("weir_replica_drained", drained, node="r"),
            steady("weir_node_up", up, node="r", role="replica"), *more.values()]


def buckets(name, fast, slow, **labels):
    """So many of each a minute: within 0.1 ms, and within a second."""
    return [rising(f"{name}_bucket", step, le=le, **labels)
            for le, step in [("0.0001", fast), ("0.8192", fast), ("1.6384", fast + slow), ("+Inf", fast + slow)]]


def reads(left, all_of_them):
    return [rising("weir_reads_left_replicas_total", left, reason="lag"),
            rising("weir_commands_total", left, **{"class": "read"}, route="master"),
            rising("weir_commands_total", all_of_them - left, **{"class": "read"}, route="replica")]


def behind(lag_bytes):
    return [steady("weir_replica_lag_bytes", lag_bytes, node="r"), steady("weir_node_backlog_size_bytes", 1000, node="m"),
            steady("weir_node_backlog_size_bytes", 10 ** 9, node="r"), steady("weir_node_up", 1, node="m", role="master"),
            steady("weir_node_up", 1, node="r", role="replica")]


def reloads(failed, ok):
    return [(once if count else lambda name, **labels: steady(name, 0, **labels))("weir_config_reloads_total", result=result)
            for result, count in (("failed", failed), ("ok", ok))]


def starts(count):
    values = " ".join(str(1000 + 300 * min(count, max(0, minute - 55) // 3)) for minute in range(MINUTES))
    return [series("process_start_time_seconds", values), steady("weir_build_info", 1, version="1")]


# Alert, what makes it fire, what leaves it silent.
CASES = [
    ("WeirDown", [steady("up", 0, job="weir")], [steady("up", 1, job="weir"), steady("up", 0, job="other")]),
    ("WeirNoMaster", [steady("weir_state", 1, state="no_master")],
     [steady("weir_state", 0, state="no_master"), steady("weir_state", 1, state="degraded")]),
    ("WeirWritesLost", [once("weir_lossy_master_changes_total")], [steady("weir_lossy_master_changes_total", 2)]),
    ("WeirNoReplicaReadable", replica(readable=0), replica(readable=1) + [steady("weir_replica_readable", 0, node="s")]),
    ("WeirReplicaDown", replica(up=0), replica(up=1) + [steady("weir_node_up", 0, node="m", role="master")]),
    ("WeirReplicaUnreadable", replica(readable=0), replica(readable=0, drained=1)),
    ("WeirReplicaLagging", replica(lag=steady("weir_replica_lag_seconds", 6, node="r")),
     replica(lag=steady("weir_replica_lag_seconds", 4, node="r"))),
    ("WeirBacklogTooSmall", behind(600), behind(400)),
    ("WeirFullResyncs", [rising("weir_node_resyncs_total", 1, node="m", kind="full")],
     [rising("weir_node_resyncs_total", 1, node="m", kind="partial"), once("weir_node_resyncs_total", node="m", kind="full")]),
    ("WeirReplicaDrained", replica(drained=1), replica(drained=0)),
    ("WeirWiringStopped", [series("weir_wiring_enforced", f"1x{MINUTES - 20} 0x20")], [steady("weir_wiring_enforced", 0)]),
    ("WeirUnknownResults", [once("weir_unknown_results_total")], [steady("weir_unknown_results_total", 7)]),
    ("WeirReadsLeaveReplicas", reads(900, 1000), reads(300, 1000) + [steady("weir_clients_connected", 1)]),
    ("WeirReadsSlow", buckets("weir_command_duration_seconds", 90, 10, **{"class": "read"}),
     buckets("weir_command_duration_seconds", 1000, 1, **{"class": "read"}) +
     buckets("weir_command_duration_seconds", 0, 10, **{"class": "write"})),
    ("WeirLoopLag", buckets("weir_loop_lag_seconds", 90, 10), buckets("weir_loop_lag_seconds", 1000, 1)),
    ("WeirManyClients", [steady("weir_clients_connected", 81), steady("weir_clients_max", 100)],
     [steady("weir_clients_connected", 79), steady("weir_clients_max", 100)]),
    ("WeirClientsRejected", [rising("weir_client_connections_total", 1, result="rejected")],
     [rising("weir_client_connections_total", 1, result="accepted"),
      steady("weir_client_connections_total", 3, result="rejected")]),
    ("WeirDesync", [once("weir_backend_desync_total")], [steady("weir_backend_desync_total", 3)]),
    ("WeirReloadFailed", reloads(failed=True, ok=False), reloads(failed=True, ok=True)),
    ("WeirRestarts", starts(4), starts(1)),
]


def alerts():
    """Name and expression of each."""
    text = re.sub(r">-\n\s+", "", ALERTS.read_text())
    text = re.sub(r"\n {10}(?=[>a])", " ", text)
    return dict(re.findall(r"- alert: (\w+)\n\s+expr: (.*)", text))


def test_every_alert_has_its_cases():
    assert sorted(alerts()) == sorted(name for name, _, _ in CASES) and len(CASES) >= 20


def group(name, given, firing):
    count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
    return {"interval": "1m", "input_series": given, "promql_expr_test": [
        {"expr": count, "eval_time": f"{MINUTES - 1}m", "exp_samples": [{"labels": "{}", "value": 1}] if firing else []}]}


def judge(tmp_path, groups):
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": groups}))
    done = subprocess.run([promtool(), "test", "rules", str(path)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.plain
def test_each_fires_and_is_silent(tmp_path):
    groups = [group(name, given, firing) for name, fires, silent in CASES for given, firing in [(fires, True), (silent, False)]]
    status, output = judge(tmp_path, groups)
    assert status == 0, output


@pytest.mark.plain
def test_the_judge_looks_at_each(tmp_path):
    """The same, expecting the contrary."""
    groups = [group(name, given, not firing) for name, fires, silent in CASES
              for given, firing in [(fires, True), (silent, False)]]
    status, output = judge(tmp_path, groups)
    assert status != 0
    for name, _, _ in CASES:
        assert len(re.findall(rf'expr: "count\(ALERTS\{{alertname=\\?"{name}\\?"', output)) == 2, (name, output)


def test_rules_are_well_formed():
    done = subprocess.run([promtool(), "check", "rules", str(ALERTS)], capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(alerts())} rules found" in done.stdout, done.stdout + done.stderr


def test_alerts_ask_for_what_is_told(shared_group):
    told = wait_for(lambda: scrape(shared_group.weir), what="a scrape")
    for name, expression in alerts().items():
        asked = selectors(expression)
        assert asked or name == "WeirDown", name
        for metric, matchers in asked:
            assert metric in told, f"{name}: {metric} is on no scrape"
            for label, operator, value in matchers:
                assert label in SCRAPE_LABELS or label in told[metric], f"{name}: {metric} has no {label}"
                assert operator != "=" or value in told[metric][label], f"{name}: {metric} has no {label}={value}"
