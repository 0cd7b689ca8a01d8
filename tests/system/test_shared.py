"""The example that shares by way of Redis: two workers know of each other's visits and news."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest

from programs import Program, eventually
from rawclient import PATIENCE, request
from serving import REPOSITORY

pytest.importorskip("redis")

# Debian has the program of the server under another name as well, without the service.
REDIS = shutil.which("redis-server") or shutil.which("redis-check-rdb")
pytestmark = pytest.mark.skipif(not REDIS, reason="redis-server is not installed")


@pytest.fixture
def redis_url(tmp_path):
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", tmp_path]
    command = ["redis-server", *map(os.fspath, options)]
    with (tmp_path / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, executable=REDIS, stdout=log, stderr=log)
    try:
        eventually(lambda: path.exists() or process.poll() is not None, "Redis")
        assert process.poll() is None, (tmp_path / "redis.log").read_text()
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def program(tmp_path, redis_url):
    shutil.copy(REPOSITORY / "packages/rush-web/examples/shared/app.py", tmp_path)
    program = Program(
        *("-m", "rush_web", "run", "app.py", "--port", "0", "--workers", "2"),
        cwd=tmp_path,
        env={**os.environ, "REDIS_URL": redis_url},
    )
    try:
        yield program.ready()
    finally:
        program.end()


def visited(client):
    client.send(request("/visits", method="POST"))
    return json.loads(client.response().body)


def wait_for(client, words):
    """Read, and leave there, until these have come."""
    while words not in client.begun():
        client._more()


def test_visits_of_all_workers(program):
    """Each worker counts its own; what Redis counts is of all."""
    workers = set()
    total = 0
    with contextlib.ExitStack() as stack:
        while len(workers) < 2:  # a connection stays with its worker
            client = stack.enter_context(program.client())
            first, second = visited(client), visited(client)
            assert second["here"] == first["here"] + 1
            assert (first["everywhere"], second["everywhere"]) == (total + 1, total + 2)
            total += 2
            workers.add(first["here"] == first["everywhere"])
    assert program.stop() == 0


def test_news_for_the_listeners_of_all_workers(program):
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(program.client()) for _ in range(8)]
        for client in listeners:
            client.send(request("/news"))
        for client in listeners:
            wait_for(client, b"\r\n\r\n")
        with program.client() as client:
            client.send(request("/news", method="POST", body=b"tea is ready"))
            assert client.response().status == 204
        for client in listeners:
            wait_for(client, b"data: tea is ready\n\n")
    assert program.stop() == 0
