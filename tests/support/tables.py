"""The tables of a README that list what a package offers, compared with the package.

Such a table has the name of a module in backticks as the head of its first column; below, each row
has names in backticks: ``Name(arguments)`` of the module, ``.member`` of the class named before.
"""

import ast
import importlib
import inspect
import re

_TABLE = re.compile(r"^\| `([\w.]+)` \|.*\n\|[-|: ]+\|\n((?:\|.*\n)+)", re.MULTILINE)
_ITEM = re.compile(r"`(\.?)(\w+)(?:\((.*?)\))?`(?=,|$)")


def tables_of(readme, package):
    """The rows of each table about a module of this package, as the items of their first cells."""
    found = {}
    for name, rows in _TABLE.findall(readme):
        if name.partition(".")[0] == package:
            cells = [row.removeprefix("| ").partition(" | ")[0] for row in rows.splitlines()]
            found.setdefault(name, []).extend(_ITEM.findall(cell) for cell in cells)
    return found


def wrong_in(readme, package, modules):
    """What of the public names of these modules is missing in the tables, or is there in vain."""
    wrong = []
    tables = tables_of(readme, package)
    for name in {package, *tables}.symmetric_difference({package, *modules}):
        wrong.append(f"{name}: only the one or the other has it")
    for name in sorted(tables):
        module = importlib.import_module(name)
        listed = set()
        owner = None
        for items in tables[name]:
            for dot, word, arguments in items:
                if not dot:
                    listed.add(word)
                    if (dot, word) == items[0][:2]:
                        owner = word
                thing = getattr(module, owner, None) if dot else module
                if not _has(thing, word):
                    wrong.append(f"{name}: there is no {owner if dot else ''}{dot}{word}")
                elif arguments and (text := _differs(getattr(thing, word, None), arguments)):
                    wrong.append(f"{name}: {word}: {text}")
        public = set(module.__all__)
        wrong += [f"{name}: {word} is missing" for word in sorted(public - listed)]
        wrong += [f"{name}: {word} is not public" for word in sorted(listed - public)]
    return wrong


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
    shown = re.findall(r"(?:^|, )(\*|\w+)(?:=((?:\([^)]*\)|\"[^\"]*\"|[^,])*))?", arguments)
    signature = inspect.signature(thing)
    known = {name: one for name, one in signature.parameters.items() if name != "self"}
    strange = [name for name, _ in shown if name not in {*known, "*"}]
    if strange:
        return f"no arguments {strange} in {signature}"
    for name, value in shown:
        if value and value != "..." and ast.literal_eval(value) != known[name].default:
            return f"{name} is not {value}, but {known[name].default!r}"
    if "..." not in arguments:
        names = [name for name, _ in shown if name != "*"]
        return "" if names == list(known) else f"arguments are {list(known)}"
    return ""
