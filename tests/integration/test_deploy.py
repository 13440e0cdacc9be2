"""What stands in deploy/ is true: the unit, the manuals, the container and
cluster files, as far as that can be told without systemd, docker and kubernetes."""
import json
import pathlib
import re
import subprocess

import pytest
import yaml

from harness import TOP, promtool, weir_binary

CONTAINER = TOP / "deploy/container"


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """As packages have it, below a directory of its own."""
    top = tmp_path_factory.mktemp("installed")
    result = run("make", "-s", "-C", TOP, "install", f"DESTDIR={top}", "PREFIX=/usr", "SYSCONFDIR=/etc")
    assert result.returncode == 0, result.stderr
    return top


@pytest.fixture(scope="module")
def unit(installed):
    return installed / "usr/lib/systemd/system/weir.service"


# ------------------------------------------------------------------- the unit

def exposure(path, *words):
    return run("systemd-analyze", "security", "--offline=yes", "--threshold=15", path, *words)


def test_unit_is_hardened(unit, tmp_path):
    result = exposure(unit)
    assert result.returncode == 0, result.stdout[-2000:]
    weak = tmp_path / "weir.service"    # the check can fail
    weak.write_text(re.sub(r"^(Protect|Private|Restrict|SystemCall|Dynamic).*\n", "", unit.read_text(), flags=re.M))
    assert exposure(weak).returncode != 0


def verify(path, binary):
    path.write_text(path.read_text().replace("/usr/bin/weir", str(binary)).replace("Documentation=", "#"))
    return run("systemd-analyze", "verify", "--man=no", path)


def test_unit_can_be_read(unit, tmp_path):
    copy = tmp_path / "weir.service"
    copy.write_text(unit.read_text())
    result = verify(copy, weir_binary())
    assert "weir.service" not in result.stderr, result.stderr
    copy.write_text(unit.read_text().replace("WatchdogSec=10s", "WatchdogSec=soon\nWatchdog=1"))
    assert "weir.service" in verify(copy, weir_binary()).stderr


def test_unit_waits_longer_than_weir_drains(unit):
    drain = int(re.search(r"^drain_timeout = (\d+)s", (TOP / "proxy.ini").read_text(), re.M)[1])
    assert int(re.search(r"TimeoutStopSec=(\d+)s", unit.read_text())[1]) > drain
    assert "-c /etc/weir/proxy.ini" in unit.read_text() and "@" not in unit.read_text().replace("@system-service", "") \
        .replace("@privileged", "").replace("@resources", "")


# ---------------------------------------------------------------- the manuals

@pytest.mark.parametrize("page", ["man8/weir.8", "man5/proxy.ini.5"])
def test_manuals_are_clean(installed, page, tmp_path):
    path = installed / "usr/share/man" / page
    lint = lambda file: run("groff", "-man", "-Tutf8", "-ww", "-z", file).stderr  # noqa: E731
    assert lint(path) == ""
    broken = tmp_path / "broken"
    broken.write_text(path.read_text() + ".NONSENSE\n")
    assert lint(broken) != ""


def test_manual_of_the_file_has_every_key(installed):
    text = (installed / "usr/share/man/man5/proxy.ini.5").read_text().replace("\\-", "-")
    keys = re.findall(r"^([a-z_]+) =", (TOP / "proxy.ini").read_text(), re.M)
    assert len(set(keys)) > 30
    for key in keys:
        assert f"\n.B {key}\n" in text, key


def test_manual_of_weir_has_every_option(installed):
    text = (installed / "usr/share/man/man8/weir.8").read_text()
    usage = run(weir_binary(), "-h").stdout
    for option in set(re.findall(r"^  (-\w)", usage, re.M)):
        assert "\\" + option in text, option


# ------------------------------------------------- containers and the cluster

def ports_of(ini):
    return {int(port) for port in re.findall(r"^listen\w* = \S+:(\d+)", ini, re.M)}


def valid(ini, tmp_path):
    path = tmp_path / "proxy.ini"
    path.write_text(ini)
    result = run(weir_binary(), "-T", "-c", path)
    assert result.returncode == 0, result.stderr


