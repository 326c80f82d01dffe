"""Call: one request as a route sees it: who asks, for what, with which body.

Law: everything that a request says is read here, strictly: a query parameter or a key of a body that nobody knows is
refused with the one that was probably meant, and all faults are answered at once with their places. In Courier's
family alone the unknown is passed over and named in a `Heliograph-Ignored` header (engine.md E29).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from heliograph import errors
from heliograph.core import documents, ids, refusals
from heliograph.store import request_keys
from heliograph.web import auth, idempotency, metrics, services

Answer = TypeVar("Answer")
Found = TypeVar("Found")
Query = TypeVar("Query", bound=msgspec.Struct)
SCOPE_KEY, METHOD_KEY = "heliograph", "heliograph_method"
IGNORED = "Heliograph-Ignored"
_MOST_PARAMETERS = 100
_MOST_IGNORED, _LONGEST_IGNORED = 100, 4_000


class Content(NamedTuple):
    """What the server hands over with a request."""

    services: services.Services
    metrics: metrics.Metrics
    principal: auth.Principal | None
    body: bytes
    told: set[str]
    """What the route tells the server: `wake`; `kept`: the answer is stored with what it tells of."""
    once: idempotency.Once | None = None
    """What is known of a request that may come again."""

    @property
    def start_key(self) -> str | None:
        """What a run is unique by that is started by this request, which may come again."""
        return None if self.once is None else self.once.start_key


class Call(Request[None, None, State]):
    """One request."""

    @property
    def content(self) -> Content:
        """What came with it."""
        found: Content = self.scope[SCOPE_KEY]  # type: ignore[literal-required]
        return found

    @property
    def services(self) -> services.Services:
        """What answers need."""
        return self.content.services

    @property
    def principal(self) -> auth.Principal:
        """Who asks."""
        found = self.content.principal
        assert found is not None
        return found

    @property
    def is_head(self) -> bool:
        """Whether only the head of the answer is asked for: a route sees it as GET."""
        return bool(self.scope.get(METHOD_KEY) == "HEAD")

    def speaking_for(self, named: str | None) -> str | None:
        """The tenant that it is about: its key's, else the one it names; None: the whole workspace.

        Raises errors.NotFound where the key is bound to another one.
        """
        own = self.principal.tenant_id
        if own is not None and named not in (None, own):
            raise errors.NotFound(f"there is no tenant {named!r}")
        return named if own is None else own

    def wake(self) -> None:
        """Something was committed that the turns have to see: they are told once the answer is made."""
        self.content.told.add("wake")

    # ── the path ────────────────────────────────────────────────────────────────────────────────────

    def part(self, name: str) -> str:
        """A part of the path, decoded; `a%2Fb` is `a/b`."""
        text = unquote(self.path_params[name])
        if "\x00" in text:
            raise errors.NotFound
        return text

    def identity(self, name: str) -> bytes:
        """A part of the path that is an id. Raises errors.NotFound for what cannot be one."""
        found = ids.parse(self.part(name)) or ids.of_wire(self.part(name))
        if found is None:
            raise errors.NotFound(f"there is nothing with the id {self.part(name)!r}: an id is a UUID")
        return found

    def there(self, found: Found | None, what: str, part: str) -> Found:
        """What was found for a part of the path. Raises errors.NotFound, which says that there is no such `what`."""
        if found is None:
            raise errors.NotFound(f"there is no {what} {self.part(part)!r}")
        return found

    # ── the query ───────────────────────────────────────────────────────────────────────────────────

    def read_query(self, kind: type[Query]) -> Query:
        """The query as a value of this type. Raises errors.InvalidQuery."""
        made, strangers = self._query(kind)
        if strangers:
            known = kind.__struct_fields__
            raise errors.InvalidQuery(
                faults=[
                    errors.Fault(name, errors.unknown("query parameter", name, known)) for name in strangers
                ]
            )
        return made

    def read_courier_query(
        self, kind: type[Query], several: frozenset[str] = frozenset()
    ) -> tuple[Query, list[str]]:
        """The query as a value of this type, and the parameters that were passed over.

        One without a value says nothing: so clients write null, and a list with nothing in it. `several` may be
        given more than once, which is the same as with commas between.
        """
        return self._query(kind, several, is_blank_nothing=True)

    def refuse_query(self) -> None:
        """Raises errors.InvalidQuery where there is a query: this path takes none."""
        self.read_query(_NoQuery)

    def ignore_query(self) -> list[str]:
        """The parameters of a query that were passed over, because this path takes none."""
        return self.read_courier_query(_NoQuery)[1]

    def _query(
        self, kind: type[Query], several: frozenset[str] = frozenset(), *, is_blank_nothing: bool = False
    ) -> tuple[Query, list[str]]:
        given = _joined(_parameters(self.scope["query_string"]), several)
        kinds = _kinds(kind)
        strangers = sorted({name for name, _ in given if name not in kinds})
        values: dict[str, Any] = {}
        faults = []
        for name, text in given:
            if name in strangers or (is_blank_nothing and not text):
                continue
            if name in values:
                faults.append(errors.Fault(name, "is given more than once"))
                continue
            values[name] = None
            if "\x00" in text:
                faults.append(errors.Fault(name, "holds a NUL character"))
                continue
            try:
                values[name] = msgspec.convert(text, kinds[name], strict=False)
            except msgspec.ValidationError as refusal:
                faults.append(errors.Fault(name, _query_fault(name, text, kinds[name], refusal)))
        if faults:
            raise errors.InvalidQuery(faults=faults)
        return msgspec.convert(values, kind), strangers

    # ── the body ────────────────────────────────────────────────────────────────────────────────────

    def read_object(self) -> dict[str, Any]:
        """The body, which is a JSON object. Raises MalformedJson, InvalidInput, UnsupportedMedia."""
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind and kind != "application/json" and not kind.endswith("+json"):
            raise errors.UnsupportedMedia(
                f"this path takes JSON, not {kind}: send Content-Type: application/json"
            )
        given = documents.read(self.content.body)
        if not isinstance(given, dict):
            raise errors.InvalidInput.at("", "takes a JSON object")
        return given


def in_thread(answer: Callable[[Call], Answer]) -> Callable[[Call], Awaitable[Answer]]:
    """A route that waits for the database: it answers in a thread, so that the loop goes on."""

    # Litestar's own way wraps a route again for each other route of its path, and the third is never awaited.
    @functools.wraps(answer)
    async def answered(request: Call) -> Answer:
        return await asyncio.to_thread(_worked, answer, request)

    return answered


def _worked(answer: Callable[[Call], Answer], request: Call) -> Answer:
    """What a route answers; where the request may come again, its answer is stored with all that the route writes."""
    content = request.content
    if content.once is None:
        return answer(request)
    database = content.services.database
    with database.together():
        made = answer(request)
        is_kept = idempotency.keep(database, content.once, _shown(made, request))
    if is_kept:
        content.told.add("kept")
    return made


def _shown(made: object, request: Call) -> request_keys.Answer:
    """What is sent of what a route gives."""
    route, given = request.route_handler, made if isinstance(made, Response) else Response(made)
    assert isinstance(route, HTTPRouteHandler)
    shown = given.to_asgi_response(None, request, media_type=route.media_type, status_code=route.status_code)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in shown.encode_headers()}
    return request_keys.Answer(shown.status_code, headers, shown.body)


class _NoQuery(msgspec.Struct):
    """Nothing."""


def _parameters(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except UnicodeDecodeError:
        raise errors.InvalidQuery("the query is not percent-encoded UTF-8") from None
    except ValueError:
        raise errors.InvalidQuery(f"the query has more than {_MOST_PARAMETERS} parameters") from None


def _joined(given: list[tuple[str, str]], several: frozenset[str]) -> list[tuple[str, str]]:
    """The parameters, with what is given more than once of these joined by commas."""
    lists = {name: ",".join(text for at, text in given if at == name and text) for name in several}
    return [*lists.items(), *(one for one in given if one[0] not in several)]


@functools.cache
def _kinds(query: type[msgspec.Struct]) -> dict[str, Any]:
    """The type of each parameter of a query where it is given: whoever writes `null` would be given everything."""
    return {field.encode_name: refusals.given(field.type) for field in msgspec.structs.fields(query)}


def _query_fault(name: str, text: str, kind: Any, refusal: msgspec.ValidationError) -> str:
    words = documents.choices(kind)
    if words:
        return errors.unknown(name, text, words)
    wanted = refusals.wanted(kind)
    if wanted is None:
        return documents.fault_of(refusal).message
    return f"takes {wanted}, not {text[: documents.SHOWN]!r}"


def ignored_header(names: Sequence[str]) -> dict[str, str]:
    """The header that names what was passed over; percent-encoded, because headers bear ASCII alone.

    It names the first of it where it is much: clients refuse an answer whose headers are long, and ask again.
    """
    told = ", ".join(quote(name, safe="[].") for name in sorted(names)[:_MOST_IGNORED])
    if len(told) > _LONGEST_IGNORED:
        told = told[:_LONGEST_IGNORED].rpartition(", ")[0] or told[:_LONGEST_IGNORED]
    return {IGNORED: told} if names else {}
