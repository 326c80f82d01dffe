"""For operators and for readers of the API: health, metrics, and the API's own description."""

from __future__ import annotations

from importlib import resources
from typing import Literal

import msgspec
from litestar import Response, get

from heliograph import errors
from heliograph.web import documentation, metrics
from heliograph.web.calls import Call, in_thread

TAG = "Operations"


class Health(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]


@get("/healthz", opt={"tag": TAG})
async def healthz() -> Health:
    """Say whether the process is alive."""
    return Health("ok")


@get("/readyz", opt={"tag": TAG})
@in_thread
def readyz(request: Call) -> Health:
    """Say whether the database answers and its schema is this program's; 503 with the reason if not."""
    try:
        request.services.database.check()
    except errors.HeliographError as fault:
        raise errors.Unavailable(fault.message) from fault
    return Health("ok")


@get("/metrics", opt={"tag": TAG, "media": "text/plain"})
@in_thread
def read_metrics(request: Call) -> Response[bytes]:
    """Read the metrics in Prometheus's text form."""
    return Response(request.content.metrics.text(), media_type=metrics.CONTENT_TYPE)


@get("/schema", sync_to_thread=False, opt={"tag": TAG, "media": "text/html"})
def read_reference() -> Response[bytes]:
    """Read this description of the API as a page."""
    page = resources.files("heliograph.web").joinpath("reference.html").read_bytes()
    return Response(page, media_type="text/html")


@get("/schema/openapi.json", opt={"tag": TAG, "media": "application/json"})
@in_thread
def read_document(request: Call) -> Response[bytes]:
    """Read this description of the API as OpenAPI 3.1."""
    return Response(documentation.encoded(request.app), media_type="application/json")


HANDLERS = (healthz, readyz, read_metrics, read_reference, read_document)
