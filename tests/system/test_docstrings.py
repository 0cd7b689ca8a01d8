"""Every public name says what one gets: its types, the units of its numbers, what it raises."""

import ast
import functools
import importlib
import inspect
import itertools
import pkgutil
import re
import textwrap
import typing
from os.path import isfile

import pytest

DOORS = [
    "epollserver",
    "rush_http",
    "rush_http.conditional",
    "rush_http.negotiation",
    "rush_http.wsgi",
    "rush_loader",
    "rush_web",
    "rush_web.testing",
]
OURS = ("epollserver", "rush_http", "rush_loader", "rush_web")
PUBLIC = {
    f"{door}.{name}": getattr(importlib.import_module(door), name)
    for door in DOORS
    for name in importlib.import_module(door).__all__
}
CLASSES = {
    name: thing
    for name, thing in PUBLIC.items()
    if isinstance(thing, type) and not typing.get_origin(thing)
}
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if inspect.isfunction(thing)}
OTHERS = sorted(PUBLIC.keys() - CLASSES.keys() - FUNCTIONS.keys())

# The unit is in the name, or it is no quantity.
UNITS = re.compile(r"_(bytes|seconds|count|ns)$|^(port|bytes)$")
# What such a text says is said elsewhere.
REFERS = re.compile(r"(?i)\b(as|see) `|^`[\w.]+`(,| for| as)")


def members():
    """The public methods and properties of each class, each once: name, class, function."""
    seen = set()
    for name, owner in CLASSES.items():
        for base in owner.__mro__:
            if base.__module__.partition(".")[0] not in OURS:
                continue
            for word, thing in vars(base).items():
                function = thing.fget if isinstance(thing, property) else thing
                function = getattr(function, "__func__", function)
                if word[0] != "_" and inspect.isfunction(function) and (base, word) not in seen:
                    seen.add((base, word))
                    yield f"{name}.{word}", owner, function


MEMBERS = list(members())


@functools.cache
def tree_of(thing):
    return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]


def texts_below(body):
    """What is said by a string below an assignment: name and text."""
    for statement, after in itertools.pairwise(body):
        text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if text and isinstance(statement, ast.Assign | ast.AnnAssign):
            target = getattr(statement, "target", None) or statement.targets[0]
            yield ast.unparse(target).removeprefix("self."), after.value.value


def text_of_class(owner):
    """All that a class says of itself, its fields and what it is made with."""
    texts = [inspect.getdoc(owner.__init__) or ""]
    for base in owner.__mro__:
        if base.__module__.partition(".")[0] in OURS:
            tree = tree_of(base)
            texts.append(inspect.getdoc(base) or "")
            texts += [f"`{name}`: {text}" for name, text in texts_below(tree.body)]
            for statement in tree.body:
                if getattr(statement, "name", "") == "__init__":
                    texts += [f"`{name}`: {text}" for name, text in texts_below(statement.body)]
    return "\n".join(texts)


def callables():
    """Each function, method and constructor that is ours: name, function, what is said of it."""
    for name, function in FUNCTIONS.items():
        yield name, function, inspect.getdoc(function) or ""
    for name, owner in CLASSES.items():
        init = owner.__init__
        ours = getattr(init, "__module__", "").partition(".")[0] in OURS
        if inspect.isfunction(init) and (ours or hasattr(owner, "__dataclass_fields__")):
            yield name, init, text_of_class(owner)
    for name, owner, function in MEMBERS:
        text = inspect.getdoc(getattr(owner, name.rpartition(".")[2])) or ""
        yield name, function, f"{text}\n{text_of_class(owner)}" if text else ""


CALLABLES = list(callables())


def test_the_walk_finds_what_is_there():
    names = {name for name, *_ in CALLABLES}
    assert {"rush_web.Group.route", "rush_http.render", "epollserver.Loop.watch"} <= names
    assert len(CALLABLES) > 250


def test_each_function_method_and_class_has_a_docstring():
    silent = [name for name, owner in CLASSES.items() if not owner.__doc__]
    silent += [name for name, _, text in CALLABLES if not text.strip()]
    assert silent == [], "\n".join(silent)


@pytest.mark.parametrize("package", OURS)
def test_each_constant_and_type_has_a_docstring(package):
    modules = [importlib.import_module(package)]
    for found in pkgutil.walk_packages(modules[0].__path__, f"{package}."):
        if not found.name.endswith("__main__"):
            modules.append(importlib.import_module(found.name))
    said = {
        name
        for module in modules
        for name, _ in texts_below(ast.parse(inspect.getsource(module)).body)
    }
    names = [name for name in OTHERS if name.partition(".")[0] == package]
    # A member of an enumeration is what its class says of it.
    silent = [
        name
        for name in names
        if name.rpartition(".")[2] not in said
        and type(PUBLIC[name]).__module__.partition(".")[0] != package
    ]
    assert silent == [], "\n".join(silent)


def test_each_field_of_a_dataclass_or_tuple_is_told():
    silent = []
    for name, owner in CLASSES.items():
        fields = getattr(owner, "__dataclass_fields__", ())
        if issubclass(owner, tuple):
            fields = owner._fields
        text = text_of_class(owner)
        silent += [f"{name}.{field}" for field in fields if not re.search(rf"\b{field}\b", text)]
    assert silent == [], "\n".join(silent)


def test_each_argument_and_result_has_a_type():
    untyped = []
    for name, function, _ in CALLABLES:
        signature = inspect.signature(function)
        for argument in signature.parameters.values():
            if argument.annotation is argument.empty and argument.name not in ("self", "cls"):
                untyped.append(f"{name}({argument.name})")
        if signature.return_annotation is signature.empty and function.__name__ != "__init__":
            untyped.append(name)
    assert untyped == []


def test_each_number_is_told_with_its_unit():
    silent = []
    for name, function, text in CALLABLES:
        if REFERS.search(text.partition("\n")[0]) or overrides_a_socket(name, function):
            continue
        for argument in inspect.signature(function).parameters.values():
            kind = argument.annotation
            kind = kind if isinstance(kind, str) else getattr(kind, "__name__", None) or str(kind)
            if not re.match(r"(int|float)( \| None)?$", kind) or UNITS.search(argument.name):
                continue
            if not re.search(rf"\b{argument.name}\b", text):
                silent.append(f"{name}({argument.name})")
            elif "float" in kind and not re.search(r"[Ss]econd", text):
                silent.append(f"{name}({argument.name}): the unit")
    assert silent == [], "\n".join(silent)


def overrides_a_socket(name, function):
    """Whether the standard library documents the arguments."""
    import socket

    return name.startswith("epollserver.") and hasattr(socket.socket, function.__name__)


class _Raised(ast.NodeVisitor):
    """The exceptions that a function raises itself, where it does not catch them."""

    def __init__(self, tree):
        self.names = set()
        self._tree = tree
        self.visit(tree)

    def visit_FunctionDef(self, node):
        if node is self._tree:
            self.generic_visit(node)

    def visit_Raise(self, node):
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(error, ast.Name) and error.id[0].isupper():
            self.names.add(error.id)


def test_each_exception_that_is_raised_is_told():
    silent = []
    for name, function, text in CALLABLES:
        ours = function.__module__.partition(".")[0] in OURS
        if not ours or not isfile(inspect.getfile(function)):
            continue  # of `typing.Protocol`, or made by `dataclass`
        missing = {error for error in _Raised(tree_of(function)).names if error not in text}
        if missing and not overrides_a_socket(name, function):
            silent.append(f"{name}: {sorted(missing)}")
    assert silent == [], "\n".join(silent)
