"""Date automations: `/v1/dateAutomation`, in Sign-Up.to's envelope (date-automations.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar import delete, get, post, put

from heliograph import errors
from heliograph.core import dates as core_dates
from heliograph.core import schedule
from heliograph.store import dates
from heliograph.web import auth, folders, sign_up
from heliograph.web.calls import Call, in_thread

TAG = "Date automations"
_PATH, _PATH_OF_ONE = "/v1/dateAutomation", "/v1/dateAutomation/{rule_id:str}"
_FILTERS = ("id", "actiononweekend", "name", "paused", "user_id")
# A number that no column takes is no automation's.
Number = Annotated[int, msgspec.Meta(ge=1, le=10**18 - 1, description="The automation's `id`.")]
Seconds = Annotated[float, msgspec.Meta(description="Seconds since 1970 UTC.")]
ActionType = Literal["addtolist", "email_autoresponder", "notify", "sms_autoresponder"]
Hour = Annotated[
    str | None, msgspec.Meta(description="`HH:00:00` in the company's time zone; null: no hour of its own.")
]
Offset = Annotated[int, msgspec.Meta(description="Minutes after the birthday begins, or before it.")]

# ── what is read ────────────────────────────────────────────────────────────────────────────────────


class NewDateAutomation(msgspec.Struct, kw_only=True):
    """A date automation to create."""

    name: str
    actiontype: ActionType
    actiontarget: str
    summary: str | None
    actionhour: Hour = None
    actiontimediff: Offset = 0
    actiononweekend: bool | None = None
    paused: bool = False


class DateAutomationChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of a date automation; what it makes of the whole is checked."""

    id: Number | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    actiontype: ActionType | msgspec.UnsetType = msgspec.UNSET
    actiontarget: str | msgspec.UnsetType = msgspec.UNSET
    summary: str | msgspec.UnsetType | None = msgspec.UNSET
    actionhour: Hour | msgspec.UnsetType = msgspec.UNSET
    actiontimediff: Offset | msgspec.UnsetType = msgspec.UNSET
    actiononweekend: bool | msgspec.UnsetType | None = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET


class NumberQuery(msgspec.Struct):
    """Which one, where the path does not say it."""

    id: Number | None = None


class FilterQuery(msgspec.Struct, kw_only=True):
    """Which are listed, from which one on, in which order."""

    id: Number | None = None
    actiononweekend: bool | None = None
    name: str | None = None
    paused: bool | None = None
    user_id: int | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=sign_up.MOST_PER_PAGE)] = sign_up.MOST_PER_PAGE
    sort: Literal["id", "actionhour", "actiontimediff", "name", "cdate"] = "id"
    reverse: bool = False
    start: str | None = None


# ── what is answered ────────────────────────────────────────────────────────────────────────────────


class DateAutomation(msgspec.Struct, kw_only=True):
    """A date automation."""

    id: int
    actiononweekend: bool
    actiontarget: str
    actionhour: str | None
    actiontimediff: int
    actiontype: str
    name: str
    paused: bool
    summary: str | None
    user_id: int
    cdate: Seconds
    mdate: Seconds


class One(msgspec.Struct):
    """One date automation."""

    count: int
    next: None
    data: DateAutomation


class Page(msgspec.Struct):
    """One where it was asked for by id; else those that pass the filters, and where to go on."""

    count: int
    next: int | str | None
    data: list[DateAutomation] | DateAutomation


class OneAnswer(msgspec.Struct):
    """It is done."""

    status: Literal["ok"]
    response: One


class PageAnswer(msgspec.Struct):
    """What was found."""

    status: Literal["ok"]
    response: Page


# ── the endpoint ────────────────────────────────────────────────────────────────────────────────────


@get(_PATH, opt={"tag": TAG, "query": FilterQuery})
@in_thread
def list_date_automations(request: Call) -> PageAnswer:
    """List the date automations that pass the filters; 404 where none does."""
    return _found(request, None)


@get(_PATH_OF_ONE, opt={"tag": TAG, "query": FilterQuery})
@in_thread
def read_date_automation(request: Call) -> PageAnswer:
    """Read a date automation, where it passes the filters."""
    return _found(request, _number(request.part("rule_id"), errors.NotFound))


