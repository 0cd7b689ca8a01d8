"""The pages, as HTML: every text of a user goes through `escape`."""

from collections.abc import Iterable
from html import escape

from store import Task

SHOWN = {"all": "All", "open": "Open", "done": "Done"}
"""What can be shown of a list."""

_FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/style.css">
<main>
{content}
</main>
<footer>A to-do list on <b>Rush</b>, SQLite and no script at all.</footer>
"""

_LIST = """<header>
<h1>To do</h1>
<p class="summary">{summary}</p>
<progress value="{done}" max="{most}" aria-label="Done">{done} of {most}</progress>
</header>
<form class="add" method="post" action="/tasks?show={shown}">
<input name="text" placeholder="What is to be done?" aria-label="New task" maxlength="200" required
 autocomplete="off" autofocus>
<button>Add</button>
</form>
<nav aria-label="Show">{filters}{clear}</nav>
{tasks}"""

_TASK = """<li class="{state}">
<form method="post" action="/tasks/{number}/toggle?show={shown}">
<button class="tick" aria-pressed="{pressed}" aria-label="Done: {text}"></button>
</form>
<span>{text}</span>
<form method="post" action="/tasks/{number}/delete?show={shown}">
<button class="delete" aria-label="Delete: {text}"></button>
</form>
</li>
"""

_CLEAR = """<form method="post" action="/clear?show={shown}"><button class="link">Clear {done} done
</button></form>"""

_NOTHING = {
    "all": "Nothing yet. What comes first?",
    "open": "All done. Enjoy the day!",
    "done": "Nothing is done yet.",
}


def list_page(tasks: list[Task], shown: str) -> str:
    """The page of a list, and of it what is to be shown."""
    done = sum(task.done for task in tasks)
    content = _LIST.format(
        summary=_summary(len(tasks), done),
        done=done,
        most=max(1, len(tasks)),
        shown=shown,
        filters="".join(_filter(name, shown) for name in SHOWN),
        clear=_CLEAR.format(shown=shown, done=done) if done else "",
        tasks=_tasks(
            [task for task in tasks if shown == "all" or task.done == (shown == "done")],
            shown,
            _NOTHING[shown if tasks else "all"],
        ),
    )
    title = f"({len(tasks) - done}) To do" if done < len(tasks) else "To do"
    return _FRAME.format(title=title, content=content)


def error_page(title: str, text: str) -> str:
    """A page that says what is wrong."""
    content = (
        f'<h1>{escape(title)}</h1><p>{escape(text)}</p><p><a href="/">Back to the list</a></p>'
    )
    return _FRAME.format(title=escape(title), content=content)


def _summary(count: int, done: int) -> str:
    if not count:
        return "A fresh start"
    left = count - done
    return f"<b>{left}</b> left, {done} done" if left else f"All {done} done"


def _filter(name: str, shown: str) -> str:
    current = ' aria-current="page"' if name == shown else ""
    where = "/" if name == "all" else f"/?show={name}"
    return f'<a href="{where}"{current}>{SHOWN[name]}</a>'


def _tasks(tasks: Iterable[Task], shown: str, nothing: str) -> str:
    items = "".join(
        _TASK.format(
            state="done" if task.done else "open",
            pressed="true" if task.done else "false",
            number=task.id,
            text=escape(task.text),
            shown=shown,
        )
        for task in tasks
    )
    return f"<ul>\n{items}</ul>" if items else f'<p class="empty">{nothing}</p>'
