"""Bodies larger than memory: a server process that stores them stays small."""

import pathlib
import re

import pytest

from programs import Program
from rawclient import RawClient, request

UPLOAD = pathlib.Path(__file__).parents[2] / "packages/rush-http/examples/upload.py"
MIB = 1 << 20


def anonymous_bytes(pid):
    """The memory of a process that is its own: without the pages of the programs it has mapped."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", text)[1]) * 1024


@pytest.fixture
def program(tmp_path):
    program = Program(UPLOAD, "0", tmp_path)
    try:
        text = program.output.wait_for("/\n")
        program.address = "127.0.0.1", int(re.search(r":(\d+)/", text)[1])
        yield program
    finally:
        program.end()


def upload(program, size, name="a.bin"):
    """Send so many bytes; returns the answer and the most memory that the server has had."""
    piece = bytes(range(256)) * 4096
    most = [0]
    with RawClient(program.address) as client:
        client.send(request(f"/{name}", f"Content-Length: {size}", method="PUT"))
        for at in range(0, size, len(piece)):
            client.send(piece[: size - at])
            if at % (16 * MIB) == 0:
                most.append(anonymous_bytes(program.pid))
        return client.response(), max(most)


@pytest.mark.once
def test_upload_to_disk(program, tmp_path):
    size = 256 * MIB
    answer, most = upload(program, size)
    assert (answer.status, answer.body) == (201, b"%d bytes\n" % size)
    stored = tmp_path / "a.bin"
    assert stored.stat().st_size == size
    stored.unlink()
    assert most < 20 * MIB
    assert program.stop() == 0