def test_compose(tmp_path):
    ini = (CONTAINER / "proxy.ini").read_text()
    valid(ini, tmp_path)
    compose = yaml.safe_load((CONTAINER / "compose.yml").read_text())
    services = compose["services"]
    assert set(services) == {"master", "replica1", "replica2", "weir", "prometheus", "grafana"}
    assert {int(port.rsplit(":", 1)[1]) for port in services["weir"]["ports"]} == ports_of(ini)
    for server in re.findall(r"^(?:master|replica) = (\w+):6379", ini, re.M):
        assert server in services["weir"]["depends_on"]
    assert (CONTAINER / services["weir"]["build"]["context"]).resolve() == TOP
    for service in services.values():
        for volume in service.get("volumes", []):
            assert (CONTAINER / volume.split(":")[0]).exists(), volume
    scraped = yaml.safe_load((CONTAINER / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]
    assert scraped["targets"] == ["weir:7390"]


def test_what_compose_shows_hangs_together(tmp_path):
    """Prometheus finds its rules where they are mounted, grafana the dashboard, and
    asks the prometheus that is there."""
    services = yaml.safe_load((CONTAINER / "compose.yml").read_text())["services"]

    def mounted(service):
        """{place in the container: file}"""
        volumes = [volume.split(":") for volume in services[service]["volumes"]]
        assert all(mode == "ro" for _, _, mode in volumes)
        return {inside: (CONTAINER / outside).resolve() for outside, inside, _ in volumes}

    for inside, file in mounted("prometheus").items():
        (tmp_path / pathlib.PurePath(inside).name).write_bytes(file.read_bytes())
    checked = run(promtool(), "check", "config", tmp_path / "prometheus.yml")
    assert checked.returncode == 0 and re.search(r"SUCCESS: [1-9]\d* rules found", checked.stdout), checked.stdout + checked.stderr

    files = mounted("grafana")
    source, = yaml.safe_load(files["/etc/grafana/provisioning/datasources/weir.yml"].read_text())["datasources"]
    provider, = yaml.safe_load(files["/etc/grafana/provisioning/dashboards/weir.yml"].read_text())["providers"]
    host, port = re.fullmatch(r"http://(\w+):(\d+)", source["url"]).groups()
    assert source["type"] == "prometheus" and source["isDefault"]
    assert services[host]["ports"] == [f"127.0.0.1:{port}:{port}"] and host in services["grafana"]["depends_on"]
    shown = [file for inside, file in files.items() if str(pathlib.PurePath(inside).parent) == provider["options"]["path"]]
    assert [file.name for file in shown] == ["weir-dashboard.json"]
    asked = json.loads(shown[0].read_text())["templating"]["list"][0]
    assert (asked["type"], asked["query"]) == ("datasource", source["type"])


def test_dockerfile(lab):
    text = (CONTAINER / "Dockerfile").read_text()
    assert "STOPSIGNAL SIGTERM" in text and "USER weir" in text
    assert {int(port) for port in re.search(r"EXPOSE (.*)", text)[1].split()} == ports_of((CONTAINER / "proxy.ini").read_text())
    for source in re.findall(r"^COPY (?!--from)(\S+) /", text, re.M):
        assert (TOP / source).exists()
    # The health check does what it says, of a weir that runs and of one that does not.
    weir = lab.group(0).weir
    words = json.loads(re.search(r"HEALTHCHECK .*CMD (\[.*\])", text)[1])
    here = [word.replace("/7390", f"/{weir.admin_port}") for word in words]
    assert run(*here, timeout=20).returncode == 0
    weir.stop()
    assert run(*here, timeout=20).returncode != 0


def test_kubernetes(tmp_path):
    objects = {each["kind"]: each for each in yaml.safe_load_all((TOP / "deploy/kubernetes/weir.yaml").read_text())}
    ini = objects["ConfigMap"]["data"]["proxy.ini"]
    valid(ini, tmp_path)
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {port["containerPort"] for port in container["ports"]} == ports_of(ini)
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    asleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = int(re.search(r"drain_timeout = (\d+)s", ini)[1])
    assert pod["terminationGracePeriodSeconds"] > asleep + drain
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Service", "PodDisruptionBudget"):
        spec = objects[kind]["spec"]["selector"]
        assert spec.get("matchLabels", spec) == labels
    assert {each["targetPort"] for each in objects["Service"]["spec"]["ports"]} <= {port["name"] for port in container["ports"]}
