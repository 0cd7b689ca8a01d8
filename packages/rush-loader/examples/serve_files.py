"""A server of files, of rush-http and rush-loader alone: serve_files.py FOLDER [PORT].

Fresh from memory, with conditions, ranges and content codings; of directories the index, or a list.
"""

import html
import sys
from urllib.parse import quote

from rush_http import HttpServer, NotFound, date_line, render
from rush_loader import FileNotFound, Loader, SlashMissing


def main(folder: str, port: int = 0) -> None:
    def answer(body, conn, protocol, method, path, query, headers):
        line = conn.data.connection_line
        try:
            reply = loader.answer(path, method, headers)
        except SlashMissing as error:
            server.respond(conn, b"", 301, [("Location", error.location)])
        except FileNotFound:
            if not path.endswith("/"):
                raise NotFound(path) from None  # the server answers with a plain 404
            page = list_page(path).encode()
            server.send(conn, render(200, page, content_type="text/html", connection_line=line))
        else:
            head = b"%b%b%b\r\n" % (reply.head, date_line(), line)
            if reply.file is None:
                server.send(conn, head + reply.body)
            else:  # too large to be kept in memory
                server.send_parts(conn, head, reply.file.open(), reply.parts)

    def list_page(path):
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
