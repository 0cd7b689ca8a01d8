"""Store what is uploaded, however large, in a folder: ``python upload.py 8000 /tmp/uploads``.

``curl -T file http://127.0.0.1:8000/name`` answers with the number of bytes.  A body goes to the
disk piece by piece, in a thread of its own: while the disk is busy, the client has to wait, and
nobody else has.
"""

import os
import queue
import re
import sys
import tempfile
import threading
from pathlib import Path

from epollserver import Connection, Reason
from rush_http import BodyReceiver, Head, HttpServer, NotFound

MOST_BYTES = 1 << 40
AHEAD = 16  # pieces of 64 KiB at most that wait for the disk


class ToDisk(BodyReceiver):
    """Writes a body to a file beside its target, and renames it when it is complete."""

    limit_bytes = MOST_BYTES

    def __init__(self, server: HttpServer, conn: Connection, target: Path) -> None:
        self._deferred = server.defer(conn)
        self._target = target
        self._pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._complete = False
        threading.Thread(target=self._write).start()

    def on_piece(self, data: bytes) -> None:
        """Queue it for the thread, and slow the client down if that is behind."""
        self._pieces.put(data)
        if self._pieces.qsize() >= AHEAD:
            self.pause()
            if self._pieces.empty():  # written meanwhile: nobody else would resume
                self.resume()

    def on_end(self) -> None:
        """Let the thread keep the file, and answer."""
        self._complete = True
        self._pieces.put(None)

    def on_lost(self, reason: Reason | Exception) -> None:
        """Let the thread remove the file."""
        self._pieces.put(None)

    def _write(self) -> None:
        with tempfile.NamedTemporaryFile(dir=self._target.parent, delete=False) as file:
            while (data := self._pieces.get()) is not None:
                file.write(data)
                if self._pieces.empty():
                    self.resume()
            size = file.tell()
        if self._complete:
            os.replace(file.name, self._target)
            self._deferred.respond(b"%d bytes\n" % size, 201)
        else:
            os.unlink(file.name)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())

    def on_head_complete(conn: Connection, head: Head) -> ToDisk:
        name = head.path.removeprefix("/")
        if head.method != "PUT" or not re.fullmatch(r"[\w-][\w.-]*", name):
            raise NotFound(f"only PUT of a plain name: {head.method} {head.path!r:.80}")
        return ToDisk(server, conn, folder / name)

    def on_message_complete(body: bytes, conn: Connection, *request: object) -> None:
        server.respond(conn, b"Send me a file: curl -T file http://.../name\n", 404)

    server = HttpServer(
        ("127.0.0.1", port),
        on_message_complete=on_message_complete,
        on_head_complete=on_head_complete,
    )
    print("http://{}:{}/".format(*server.address), flush=True)
    server.run()


if __name__ == "__main__":
    main()