@post(_PATH, status_code=202, opt={"tag": TAG, "body": NewDateAutomation, "form": sign_up.FORM})
@in_thread
def create_date_automation(request: Call) -> OneAnswer:
    """Create a date automation; its message, if it sends one, can be edited no more."""
    request.refuse_query()
    given, who, now = _body(request), request.principal, request.services.now()
    definition = core_dates.define(given)
    with request.services.database.writing() as connection:
        made = dates.create(connection, who.workspace_id, who.tenant_id, definition, now, who.number)
        _bind(connection, who, made)
    request.wake()
    return _one(made)


@put(_PATH, opt={"tag": TAG, "query": NumberQuery, "body": DateAutomationChange, "form": sign_up.FORM})
@in_thread
def change_date_automation(request: Call) -> OneAnswer:
    """Change the date automation whose `id` the body or the query names."""
    return _change(request, None)


@put(_PATH_OF_ONE, opt={"tag": TAG, "query": NumberQuery, "body": DateAutomationChange, "form": sign_up.FORM})
@in_thread
def change_one_date_automation(request: Call) -> OneAnswer:
    """Change a date automation: the fields that are given."""
    return _change(request, _number(request.part("rule_id"), errors.NotFound))


@delete(_PATH, status_code=200, opt={"tag": TAG, "query": NumberQuery})
@in_thread
def delete_date_automation(request: Call) -> OneAnswer:
    """Delete the date automation whose `id` the query names."""
    return _delete(request, None)


@delete(_PATH_OF_ONE, status_code=200, opt={"tag": TAG, "query": NumberQuery})
@in_thread
def delete_one_date_automation(request: Call) -> OneAnswer:
    """Delete a date automation; what it has queued is aborted."""
    return _delete(request, _number(request.part("rule_id"), errors.NotFound))


def _found(request: Call, number: int | None) -> PageAnswer:
    query, who = request.read_query(FilterQuery), request.principal
    with request.services.database.reading() as connection:
        is_seen = folders.sight(connection, who)
        found = dates.listed(connection, who.workspace_id, who.tenant_id)
    wanted = {name: getattr(query, name) for name in _FILTERS if getattr(query, name) is not None}
    passing = [
        one
        for rule in found
        if (rule.number == number or number is None) and is_seen(rule.definition)
        for one in (_resource(rule),)
        if all(getattr(one, name) == value for name, value in wanted.items())
    ]
    page, following = sign_up.page(
        passing, sign_up.Order(query.count, query.sort, query.reverse, query.start)
    )
    if not page:
        raise errors.NotFound("there is no dateAutomation that passes these filters")
    if number is None and query.id is None:
        return PageAnswer("ok", Page(len(page), following, page))
    return PageAnswer("ok", Page(1, None, page[0]))


def _change(request: Call, number: int | None) -> OneAnswer:
    given, who, now = _body(request), request.principal, request.services.now()
    number = _one_number(request, number, given.pop("id", None))
    with request.services.database.writing() as connection:
        stored = _locked(connection, who, number)
        changed = core_dates.change(stored.definition, given)
        _refuse_unpausing(connection, who.workspace_id, stored, changed)
        made = dates.change(connection, who.workspace_id, stored, changed, now)
        before = stored.definition
        if (changed.actiontype, changed.actiontarget) != (before.actiontype, before.actiontarget):
            _bind(connection, who, made)
    request.wake()
    return _one(made)


def _delete(request: Call, number: int | None) -> OneAnswer:
    who, now = request.principal, request.services.now()
    number = _one_number(request, number, None)
    with request.services.database.writing() as connection:
        stored = _locked(connection, who, number)
        dates.delete(connection, stored, now)
    request.wake()
    return _one(stored)


# ── what a message, or a list, has to do with it ────────────────────────────────────────────────────


