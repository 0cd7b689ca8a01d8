"""The scenarios: what is asked, what must be answered, and how the client asks."""

import dataclasses
import pathlib

HELLO = b"Hello, World!"
POSTED = b"x" * 1024
PAGE_BYTES, LARGE_BYTES = 4096, 1 << 20
IDLE = 10_000

# A browser's head: the query, a cookie and the id of a trace are new in every request.
BROWSER = (
    b"GET /?id=\0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Connection: keep-alive\r\nCookie: session=\0; theme=dark\r\n"
    b"traceparent: 00-\0-01\r\nSec-Fetch-Mode: navigate\r\n\r\n"
)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One row of the comparison.

    `body` is what the answer must have (`None`: anything).  `validator`: the request has the
    validator of the answer before it.  `half`: the client asks half as fast as the server answered
    `plaintext`.
    """

    name: str
    what: str
    target: str
    body: bytes | None = None
    status: int = 200
    method: str = "GET"
    headers: tuple[str, ...] = ()
    template: bytes | None = None
    connections: int = 64
    depth: int = 1
    idle: int = 0
    validator: bool = False
    half: bool = False
    closing: bool = False
    workers: int = 1

    def request(self, port: int, *more: str) -> bytes:
        """The bytes of one write, but for numbers in the place of NULs."""
        if self.template is not None:
            return self.template
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *self.headers]
        if self.closing:
            lines.append("Connection: close")
        body = POSTED if self.method == "POST" else b""
        if body:
            lines += ["Content-Type: application/octet-stream", f"Content-Length: {len(body)}"]
        return ("\r\n".join([*lines, *more, "", ""]).encode() + body) * self.depth

    def options(self) -> list[str]:
        """What `client.c` is told of it."""
        values = {"depth": self.depth, "status": self.status, "close": int(self.closing)}
        return [str(word) for pair in values.items() for word in pair]


SCENARIOS = [
    Scenario("plaintext", "`Hello, World!`", "/", HELLO),
    Scenario("query", "a query, of which the handler wants one value", "/hello?name=bill&x=1",
             b"Hello, bill"),
    Scenario("parameter", "a path with a parameter", "/user/42", b"42"),
    Scenario("redirect", "301", "/easter", status=301),
    Scenario("static", "a file of 4 KiB", "/static/page.html", b"<" * PAGE_BYTES),
    Scenario("unchanged", "304: the client has that file", "/static/page.html", b"", 304,
             validator=True),
    Scenario("large", "a file of 1 MiB", "/static/large.bin", b"<" * LARGE_BYTES, connections=16),
    Scenario("json", "an object, made into JSON for each answer", "/json"),
    Scenario("missing", "404", "/missing", status=404),
    Scenario("post", "1 KiB up, the same down", "/echo", POSTED, method="POST"),
    Scenario("hostile", "a browser's nine header lines, no two requests alike", "/?id=1", HELLO,
             template=BROWSER),
    Scenario("pipelined", "16 requests in one write", "/", HELLO, depth=16),
    Scenario("new", "a new connection for each request", "/", HELLO, closing=True),
    Scenario("workers", "`plaintext` from two workers", "/", HELLO, workers=2),
    Scenario("idle", f"`plaintext` beside {IDLE:,} idle connections", "/", HELLO, idle=IDLE),
    Scenario("half", "`plaintext`, asked half as fast as it can answer", "/", HELLO, half=True),
]  # fmt: skip
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def write_files(folder: pathlib.Path) -> None:
    """Write what is asked for below ``/static/``."""
    folder.mkdir(mode=0o755, exist_ok=True)
    (folder / "page.html").write_bytes(b"<" * PAGE_BYTES)
    (folder / "large.bin").write_bytes(b"<" * LARGE_BYTES)
