"""What makes JSON of a value: the standard library, or a package that is faster."""

import dataclasses
import math
from collections.abc import Callable
from importlib import import_module
from json import JSONEncoder
from typing import Any, Literal

EncodeJson = Callable[[Any], str | bytes]
"""A function from a value to JSON, as text or UTF-8; it raises for what JSON cannot say."""

JsonName = Literal["json", "msgspec", "orjson"]

# One for all: json.dumps() with options makes another one for each call, 6.0 us instead of 2.8 for
# a dict of ten fields (`timeit`).
encode_json: EncodeJson = JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


def json_encoder(json: JsonName | EncodeJson) -> EncodeJson:
    """The encoder of that name, or `json` itself if it is a function.

    Raises `ValueError` for another name, `RuntimeError` for a package that is not installed.
    """
    if callable(json):
        return json
    if json == "json":
        return encode_json
    if json not in ("msgspec", "orjson"):
        raise ValueError(f"json is 'json', 'msgspec', 'orjson' or a function, not {json!r:.80}")
    try:
        package = import_module("msgspec.json" if json == "msgspec" else json)
    except ImportError as error:
        raise RuntimeError(
            f"json={json!r} needs the package {json}: pip install 'rush-web[{json}]'"
        ) from error
    encode: Callable[[object], bytes] = (
        package.Encoder().encode if json == "msgspec" else package.dumps
    )

    def encode_strictly(value: object) -> bytes:
        data = encode(value)
        if b"null" in data:  # they write NaN and infinities so
            _refuse_nan(value)
        return data

    return encode_strictly


def _refuse_nan(value: object) -> None:
    """Raise `ValueError` for a number that JSON has no word for (RFC 8259, section 6)."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, float):
            if not math.isfinite(one):
                raise ValueError(f"JSON has no word for {one!r} (RFC 8259, 6)")
        elif isinstance(one, dict):
            left.extend(one)
            left.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            left.extend(one)
        elif dataclasses.is_dataclass(one) and not isinstance(one, type):
            left.extend(getattr(one, field.name) for field in dataclasses.fields(one))
        elif hasattr(one, "__struct_fields__"):  # msgspec's
            left.extend(getattr(one, name) for name in one.__struct_fields__)
