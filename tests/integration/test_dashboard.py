"""deploy/monitoring/weir-dashboard.json asks for nothing that weir does not tell."""
import json
import re
import subprocess

import pytest

from harness import TOP, promtool, wait_for

DASHBOARD = TOP / "deploy" / "monitoring" / "weir-dashboard.json"
DASHBOARD_VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$instance": ".*", "$node": ".*"}
# What Prometheus itself adds to a sample.
SCRAPE_LABELS = {"instance", "job", "le"}


def dashboard():
    return json.loads(DASHBOARD.read_text())


def expressions():
    document = dashboard()
    found = [target["expr"] for panel in document["panels"] for target in panel.get("targets", [])]
    found += [note["expr"] for note in document["annotations"]["list"] if "expr" in note]
    return found


def queries():
    return [variable["definition"] for variable in dashboard()["templating"]["list"] if variable["type"] == "query"]


def scrape(weir):
    """Every metric by name, with the names of its labels and their values."""
    found = {}
    for name, labels in re.findall(r"^((?:weir|process)_\w+)(?:\{(.*)\})? \S+$", weir.http("/metrics")[1], re.M):
        pairs = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
            pairs.setdefault(label, set()).add(value)
    return found


@pytest.fixture(scope="module")
def told(shared_group):
    client = shared_group.weir.client()
    client.set("k", "v")
    shared_group.settle()
    return wait_for(lambda: scrape(shared_group.weir), what="a scrape")


def selectors(expression):
    """(metric, matchers) of each, with and without braces."""
    return [(name, re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers))
            for name, matchers in re.findall(r"((?:weir|process)_\w+)(?:\{([^}]*)\})?", expression)]


def test_it_asks_for_something():
    assert len(expressions()) > 20 and len(queries()) == 2
    assert all("weir_" in expression for expression in expressions() + queries())


def test_every_result_of_commands_is_shown():
    """What fails has a panel of its own, and is in the rate of all."""
    shown = [dict((label, value) for label, _, value in matchers)
             for expression in expressions() for name, matchers in selectors(expression) if name == "weir_commands_total"]
    assert any(matchers.get("result") == "error" for matchers in shown)
    assert any("result" not in matchers and "class" not in matchers for matchers in shown)


def test_every_metric_and_label_is_told(told):
    for expression in expressions() + queries():
        for name, matchers in selectors(expression):
            assert name in told, f"{name} is on no scrape: {expression}"
            for label, operator, value in matchers:
                assert label in SCRAPE_LABELS or label in told[name], f"{name} has no {label}: {expression}"
                if operator == "=" and "$" not in value:
                    assert value in told[name][label], f"{name} has no {label}={value}: {expression}"


def test_every_label_it_sums_by_is_told(told):
    for expression in expressions():
        known = SCRAPE_LABELS.union(*(told[name] for name, _ in selectors(expression)))
        for labels in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression):
            assert {label.strip() for label in labels.split(",")} <= known, expression


def test_panels_are_whole():
    document = dashboard()
    assert document["schemaVersion"] == 39 and document["uid"]
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["title"] and panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_prometheus_can_read_every_expression(tmp_path):
    rules = []
    for number, expression in enumerate(expressions()):
        for name, value in DASHBOARD_VARIABLES.items():
            expression = expression.replace(name, value)
        rules.append({"record": f"expression_{number}", "expr": expression})
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool(), "check", "rules", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout + done.stderr
