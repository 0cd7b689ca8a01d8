"""Addresses, TLS, systemd, files and users: what an operator sets up; real processes."""

import contextlib
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from certificates import contexts
from load import Load
from programs import Program, eventually
from rawclient import PATIENCE, TLS, RawClient
from rush_web import WebServer

pytestmark = pytest.mark.once

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def everyones():
    """A folder where other users may read; the one of a test is for its own user."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


def get(address, path="/pid"):
    with RawClient(address) as client:
        return client.get(path)


# Addresses


def test_a_unix_socket(serve, launch, write, tmp_path):
    path = tmp_path / "sock"
    program = launch(write(f"host='unix:{path}', umask=0o077"))
    program.output.wait_for(f"at unix:{path} with 2 workers.\n")
    assert path.stat().st_mode & 0o777 == 0o700
    with Load(str(path), count=8) as load:
        for times in (1, 2):
            os.kill(int(get(str(path)).body), signal.SIGKILL)
            program.log.wait_for("was killed by SIGKILL", times)
            load.wait_for_all()
        program.kill(signal.SIGHUP)
        program.output.wait_for("with 2 workers.\n", 2)
        load.wait_for_all()
        assert load.failed == []
    assert program.stop() == 0
    assert not path.exists()


def test_a_socket_in_the_way(launch, write, tmp_path):
    """One that a dead program left is replaced, another's is not."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        refused = launch(write(f"host='unix:{path}'"))
        assert refused.wait() == 1
        assert f"cannot listen at '{path}'" in str(refused.log)
    program = launch(write(f"host='unix:{path}'"))
    program.output.wait_for("with 2 workers.\n")
    assert get(str(path)).status == 200
    path.unlink()
    path.write_text("another's")
    assert program.stop() == 0
    assert path.exists()


def test_several_addresses(launch, write, tmp_path):
    """A reload drops one of them and opens another."""
    options = "bind=['127.0.0.1:0', '127.0.0.2:0', 'unix:one']"
    program = launch(write(options)).ready()
    found = re.findall(r"http://(127\.0\.0\.[12]):([0-9]+)/", str(program.output))
    one, two = [(host, int(port)) for host, port in found]
    addresses = one, two, str(tmp_path / "one")
    for address in addresses:
        assert {get(address).status for _ in range(5)} == {200}
    with Load(two, count=8) as load:
        write(options.replace("127.0.0.1:0", "127.0.0.3:0").replace("unix:one", "unix:two"))
        program.kill(signal.SIGHUP)
        program.output.wait_for("with 2 workers.\n", 2)
        third = re.search(r"http://(127\.0\.0\.3):([0-9]+)/", str(program.output))
        for address in (third[1], int(third[2])), two, str(tmp_path / "two"):
            assert {get(address).status for _ in range(5)} == {200}
        load.wait_for_all()
        assert (load.failed, load.lost) == ([], [])
    eventually(lambda: not (tmp_path / "one").exists(), "the end of the file")
    with socket.socket() as sock:
        eventually(lambda: sock.connect_ex(one), "a refusal")
    assert program.stop() == 0
    assert not (tmp_path / "two").exists()


BAD = [
    ({"bind": ["1.2.3.4"]}, "'1.2.3.4' is no address: write 127.0.0.1:8000"),
    ({"bind": ["::1:80"]}, "'::1:80' is no address"),
    ({"bind": ["unix:"]}, "'unix:' is no address"),
    ({"host": "unix:"}, "'unix:' is no address"),
    ({"bind": ["a:65536"]}, "'a:65536' is no address"),
    ({"keyfile": "key.pem"}, "keyfile='key.pem' needs a certfile"),
    ({"worker_timeout": 0}, "worker_timeout is 0: it must be more than 0, or None"),
    ({"recycle_requests": -1}, "recycle_requests is -1"),
    ({"recycle_seconds": float("nan")}, "recycle_seconds is nan"),
    ({"user": "nobody-of-that-name"}, "user is 'nobody-of-that-name'"),
    ({"user": ":no-group-of-that-name"}, "user is ':no-group-of-that-name'"),
]


