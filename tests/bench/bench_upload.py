"""The most memory that a server needs to store a large upload, and how fast that goes.

    python tests/bench/bench_upload.py [GiB]        4 GiB if it is not said

The server is ``packages/rush-http/examples/upload.py``; what counts is the memory of its own
(``RssAnon``), without the pages of the programs that it has mapped.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from rawclient import RawClient, request

UPLOAD = Path(__file__).parents[2] / "packages/rush-http/examples/upload.py"
PIECE = bytes(range(256)) * 4096
MIB = 1 << 20


def anonymous_bytes(pid: int) -> int:
    """Return the memory of a process that is its own."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) * 1024


def main() -> None:
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 4) * 1024) * MIB
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, UPLOAD, "0", folder], stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().strip().rstrip("/").rpartition(":")[2])
            most, began = 0, time.monotonic()
            with RawClient(("127.0.0.1", port)) as client:
                client.sock.settimeout(120)
                client.send(request("/large", f"Content-Length: {size}", method="PUT"))
                for at in range(0, size, len(PIECE)):
                    client.send(PIECE)
                    if at % (64 * MIB) == 0:
                        most = max(most, anonymous_bytes(server.pid))
                answer = client.response()
            most = max(most, anonymous_bytes(server.pid))
            seconds = time.monotonic() - began
            print(f"{answer.body.decode().strip()}: {answer.status}")
            print(f"{most / MIB:.1f} MiB of memory, {size / MIB / seconds:.0f} MiB/s")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
