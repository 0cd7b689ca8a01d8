import pytest

import rush_http
from rush_http import REASONS, HttpError

CLASSES = [
    value
    for name in rush_http.__all__
    if isinstance(value := getattr(rush_http, name), type) and issubclass(value, HttpError)
]


@pytest.mark.parametrize("error", CLASSES)
def test_each_has_a_status_and_a_reason(error):
    assert 400 <= error.status <= 599
    assert str(error()) == REASONS[error.status]
    assert str(error("why")) == "why"


def test_statuses_differ():
    assert len({error.status for error in CLASSES}) == len(CLASSES)


def test_any_status():
    assert HttpError().status == 500
    teapot = HttpError("short and stout", status=418)
    assert (teapot.status, str(teapot)) == (418, "short and stout")
    assert str(HttpError(status=599)) == "error"


@pytest.mark.parametrize("status", [0, 200, 304, 399, 600])
def test_a_status_that_is_not_an_error(status):
    with pytest.raises(ValueError, match=str(status)):
        HttpError(status=status)


def test_headers():
    assert HttpError().headers == ()
    for given in ({"Retry-After": "5"}, [("Retry-After", "5")]):
        assert HttpError(headers=given).headers == (("Retry-After", "5"),)


@pytest.mark.parametrize("headers", [{"X": "a\r\nb"}, {"a b": "x"}, {"Content-Length": "1"}])
def test_headers_that_no_answer_may_have(headers):
    with pytest.raises(ValueError, match="header"):
        HttpError(headers=headers)


def test_reasons_do_not_depend_on_the_python():
    assert [REASONS[status] for status in (413, 414, 416, 422)] == [
        "Content Too Large", "URI Too Long", "Range Not Satisfiable", "Unprocessable Content",
    ]  # fmt: skip
    assert all(reason.isascii() and reason.isprintable() for reason in REASONS.values())
