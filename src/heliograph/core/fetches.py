"""Fetches: what a step asks another program for its data with, and what the answer is worth (journeys.md J8).

Law: a request is read once with every fault at its place, resolved in the scope of its run, and asked for as one row of
the ledger, so that it is claimed, tried again and answered as messages are. Only an object in JSON is data.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

from heliograph import errors
from heliograph.core import destinations, documents, effects, expressions, fields, frames, people, plans

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SECONDS = 10.0
"""How long one attempt may take in all."""
FETCHED = "fetched"
"""The key of a step's output that holds what it was answered."""
_WEBHOOK = ("url", "method", "headers", "body", "params")


class Webhook(NamedTuple):
    """What is asked of whom, as it was written: `url`, `method`, `headers`, `body`, `params`."""

    path: str
    given: Mapping[str, fields.Field]
    whole: fields.Field | None = None
    """All of it, where it is taken from the run."""

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        whole = frozenset[str]() if self.whole is None else self.whole.reads
        return whole.union(*(field.reads for field in self.given.values()))

    def request(
        self, scope: expressions.Scope, more: Mapping[str, str] | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """The request in this scope, as the ledger keeps it; `more` goes into its query too, `key` into its headers.

        Raises RenderFailed where a field cannot be resolved, or comes to something that is no request.
        """
        if self.whole is not None:
            said = frames.mapping(fields.resolve(self.whole, scope, self.path), self.path)
            return as_said(said, self.path).request(scope, more, key)
        url = frames.text(self._resolved("url", scope, fields.Role.URL), f"{self.path}.url")
        method = self._resolved("method", scope) or "GET"
        headers = frames.mapping(self._resolved("headers", scope), f"{self.path}.headers")
        params = frames.mapping(self._resolved("params", scope), f"{self.path}.params")
        faults = [errors.Fault(f"{self.path}.url", fault) for fault in url_faults(url)]
        if not isinstance(method, str) or method.upper() not in METHODS:
            faults.append(errors.Fault(f"{self.path}.method", errors.unknown("method", method, METHODS)))
        if faults:
            raise errors.RenderFailed(faults=faults)
        written = dict(_pairs(headers, f"{self.path}.headers"))
        return {
            "url": _with_query(url, [*_pairs(params, f"{self.path}.params"), *(more or {}).items()]),
            "method": method.upper(),
            "headers": {**({"Idempotency-Key": key} if key else {}), **written},
            "body": self._resolved("body", scope),
            "timeout_secs": SECONDS,
        }

    def _resolved(
        self, name: str, scope: expressions.Scope, role: fields.Role = fields.Role.STRUCTURE
    ) -> Any:
        field = self.given.get(name)
        return None if field is None else fields.resolve(field, scope, f"{self.path}.{name}", role)

    def fault(self, allowed: Collection[str]) -> errors.Fault | None:
        """What is plainly wrong with a literal address where only `allowed` hosts may be reached otherwise (A48)."""
        url = self.given.get("url")
        if not isinstance(url, fields.Literal):
            return None
        read = urlsplit(url.value)
        host, port = read.hostname or "", read.port or {"http": 80}.get(read.scheme, 443)
        if destinations.is_allowed(host, port, allowed):
            return None
        fault = None
        kind = destinations.refusal(host)
        if read.scheme != "https":
            fault = "takes an https address: plain http goes to hosts that HELIOGRAPH_ALLOWED_HOSTS names"
        elif destinations.is_odd_literal(host):
            fault = f"{host} is an address in disguise: write it in the usual form"
        elif kind not in (None, "not an address"):
            fault = f"{host} is an address that is {kind}: to allow it, name it in HELIOGRAPH_ALLOWED_HOSTS"
        return None if fault is None else errors.Fault(f"{self.path}.url", fault)


def as_said(said: Mapping[str, Any], path: str) -> Webhook:
    """What a run says is to be asked, which is as it stands there. Raises RenderFailed."""
    faults = documents.unknown_keys(said, _WEBHOOK, path)
    if faults:
        raise errors.RenderFailed(faults=faults)
    return Webhook(path, {name: fields.Literal(value) for name, value in said.items()})


def with_query(request: Mapping[str, Any], more: Mapping[str, str]) -> dict[str, Any]:
    """A request with these in its query too."""
    return {**request, "url": _with_query(request["url"], more.items())}


def asked(scene: plans.Scene, request: Mapping[str, Any]) -> effects.Deliver:
    """The effect that makes a request."""
    url, contact = request["url"], scene.contact_id
    return effects.Deliver(effects.Kind.FETCH, "webhook", contact, url, None, None, request, {}, None)


def told(request: Mapping[str, Any]) -> str:
    """A request in a word or two, without what may be secret: its query, and a password before its host."""
    scheme, place, path, *_ = urlsplit(request["url"])
    return f"{request['method']} {urlunsplit((scheme, place.rpartition('@')[2], path, '', ''))}"


def read_answer(body: str) -> dict[str, Any]:
    """The object that an answer's body is, after a byte order mark, which other programs may begin with.

    Raises InvalidInput or MalformedJson for anything else.
    """
    given = documents.read(body.removeprefix("\ufeff").encode())
    if not isinstance(given, dict):
        raise errors.InvalidInput.at("", "the answer is JSON, but no object")
    return given


def _pairs(given: Mapping[str, Any], path: str) -> Iterable[tuple[str, str]]:
    """Names and texts; null is left out, and a list is each of its items."""
    for name, value in given.items():
        place = documents.below(path, name)
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield name, frames.text(one, place)


def _with_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    scheme, place, path, query, _ = urlsplit(url)
    more = urlencode(list(pairs))
    return urlunsplit((scheme, place, path, "&".join(part for part in (query, more) if part), ""))


def url_faults(url: str) -> list[str]:
    """Why this is no address that can be asked, if so."""
    try:
        read = urlsplit(url)
        is_address = read.scheme in ("http", "https") and bool(read.hostname) and read.port != 0
    except ValueError:
        is_address = False
    return [] if is_address else [f"Invalid URL: takes an https address, not {json.dumps(url[:200])}"]


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read_webhook(reader: frames.Reader) -> Webhook:
    """The `webhook` of a step. Faults are collected by the reader."""
    given = reader.raw("webhook")
    path = reader.at("webhook")
    if fields.is_whole(given):
        return Webhook(path, {}, reader.mapped("webhook"))
    if not isinstance(given, dict):
        reader.fault("webhook", "is required: an object with the `url` of what is asked")
        return Webhook(path, {})
    inner = frames.Reader(given, path, reader.evaluator)
    inner.strangers(_WEBHOOK)
    if inner.raw("url") is None:
        inner.fault("url", "is required: an https address")
    found = {name: field for name in _WEBHOOK if (field := inner.field(name)) is not None}
    for name in ("headers", "params"):
        _check_pairs(inner, found.get(name), name)
    for name, check in (("url", _url_fault), ("method", _method_fault)):
        field = found.get(name)
        if isinstance(field, fields.Literal) and (fault := check(field.value)):
            inner.fault(name, fault)
    reader.faults += inner.faults
    return Webhook(path, found)


def _check_pairs(inner: frames.Reader, field: fields.Field | None, place: str) -> None:
    """Collect what is plainly wrong with names and texts, as far as they are known."""
    if field is None or isinstance(field, fields.Accessor | expressions.Script):
        return
    known = fields.known(field)
    if not isinstance(known, dict):
        inner.fault(place, "is an object")
        return
    names = field.fields if isinstance(field, fields.Entries) else known
    for name in names:
        value = known.get(name)
        try:
            texts: list[str | None] = [text for _, text in _pairs({name: value}, inner.at(place))]
        except errors.RenderFailed as refusal:
            inner.faults += refusal.faults
            continue
        if place == "headers":
            told = (destinations.header_fault(name, text) for text in texts or [None])
            inner.faults += [errors.Fault(inner.at(place), fault) for fault in told if fault is not None]


def _url_fault(given: object) -> str | None:
    return next(
        iter(url_faults(given if isinstance(given, str) else str(given))), destinations.url_fault(given)
    )


def _method_fault(given: object) -> str | None:
    known = isinstance(given, str) and given.upper() in METHODS
    return None if known else errors.unknown("method", given, METHODS)


def read_strategy(reader: frames.Reader, name: str) -> fields.Field | None:
    """A merge strategy of a step. Faults are collected by the reader."""
    field = reader.field(name)
    reader.check(field, name, check_strategy)
    return field


def strategy_of(field: fields.Field | None, usual: str, scope: expressions.Scope, path: str) -> str:
    """The strategy that a step's field comes to; `usual` where it has none. Raises InvalidInput, RenderFailed."""
    value = None if field is None else fields.resolve(field, scope, path)
    return usual if value in (None, "") else check_strategy(value, path)


def check_strategy(given: object, path: str) -> str:
    """The name of a merge strategy of people.MERGES. Raises InvalidInput with the path."""
    if not isinstance(given, str) or given not in people.MERGES:
        raise errors.InvalidInput.at(path, errors.unknown("merge strategy", given, tuple(people.MERGES)))
    return given
