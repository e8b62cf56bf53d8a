"""What is not JSON, or JSON that no database holds."""

from collections.abc import Iterator

from tests.bad_cases import Bad, body, in_payload
from tests.door_client import MIB, event


def not_json() -> Iterator[Bad]:
    good = event()
    texts = {
        "an empty body": b"",
        "half an object": good[:-1],
        "two objects": good + good,
        "a trailing comma": good[:-1] + b",}",
        "single quotes": b"{'backend': 'events'}",
        "a byte order mark": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "Latin-1": in_payload('"x"').replace(b"x", b"\xe9"),
        "an overlong encoding": in_payload('"x"').replace(b"x", b"\xc0\xaf"),
        "a raw surrogate": in_payload('"x"').replace(b"x", b"\xed\xa0\x80"),
        "NaN": in_payload("NaN"),
        "Infinity": in_payload("Infinity"),
        "-Infinity": in_payload("[1, -Infinity]"),
        "a comment": in_payload("1 /* one */"),
        "a hexadecimal number": in_payload("0x10"),
        "a leading zero": in_payload("007"),
        "a raw control character": in_payload('"a\nb"'),
        "a duplicate name outside": good[:-1] + b', "backend": "events"}',
        "a duplicate name inside": in_payload('{"a": 1, "a": 1}'),
        "a duplicate name deep inside": in_payload('[[{"b": [{"a": 1, "b": 2, "a": 3}]}]]'),
        "a duplicate name by escape": in_payload('{"a": 1, "\\u0061": 1}'),
        "just text": b"the beam is back",
        "HTML": b"<html></html>",
    }
    for name, text in texts.items():
        yield body(name, 400, text)
    for depth in (99, 101, 200, 999, 1001, 10_000, 100_000):
        yield body(f"lists {depth} deep", 400, in_payload("[" * depth + "]" * depth))
        deep = '{"a":' * depth + "1" + "}" * depth
        yield body(f"objects {depth} deep", 400, in_payload(deep))
    yield body("an unclosed list 100,000 deep", 400, in_payload("[" * 100_000))


def not_storable() -> Iterator[Bad]:
    place = "/payload/event_data"
    for name, text in {
        "a lone high surrogate": '"\\ud800"',
        "a lone low surrogate": '"x\\udfffx"',
        "surrogates the wrong way round": '"\\udc00\\ud800"',
        "2^63": "9223372036854775808",
        "-2^63 - 1": "-9223372036854775809",
        "5,000 digits": "1" * 5000,
        "5,000 digits below zero": "-" + "1" * 5000,
        "1e400": "1e400",
        "-1e400": "-1e400",
        "400 digits and a fraction": "9" * 400 + ".5",
    }.items():
        yield body(name, 422, in_payload(text), place)
        yield body(f"{name} in a list", 422, in_payload(f"[0, [{text}]]"), f"{place}/1/0")
    yield body("a surrogate in a name", 422, in_payload('{"a\\ud800": 1}'), f"{place}/a\\ud800")
    yield body(
        "a fault below a surrogate", 422, in_payload('{"\\ud800": 1e400}'), f"{place}/\\ud800"
    )
    yield body("NUL in a name", 422, in_payload('{"a\\u0000b": 1}'), f"{place}/a\x00b")
    yield body("a pointer with escapes", 422, in_payload('{"a/b~c": 1e400}'), f"{place}/a~1b~0c")
    yield body("NUL in an envelope's name", 422, event(**{"a\x00": 1}), "/a\x00")
    yield body("a name of a megabyte", 422, in_payload('{"%s": 1e400}' % ("x" * MIB)), place)
    yield body("a million faults", 422, in_payload("[" + "1e400," * 600_000 + "1]"), f"{place}/0")
