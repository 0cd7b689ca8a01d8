"""What is answered where no handler is for the method, or for the path as it was asked."""

import pytest

from rawclient import request
from rush_web import WebServer


def say(text):
    return lambda request: request.response(text)


@pytest.fixture
def client(app):
    app.route("/hello")(say("hello"))
    app.route("/hello", "POST")(say("post"))
    app.route("/only", "PUT")(say("put"))
    app.route("/user/<int:id>")(lambda request: request.response(str(request.params["id"] + 1)))
    app.route("/user/<name>", "DELETE")(say("delete"))
    app.route("/filtered", filter=lambda request: "yes" in request.args)(say("filtered"))
    app.route("/folder/")(say("folder"))
    app.route("/own", "OPTIONS")(say("own"))
    app.route("/größe/<name>/")(say("größe"))
    app.route("/files/<path:rest>")(lambda request: request.response(request.params["rest"]))
    app.redirects["/old"] = ("/new?a=1#top", 302, True)
    app.redirects["/plain"] = ("/new#top", 307, True)
    app.route("/both", "POST")(say("both"))
    (app.root / "file").write_text("file")
    (app.root / "both").write_text("both")
    (app.root / "directory").mkdir()
    return app.start(files="/", trailing_slash="redirect")


ANSWERS = [
    # method, target, status, header, its value
    ("GET", "/hello", 200, "content-length", "5"),
    ("HEAD", "/hello", 200, "content-length", "5"),
    ("PUT", "/hello", 405, "allow", "GET, HEAD, OPTIONS, POST"),
    ("BREW", "/hello", 405, "allow", "GET, HEAD, OPTIONS, POST"),
    ("OPTIONS", "/hello", 204, "allow", "GET, HEAD, OPTIONS, POST"),
    ("OPTIONS", "/only", 204, "allow", "OPTIONS, PUT"),
    ("POST", "/only", 405, "allow", "OPTIONS, PUT"),
    ("OPTIONS", "/own", 200, "content-length", "3"),
    ("OPTIONS", "/user/7", 204, "allow", "DELETE, GET, HEAD, OPTIONS"),
    ("POST", "/user/7", 405, "allow", "DELETE, GET, HEAD, OPTIONS"),
    ("POST", "/user/bill", 405, "allow", "DELETE, OPTIONS"),
    ("GET", "/filtered", 404, "content-length", "14"),
    ("GET", "/filtered?yes", 200, "content-length", "8"),
    ("OPTIONS", "/filtered", 204, "allow", "GET, HEAD, OPTIONS"),
    ("OPTIONS", "*", 204, "allow", "DELETE, GET, HEAD, OPTIONS, POST, PUT"),
    ("OPTIONS", "/nothing", 404, "content-length", "14"),
    ("POST", "/nothing", 404, "content-length", "14"),
    # with or without a slash at the end
    ("GET", "/folder", 308, "location", "/folder/"),
    ("HEAD", "/folder?a=1&b=%20", 308, "location", "/folder/?a=1&b=%20"),
    ("POST", "/hello/", 308, "location", "/hello"),
    ("GET", "/gr%C3%B6%C3%9Fe/a%3Fb%0D%0AX", 308, "location", "/gr%C3%B6%C3%9Fe/a%3Fb%0D%0AX/"),
    ("PUT", "/folder", 404, "content-length", "14"),
    ("GET", "/folder//", 308, "location", "/folder/"),
    ("GET", "/file/", 404, "content-length", "14"),
    ("GET", "/user/7/", 308, "location", "/user/7"),
    ("GET", "/user/bill/", 404, "content-length", "14"),
    ("GET", "/files/a/b/", 200, "content-length", "4"),
    ("GET", "//hello/", 404, "content-length", "14"),
    # redirects that keep the query
    ("GET", "/old", 302, "location", "/new?a=1#top"),
    ("GET", "/old?b=2", 302, "location", "/new?a=1&b=2#top"),
    ("POST", "/plain?b=2", 307, "location", "/new?b=2#top"),
    ("GET", "/file", 200, "content-length", "4"),
    # files have methods as well
    ("PUT", "/file", 405, "allow", "GET, HEAD, OPTIONS"),
    ("OPTIONS", "/file", 204, "allow", "GET, HEAD, OPTIONS"),
    ("POST", "/both", 200, "content-length", "4"),
    ("GET", "/both", 200, "content-length", "4"),
    ("PUT", "/both", 405, "allow", "GET, HEAD, OPTIONS, POST"),
    ("OPTIONS", "/both", 204, "allow", "GET, HEAD, OPTIONS, POST"),
    ("PUT", "/directory", 404, "content-length", "14"),
    ("PUT", "/directory/", 404, "content-length", "14"),
    ("PUT", "/../file", 404, "content-length", "14"),
]


@pytest.mark.parametrize(("method", "target", "status", "name", "value"), ANSWERS)
def test_answers(client, app, method, target, status, name, value):
    client.send(request(target, method=method))
    response = client.response(without_body=method == "HEAD")
    assert (response.status, response.headers.get(name)) == (status, value)
    assert app.logged() == []


def test_a_slash_is_no_way_to_another_host(app):
    """``Location: //evil.example`` would be one."""
    app.route("/<path:rest>", filter=lambda request: False)(say("never"))
    app.route("//evil.example")(say("odd"))
    app.route("/\\evil.example")(say("odd"))
    client = app.start(trailing_slash="redirect")
    assert client.get("//evil.example/").status == 404
    assert client.get("/%5Cevil.example/").headers["location"] == "/%5Cevil.example"


def test_strict_slashes(app):
    app.route("/hello")(say("hello"))
    app.route("/folder/")(say("folder"))
    client = app.start()
    for path in ("/hello/", "/folder"):
        assert client.get(path).status == 404


def test_any_path_comes_before_files(app):
    (app.root / "file").write_text("file")
    app.route("*")(say("any"))
    client = app.start(files="/")
    assert client.get("/file").body == client.get("/what/ever").body == b"any"
    assert client.get("/what/ever", method="POST").status == 404  # it makes no path be there


def test_trailing_slash_of_the_server():
    with pytest.raises(ValueError, match="trailing_slash is 'strict' or 'redirect', not 'ignore'"):
        WebServer(trailing_slash="ignore")


REDIRECTS = [
    # arguments, status
    ({}, 301),
    ({"permanent": True}, 301),
    ({"permanent": False}, 302),
    ({"code": 308}, 308),
    ({"code": 303}, 303),
    ({"code": 307, "permanent": False}, 307),
    ({"code": 308, "permanent": True}, 308),
]


@pytest.mark.parametrize(("arguments", "status"), REDIRECTS)
def test_the_status_of_redirects(arguments, status):
    server = WebServer()
    server.add_redirect("/a", "/b", **arguments)
    server.add_redirects({"/c": "/d"}, keep_query=True, **arguments)
    assert server.redirects == {"/a": ("/b", status), "/c": ("/d", status, True)}


@pytest.mark.parametrize(("code", "permanent"), [(301, False), (302, True), (303, True)])
def test_a_status_that_contradicts(code, permanent):
    with pytest.raises(ValueError, match=f"permanent={permanent} and {code} contradict"):
        WebServer().add_redirect("/a", "/b", code, permanent=permanent)
