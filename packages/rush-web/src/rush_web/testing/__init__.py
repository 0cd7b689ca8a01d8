"""A client for the tests of an application: from bytes to bytes, without a network.

    from app import server

    def test_hello():
        with server.test_client() as client:
            response = client.get("/hello", args={"name": "Ann"})
            assert (response.status, response.text) == (200, "Hello, Ann!")

`WebServer.test_client` makes one worker of the server, as it is in production, in the test's own
thread: no port, no process, no thread of its own.  It works while the client waits for it.  Names
of types, for annotations: `TestClient`, `TestResponse`, `CookieJar`, `Files`.
"""

from .bodies import Files
from .client import TestClient
from .jar import CookieJar
from .response import TestResponse

__all__ = ["CookieJar", "Files", "TestClient", "TestResponse"]
