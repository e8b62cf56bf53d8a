"""How OMS says no: JSON:API errors in Crnk's words (OMS sheet, section 10)."""

import json

from starlette.responses import Response


class BadRequest(Exception):
    """Answered with its status and one JSON:API error."""

    def __init__(self, title: str, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.title, self.detail, self.status = title, detail, status

    def response(self, media_type: str) -> Response:
        error = {"status": str(self.status), "title": self.title, "detail": self.detail}
        return Response(json.dumps({"errors": [error]}), self.status, media_type=media_type)


def bad_parameter(detail: str) -> BadRequest:
    return BadRequest("Request parameters error", detail)


def not_found(what: str) -> BadRequest:
    return BadRequest(what, what, 404)
