"""A connection whose bytes are encrypted, with the standard library's `ssl`.

    socket ──▶ raw bytes ──▶ _incoming ──▶ SSLObject ──▶ _plain ──▶ recv()
    socket ◀── TlsOutbox ◀── _outgoing ◀── SSLObject ◀── TlsOutbox ◀── write(), sendfile()

**Why memory and not `ssl.SSLSocket`.**  A `Connection` is a `socket.socket`, and so is an
`SSLSocket`, which only its context may make.  With an `SSLObject` between two `ssl.MemoryBIO` the
socket stays ours: what TLS wants (to read in order to write, and the other way round) never
reaches a handler, and how much is kept where is our decision.

**Reading.**  What epoll reports is records, and epoll knows nothing of bytes that are decrypted
already.  So all that was received is decrypted before ``RECEIVE``: it is called if something
came of it, and again in the next turn while some of that is unread.

**Writing.**  Data waits as it was written and is encrypted when the socket can take it, a piece
of `PIECE_BYTES` at a time: records are numbered, what is encrypted has to be sent in that order.

    SHAKING ──── handshake done: CONNECT ────▶ open ──── close_notify sent ────▶ said goodbye

The states of `Connection` go on beside these.
"""

import contextlib
import errno
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any

from .connection import DATA_BYTES, Connection
from .events import Reason
from .loop import READ, WRITE, Timer
from .outbox import Outbox
from .records import Records
from .states import CLOSED, ENDING
from .tls_outbox import PIECE_BYTES, TlsOutbox

if TYPE_CHECKING:
    from .server import EpollServer

_log = logging.getLogger("epollserver")


