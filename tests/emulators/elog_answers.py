"""How the eLog server answers (elog sheet, section 2): success, and the refusal classes A to E.

The labels are as wrong as the server's: its pages and plain texts are called JSON.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/json; charset=utf-8"

PAGES = {
    400: (
        "Bad Request",
        "The browser (or proxy) sent a request that this server could not understand.",
    ),
    401: ("Unauthorized", "This server could not verify that you are authorized."),
    403: (
        "Forbidden",
        (
            "You don&#39;t have the permission to access the requested resource. It is either"
            " read-protected or not readable by the server."
        ),
    ),
    404: (
        "Not Found",
        (
            "The requested URL was not found on the server. If you entered the URL manually please"
            " check your spelling and try again."
        ),
    ),
    405: ("Method Not Allowed", "The method is not allowed for the requested URL."),
    415: (
        "Unsupported Media Type",
        (
            "Did not attempt to load JSON data because the request Content-Type was not"
            " &#39;application/json&#39;."
        ),
    ),
    423: ("Locked", "The resource that is being accessed is locked."),
    500: (
        "Internal Server Error",
        (
            "The server encountered an internal error and was unable to complete your request."
            " Either the server is overloaded or there is an error in the application."
        ),
    ),
}


class Refusal(Exception):
    """An answer that is not a success, from wherever it is noticed."""

    def __init__(self, status: int, body: str, media_type: str = MEDIA_TYPE) -> None:
        super().__init__(status, body)
        self.response = Response(body, status, {"content-type": media_type})


def success(*value: Any) -> Response:
    """200 with `value`, or without one when there is none to give."""
    body = {"success": True, "value": value[0]} if value else {"success": True}
    return Response(json.dumps(body), 200, {"content-type": MEDIA_TYPE})


def soft(errormsg: str, **value: None) -> Refusal:
    """Class A: 200, refused all the same; `value=None` where the server adds one."""
    return Refusal(200, json.dumps({"success": False, "errormsg": errormsg, **value}))


def hard(text: str, status: int = 500) -> Refusal:
    """Class B: a bare text."""
    return Refusal(status, text)


def crash() -> Refusal:
    """Class C: an exception nobody caught."""
    return Refusal(500, page(500))


def abort(status: int) -> Refusal:
    """Class D: the application says no with a page."""
    return Refusal(status, page(status))


def no_route(status: int) -> Response:
    """Class E: no such route, or not with this method."""
    return Response(page(status), status, {"content-type": "text/html; charset=utf-8"})


def page(status: int) -> str:
    title, text = PAGES.get(status, PAGES[500])
    return (
        f"<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n"
        f"<h1>{title}</h1>\n<p>{text}</p>\n"
    )


async def answer_refusal(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    return exc.response


def integer(text: str) -> int:
    """The server does not guard its conversions: anything else crashes it."""
    try:
        return int(text)
    except ValueError:
        raise crash() from None


def object_id(text: str) -> str:
    if len(text) == 24 and all(letter in "0123456789abcdefABCDEF" for letter in text):
        return text.lower()
    raise crash()
