"""WSGI: any application of PEP 3333 on an `HttpServer`, unchanged.

    from rush_http import HttpServer
    from rush_http.wsgi import WsgiApp

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"Hello, World!"]

    server = HttpServer(("127.0.0.1", 8000))
    with WsgiApp(application, server):
        server.run()

With ``threads=0`` the application runs on the loop, which is fastest as long as it waits for
nothing.  With ``threads=8`` it runs in a pool, and the loop goes on with other clients.  What is
too large for memory streams in both directions.
"""

from .app import WsgiApp, asked_of
from .files import FileWrapper

__all__ = ["FileWrapper", "WsgiApp", "asked_of"]
