"""Write the API reference, made from the docstrings, into a folder: ``nox -s docs``."""

import importlib
import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import epollserver
import rush_web

# Each with its public names only: what lies below it is for those who read the code.
MODULES = [
    *("epollserver", r"!epollserver\."),
    *("rush_http", r"!rush_http\.", "rush_http.conditional", "rush_http.negotiation"),
    *("rush_http.wsgi", r"!rush_http\.wsgi\."),
    *("rush_loader", r"!rush_loader\."),
    *("rush_web", r"!rush_web\.", "rush_web.testing", r"!rush_web\.testing\."),
]


def prepare() -> None:
    """Have there what pdoc looks for: names that are imported late, or for types only."""
    vars(epollserver)["TlsConnection"] = epollserver.TlsConnection
    for package in ("epollserver", "rush_http", "rush_loader", "rush_web"):
        door = importlib.import_module(package)
        said = pdoc.doc_ast.walk_tree(door).var_docstrings
        for found in pkgutil.walk_packages(door.__path__, f"{package}."):
            if found.name.endswith("__main__"):
                continue
            module = importlib.import_module(found.name)
            vars(module).setdefault("Request", rush_web.Request)
            # What is said of a constant or a type stands where it is made, not at the door.
            for name, text in pdoc.doc_ast.walk_tree(module).var_docstrings.items():
                said.setdefault(name, text)


def main() -> None:
    """Write it into the folder that is the first argument."""
    (folder,) = sys.argv[1:]
    prepare()
    # A private name with a type that only mypy understands.
    warnings.filterwarnings("ignore", message=".*AutoUpdatingCache._finalize")
    pdoc.render.configure(docformat="markdown", footer_text="Rush")
    pdoc.pdoc(*MODULES, output_directory=Path(folder))


if __name__ == "__main__":
    main()
