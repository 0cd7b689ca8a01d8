"""Jinja2 templates that are compiled once, and again when they are saved; pip install jinja2.

Jinja2 asks before each use whether a template is up to date.  Its own loader asks the disk; this
one asks the cache, which is told by the kernel: a tenth of a microsecond, and no system call.
"""

import os
import sys
from collections.abc import Callable

from jinja2 import BaseLoader, Environment, TemplateNotFound

from rush_loader import FileNotFound, Loader


class FreshLoader(BaseLoader):
    """Templates below a folder, and nothing outside of it."""

    def __init__(self, folder: str) -> None:
        self._files = Loader(folder)

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        """The text, where it is, and a function that says whether it still is that."""
        try:
            file = self._files.load(f"/{template}")
        except FileNotFound as error:
            raise TemplateNotFound(template) from error

        def is_current() -> bool:
            try:
                return self._files.load(f"/{template}") is file
            except FileNotFound:
                return False

        return (file.content or b"").decode(), file.real_path, is_current


def main() -> None:
    environment = Environment(loader=FreshLoader(sys.argv[1]), autoescape=True)
    for line in sys.stdin:  # each the name of a template
        print(environment.get_template(line.strip()).render(user=os.environ["USER"]), flush=True)


if __name__ == "__main__":
    main()
