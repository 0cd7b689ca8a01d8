"""What is asked of a server, checked and measured."""

import contextlib
import dataclasses
import http.client
import json
import pathlib
import subprocess
import time

from processes import (
    CLIENT_CPU,
    PATIENCE,
    SERVER_CPU,
    Failed,
    Server,
    busy_seconds,
    cpu_seconds,
    memory_bytes,
    pinned,
)
from scenarios import POSTED, Scenario


@dataclasses.dataclass(frozen=True)
class Round:
    """What one round has shown; times are in seconds or, by their names, microseconds."""

    requests: int
    seconds: float
    cpu: float
    client_cpu: float
    others: float  # share of the server's CPU that was somebody else's
    memory_bytes: int
    p50_us: float
    p99_us: float
    errors: int
    idle: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.requests / max(self.cpu, 1e-9)


def check(scenario: Scenario, port: int, *, strict: bool = True) -> tuple[str, ...]:
    """Ask once, and raise `Failed` for another answer; returns header lines for the next requests.

    Those are the validator of the answer, for a scenario that wants one.
    """
    more: tuple[str, ...] = ()
    status, headers, body = _ask(scenario, port, more)
    if scenario.validator and strict:
        if "last-modified" in headers:
            more = (f"If-Modified-Since: {headers['last-modified']}",)
        if "etag" in headers:
            more = (f"If-None-Match: {headers['etag']}",)
        status, headers, body = _ask(scenario, port, more)
    if strict and status != scenario.status:
        raise Failed(f"status {status} in place of {scenario.status}")
    if strict and scenario.body is not None and body != scenario.body:
        raise Failed(f"it answers {body[:40]!r} in place of {scenario.body[:40]!r}")
    if strict and scenario.name == "json" and json.loads(body) != {"message": "Hello, World!"}:
        raise Failed(f"it answers {body[:60]!r}")
    return more


def _ask(scenario: Scenario, port: int, more: tuple[str, ...]) -> tuple[int, dict[str, str], bytes]:
    headers = dict(line.split(": ", 1) for line in (*scenario.headers, *more))
    body = POSTED if scenario.method == "POST" else None
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(conn):
        try:
            conn.request(scenario.method, scenario.target, body, headers)
            response = conn.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return response.status, found, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"no answer: {error!r}") from error


class Client:
    """`client.c`, with the request of a scenario; a new process for each round."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._program = folder / "client"
        self._request = folder / "request"
        source = pathlib.Path(__file__).with_name("client.c")
        subprocess.run(["cc", "-O2", "-o", self._program, source], check=True)

    def measure(
        self,
        server: Server,
        scenario: Scenario,
        seconds: float,
        *,
        more: tuple[str, ...] = (),
        rate: float = 0.0,
    ) -> Round:
        """One round against a server that is awake.  Raises `Failed`."""
        self._request.write_bytes(scenario.request(server.port, *more))
        argv = [self._program, server.port, scenario.connections, seconds, self._request]
        argv += [*scenario.options(), "rate", rate, "idle", scenario.idle]
        with subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: pinned([CLIENT_CPU]),
        ) as client:
            try:
                return self._round(client, server)
            finally:
                client.kill()

    def _failed(self, client: "subprocess.Popen[str]", server: Server) -> Failed:
        """Why there is no result, when the server has had the time to end."""
        time.sleep(0.5)
        if not server.alive():
            return Failed("it crashed under load", server.last_words())
        assert client.stderr is not None
        client.kill()
        return Failed(client.stderr.read().strip(), server.last_words())

    def _round(self, client: "subprocess.Popen[str]", server: Server) -> Round:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stderr is not None
        if client.stdout.readline() != "ready\n":
            raise self._failed(client, server)
        before = server.cpu_seconds(), cpu_seconds(client.pid), busy_seconds(SERVER_CPU)
        client.stdin.write("\n")
        client.stdin.flush()
        line = client.stdout.readline()
        cpu = server.cpu_seconds() - before[0]
        client_cpu = cpu_seconds(client.pid) - before[1]
        busy = busy_seconds(SERVER_CPU) - before[2]
        if not line or not server.alive():
            raise self._failed(client, server)
        said = json.loads(line)
        return Round(
            requests=said["answers"],
            seconds=said["seconds"],
            cpu=cpu,
            client_cpu=client_cpu,
            others=max(0.0, busy - cpu) / said["seconds"],
            memory_bytes=memory_bytes(server.pids()),
            p50_us=said["p50_us"],
            p99_us=said["p99_us"],
            errors=said["errors"],
            idle=said["idle"],
        )
