r"""Say what the requests on standard input are; no socket is opened.

printf 'GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n' | python parse_only.py
"""

import os
import sys

from rush_http import Head, HttpError, RequestParser


def main() -> None:
    parser = RequestParser()
    try:
        while data := os.read(sys.stdin.fileno(), 65536):
            for event in parser.feed(data):
                if isinstance(event, Head):
                    print(event.method, event.path, event.query)
                    for name, value in event.headers.lines():
                        print(f"    {name}: {value}")
                elif isinstance(event, bytes):
                    print(f"    {len(event)} bytes of body")
    except HttpError as error:
        sys.exit(f"{error.status}: {error}")
    if not parser.clean:
        sys.exit("the input ends in the middle of a request")


if __name__ == "__main__":
    main()
