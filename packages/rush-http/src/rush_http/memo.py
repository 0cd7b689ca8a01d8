"""Memo: pieces of heads that were met before, for all connections of one worker."""

from typing import TypeVar

from . import grammar
from .grammar import HTTP_1_1, Field, Protocol
from .shapes import Shapes

_Key = TypeVar("_Key", bytes, str)
_Value = TypeVar("_Value")


class Memo:
    """What `grammar` said of header lines, names and values, for the next time.

    Its methods are those of `grammar`: same result, same refusals.  Lines that carry secrets are
    never kept.  Bounded: `ENTRIES` in each table, of `ENTRY_BYTES` at most; a full table is
    emptied, and what matters is back within a few requests.
    """

    ENTRIES = 2048
    ENTRY_BYTES = 256
    SECRET = frozenset({"cookie", "authorization", "proxy-authorization"})

    __slots__ = ("fields", "hosts", "names", "persistent", "shapes")

    def __init__(self) -> None:
        self.fields: dict[bytes, Field] = {}
        self.names: dict[bytes, str] = {}
        self.hosts: dict[str, str] = {}
        self.persistent: dict[str, bool] = {}
        self.shapes = Shapes()

    def field_line(self, line: bytes) -> Field:
        """Take apart a line that is not in `fields` yet."""
        raw, colon, value = line.partition(b":")
        name = self.names.get(raw)
        if name is None or not colon:
            name, text = grammar.field_line(line)
            _keep(self.names, raw, name)
        else:
            text = grammar.field_value(value, raw)
        field = name, text
        if name not in self.SECRET:
            _keep(self.fields, line, field)
        return field

    def host(self, value: str) -> str:
        """Check the value of ``Host``."""
        if value not in self.hosts:
            _keep(self.hosts, value, grammar.host(value))
        return value

    def keeps_alive(self, connection: str | None, protocol: Protocol) -> bool:
        """Whether the connection goes on after the answer."""
        if connection is None or protocol != HTTP_1_1:
            return grammar.keeps_alive(connection, protocol)
        keeps = self.persistent.get(connection)
        if keeps is None:
            keeps = grammar.keeps_alive(connection, protocol)
            _keep(self.persistent, connection, keeps)
        return keeps


def _keep(table: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if len(key) <= Memo.ENTRY_BYTES:
        if len(table) >= Memo.ENTRIES:
            table.clear()
        table[key] = value
