"""The same in Flask; run by gunicorn."""

import os

from flask import Flask, Response, redirect, request

application = Flask(__name__, static_folder=os.environ["BENCH_FOLDER"], static_url_path="/static")


@application.get("/")
def index():
    return Response("Hello, World!", mimetype="text/plain")


@application.get("/hello")
def hello():
    return Response(f"Hello, {request.args.get('name', 'world')}", mimetype="text/plain")


@application.get("/user/<number>")
def user(number):
    return Response(number, mimetype="text/plain")


@application.get("/json")
def message():
    return {"message": "Hello, World!"}


@application.get("/easter")
def easter():
    return redirect("/", 301)


@application.post("/echo")
def echo():
    return Response(request.get_data(), mimetype="application/octet-stream")
