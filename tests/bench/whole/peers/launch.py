"""Run one contender: ``launch.py NAME PORT WORKERS``, with the Python of its environment.

BENCH_FOLDER has the files.  Each listens at 127.0.0.1, has no access log, and answers what
`wsgi.py` does; frameworks by their own routes, servers by their own way to send files if they have
one.
"""

import os
import pathlib
import sys

FOLDER = os.environ["BENCH_FOLDER"]
HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.dirname(sys.executable)
HELLO = "Hello, World!"
TEXT = "text/plain; charset=utf-8"


def rush(port, workers):
    from rush_web import WebServer

    server = WebServer(port=port, workers=workers, root=FOLDER, files="/static/", max_conns=20_000)
    server.get("/")(lambda request: request.response("Hello, World!"))

    @server.get("/hello")
    def hello(request):
        request.response("Hello, " + request.parse_args().get("name", "world"))

    @server.get("/user/<number>")
    def user(request):
        request.response(request.params["number"])

    @server.get("/json")
    def message(request):
        request.response_json({"message": "Hello, World!"})

    @server.post("/echo")
    def echo(request):
        request.response(request.body, content_type="application/octet-stream")

    server.add_redirect("/easter", "/")
    server.run()


def rush_wsgi(port, workers):
    import wsgi

    from rush_web import WebServer

    WebServer(port=port, workers=workers, wsgi=wsgi.application, max_conns=20_000).run()


def forked(workers):
    """So many processes; those that were forked end with this one."""
    for _ in range(workers - 1):
        if not os.fork():
            import ctypes

            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
            break


def bjoern(port, workers):
    import bjoern
    import wsgi

    forked(workers)
    bjoern.run(wsgi.application, "127.0.0.1", port, reuse_port=True)


def fastpysgi(port, workers):
    import fastpysgi
    import wsgi

    fastpysgi.run(wsgi.application, "127.0.0.1", port, fastpysgi.LL_ERROR, workers)


def granian(port, workers):
    program = os.path.join(BIN, "granian")
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    options += ["--interface", "wsgi", "--blocking-threads", "1", "--runtime-mode", "st"]
    options += ["--http", "1", "--no-ws", "--no-log", "--backpressure", "20000"]
    options += ["--static-path-route", "/static", "--static-path-mount", FOLDER]
    os.execv(program, [program, *options, "wsgi:application"])


def uvicorn(port, workers):
    program = os.path.join(BIN, "uvicorn")
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    options += ["--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "off"]
    options += ["--no-access-log", "--log-level", "error", "--timeout-keep-alive", "300"]
    os.execv(program, [program, *options, "asgi:application"])


def gunicorn_flask(port, workers):
    program = os.path.join(BIN, "gunicorn")
    options = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--timeout", "0"]
    options += ["--worker-class", "gthread", "--threads", "1", "--worker-connections", "20000"]
    options += ["--keep-alive", "300", "--log-level", "error"]
    os.execv(program, [program, *options, "flask_app:application"])


def aiohttp(port, workers):
    import uvloop
    from aiohttp import web

    async def hello(request):
        return web.Response(text="Hello, " + request.query.get("name", "world"))

    async def easter(request):
        raise web.HTTPMovedPermanently("/")

    async def echo(request):
        return web.Response(body=await request.read())

    def fixed(make):
        async def handler(request):
            return make(request)

        return handler

    app = web.Application()
    app.router.add_get("/", fixed(lambda asked: web.Response(text=HELLO)))
    app.router.add_get("/hello", hello)
    app.router.add_get(
        "/user/{n}", fixed(lambda request: web.Response(text=request.match_info["n"]))
    )
    app.router.add_get(
        "/json", fixed(lambda request: web.json_response({"message": "Hello, World!"}))
    )
    app.router.add_get("/easter", easter)
    app.router.add_post("/echo", echo)
    app.router.add_static("/static", FOLDER)
    forked(workers)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, reuse_port=True,
                keepalive_timeout=300, loop=uvloop.new_event_loop())  # fmt: skip


def robyn(port, workers):
    sys.argv[1:] = ["--processes", str(workers), "--workers", "1", "--log-level", "ERROR"]
    sys.argv.append("--disable-openapi")
    from robyn import Headers, Response, Robyn

    app = Robyn(__file__)
    text = Headers({"content-type": TEXT})

    @app.get("/")
    async def index():
        return Response(200, text, "Hello, World!")

    @app.get("/hello")
    async def hello(request):
        return Response(200, text, "Hello, " + request.query_params.get("name", "world"))

    @app.get("/user/:number")
    async def user(request):
        return Response(200, text, request.path_params["number"])

    @app.get("/json")
    async def message():
        return {"message": "Hello, World!"}

    @app.get("/easter")
    async def easter():
        return Response(301, Headers({"location": "/"}), "")

    @app.post("/echo")
    async def echo(request):
        return Response(200, text, request.body)

    app.serve_directory("/static", FOLDER)
    app.start(host="127.0.0.1", port=port, _check_port=False)


def socketify(port, workers):
    from socketify import App, AppListenOptions

    forked(workers)
    app = App()

    def answering(make):
        return lambda res, req: res.write_header("Content-Type", TEXT).end(make(req))

    async def echo(res, req):
        res.end((await res.get_data()).getvalue())

    app.get("/", answering(lambda req: "Hello, World!"))
    app.get("/hello", answering(lambda req: "Hello, " + req.get_query("name")))
    app.get("/user/:number", answering(lambda req: req.get_parameter(0)))
    app.get("/json", lambda res, req: res.end({"message": "Hello, World!"}))
    app.get("/easter", lambda res, req: res.write_status(301).write_header("Location", "/").end(""))
    app.post("/echo", echo)
    app.static("/static", FOLDER)
    app.any("/*", lambda res, req: res.write_status(404).end("Not Found"))
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: None)
    app.run()


NGINX = """
worker_processes {workers};
daemon off;
pid {run}/pid;
error_log stderr crit;
worker_rlimit_nofile 40000;
events {{ worker_connections 20000; use epoll; multi_accept on; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=100;
    keepalive_requests 1000000000; keepalive_timeout 300; default_type text/plain;
    client_body_temp_path {run}/1; proxy_temp_path {run}/2; fastcgi_temp_path {run}/3;
    uwsgi_temp_path {run}/4; scgi_temp_path {run}/5;
    types {{ text/html html; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024{reuseport};
        absolute_redirect off;
        location = / {{ return 200 "Hello, World!"; }}
        location = /hello {{ return 200 "Hello, $arg_name"; }}
        location ~ ^/user/(?<number>[^/]+)$ {{ return 200 $number; }}
        location = /json {{ return 200 '{{"message": "Hello, World!"}}'; }}
        location = /easter {{ return 301 /; }}
        location /static/ {{ alias {folder}/; }}
        location / {{ return 404; }}
    }}
}}
"""


def nginx(port, workers):
    import shutil

    run = pathlib.Path(FOLDER).parent / f"nginx-{port}"
    run.mkdir(mode=0o755)
    reuseport = " reuseport" if workers > 1 else ""
    values = {"run": run, "folder": FOLDER, "port": port, "workers": workers}
    (run / "conf").write_text(NGINX.format(**values, reuseport=reuseport))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    os.execv(program, [program, "-p", str(run), "-e", "stderr", "-c", str(run / "conf")])


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH")]))
    sys.dont_write_bytecode = True
    globals()[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
