"""Steps that act on runs: `cancel` and `invoke`.

Law: a cancel reaches every run in progress of the workspace that has its token, its own too (J14, A22); an invoked
journey goes its own way, with what the step hands it (A33, A34).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from heliograph.core import effects, expressions, fields, frames, plans, pseudonyms

TOKENS = ("cancelation_token", "cancellation_token", "cancelationToken")
"""How the token is spelled; the older spellings are taken too."""


class Cancel(NamedTuple):
    """Cancel runs by their token; without one, by the run's own."""

    path: str
    token: fields.Field | None
    action: str = "cancel"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its token looks at."""
        return frozenset() if self.token is None else self.token.reads

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's."""
        return ()

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Cancel them."""
        path = f"{self.path}.cancelation_token"
        token = run.token
        if self.token is not None:
            token = frames.name_if_any(fields.resolve(self.token, scope, path, fields.Role.MESSAGE), path)
        if not token:
            return plans.failed(f"{path}: there is no token, neither here nor of the run itself")
        done = plans.done(effects.Cancel(token), output={"cancelation_token": token})
        return msgspec.structs.replace(done, end=plans.End.CANCELED) if token == run.token else done


def read_cancel(reader: frames.Reader) -> Cancel:
    """A `cancel` step; the token's older spellings are taken too."""
    named = next((name for name in TOKENS if reader.raw(name) is not None), TOKENS[0])
    return Cancel(reader.path, reader.named(named))


_CONTEXT = ("brand", "data", "profile", "recipient", "template")


class Invoke(NamedTuple):
    """Start a run of another journey."""

    path: str
    template: fields.Field | None
    context: Mapping[str, fields.Field] | fields.Field
    action: str = "invoke"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        parts = [*self.context.values()] if isinstance(self.context, Mapping) else [self.context]
        return frozenset().union(*(part.reads for part in (self.template, *parts) if part is not None))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's."""
        return ()

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Start it."""
        assert self.template is not None
        path = f"{self.path}.template"
        template = frames.name(fields.resolve(self.template, scope, path, fields.Role.MESSAGE), path)
        context = f"{self.path}.context"
        if isinstance(self.context, Mapping):
            given = {n: fields.resolve(f, scope, f"{context}.{n}") for n, f in self.context.items()}
        else:
            given = frames.mapping(fields.resolve(self.context, scope, context), context)
        whole = {name: getattr(run.context, name) for name in _CONTEXT}
        whole |= {name: value for name, value in given.items() if name in _CONTEXT and value != ""}
        for name in ("data", "profile"):
            whole[name] = frames.mapping(whole[name], f"{context}.{name}")
        for name in ("brand", "recipient", "template"):
            if whole[name] is not None:
                whole[name] = frames.name(whole[name], f"{context}.{name}")
        if whole["recipient"] is not None:
            pseudonyms.refuse(whole["recipient"], f"{context}.recipient")
        asked = run.invoke(template, whole)
        return plans.failed(asked) if isinstance(asked, str) else plans.pending(asked)


def read_invoke(reader: frames.Reader) -> Invoke:
    """An `invoke` step."""
    if reader.raw("template") is None:
        reader.fault("template", "is required: the id or the alias of a journey")
    given = reader.raw("context")
    context: Mapping[str, fields.Field] | fields.Field = {}
    if isinstance(given, dict) and "$ref" not in given:
        inner = frames.Reader(given, reader.at("context"), reader.evaluator)
        inner.strangers(_CONTEXT)
        found = {
            name: inner.mapped(name) if name in ("data", "profile") else inner.named(name)
            for name in _CONTEXT
        }
        context = {name: field for name, field in found.items() if field is not None}
        reader.faults += inner.faults
    elif given is not None:
        context = reader.field("context") or {}
        if isinstance(context, fields.Literal):
            reader.fault("context", "is an object, or a reference to one")
    return Invoke(reader.path, reader.named("template"), context)


KINDS = {"cancel": (read_cancel, TOKENS), "invoke": (read_invoke, ("template", "context"))}
