"""A TCP server on Linux epoll(7) that calls your handlers.

    from epollserver import CONNECT, DISCONNECT, RECEIVE, EpollServer

    server = EpollServer(("127.0.0.1", 7000), max_conns=10_000)

    @server.handler(on_event=RECEIVE)
    def echo(conn):
        conn.write(conn.recv(65536))

    server.start()

One thread, no coroutines, no dependencies: the loop finds out which sockets are ready and calls
your functions one after the other.  A function that takes long holds the others.

Events
======
There is one handler for each event; a second registration replaces the first.

- ``CONNECT``, ``handler(conn)``: somebody has connected. Return ``False`` to refuse.
- ``RECEIVE``, ``handler(conn)``: there is something to read. What is left unread, it is called for
  again.
- ``DATA``, ``handler(conn, data)``: instead of ``RECEIVE``: what has arrived, up to 64 KiB of it;
  ``b""`` is the end. Of the two, the one that is registered last counts.
- ``RESPONSE``, ``handler(conn)``: what a ``write`` had to keep is out. Not called for a write that
  was finished at once.
- ``DISCONNECT``, ``handler(conn, reason)``: exactly once for every connection that was not refused,
  with the `Reason`, after the socket was closed.

Connections
===========
A `Connection` *is* a `socket.socket`, with ``conn.data`` for your own state.

- ``conn.recv(n)``: never blocks when ``RECEIVE`` was called; ``b""`` is the end: then what was
  written is still sent, and the connection ends by itself. A peer that closes its half only
  (``nc -N``) still gets its answer.
- ``conn.write(data)``: sends at once what the socket takes and keeps the rest. It never blocks and
  never raises for what the peer does. While more than `high_water` bytes wait, the connection is
  not read, and ``write`` returns ``False``: go on at ``RESPONSE``. Who does not heed that loses the
  connection at `max_queued`.
- ``conn.sendfile(file)``: takes its place behind what was written; the connection closes the file.
- ``conn.pause()``, ``conn.resume()``: stop reading, and go on. ``conn.pause(on_peer_closed=f)``
  calls ``f(conn)`` if the peer leaves meanwhile: nobody may want the answer.
- ``conn.finish()``: closes when everything is out. ``conn.close()`` closes now.

A handler that raises costs its own connection: the traceback goes to the logger
``epollserver``, the others never notice.

Addresses
=========
``("127.0.0.1", 7000)``, ``("::", 7000)`` for IPv6 and IPv4, ``"/run/chat.sock"`` for a UNIX socket
(its file is removed at the end; one that a dead program has left is replaced), or a socket that is
bound already: ``inherited_sockets()`` are those of systemd, `bind` makes one without a server
(``SocketFile(sock).remove()`` then removes the file of a UNIX socket).
``server.listen(address)`` adds another.

Limits
======
``max_conns`` connections are served at a time.  More are not refused: accepting pauses, they wait
in the kernel's queue, and are served when others close.  The same happens when the process is out
of descriptors.

``idle_seconds`` and ``drain_seconds``, of the server or of one connection, close who neither sends
nor reads (``Reason.TIMEOUT``).  One sweep a second finds them, at most two seconds late.

TLS
===
With ``EpollServer(..., ssl_context=context)`` every connection is a `TlsConnection`: the same, but
encrypted.  ``CONNECT`` comes after the handshake, for which a client has ``handshake_seconds``;
``conn.alpn``, ``conn.tls_version`` and ``conn.peer_certificate()`` tell what came of it::

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")

Preambles
=========
``EpollServer(..., preamble=f)``: ``f(conn)`` makes a `Preamble` that reads the first bytes of a
connection, before TLS and before ``CONNECT``; what follows them is read as if nothing had been
there.  ``None`` from it means that this one has none, ``False`` that it is closed.

The end
=======
``server.stop()`` closes everything now.  ``server.stop(grace=30)`` accepts no more, lets the
connections end by themselves (``server.stopping`` tells handlers to see to it), and closes what is
left after 30 seconds; a second call closes it at once.

Who closes a descriptor of the server's (``os.close(conn.fileno())``) ends it: `start` raises
`DescriptorLost`, since the number may be another client's by then.

The loop's own tools
====================
``server.loop`` is there for handlers: ``call_later(seconds, f)`` returns a `Timer` to ``cancel()``;
``call_soon_threadsafe(f)`` is the way in for other threads; ``watch(fd, events, callback)`` for
descriptors of your own; ``on_signal(signum, f)``; ``now``, a monotonic clock read once a turn.
A `Loop` can be used without a server.  There is no periodic wake-up: an idle server makes no
system calls, with connections that have time limits one a second.

Threads and processes
=====================
``server.start(threaded=True)`` serves in a thread of its own; ``stop()`` can be called from
anywhere.  Everything else belongs to the thread that serves.  After a fork the child has to make
its own server: an epoll instance is shared, not copied.
"""

from typing import TYPE_CHECKING

from .addresses import Address, SocketFile, bind, inherited_sockets
from .connection import Connection
from .descriptors import DescriptorLost
from .events import (
    CONNECT,
    DATA,
    DISCONNECT,
    RECEIVE,
    RESPONSE,
    DataHandler,
    DisconnectHandler,
    Event,
    Handler,
    Reason,
)
from .loop import READ, WRITE, Loop, Timer
from .outbox import SendableFile
from .preambles import MakePreamble, Preamble
from .server import EpollServer

if TYPE_CHECKING:
    from .tls import TlsConnection

__all__ = [
    "CONNECT",
    "DATA",
    "DISCONNECT",
    "READ",
    "RECEIVE",
    "RESPONSE",
    "WRITE",
    "Address",
    "Connection",
    "DataHandler",
    "DescriptorLost",
    "DisconnectHandler",
    "EpollServer",
    "Event",
    "Handler",
    "Loop",
    "MakePreamble",
    "Preamble",
    "Reason",
    "SendableFile",
    "SocketFile",
    "Timer",
    "TlsConnection",
    "bind",
    "inherited_sockets",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> type[Connection]:
    # Who does not use TLS does without the 5 MB of `ssl`.
    if name == "TlsConnection":
        from .tls import TlsConnection

        return TlsConnection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
