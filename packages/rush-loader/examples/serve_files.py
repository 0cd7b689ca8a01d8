"""A server of files, of rush-http and rush-loader alone: serve_files.py FOLDER [PORT].

Fresh from memory, with conditions, ranges and content codings; of directories the index, or a list.
"""

import html
import sys
from urllib.parse import quote

from epollserver import Connection
from rush_http import Headers, HttpServer, NotFound, Protocol, date_line
from rush_loader import FileNotFound, Loader, SlashMissing

HTML = "text/html; charset=utf-8"


def main(folder: str, port: int = 0) -> None:
    def answer(
        body: bytes,
        conn: Connection,
        protocol: Protocol,
        method: str,
        path: str,
        query: str,
        headers: Headers,
    ) -> None:
        try:
            reply = loader.answer(path, method, headers)
        except SlashMissing as error:
            server.respond(conn, b"", 301, [("Location", error.location)])
        except FileNotFound:
            if not path.endswith("/"):
                raise NotFound(path) from None  # the server answers with a plain 404
            server.respond(conn, list_page(path).encode(), content_type=HTML)
        else:
            head = b"%b%b%b\r\n" % (reply.head, date_line(), conn.data.connection_line)
            if reply.file is None:
                server.send(conn, head + reply.body)
            else:  # too large to be kept in memory
                server.send_parts(conn, head, reply.file.open(), reply.parts)

    def list_page(path: str) -> str:
        lines = []
        for item in loader.listing(path).items:
            name = item.name + "/" * (item.kind == "directory")
            lines.append(f'<li><a href="./{quote(name)}">{html.escape(name)}</a> {item.size}\n')
        return f"<!doctype html><meta charset=utf-8><ul>\n{''.join(lines)}</ul>\n"

    with Loader(folder) as loader, HttpServer(("127.0.0.1", port), 1000, answer) as server:
        print("http://{}:{}/".format(*server.address), flush=True)
        server.run()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
