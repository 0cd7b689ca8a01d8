"""Applications of Flask, Django, Bottle and Falcon on `rush wsgi`, as their clients see them."""

import contextlib
import http.cookiejar
import re
import subprocess
import sys
import textwrap
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

from programs import Program

pytestmark = pytest.mark.once


class Browser:
    """A client that keeps cookies and follows redirects; it has no connection of its own."""

    def __init__(self, address):
        self.base = "http://{}:{}".format(*address)
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def ask(self, path, data=None, headers=None):
        """Status, headers and body; POST if there is data."""
        if isinstance(data, dict):
            data = urllib.parse.urlencode(data).encode()
        request = urllib.request.Request(self.base + path, data, headers or {})
        try:
            with self._opener.open(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.status, answer.headers, answer.read()

    def page(self, path, data=None):
        status, _, body = self.ask(path, data)
        assert status == 200, (status, body[:2000])
        return body.decode()

    def upload(self, path, fields, name, file_name, content):
        """POST a form with a file."""
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"'
        parts += [head.encode(), b"\r\n\r\n", content, f"\r\n--{mark}--\r\n".encode()]
        kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return self.ask(path, b"".join(parts), kind)


@pytest.fixture(params=["0", "3"], ids=["loop", "threads"])
def start(request, tmp_path):
    """Serve an application; returns a browser."""
    with contextlib.ExitStack() as stack:

        def start(source, *options, module="site_app:app"):
            (tmp_path / "site_app.py").write_text(textwrap.dedent(source))
            command = ("-m", "rush_web", "wsgi", module, "--port", "0", "--workers", "1")
            # Their own warnings are not ours.
            quiet = ("-W", "ignore", *command, "--threads", request.param, *options)
            program = Program(*quiet, cwd=tmp_path)
            stack.callback(program.end)
            return Browser(program.ready().address)

        yield start


FLASK = """
    import hashlib
    from flask import Flask, Response, redirect, request, send_file, session
    app = Flask(__name__)
    app.secret_key = "for tests"

    @app.route("/login", methods=["POST"])
    def login():
        session["name"] = request.form["name"]
        return redirect("/me")

    @app.route("/me")
    def me():
        return "I am " + session.get("name", "nobody")

    @app.route("/upload", methods=["POST"])
    def upload():
        file = request.files["file"]
        digest = hashlib.sha256()
        while piece := file.stream.read(65536):
            digest.update(piece)
        return {"name": file.filename, "note": request.form["note"], "sha256": digest.hexdigest()}

    @app.route("/stream")
    def stream():
        return Response((b"%d\\n" % number for number in range(20_000)), mimetype="text/plain")

    @app.route("/file")
    def file():
        return send_file("large.bin", conditional=True)

    @app.route("/fails")
    def fails():
        raise ValueError("the reason")
"""


def test_flask(start, tmp_path):
    pytest.importorskip("flask")
    content = bytes(range(256)) * 10_000
    (tmp_path / "large.bin").write_bytes(content)
    browser = start(FLASK)
    assert browser.page("/me") == "I am nobody"
    assert browser.page("/login", {"name": "Zoë"}) == "I am Zoë"
    assert browser.page("/me") == "I am Zoë"
    for size in (10, len(content)):
        status, headers, body = browser.upload(
            "/upload", {"note": "a b"}, "file", "x.bin", content[:size]
        )
        assert (status, headers["Content-Type"]) == (200, "application/json")
        assert b'"name":"x.bin","note":"a b"' in body
    assert browser.page("/stream").splitlines() == [str(number) for number in range(20_000)]
    status, headers, body = browser.ask("/file")
    assert (status, headers["Content-Length"]) == (200, str(len(content)))
    assert body == content
    again = browser.ask("/file", headers={"If-None-Match": headers["ETag"]})
    assert (again[0], again[2]) == (304, b"")
    part = browser.ask("/file", headers={"Range": "bytes=1000-1099"})
    assert (part[0], part[2]) == (206, content[1000:1100])
    assert browser.ask("/fails")[0] == 500
    assert browser.ask("/missing")[0] == 404
    assert browser.ask("/me", b"")[0] == 405


BOTTLE = """
    import bottle
    app = bottle.Bottle()

    @app.get("/hello/<name>")
    def hello(name):
        return f"Hello, {name}!"

    @app.post("/sum")
    def sums():
        return {"sum": sum(bottle.request.json)}
"""

FALCON = """
    import falcon

    class Hello:
        def on_get(self, request, response, name):
            response.text = f"Hello, {name}!"

    class Sum:
        def on_post(self, request, response):
            response.media = {"sum": sum(request.media)}

    app = falcon.App()
    app.add_route("/hello/{name}", Hello())
    app.add_route("/sum", Sum())
"""


@pytest.mark.parametrize(("name", "source"), [("bottle", BOTTLE), ("falcon", FALCON)])
def test_small_frameworks(start, name, source):
    pytest.importorskip(name)
    browser = start(source)
    assert browser.page("/hello/Zo%C3%AB") == "Hello, Zoë!"
    status, _, body = browser.ask("/sum", b"[1, 2, 3]", {"Content-Type": "application/json"})
    assert (status, body) == (200, b'{"sum": 6}')
    assert browser.ask("/missing")[0] == 404


DJANGO = """
    import os
    from pathlib import Path
    from django import forms
    from django.conf import settings

    BASE = Path(__file__).parent
    settings.configure(
        DEBUG=False, SECRET_KEY="for tests", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__,
        STATIC_URL="/static/", STATIC_ROOT=BASE / "static", USE_TZ=True,
        MEDIA_ROOT=BASE / "media", DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # the others take long
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "db"}},
        INSTALLED_APPS=[
            "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
            "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[{
            "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
            "OPTIONS": {"context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]},
        }],
    )
    import django
    django.setup()

    from django.contrib import admin
    from django.core.files.storage import default_storage
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse
    from django.template import engines
    from django.urls import path

    class Form(forms.Form):
        title = forms.CharField(max_length=20)
        file = forms.FileField()

    PAGE = '<form method=post enctype="multipart/form-data">{% csrf_token %}{{ form }}</form>'

    def upload(request):
        form = Form(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            name = default_storage.save("kept", form.cleaned_data["file"])
            size = default_storage.size(name)
            return HttpResponse(f"{request.user}: {form.cleaned_data['title']}, {size} bytes")
        return HttpResponse(engines["django"].from_string(PAGE).render({"form": form}, request))

    def kept(request):
        return FileResponse(default_storage.open("kept"))

    urlpatterns = [
        path("admin/", admin.site.urls), path("upload", upload), path("kept", kept),
    ]
    app = get_wsgi_application()
"""
PREPARE = """
import site_app
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("collectstatic", verbosity=0, interactive=False)
from django.contrib.auth.models import User
User.objects.create_superuser("ann", "ann@example.org", "secret")
"""


def csrf(page):
    return re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]


