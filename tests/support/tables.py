"""The tables of a README that list what a package offers, compared with the package.

Such a table has the name of a module in backticks as the head of its first column; below, each row
has names in backticks: ``Name(arguments)`` of the module, ``.member`` of the class named before.
A table with the name of a class as its head lists members of that class.
"""

import ast
import importlib
import inspect
import re

_TABLE = re.compile(r"^\| `([\w.]+)` \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", re.MULTILINE)
_ITEM = re.compile(r"`(\.?)(\w+)(?:\((.*?)\))?`(?=,|$)")


def tables_of(readme):
    """Each table with a name as its head: the name, and of each row the items of its first cell."""
    for name, rows in _TABLE.findall(readme):
        cells = [row.removeprefix("| ").partition(" | ")[0] for row in rows.splitlines()]
        yield name, [_ITEM.findall(cell) for cell in cells]


def wrong_in(readme, *names):
    """What of the public names of these modules is missing in the tables, or is there in vain."""
    modules = {name: importlib.import_module(name) for name in names}
    rows = {name: [] for name in names}
    wrong = []
    for head, items in tables_of(readme):
        if head in modules:
            rows[head] += items
        else:
            wrong += _wrong_members(head, items, modules.values())
    for name, module in modules.items():
        wrong += [f"{name}: {text}" for text in _wrong_names(module, rows[name])]
    return wrong


def _wrong_members(head, rows, modules):
    """What no class of this name has."""
    (owner,) = [getattr(one, head) for one in modules if head in one.__all__] or [None]
    if owner is None:
        return [f"a table is about {head}, which is not public"]
    words = [word for items in rows for _, word, _ in items if word != head]
    return [f"there is no {head}.{word}" for word in words if not _has(owner, word)]


def _wrong_names(module, rows):
    """What a module offers and these rows do not say, and the other way round."""
    listed = set()
    owner = None
    for items in rows:
        for dot, word, arguments in items:
            if not dot:
                listed.add(word)
                if (dot, word) == items[0][:2]:
                    owner = word
            thing = getattr(module, owner, None) if dot else module
            if not _has(thing, word):
                yield f"there is no {owner if dot else ''}{dot}{word}"
            elif arguments and (text := _differs(getattr(thing, word, None), arguments)):
                yield f"{word}: {text}"
    public = set(module.__all__)
    yield from (f"{word} is missing" for word in sorted(public - listed))
    yield from (f"{word} is not public" for word in sorted(listed - public))


def _has(thing, word):
    if hasattr(thing, word):
        return True
    if not inspect.isclass(thing):
        return False
    if any(word in getattr(base, "__annotations__", ()) for base in thing.__mro__):
        return True  # of a dataclass
    return re.search(rf"\bself\.{word}\b", inspect.getsource(thing)) is not None


def _differs(thing, arguments):
    """What the arguments in a table, such as ``path, *, code=302``, say that is not so."""
    shown = re.findall(r"(?:^|, )\*{0,2}(\w*)(?:=((?:\([^)]*\)|\"[^\"]*\"|[^,])*))?", arguments)
    signature = inspect.signature(thing)
    known = {name: one for name, one in signature.parameters.items() if name != "self"}
    strange = [name for name, _ in shown if name and name not in known]
    if strange:
        return f"no arguments {strange} in {signature}"
    for name, value in shown:
        if value and value != "..." and ast.literal_eval(value) != known[name].default:
            return f"{name} is not {value}, but {known[name].default!r}"
    if "..." not in arguments:
        names = [name for name, _ in shown if name]
        return "" if names == list(known) else f"arguments are {list(known)}"
    return ""
