"""The most memory that a worker needs for a large multipart upload, and how fast that goes.

    python tests/bench/rush-web/upload.py [GiB]        1 GiB if it is not said

The form is taken by `Request.receive_form`; what counts is the peak of all the worker's memory
(``VmHWM``), what it shares with its parent and the libraries included.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))

from rawclient import RawClient, request

MIB = 1 << 20
PIECE = bytes(range(256)) * 4096
HEAD = b'--xx\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
TAIL = b"\r\n--xx--\r\n"

PROGRAM = """
from rush_web import WebServer

server = WebServer(port=0, workers=1)


@server.post("/", stream=True, body_limit=1 << 50)
def up(request):
    request.receive_form(then)


def then(request, form):
    status = open("/proc/self/status").read()
    request.response(f"{form.files['f'].size}\\n{status}")


server.run()
"""


def main() -> None:
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 1) * 1024) * MIB
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            found = re.search(r":([0-9]+)/", server.stdout.readline())
            assert found is not None
            began = time.monotonic()
            with RawClient(("127.0.0.1", int(found[1]))) as client:
                client.sock.settimeout(120)
                length = f"Content-Length: {len(HEAD) + size + len(TAIL)}"
                boundary = "Content-Type: multipart/form-data; boundary=xx"
                client.send(request("/", length, boundary, method="POST") + HEAD)
                for _ in range(0, size, len(PIECE)):
                    client.send(PIECE)
                client.send(TAIL)
                received, _, status = client.response().body.decode().partition("\n")
            seconds = time.monotonic() - began
            peak = re.search(r"VmHWM:\s+([0-9]+) kB", status)
            assert peak is not None
            assert int(received) == size
            print(f"{size / MIB:.0f} MiB received, {size / MIB / seconds:.0f} MiB/s")
            print(f"{int(peak[1]) / 1024:.1f} MiB of memory at most")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
