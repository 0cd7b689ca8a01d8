"""What one client may ask of us."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a client may send, and how long it may take.  Past a limit it is refused.

    The defaults are meant for the open internet.  Sizes are in bytes, times in seconds.
    Raises `ValueError` for a limit that is not above zero.
    """

    request_line_bytes: int = 16 * 1024
    """Method, target, version.  RFC 9112, 3 wants 8,000 at least; past it 414."""
    fields_bytes: int = 64 * 1024
    """All header lines together, with blanks and line ends; nginx takes 4 x 8 KiB; past it 431."""
    fields_count: int = 100
    """Header lines; Apache takes 100; past it 431."""
    body_bytes: int = 16 * 1024 * 1024
    """A body that is handed over whole; past it 413, from Content-Length alone if it is there."""
    bodies_bytes: int = 256 * 1024 * 1024
    """Unfinished bodies of all connections: memory that strangers decide on; past it 503."""
    chunk_line_bytes: int = 4 * 1024
    """One chunk's size line with its extensions, of which nobody has been seen to need any; 400."""
    chunk_extensions_bytes: int = 16 * 1024
    """All size lines' extensions of one body; 400."""
    trailers_bytes: int = 8 * 1024
    """The trailer lines of one body; they are checked and dropped; 400."""
    trailers_count: int = 32
    """The number of trailer lines; 400."""
    handshake_seconds: float = 10.0
    """For the TLS handshake, if TLS is spoken; past it closed."""
    head_seconds: float = 10.0
    """From a head's first byte to its end, however it drips; past it 408."""
    body_seconds: float = 15.0
    """Silence in the middle of a body; past it 408."""
    body_bytes_per_second: int = 500
    """What a body has to bring on average after its grace (Apache asks for the same); else 408."""
    body_grace_seconds: float = 10.0
    """How long a body may take before its speed matters: slow starts are common, on mobiles."""
    idle_seconds: float = 75.0
    """Between two requests; nginx has 75; past it the connection is closed."""
    write_seconds: float = 30.0
    """An answer waits and the client reads nothing; past it the connection is closed."""
    write_buffer_bytes: int = 256 * 1024
    """Unsent answers of a connection, above which its next requests and its streams wait."""
    linger_seconds: float = 2.0
    """How long a refused client may go on sending, so that it can read why; then it is closed."""
    linger_bytes: int = 16 * 1024 * 1024
    """How much of that is read and dropped: clients that send all before they read need it."""
    requests: int | None = None
    """Requests per connection; the last one is answered with ``Connection: close``."""

    @property
    def least_seconds(self) -> float:
        """The shortest of the times in which a client has to do something."""
        return min(
            self.head_seconds,
            self.body_seconds,
            self.idle_seconds,
            self.write_seconds,
            self.linger_seconds,
        )

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"Limits.{field.name} is {value!r}: it must be above 0")
