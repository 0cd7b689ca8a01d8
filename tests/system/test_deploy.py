"""The files of packages/rush-web/deploy: accepted by those who read them, and run."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from certificates import contexts
from cluster import APP, DEPLOY, HAPROXY, NGINX, Cluster
from load import Load
from programs import Program
from rawclient import PATIENCE, TLS, RawClient, request

WITH_HAPROXY = pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed")
WITH_NGINX = pytest.mark.skipif(not NGINX, reason="nginx is not installed")


def run(*command, **options):
    return subprocess.run(
        [*map(os.fspath, command)], capture_output=True, text=True, timeout=PATIENCE, **options
    )


@contextlib.contextmanager
def running(folder, *options):
    """The application, as a program."""
    (folder / "app.py").write_text(APP)
    program = Program("-m", "rush_web", "run", "app", "--port", "0", *options, cwd=folder)
    try:
        yield program.ready()
    finally:
        program.end()


@pytest.fixture
def accepted(tmp_path):
    """What `rush` says of a command and its variables: the value of each option."""
    (tmp_path / "app.py").write_text(APP)

    def accepted(words, variables):
        assert words[0] == "rush"
        command = [sys.executable, "-m", "rush_web", *words[1:], "--show-config"]
        done = run(*command, cwd=tmp_path, env={**os.environ, **variables})
        assert done.returncode == 0, done.stderr
        rows = (line.split() for line in done.stdout.splitlines())
        return {row[0]: row[1] for row in rows if len(row) > 1}

    return accepted


# systemd

UNITS = ["rush-app.service", "rush-app.socket"]


@pytest.fixture
def units(tmp_path):
    """The units, as they are where the application is installed."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        text = text.replace("/srv/app/.venv/bin/rush", shutil.which("true"))
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in UNITS]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_accepts_the_units(units):
    done = run("systemd-analyze", "verify", "--man=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # In tenths: 10 is an open door, what the tool calls OK ends at 4.9.
    done = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", units[0])
    assert done.returncode == 0, done.stdout + done.stderr


def test_rush_accepts_what_the_unit_says(accepted):
    text = (DEPLOY / "systemd/rush-app.service").read_text()
    (command,) = re.findall(r"^ExecStart=/srv/app/.venv/bin/(.*)$", text, re.M)
    (pairs,) = re.findall(r"^Environment=(.*)$", text, re.M)
    values = accepted(command.split(), dict(pair.split("=") for pair in pairs.split()))
    assert (values["workers"], values["status_port"]) == ("2", "9100")
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.M)
    assert int(stop) > int(values["grace"].rstrip("s"))


# Docker


