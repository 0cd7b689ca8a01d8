"""A chat: the first line is your name, every other one goes to all the others.

$ python chat.py 7000
chat at 127.0.0.1:7000

$ nc 127.0.0.1 7000
your name?
Ann
* Ann is here
Ben: hello
"""

import sys
from dataclasses import dataclass

from epollserver import CONNECT, DISCONNECT, RECEIVE, Connection, EpollServer, Reason

LINE_BYTES = 1000  # a line that is longer costs the connection
BEHIND_BYTES = 1 << 20  # and so does not reading what the others say


@dataclass
class Guest:
    """What belongs to one connection: its `data`."""

    name: str = ""
    begun: bytes = b""  # a line that is not complete yet


class Chat:
    """The room: four things can happen in it."""

    def __init__(self, port: int) -> None:
        self.server = EpollServer(("127.0.0.1", port))
        self.server.add_handler(self.come, CONNECT)
        self.server.add_handler(self.receive, RECEIVE)
        self.server.add_handler(self.leave, DISCONNECT)

    def come(self, conn: Connection) -> None:
        """Welcome a connection."""
        conn.data = Guest()
        conn.write(b"your name?\n")

    def receive(self, conn: Connection) -> None:
        """Take what has arrived, a piece of the stream: half a line, or three and a half."""
        guest: Guest = conn.data
        *lines, guest.begun = (guest.begun + conn.recv(4096)).split(b"\n")
        for line in lines:
            if len(line) > LINE_BYTES:
                break
            self.say(conn, guest, line.decode(errors="replace").strip())
        else:
            if len(guest.begun) <= LINE_BYTES:
                return
        conn.write(b"* this line is too long\n")
        conn.finish()

    def say(self, conn: Connection, guest: Guest, text: str) -> None:
        """Do what one line means."""
        if guest.name:
            self.tell_all(f"{guest.name}: {text}", but=conn)
        elif text:
            guest.name = text
            self.tell_all(f"* {text} is here")

    def leave(self, conn: Connection, reason: Reason) -> None:
        """Tell the others that somebody has gone."""
        guest: Guest = conn.data
        if guest.name:
            self.tell_all(f"* {guest.name} has left ({reason.value})")

    def tell_all(self, text: str, but: Connection | None = None) -> None:
        """Send a line to everybody who has a name."""
        line = text.encode() + b"\n"
        # A copy: a write that finds its peer gone takes that connection out of the set.
        for conn in list(self.server.connections):
            if conn is not but and conn.data.name:
                conn.write(line)
                if conn.queued > BEHIND_BYTES:
                    conn.close()


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 7000
    chat = Chat(port)
    print("chat at {}:{}".format(*chat.server.address), flush=True)
    chat.server.start()


if __name__ == "__main__":
    main()