@pytest.mark.parametrize(("options", "words"), BAD)
def test_options_that_make_no_sense(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        WebServer(**options)


# TLS


def test_tls_and_a_certificate_that_has_changed(serve, tmp_path):
    _, client = contexts(tmp_path)
    program = serve("certfile='cert.pem', keyfile='key.pem'")
    assert f"at https://127.0.0.1:{program.address[1]}/ with" in str(program.output)
    TLS[program.address] = client
    assert program.get("/pid").status == 200
    shutil.copytree(tmp_path, tmp_path / "new", ignore=lambda *_: {"fifo"})
    _, TLS[program.address] = contexts(tmp_path)
    with pytest.raises(OSError, match="certificate verify failed"):
        program.get("/pid")
    program.kill(signal.SIGHUP)
    program.output.wait_for("with 2 workers.\n", 2)
    eventually(lambda: works(program), "the new certificate")
    (tmp_path / "key.pem").write_text("no key")
    program.kill(signal.SIGHUP)
    program.log.wait_for("before all its workers served")
    assert works(program)
    assert program.stop() == 0


def works(program):
    with contextlib.suppress(OSError):
        return program.get("/pid").status == 200


# systemd


class Notified:
    """The socket of a service manager: what was said to it, line by line."""

    def __init__(self, stack, path):
        self.sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        self.sock.bind(str(path))
        self.sock.settimeout(PATIENCE)
        self.environ = {**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}

    def next(self, *without):
        while (said := self.sock.recv(4096).decode()) in without:
            pass
        return said


def test_what_systemd_is_told(launch, write, tmp_path):
    with contextlib.ExitStack() as stack:
        manager = Notified(stack, tmp_path / "notify")
        path = write("", 'print(os.environ.get("NOTIFY_SOCKET"))')
        program = launch(path, env=manager.environ)
        assert manager.next("WATCHDOG=1") == "READY=1"
        assert manager.next() == "WATCHDOG=1"
        assert manager.next() == "WATCHDOG=1"
        for _ in range(2):
            program.kill(signal.SIGHUP)
            assert re.fullmatch("RELOADING=1\nMONOTONIC_USEC=[0-9]+", manager.next("WATCHDOG=1"))
            assert manager.next("WATCHDOG=1") == "READY=1"
        path.write_text("1 / 0")
        program.kill(signal.SIGHUP)
        assert manager.next("WATCHDOG=1").startswith("RELOADING=1")
        assert manager.next("WATCHDOG=1") == "READY=1"
        assert manager.next() == "WATCHDOG=1"
        program.kill(signal.SIGTERM)
        assert manager.next("WATCHDOG=1") == "STOPPING=1"
        assert program.wait() == 0


def check_activated(program, address):
    """A server with a socket of somebody else's: it is served, also after a reload."""
    program.output.wait_for("with 2 workers.\n")
    assert {get(address).status for _ in range(5)} == {200}
    with Load(address, count=8) as load:
        program.kill(signal.SIGHUP)
        program.output.wait_for("with 2 workers.\n", 2)
        load.wait_for_all()
        assert load.failed == []
    assert program.stop() == 0


def test_sockets_of_systemd(launch, write, tmp_path):
    """By a stand-in, which listens and executes the program."""
    unix = str(tmp_path / "sock")
    code = (
        "import os, sys; os.dup2(int(sys.argv[2]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.environ['LISTEN_FDS'] = '1'; os.execv(sys.executable, [sys.executable, sys.argv[1]])"
    )
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(unix)
        sock.listen()
        program = launch("-c", code, write(), str(sock.fileno()), pass_fds=[sock.fileno()])
        check_activated(program, unix)
        assert os.path.exists(unix)  # it is not ours to remove


@pytest.mark.skipif(
    not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not here"
)
def test_systemd_socket_activate(write, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{address[1]}"]
    program = Program(write(), cwd=tmp_path, command=[*command, "-E", "PYTHONPATH"])
    try:
        program.log.wait_for("Listening on")
        with RawClient(address) as client:  # the first one starts the server
            assert client.get("/pid").status == 200
        check_activated(program, address)
    finally:
        program.end()


# Files, users and limits


def test_a_pid_file(serve, tmp_path):
    path = tmp_path / "pid"
    program = serve("pid_file='pid'")
    assert path.read_text() == f"{program.pid}\n"
    program.kill(signal.SIGHUP)
    program.output.wait_for("with 2 workers.\n", 2)
    assert path.read_text() == f"{program.pid}\n"
    assert program.stop() == 0
    assert not path.exists()


def test_a_pid_file_that_is_anothers_by_now(serve, tmp_path):
    """Whatever is in it, it stays."""
    (tmp_path / "pid").write_text("4711\n")  # of a server that has died
    program = serve("pid_file='pid'")
    (tmp_path / "pid").write_bytes(b"\xff")
    assert program.stop() == 0
    assert (tmp_path / "pid").read_bytes() == b"\xff"
    assert str(program.log) == ""


def test_a_pid_file_that_cannot_be_written(launch, write, tmp_path):
    program = launch(write(f"pid_file='{tmp_path}/none/pid', host='unix:sock'"))
    assert program.wait() == 1
    assert "FileNotFoundError" in str(program.log)
    assert not (tmp_path / "sock").exists()


@root_only
def test_another_user(serve, everyones, tmp_path):
    """Workers are that user, and read what it may read; the parent goes on as root."""
    nobody = pwd.getpwnam("nobody")
    folder = everyones / "root"
    folder.mkdir()
    (folder / "page").write_text("for all")
    (folder / "secret").write_text("for root")
    (folder / "secret").chmod(0o600)
    program = serve(
        f"user='nobody', root='{folder}', files='/f/', bind=['127.0.0.1:0', 'unix:sock']",
        """
        @server.get("/ids")
        def ids(request):
            request.response(f"{os.getresuid()} {os.getresgid()} {os.getgroups()}")
        """,
    )
    uid, gid = nobody.pw_uid, nobody.pw_gid
    ids = f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) [{gid}]".encode()
    assert (tmp_path / "sock").stat().st_uid == uid
    for times in (1, 2):
        assert program.get("/ids").body == ids
        assert program.get("/f/page").body == b"for all"
        assert program.get("/f/secret").status in (404, 500)
        program.kill(signal.SIGHUP)
        program.output.wait_for("with 2 workers.\n", times + 1)
    program.kill(signal.SIGTTIN)
    assert len(program.pids(3)) == 3
    assert program.stop() == 0


def test_the_soft_limit_of_descriptors_is_that_of_the_workers(serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    program = serve()
    worker = program.pids().pop()
    assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (hard, hard)
    assert soft <= hard
    assert program.stop() == 0


def test_titles(serve):
    pytest.importorskip("setproctitle")
    program = serve()
    worker = program.pids().pop()
    shown = subprocess.check_output(["ps", "-o", "args=", str(program.pid), str(worker)], text=True)
    assert re.fullmatch(r"rush: parent\s*\nrush: worker [12]\s*\n", shown)
    assert program.stop() == 0


# Log files


@pytest.mark.parametrize("user", ["", pytest.param("user='nobody'", marks=root_only)])
def test_log_files_that_were_moved_away(serve, everyones, user):
    """Everyone goes on in the new one: parent, workers, and those after a reload."""
    program = serve(
        user,
        f"""
        import logging
        path = "{everyones}/log"
        logging.basicConfig(filename=path, level=logging.INFO, format="%(process)d %(message)s")

        @server.get("/log")
        def log(request):
            logging.getLogger("rush_web").info("from a worker")
            request.response("")
        """,
    )
    log, old = everyones / "log", everyones / "log.1"
    for pid in program.pids():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: log.read_text().count("was killed") == 2)

    def lines():
        for _ in range(10):
            assert program.get("/log").status == 200
        return set(re.findall("([0-9]+) from a worker", log.read_text()))

    for turn in range(2):
        log.rename(old)
        size = old.stat().st_size
        program.kill(signal.SIGUSR1)
        eventually(log.exists, "the new file")
        eventually(lambda: len(lines()) == 2, "lines of both workers")
        size = old.stat().st_size
        assert len(lines()) == 2
        assert old.stat().st_size == size
        if not turn:
            program.kill(signal.SIGHUP)
            program.output.wait_for("with 2 workers.\n", 2)
    assert "reload: the new program" in old.read_text()
    assert program.stop() == 0


@pytest.mark.parametrize("user", ["", pytest.param("user='nobody',", marks=root_only)])
def test_a_folder_of_logs_that_is_gone(serve, everyones, user):
    """Serving goes on, and so do reloads; who opens the log anew when it is back, has it again."""
    folder = everyones / "logs"
    folder.mkdir()
    program = serve(f"{user} access_log='{folder}/access', access_format='json'")
    assert program.get("/pid").status == 200
    eventually((folder / "access").read_text, "a line")
    shutil.rmtree(folder)
    program.kill(signal.SIGUSR1)
    words = "the access log cannot be opened anew, the old one stays: [Errno 2] No such file"
    program.log.wait_for(words, 3)
    program.kill(signal.SIGHUP)
    program.output.wait_for("with 2 workers.\n", 2)
    program.log.wait_for("its lines go to the standard error until it is opened anew: [Errno 2] No")
    # Not the first one, perhaps: an old worker may still have been there.
    eventually(lambda: program.get("/pid") and '"path": "/pid"' in str(program.log), "a line")
    program.kill(signal.SIGHUP)  # once more, from a program that has none either
    program.output.wait_for("with 2 workers.\n", 3)
    folder.mkdir()
    program.kill(signal.SIGUSR1)

    def logs():
        assert program.get("/pid").status == 200
        return (folder / "access").exists() and (folder / "access").read_text()

    eventually(logs, "a line")
    assert program.stop() == 0


# Workers that are worn


def test_workers_are_replaced_after_so_many_requests(serve):
    program = serve("recycle_requests=100")
    with Load(program.address, count=16) as load:
        first = program.children()
        load.wait_for(lambda: len(load.said) > 6)
        assert (load.failed, load.lost) == ([], [])
    most = max(load.said.values())
    assert most < 100 * 1.2 + 16 * 200  # who is there when a worker retires is served still
    eventually(lambda: len(program.children()) == 2, "the end of those who have retired")
    assert not first & program.children()
    assert program.stop() == 0
    assert str(program.log) == ""


def test_workers_are_replaced_after_so_long(serve):
    program = serve("recycle_seconds=0.2")
    with Load(program.address, count=4) as load:
        load.wait_for(lambda: len(load.said) > 6)
        assert (load.failed, load.lost) == ([], [])
    assert program.stop() == 0
    assert str(program.log) == ""


def test_a_worker_that_is_worn_stays_if_nobody_can_follow(serve, tmp_path):
    program = serve(
        "recycle_seconds=0.2",
        """
        def die():
            if os.path.exists("die"):
                os._exit(3)

        os.register_at_fork(after_in_child=die)
        """,
    )
    (tmp_path / "die").touch()
    program.log.wait_for("exited with 3", 2)
    before = program.pids()
    program.log.wait_for("exited with 3", 4)
    assert program.pids() == before
    (tmp_path / "die").unlink()
    assert program.new_pid(before)
    assert program.stop() == 0
