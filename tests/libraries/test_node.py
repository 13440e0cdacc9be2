"""The client libraries of Node.js: each scenario of node_redis.js and ioredis.js
(see scenario.js) runs against either front. One process serves a script and a
front as long as nothing fails."""
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
    if script not in front.nodes:
        front.nodes[script] = node(script, front.port)
    process = front.nodes[script]
    try:
        say(process, name)
        for line in process.stdout:
            message = json.loads(line)
            if "saw" in message:
                return message["saw"]
            {"settle": front.settle, "restart": front.restart}[message["ask"]]()
            say(process)
        pytest.fail(f"{script} {name} at {front.name}: {process.stderr.read()}", pytrace=False)
    except BaseException:
        front.nodes.pop(script).kill()
        process.communicate()
        raise


def say(process, words=""):
    process.stdin.write(words + "\n")
    process.stdin.flush()


SCENARIOS = list(scenarios())


@pytest.mark.parametrize("script, name", SCENARIOS)
def test_scenario(fronts, script, name):
    fronts.compare(lambda front: run(front, script, name))
