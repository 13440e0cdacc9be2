"""The client libraries of Node.js: each scenario of node_redis.js and ioredis.js
(see scenario.js) runs against either front, in a process of its own."""
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import PATIENCE, TOP

HERE = pathlib.Path(__file__).parent
MODULES = TOP / "build" / "node" / "node_modules"
SCRIPTS = ["node_redis.js", "ioredis.js"]


def node(script, *args, **options):
    return subprocess.Popen(["node", HERE / script, *map(str, args)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env={**os.environ, "NODE_PATH": str(MODULES)}, **options)


def scenarios():
    """(script, name) of all of them."""
    if not (shutil.which("node") and MODULES.is_dir()):
        pytest.exit("node, or the npm packages of the tests, are not there: run make deps first", returncode=2)
    for script in SCRIPTS:
        names, errors = node(script, "--list").communicate(timeout=30 * PATIENCE)
        assert names, f"{script}: {errors}"
        yield from ((script, name) for name in json.loads(names))


def run(front, script, name):
    """What the scenario saw at this front."""
    saw = {}
    with node(script, name, front.port) as process:
        try:
            for line in process.stdout:
                message = json.loads(line)
                if "ask" in message:
                    {"settle": front.settle, "restart": front.restart}[message["ask"]]()
                    process.stdin.write("\n")
                    process.stdin.flush()
                saw.update(message)
            assert process.wait() == 0, f"{script} {name} at {front.name}: {process.stderr.read()}"
        finally:
            process.kill()
    return saw["saw"]


SCENARIOS = list(scenarios())


@pytest.mark.parametrize("script, name", SCENARIOS)
def test_scenario(fronts, script, name):
    fronts.compare(lambda front: run(front, script, name))
