"""Hello: one handler, two workers.

$ python hello.py
Rush serves 1 route at http://127.0.0.1:9090/ with 2 workers.

$ curl "http://127.0.0.1:9090/hello?name=Ann"
Hello, Ann!
"""

from rush_web import Request, WebServer

server = WebServer(port=9090, workers=2)


@server.route("/hello", methods={"GET"})
def hello(request: Request) -> None:
    args = request.parse_args()
    request.response(f"Hello, {args.get('name', 'world')}!\n")


if __name__ == "__main__":
    server.run()
