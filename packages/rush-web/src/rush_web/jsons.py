"""What makes JSON of a value: the standard library, or a package that is faster."""

import dataclasses
import json.encoder
import math
from collections.abc import Callable
from importlib import import_module
from json import JSONEncoder
from typing import Any, Literal

EncodeJson = Callable[[Any], str | bytes]
"""A function from a value to JSON, as text or UTF-8; it raises for what JSON cannot say."""

JsonName = Literal["json", "msgspec", "orjson"]

_TOO_DEEP = "JSON of what is circular, or too deep"
_encoder = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

encode_plainly: EncodeJson = _encoder.encode
"""The twin of `encode_json` that uses nothing but what is documented."""


def _made_once() -> EncodeJson:
    """An encoder whose C part is made now, and not for each value.

    A dict of ten fields costs 24,700 instructions; 33,000 by `encode_plainly`, and 41,800 by
    ``json.dumps()``, which makes a `JSONEncoder` for each (valgrind).
    """
    make = getattr(json.encoder, "c_make_encoder", None)  # not in every Python
    if make is None:
        return encode_plainly
    quote = json.encoder.encode_basestring
    # No markers: they would outlast an error.  What is circular is too deep then.
    pieces = make(None, _encoder.default, quote, None, ":", ",", False, False, False)

    def encode(value: object) -> str:
        try:
            return "".join(pieces(value, 0))
        except RecursionError as error:
            raise ValueError(_TOO_DEEP) from error

    return encode


encode_json: EncodeJson = _made_once()


def json_encoder(name: JsonName | EncodeJson) -> EncodeJson:
    """The encoder of that name, or `name` itself if it is a function.

    Raises `ValueError` for another name, `RuntimeError` for a package that is not installed.
    """
    if callable(name):
        return name
    if name == "json":
        return encode_json
    if name not in ("msgspec", "orjson"):
        raise ValueError(f"json is 'json', 'msgspec', 'orjson' or a function, not {name!r:.80}")
    try:
        package = import_module("msgspec.json" if name == "msgspec" else name)
    except ImportError as error:
        raise RuntimeError(
            f"json={name!r} needs the package {name}: pip install 'rush-web[{name}]'"
        ) from error
    encode: Callable[[object], bytes]
    decode: Callable[[bytes], object]
    if name == "msgspec":
        encode, decode = package.Encoder().encode, package.Decoder().decode
    else:
        encode, decode = package.dumps, package.loads

    def encode_strictly(value: object) -> bytes:
        try:
            data = encode(value)
        except RecursionError as error:
            raise ValueError(_TOO_DEEP) from error
        # They write NaN and infinities as null.  What reads as it was has none of them, which is
        # found out in C: 1.6 us for a dict of ten fields with a None, not 20 (`timeit`).
        if b"null" in data and decode(data) != value:
            _refuse_nan(value)
        return data

    return encode_strictly


_SEVERAL = (list, tuple, set, frozenset)


def _refuse_nan(value: object) -> None:
    """Raise `ValueError` for a number that JSON has no word for (RFC 8259, section 6)."""
    left = [value]
    while left:
        one = left.pop()
        if one is None or isinstance(one, (str, int)):
            continue
        if isinstance(one, float):
            if not math.isfinite(one):
                raise ValueError(f"JSON has no word for {one!r} (RFC 8259, 6)")
        elif isinstance(one, dict):
            left.extend(one)
            left.extend(one.values())
        elif isinstance(one, _SEVERAL):
            left.extend(one)
        elif dataclasses.is_dataclass(one) and not isinstance(one, type):
            left.extend(getattr(one, field.name) for field in dataclasses.fields(one))
        elif hasattr(one, "__struct_fields__"):  # msgspec's
            left.extend(getattr(one, name) for name in one.__struct_fields__)
