"""`scan = replica`: cursors that carry the node they belong to, in every
library's own idea of a number."""
import pytest

import test_node
import test_redis_cli
import test_redis_py
import test_redis_py_asyncio
from fronts import WeirFront

SCANS = {
    "redis-py": test_redis_py.test_scans.scenario,
    "redis-py threads": test_redis_py.test_scans_side_by_side.scenario,
    "redis-py asyncio": test_redis_py_asyncio.test_scans.scenario,
    "redis-cli": test_redis_cli.test_scan.scenario,
    **{f"{script} {name}": lambda front, script=script, name=name: test_node.run(front, script, name)
       for script, name in test_node.SCENARIOS if name.startswith("scans")},
}


@pytest.fixture(scope="module")
def cursors(stand):
    front = WeirFront(stand.lab.group(2, config={"routing": {"scan": "replica"}}))
    yield front
    front.close()


@pytest.mark.parametrize("scan", SCANS.values(), ids=SCANS)
def test_scan(fronts, cursors, scan):
    cursors.client().flushall()
    fronts.compare(scan, (fronts.bare, cursors))
    on_replicas = sum(replica.calls().get("scan", 0) for replica in cursors.group.replicas)
    assert on_replicas > 0, "cursors live on the replicas"
    cursors.group.reset_calls()
