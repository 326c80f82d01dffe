"""Access tokens: `POST /auth/issue-token`, in Courier's shape (courier-wire.md 2.1)."""

from __future__ import annotations

import msgspec
from litestar import Response, post

from heliograph.core import access_tokens
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Access tokens"


class TokenWish(msgspec.Struct):
    """What a token is to open, and for how long."""

    scope: str
    """One `user_id:…`, and what is opened of theirs, with spaces between."""
    expires_in: str
    """`2 hours`, `1d`."""


class Issued(msgspec.Struct):
    """A token, to be sent as a key is."""

    token: str


@post("/auth/issue-token", status_code=200, opt={"tag": TAG, "body": TokenWish})
@in_thread
def issue_token(request: Call) -> Response[Issued]:
    """Issue a token with which a person's own device asks for their preferences and devices, for a while."""
    passed_over, services = request.ignore_query(), request.services
    given = request.read_object()
    grant, strange = access_tokens.define(given, request.principal.key_id, services.now())
    passed_over += [*strange, *(given.keys() - {"scope", "expires_in"})]
    token = access_tokens.sign(grant, services.link_secret())
    return Response(Issued(token), headers=ignored_header(passed_over))


HANDLERS = (issue_token,)
