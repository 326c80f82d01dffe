"""Definitions as people keep them: a YAML file each, with its `kind` and an `id` that stays.

Law: all files of a folder are looked at before any fault is told, and a fault names the file and the line.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from heliograph import errors
from heliograph import settings as settings_module
from heliograph.cli import choice_files, policy_files, yaml_files
from heliograph.core import (
    brands,
    campaigns,
    communication_groups,
    dates,
    documents,
    ids,
    journeys,
    message_templates,
    providers,
    rule_journeys,
    rules,
    segments,
)

KINDS = (
    *(
        "provider",
        "brand",
        "routing_strategy",
        "preference_section",
        "preference_topic",
        "list",
        "audience",
        "template",
        "journey",
        "rule",
        "date",
        "segment",
        "communication_group",
        "campaign",
    ),
    "sending_policy",
)
"""In the order in which they are applied: what is named comes before what names it."""


class Definition(NamedTuple):
    """One file, read and checked."""

    file: Path
    kind: str
    id: bytes | str
    """16 bytes, or text: the name of a template or journey, the UUID of a communication group, a policy's tenant."""
    name: str
    content: Any
    """What it says, checked; of a campaign as it was written, with the `status` that it is to have."""


class DateFile(NamedTuple):
    """A date automation as a file has it."""

    definition: dates.Definition
    template_id: str | None
    """The template that it sends, where the file names one: what its number is, the database knows."""
    list_id: str | None = None
    """Likewise the list that it puts people on."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.definition.name


def read(place: Path) -> list[Definition]:
    """The definitions of a folder and the folders in it, templates first.

    Raises errors.InvalidInput with the faults of all files.
    """
    files = sorted(_files(place))
    if not files:
        raise errors.NotFound(f"there is no .yaml file in {place}")
    made: list[Definition] = []
    faults: list[errors.Fault] = []
    for file in files:
        try:
            made.append(read_file(file))
        except errors.InvalidInput as fault:
            faults += fault.faults
    faults += _twice(made)
    if faults:
        raise errors.InvalidInput(faults=faults)
    return sorted(made, key=lambda one: (KINDS.index(one.kind), one.file))


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for file in place.rglob("*.y*ml"):
        is_hidden = any(part.startswith(".") for part in file.relative_to(place).parts)
        # What is no file, such as a pipe, may never end.
        if file.suffix in (".yaml", ".yml") and not is_hidden and file.is_file():
            yield file


def _twice(made: list[Definition]) -> Iterator[errors.Fault]:
    known: dict[tuple[str, bytes | str], Path] = {}
    for one in made:
        first = known.setdefault((one.kind, one.id), one.file)
        if first is not one.file:
            yield errors.Fault(str(one.file), f"has the same id as {first}")


# ── one file ────────────────────────────────────────────────────────────────────────────────────────


def read_file(file: Path) -> Definition:
    """The definition of one file. Raises errors.InvalidInput with its faults."""
    node, given = yaml_files.read(file)
    try:
        return _defined(file, given)
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(
            faults=[
                errors.Fault(f"{file}:{yaml_files.line_of(node, fault.path)}", str(fault))
                for fault in refusal.faults
            ]
        ) from None


def _defined(file: Path, given: Any) -> Definition:
    if not isinstance(given, dict):
        raise errors.InvalidInput.at("", "takes `kind`, `id` and the fields of what it defines")
    faults = [*yaml_files.not_json(given)]
    if faults:
        raise errors.InvalidInput(faults=faults)
    kind = given.get("kind")
    if kind not in KINDS:
        raise errors.InvalidInput.at("kind", f"takes {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    fields = {name: value for name, value in given.items() if name not in ("kind", "id")}
    return _DEFINED[kind](file, given.get("id"), fields)


def _by_uuid(
    kind: str, define: Callable[[Mapping[str, Any]], Any]
) -> Callable[[Path, object, Mapping[str, Any]], Definition]:
    """What reads a kind whose id is a UUID."""

    def read(file: Path, identity: object, fields: Mapping[str, Any]) -> Definition:
        faults: list[errors.Fault] = []
        parsed = ids.parse(identity) if isinstance(identity, str) else None
        if parsed is None:
            what = kind.replace("_", " ")
            message = f"takes a UUID that stays with the {what}, such as 5a0b0000-0000-4000-8000-000000000001"
            faults.append(errors.Fault("id", message))
        try:
            content = define(fields)
        except errors.InvalidInput as refusal:
            raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
        if parsed is None:
            raise errors.InvalidInput(faults=faults)
        named = content["name"] if isinstance(content, dict) else content.name
        return Definition(file, kind, parsed, named, content)

    return read


def _date(fields: Mapping[str, Any]) -> DateFile:
    """A date automation, which may say `template` or `list` instead of `actiontype` and `actiontarget`.

    `summary` is null where it is not given.
    """
    given = {"summary": None, **fields}
    named = {name: given.pop(name) for name in ("template", "list") if given.get(name) is not None}
    if not named:
        return DateFile(dates.define(given), None)
    (name, identity), *more = named.items()
    if more or not isinstance(identity, str) or given.keys() & {"actiontype", "actiontarget"}:
        raise errors.InvalidInput.at(name, f"takes a {name}'s id, without actiontype and actiontarget")
    action = {"template": "email_autoresponder", "list": "addtolist"}[name]
    definition = dates.define({**given, "actiontype": action, "actiontarget": 1})
    return DateFile(definition, named.get("template"), named.get("list"))


def _campaign(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A campaign with the status that it is to have."""
    faults: list[errors.Fault] = []
    status = fields.get("status")
    settable = [state.name.lower() for state in sorted(campaigns.BY_PEOPLE)]
    if status is not None and status not in settable:
        faults.append(errors.Fault("status", f"takes {', '.join(settable)}"))
    try:
        campaigns.define({name: value for name, value in fields.items() if name != "status"})
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return dict(fields)