class TlsConnection(Connection):
    """A `Connection` of a server with an `ssl_context`; the same, but encrypted.

    ``CONNECT`` is called after the handshake, or never if that fails.  What goes past TLS (`send`,
    `sendall`, `recvfrom`, `makefile` and the like) raises `OSError`.
    """

    __slots__ = (
        "_again_due",
        "_box",
        "_deadline",
        "_ended",
        "_incoming",
        "_notified",
        "_outgoing",
        "_plain",
        "_records",
        "_shaking",
        "_tls",
    )

    def __init__(self, server: "EpollServer", fd: int, kind: tuple[int, int, int]) -> None:
        """As `Connection`; the handshake begins with what is received."""
        super().__init__(server, fd, kind)
        context = server._ssl_context
        assert context is not None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._box = TlsOutbox(self._tls, self._outgoing)
        self._records = Records()
        self._plain = b""  # decrypted and unread
        self._ended = False  # the peer has said that no more comes
        self._notified = False  # and we have
        self._shaking = True
        self._again_due = False
        self._deadline: Timer | None = None  # of the handshake, once that may begin

    # What TLS knows

    @property
    def alpn(self) -> str | None:
        """The protocol that both sides agreed on (RFC 7301); ``None`` without one."""
        return self._tls.selected_alpn_protocol()

    @property
    def tls_version(self) -> str | None:
        """``TLSv1.2`` or ``TLSv1.3``; ``None`` before the handshake is over."""
        return self._tls.version()

    def peer_certificate(self, binary: bool = False) -> dict[str, Any] | bytes | None:
        """The client's certificate, as `ssl.SSLSocket.getpeercert` gives it; `binary`: DER.

        ``None`` if it sent none: a context asks for it by its ``verify_mode``.
        """
        return self._tls.getpeercert(binary)

    # Reading

    @property
    def partial_since(self) -> float | None:
        """As `Connection.partial_since`."""
        return self._records.partial_since

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """As `Connection.recv`.  Raises `ValueError` for `flags`: TLS has none."""
        if flags or bufsize < 0:
            raise ValueError(
                f"recv({bufsize}, {flags}): TLS has no flags, and bufsize is 0 or more"
            )
        if not self._plain and not self._ended and not self._fill():
            raise BlockingIOError(errno.EAGAIN, "nothing has arrived that could be decrypted")
        data = self._plain
        if len(data) <= bufsize:
            self._plain = b""
        else:
            data, self._plain = data[:bufsize], data[bufsize:]
        if not data and bufsize:
            self._end_of_file()
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """As `recv`, into a writable `buffer`; returns how many bytes."""
        view = memoryview(buffer).cast("B")
        if not 0 <= nbytes <= len(view):
            raise ValueError(f"nbytes is {nbytes}: the buffer has {len(view)} bytes")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    # Writing

    @property
    def drained_bytes(self) -> int:
        """As `Connection.drained_bytes`, encrypted; what never had to wait counts as well."""
        return self._box.sent

    def write(self, data: bytes | bytearray | memoryview) -> bool:
        """As `Connection.write`."""
        self._touched = True
        if self._out is not None or self._shaking:
            return self._keep(data)
        view = memoryview(data)
        if self._finished():
            return False
        if view.nbytes:
            self._outbox().add(data if isinstance(data, bytes) else bytes(view))
            self._send_queued()
            self._rewatch()
        return not self._held and self._state is not CLOSED

    def shutdown(self, how: int) -> None:
        """Shut down a side, or both; who writes no more says so by close_notify first."""
        if how != socket.SHUT_RD:
            self._notify()
        super().shutdown(how)

    def _past_tls(self, *args: object, **kwargs: object) -> Any:
        """Refuse: what this sends or receives would not be encrypted."""
        raise OSError(errno.EOPNOTSUPP, "this goes past TLS: use recv, recv_into, write, sendfile")

    send = sendall = sendto = sendmsg = makefile = dup = _past_tls
    recvfrom = recvfrom_into = recvmsg = recvmsg_into = _past_tls

    # From here on: called by the loop and by the server.

    def _begin(self) -> None:
        server = self._server
        server.entering.add(self)
        self._deadline = server.loop.call_later(server._handshake_seconds, self._too_slow)

    def _ready(self, ready: int) -> None:
        if self._shaking:
            self._shake()
            return
        if ready != self._reading and not self._prepare(ready):
            return
        try:
            if not self._plain and not self._ended and not self._fill():
                return
        except OSError:
            return  # lost, and closed
        self._receive()

    def _receive(self) -> None:
        self._touched = True
        server = self._server
        on_data = server._on_data
        if on_data is None:
            server._call(server._on_receive, self)
        else:
            data = self.recv(DATA_BYTES)
            server._call(lambda conn: on_data(conn, data), self)
        self._call_again()

    def _call_again(self) -> None:
        """See to it that what is decrypted gets read: epoll will not."""
        if self._reading and not self._again_due and (self._plain or self._ended):
            self._again_due = True
            self._server.loop.call_soon(self._again)

    def _again(self) -> None:
        self._again_due = False
        if self._reading and (self._plain or self._ended):
            self._receive()

    def _fill(self) -> bool:
        """Decrypt what has arrived; return whether there is something to read, be it the end.

        Raises `OSError` if the connection is broken; it is closed then.
        """
        try:
            self._take_raw()
            self._decrypt()
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(error)
            raise
        return bool(self._plain) or self._ended

    def _take_raw(self) -> None:
        raw = socket.socket.recv(self, PIECE_BYTES)
        if raw:
            self._incoming.write(raw)
            self._records.feed(raw, self._server.loop.now)
        else:
            self._ended = True  # a FIN without close_notify

    def _decrypt(self) -> None:
        pieces = []
        try:
            while piece := self._tls.read(PIECE_BYTES):
                pieces.append(piece)
            self._ended = True  # close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        finally:
            self._plain = b"".join(pieces)
            self._send_protocol()

    def _outbox(self) -> Outbox:
        self._out = self._box
        return self._box

    def _send_protocol(self) -> None:
        """Send what TLS itself has to say: handshake, tickets, alerts."""
        if self._outgoing.pending and self._state is not CLOSED:
            waiting = self._out is not None
            self._outbox()
            if not waiting:
                self._send_queued()
            self._rewatch()

    def _rewatch(self) -> None:
        if not self._shaking:
            super()._rewatch()
            self._call_again()
        elif self._state is not CLOSED:
            interest = READ | (WRITE if self._box.wire_waits else 0)
            if interest != self._interest:
                self._interest = interest
                self._server.loop.rewatch(self.fileno(), interest)

    # The handshake

    def _shake(self) -> None:
        """Go on with the handshake, as far as what has arrived allows."""
        self._send_queued()
        try:
            self._take_raw()
            if self._ended:
                _log.debug("a peer has left in the TLS handshake")
                self._end(Reason.PEER_CLOSED)
                return
            self._tls.do_handshake()
            self._shaking = False
            self._box.open = True
            self._decrypt()  # what came with the end of it
        except (BlockingIOError, ssl.SSLWantReadError):
            self._send_protocol()
            self._rewatch()
        except OSError as error:
            self._lost(error)
        else:
            if self._deadline is not None:
                self._deadline.cancel()
            self._server._enter(self)
            self._send_queued()  # what was written before
            self._settle()
            self._rewatch()

    def _too_slow(self) -> None:
        _log.debug("a peer has not finished its TLS handshake in time (handshake_seconds)")
        self._end(Reason.TIMEOUT)

    # The end

    def _notify(self) -> None:
        """Say that no more comes: close_notify (RFC 8446, 6.1)."""
        if not self._notified and not self._shaking and self._state is not CLOSED:
            self._notified = True
            with contextlib.suppress(OSError):  # the peer's own need not have come
                self._tls.unwrap()
            self._send_protocol()

    def _settle(self) -> None:
        if self._state is ENDING and self._out is None:
            self._notify()
        super()._settle()

    def _lost(self, error: OSError | ValueError) -> None:
        if isinstance(error, BlockingIOError):
            pass
        elif self._state is ENDING and self._notified:
            self._end(self._reason)  # everything was out but the goodbye
        elif isinstance(error, ssl.SSLError):
            _log.debug("TLS failed, the connection is closed: %s", error)
            self._end(Reason.ERROR)
        else:
            super()._lost(error)

    def _end(self, reason: Reason) -> None:
        # Not behind data that is dropped: the peer must see that something is missing.
        if self._out is None and reason is not Reason.RESET:
            self._notify()
            self._send_protocol()  # the alert of a handshake that has failed
        super()._end(reason)

    def _leave(self, reason: Reason) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super()._leave(reason)


def check_context(context: object) -> None:
    """Refuse what cannot serve: `TypeError`, or as the context does."""
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context is {context!r:.80}: it must be an ssl.SSLContext")
    # Raises now what it would for every connection: a context that is for clients.
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