def _bind(connection: Any, who: auth.Principal, rule: dates.Rule) -> None:
    """Close the message that an autoresponder sends.

    Raises errors.NotFound where there is none, or no list, and errors.Forbidden where that is in another's folder.
    """
    target, workspace_id = rule.definition.actiontarget, who.workspace_id
    if rule.definition.actiontype == "addtolist" and not _is_there(
        connection, workspace_id, rule, rule.definition
    ):
        raise errors.NotFound(f"there is no list {target}: actiontarget is the number of a list")
    if not folders.sight(connection, who)(rule.definition):
        raise errors.Forbidden(f"actiontarget: the list {target} is in a folder that this key does not see")
    if rule.definition.actiontype not in core_dates.AUTORESPONDERS:
        return
    template_id = dates.message(connection, workspace_id, target)
    if template_id is None:
        raise errors.NotFound(f"there is no message {target}: actiontarget is the number of a template")
    dates.close_message(connection, workspace_id, template_id)


def _refuse_unpausing(
    connection: Any, workspace_id: int, stored: dates.Rule, changed: core_dates.Definition
) -> None:
    """Raises errors.DependentGone where a rule would begin again whose message or list is gone."""
    before = stored.definition
    resource = _DEPENDENT.get(changed.actiontype)
    if not before.paused or changed.paused or resource is None:
        return
    is_same = (changed.actiontype, changed.actiontarget) == (before.actiontype, before.actiontarget)
    if is_same and not _is_there(connection, workspace_id, stored, changed):
        raise errors.DependentGone(
            f"Automation Rule {stored.number} cannot be unpaused: Dependent {resource} resource"
            f" {changed.actiontarget} no longer exists",
            resource_id=int(changed.actiontarget),
        )


_DEPENDENT = {"addtolist": "list", "email_autoresponder": "emailMessage", "sms_autoresponder": "smsMessage"}


def _is_there(connection: Any, workspace_id: int, rule: dates.Rule, wanted: core_dates.Definition) -> bool:
    """Whether there is what the target is the number of."""
    if wanted.actiontype == "addtolist":
        found = dates.list_of(connection, workspace_id, rule.tenant_id, wanted.actiontarget)
    else:
        found = dates.message(connection, workspace_id, wanted.actiontarget)
    return found is not None


# ── the wire ────────────────────────────────────────────────────────────────────────────────────────


def _body(request: Call) -> dict[str, Any]:
    given = sign_up.body(request)
    faults = [errors.Fault(name, "is set by the server") for name in _GIVEN_BY_US if name in given]
    if faults:
        raise errors.InvalidInput(faults=faults)
    return given


_GIVEN_BY_US = ("user_id", "cdate", "mdate")


def _one_number(request: Call, number: int | None, in_body: object) -> int:
    """The `id` that is meant, wherever it stands. Raises errors.InvalidQuery where it is missing or two are."""
    said = {number, request.read_query(NumberQuery).id}
    if in_body is not None:
        said.add(_number(in_body, errors.InvalidQuery))
    said.discard(None)
    if len(said) != 1:
        wrong = "is required" if not said else "is given twice, and not the same"
        raise errors.InvalidQuery(faults=[errors.Fault("id", wrong)])
    return next(one for one in said if one is not None)


def _number(given: object, refusal: type[errors.HeliographError]) -> int:
    number = sign_up.number(str(given)) if isinstance(given, (int, str)) else None
    if number is None:
        raise refusal(f"there is no dateAutomation {str(given)!r}: an id is a whole number")
    return number


def _locked(connection: Any, who: auth.Principal, number: int) -> dates.Rule:
    found = dates.lock(connection, who.workspace_id, who.tenant_id, number)
    if found is None or not folders.sight(connection, who)(found.definition):
        raise errors.NotFound(f"there is no dateAutomation {number}")
    return found


def _one(rule: dates.Rule) -> OneAnswer:
    return OneAnswer("ok", One(1, None, _resource(rule)))


def _resource(rule: dates.Rule) -> DateAutomation:
    written: Mapping[str, Any] = {name: getattr(rule.definition, name) for name in core_dates.WRITABLE}
    return DateAutomation(
        **written,
        id=rule.number,
        user_id=rule.definition.user_id,
        cdate=_seconds(rule.created_at),
        mdate=_seconds(rule.updated_at),
    )


def _seconds(at: int) -> float:
    whole, rest = divmod(at, schedule.SECOND)
    return whole if rest == 0 else at / schedule.SECOND


HANDLERS = (
    list_date_automations,
    read_date_automation,
    create_date_automation,
    change_date_automation,
    change_one_date_automation,
    delete_date_automation,
    delete_one_date_automation,
)