@pytest.mark.parametrize("start", ["3"], indirect=True)
def test_django(start, tmp_path):
    pytest.importorskip("django")
    (tmp_path / "site_app.py").write_text(textwrap.dedent(DJANGO))
    (tmp_path / "static").mkdir()
    subprocess.run([sys.executable, "-c", PREPARE], cwd=tmp_path, check=True, timeout=120)
    browser = start(DJANGO, "--root", "static", "--files", "/static/", "--access-log", "log")

    # Log in; the page's own style sheet is a file, and is not asked of Django.
    page = browser.page("/admin/login/?next=/admin/")
    sheet = re.search(r'href="(/static/[^"]+\.css)"', page)[1]
    status, headers, body = browser.ask(sheet)
    assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/css")
    assert body == (tmp_path / sheet[1:]).read_bytes()
    fields = {"username": "ann", "password": "wrong", "next": "/admin/"}
    page = browser.page("/admin/login/", {**fields, "csrfmiddlewaretoken": csrf(page)})
    assert "errornote" in page
    fields["password"] = "secret"
    page = browser.page("/admin/login/", {**fields, "csrfmiddlewaretoken": csrf(page)})
    assert "Site administration" in page

    # A form of the admin's, and one without the token.
    page = browser.page("/admin/auth/group/add/")
    page = browser.page(
        "/admin/auth/group/add/", {"name": "Zoë & Co", "csrfmiddlewaretoken": csrf(page)}
    )
    assert "Zoë &amp; Co" in page
    assert browser.ask("/admin/auth/group/add/", {"name": "x"})[0] == 403

    # An upload, small and large; what was kept comes back by sendfile.
    content = bytes(range(256)) * 12_000
    fields = {"title": "Größe", "csrfmiddlewaretoken": csrf(browser.page("/upload"))}
    status, _, body = browser.upload("/upload", fields, "file", "x.bin", content)
    assert (status, body.decode()) == (200, f"ann: Größe, {len(content)} bytes")
    assert browser.ask("/kept")[2] == content

    # Log out.
    page = browser.page("/admin/")
    assert "Logged out" in browser.page("/admin/logout/", {"csrfmiddlewaretoken": csrf(page)})
    assert 'name="password"' in browser.page("/admin/")