def instructions():
    """Pairs of the Dockerfile: FROM, and what comes with it."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]


def test_dockerfile(accepted):
    steps = instructions()
    assert {word for word, _ in steps} <= {
        *("FROM", "COPY", "RUN", "WORKDIR", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"),
        "CMD",
    }
    for image in (rest for word, rest in steps if word == "FROM"):
        assert re.match(r"python:3\.\d+-slim\b", image), image
    final = steps[max(place for place, step in enumerate(steps) if step[0] == "FROM") :]
    last = dict(final)
    assert last["USER"] == "10001:10001"  # a number: Kubernetes sees that it is not root
    variables = dict(
        pair.split("=", 1) for word, rest in final if word == "ENV" for pair in rest.split()
    )
    variables = {name: value for name, value in variables.items() if name.startswith("RUSH_")}
    values = accepted(json.loads(last["CMD"]), variables)
    assert last["EXPOSE"].split() == [values["port"], values["status_port"]]
    assert values["host"] == "0.0.0.0"


def test_health_check_of_the_dockerfile(tmp_path):
    _, text = next(step for step in instructions() if step[0] == "HEALTHCHECK")
    python, *arguments = json.loads(text.partition("CMD")[2])
    assert python == "python"
    with running(tmp_path, "--status-port", "0") as program:
        said = str(program.output)
        (port,) = re.findall(r"Its state is at http://127\.0\.0\.1:(\d+)/", said)
        arguments = [argument.replace("9100", port) for argument in arguments]
        assert run(sys.executable, *arguments).returncode == 0
        program.stop(signal.SIGTERM)
        assert run(sys.executable, *arguments).returncode != 0


# Kubernetes


@pytest.fixture(scope="module")
def objects():
    yaml = pytest.importorskip("yaml")
    documents = yaml.safe_load_all((DEPLOY / "kubernetes/app.yaml").read_text())
    return {document["kind"]: document for document in documents}


def test_kubernetes_accepts_the_objects(objects):
    validate = pytest.importorskip("kubernetes_validate")
    for document in objects.values():
        validate.validate(document, validate.latest_version(), strict=True)


def test_what_belongs_together_in_kubernetes(objects, accepted):
    pod = objects["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    for kind, where in (("Service", "selector"), ("PodDisruptionBudget", "selector.matchLabels")):
        selector = objects[kind]["spec"]
        for name in where.split("."):
            selector = selector[name]
        assert selector.items() <= labels
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert target["name"] == objects["Deployment"]["metadata"]["name"]
    (container,) = pod["spec"]["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    values = accepted(["rush", "run", "app"], variables)
    assert values["workers"] == container["resources"]["limits"]["cpu"]
    delay = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = int(values["grace"].rstrip("s"))
    assert pod["spec"]["terminationGracePeriodSeconds"] > delay + grace
    image = dict(instructions())
    ports = [str(port["containerPort"]) for port in container["ports"]]
    assert ports == image["EXPOSE"].split()
    assert f"{pod['spec']['securityContext']['runAsUser']}" == image["USER"].partition(":")[0]


def test_what_the_autoscaler_asks_for_is_measured(objects, tmp_path):
    """Its metrics are made by the rules of the adapter, of counters that the server has."""
    yaml = pytest.importorskip("yaml")
    values = yaml.safe_load((DEPLOY / "kubernetes/prometheus-adapter.yaml").read_text())
    rules = {rule["name"]["as"]: rule["seriesQuery"] for rule in values["rules"]["custom"]}
    asked = objects["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert {one["pods"]["metric"]["name"] for one in asked if "pods" in one} == set(rules)
    with running(tmp_path, "--metrics", "/m") as program:
        page = program.get("/m").body.decode()
    for series in rules.values():
        assert re.search(rf"^{series.partition('{')[0]} ", page, re.M), series


# nginx and HAProxy


@WITH_HAPROXY
@pytest.mark.parametrize("config", ["haproxy.cfg", "haproxy-tcp.cfg"])
def test_haproxy_accepts_its_configuration(config):
    done = run(HAPROXY, "-c", "-f", DEPLOY / config)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@WITH_NGINX
def test_nginx_accepts_its_configuration(tmp_path):
    text = (DEPLOY / "nginx.conf").read_text().replace("/run/nginx.pid", f"{tmp_path}/pid")
    (tmp_path / "nginx.conf").write_text(text)
    done = run(NGINX, "-t", "-e", "stderr", "-c", tmp_path / "nginx.conf")
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr, done.stderr


HEADERS = ["--proxy-headers", "X-Forwarded-For,X-Forwarded-Proto"]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("haproxy.cfg", marks=WITH_HAPROXY),
        pytest.param("nginx.conf", marks=WITH_NGINX),
    ],
)
def test_what_a_server_is_told_of_the_client(tmp_path, config):
    """What a client has made up is not believed; one connection serves many."""
    lines = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "Connection: keep-alive"]
    options = ["--trusted-proxies", "127.0.0.1", *HEADERS]
    with (
        Cluster(tmp_path, config, options=options, tcp=True) as cluster,
        RawClient(cluster.front, source="127.0.0.9") as client,
    ):
        for _ in range(10):
            client.send(request("/client", *lines))
            seen = json.loads(client.response().body)
            assert "6.6.6.6" not in str(seen)
            assert (seen["client"], seen["scheme"]) == ("127.0.0.9", "http")
            assert seen.get("connection", "keep-alive") == "keep-alive"
        client.send(request("/who", method="POST", body=b"x" * 10_000))
        assert client.response().status == 200


@WITH_HAPROXY
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_server_that_speaks_tls_behind_haproxy(tmp_path):
    """The PROXY protocol says who the client is, before TLS."""
    _, context = contexts(tmp_path)
    options = ["--trusted-proxies", "127.0.0.1", "--proxy-protocol", "required"]
    options += ["--certfile", tmp_path / "cert.pem", "--keyfile", tmp_path / "key.pem"]
    with Cluster(tmp_path, "haproxy-tcp.cfg", options=options, tcp=True) as cluster:
        TLS[cluster.front] = context
        try:
            for _ in range(4):
                with RawClient(cluster.front, source="127.0.0.9") as client:
                    seen = json.loads(client.get("/client").body)
                    assert (seen["client"], seen["scheme"]) == ("127.0.0.9", "https")
        finally:
            del TLS[cluster.front]


@WITH_NGINX
def test_servers_behind_nginx_are_restarted(tmp_path):
    """It has no health checks: it finds out by being refused, and asks the other one."""
    with Cluster(tmp_path, "nginx.conf") as cluster, Load(cluster.front, 12, "/who") as load:
        load.wait_for_all()
        before = set(load.said)
        for place in (0, 1):
            cluster.restart(place)
            name = b"ab"[place]
            load.wait_for(lambda name=name: name in {said[0] for said in set(load.said) - before})
        load.wait_for_all()
    assert not load.failed
    assert not load.lost


@WITH_HAPROXY
def test_server_that_is_taken_out_of_haproxy_by_hand(tmp_path):
    with Cluster(tmp_path) as cluster, Load(cluster.front, 12, "/who", answers=20) as load:
        load.wait_for_all()
        cluster.ask_haproxy("set server rush/a state drain")
        load.wait_for_all()
        before = load.said.copy()
        load.wait_for_all()
        assert {said[:1] for said in load.said - before} == {b"b"}
        cluster.ask_haproxy("set server rush/a state ready")
        before = load.said.copy()
        load.wait_for(lambda: b"a" in {said[:1] for said in load.said - before})
    assert not load.failed
    assert not load.lost