def _id_faults(identity: object, example: str) -> list[errors.Fault]:
    fault = ids.name_fault(identity, example)
    return [errors.Fault("id", fault)] if fault else []


def _template(file: Path, identity: object, fields: Mapping[str, Any]) -> Definition:
    faults: list[errors.Fault] = []
    fault = message_templates.id_fault(identity)
    if fault:
        faults.append(errors.Fault("id", fault))
    try:
        content = message_templates.check(fields)
        named = content.said.name or str(identity)
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Definition(file, "template", str(identity), named, content)


def _brand(file: Path, identity: object, fields: Mapping[str, Any]) -> Definition:
    faults = documents.unknown_keys(fields, brands.WRITABLE, "")
    try:
        if brands.check_id(identity) is None:
            faults.append(errors.Fault("id", "is required: a name that stays with the brand, such as shop"))
        content = brands.define(fields)
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Definition(file, "brand", str(identity), content.name, content)


def _provider(file: Path, identity: object, fields: Mapping[str, Any]) -> Definition:
    faults = documents.unknown_keys(fields, providers.WRITABLE, "")
    faults += _id_faults(identity, "main-mail")
    try:
        # A secret stands elsewhere: what a file says is where.
        content = providers.define({"alias": identity, **fields, "settings": _with_secrets(fields)})
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Definition(file, "provider", str(identity), str(content.alias), content)


def _with_secrets(fields: Mapping[str, Any]) -> Any:
    """The settings of a provider, its secrets read from where the file says: a variable or another file."""
    given = fields.get("settings", {})
    kind = providers.KINDS.get(str(fields.get("provider")))
    if not isinstance(given, dict) or kind is None:
        return given
    settings = dict(given)
    for name in (
        name for name, field in kind.fields.items() if field.is_secret and given.get(name) is not None
    ):
        settings[name] = _secret(given[name], f"settings.{name}")
    return settings


def _secret(named: object, path: str) -> str:
    place = next(iter(named.items())) if isinstance(named, dict) and len(named) == 1 else None
    if place is None or place[0] not in ("env", "file") or not isinstance(place[1], str):
        message = "names where the secret is: {env: NAME_OF_A_VARIABLE} or {file: /path/to/it}"
        raise errors.InvalidInput.at(path, message)
    kind, where = place
    if kind == "env":
        found = settings_module.variable(where)
        if not found:
            raise errors.InvalidInput.at(f"{path}.env", f"the variable {where} is not set")
        return found
    try:
        return Path(where).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise errors.InvalidInput.at(f"{path}.file", f"{where} cannot be read: {fault}") from None


def _journey(file: Path, identity: object, fields: Mapping[str, Any]) -> Definition:
    from heliograph import app, settings

    allowed = settings.load().allowed_hosts
    faults = documents.unknown_keys(fields, journeys.WRITABLE, "")
    faults += _id_faults(identity, "welcome")
    with contextlib.closing(app.sandbox()) as evaluator:
        try:
            content = journeys.define(str(identity), fields, evaluator, allowed)
        except errors.InvalidInput as refusal:
            raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Definition(file, "journey", content.id, content.name, content)


def _rule(given: Mapping[str, Any]) -> rules.Definition:
    definition = rules.define(given)
    if any(action.get("steps") for action in definition.actions):
        from heliograph import app, settings

        with contextlib.closing(app.sandbox()) as evaluator:
            rule_journeys.check_actions(definition.actions, evaluator, settings.load().allowed_hosts)
    return definition


def _by_name(
    kind: str, said: Callable[[object, Mapping[str, Any]], choice_files.Said]
) -> Callable[[Path, object, Mapping[str, Any]], Definition]:
    """What reads a kind whose id is a name."""
    return lambda file, identity, fields: Definition(file, kind, *said(identity, fields))


_DEFINED: Mapping[str, Callable[[Path, object, Mapping[str, Any]], Definition]] = {
    "rule": _by_uuid("rule", _rule),
    "date": _by_uuid("date", _date),
    "template": _template,
    "brand": _brand,
    "provider": _provider,
    "routing_strategy": _by_name("routing_strategy", choice_files.strategy),
    "preference_section": _by_name("preference_section", choice_files.section),
    "preference_topic": _by_name("preference_topic", choice_files.topic),
    "list": _by_name("list", choice_files.group),
    "audience": _by_name("audience", choice_files.audience),
    "journey": _journey,
    "segment": _by_uuid("segment", segments.define),
    "communication_group": _by_uuid("communication_group", communication_groups.define),
    "campaign": _by_uuid("campaign", _campaign),
    "sending_policy": lambda file, identity, fields: Definition(
        file, "sending_policy", *policy_files.read(identity, fields)
    ),
}
