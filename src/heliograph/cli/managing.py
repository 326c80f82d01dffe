"""Commands that set a house up: the schema, workspaces, keys."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import clock, errors, settings
from heliograph.cli import options, terminal

if TYPE_CHECKING:
    from heliograph.store.database import Database as Store

keys = typer.Typer(help="API keys: made, listed, revoked.", rich_markup_mode=None)
workspaces = typer.Typer(help="Workspaces: whom keys and data belong to.", rich_markup_mode=None)
keys.callback(invoke_without_command=True)(terminal.help_unless_told)
workspaces.callback(invoke_without_command=True)(terminal.help_unless_told)


def migrate(database: options.DatabaseUrl = None) -> None:
    """Bring the database's schema up to this program's."""
    from heliograph.store import database as databases

    chosen = settings.load(database_url=database)
    store = databases.Database(chosen.database_url)
    # On PostgreSQL the store itself looks who else is at work.
    with _alone(store), contextlib.closing(store):
        before, after = store.migrate()
    where = options.shown(chosen.database_url)
    if before == after:
        terminal.say(f"{where} stands at {after} already: nothing to do")
    else:
        terminal.say(f"{where} went from {before or 'empty'} to {after}")


def _alone(store: Store) -> contextlib.AbstractContextManager[None]:
    """While a SQLite file is brought on, no server has it; where there is nothing to do one may."""
    with contextlib.closing(store):
        if store.path is None or store.is_current():
            return contextlib.nullcontext()
    from heliograph.cli import locking

    return locking.alone(store.path)


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────


@keys.command("create")
def create_key(
    role: Annotated[str, typer.Option(metavar="ROLE", help="admin, supervisor, agent, or ingest.")],
    workspace: options.Workspace = "default",
    tenant: Annotated[str | None, typer.Option(metavar="ID", help="Bind the key to this tenant.")] = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What the key is for.")] = "",
    folder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder of lists that it sees, where the workspace keeps them apart; may be given again.",
        ),
    ] = None,
    database: options.DatabaseUrl = None,
) -> None:
    """Make an API key. It is shown once, alone on the last line."""
    from heliograph.core import lists
    from heliograph.store import keys as stored
    from heliograph.store import workspaces as spaces

    faults = [fault for one in folder or () if (fault := lists.id_fault(one)) is not None]
    if faults:
        raise typer.BadParameter(faults[0], param_hint="--folder")
    if role not in tuple(stored.Role):
        raise typer.BadParameter(errors.unknown("role", role, tuple(stored.Role)), param_hint="--role")
    now = clock.WallClock().now()
    with options.opened(database, must_exist=False) as store, store.writing() as connection:
        if workspace == spaces.DEFAULT:
            spaces.ensure(connection, workspace, now, store.safe)
        owner = options.workspace_id(connection, workspace)
        made, text = stored.create(
            connection, owner, stored.Role(role), name or f"{role} key", now, tenant, folder or ()
        )
    bound = f", bound to the tenant {tenant}" if tenant else ""
    terminal.say(f"Key {made.number} of the workspace {workspace}, role {role}{bound}. Shown this once:")
    terminal.say(text)


@keys.command("list")
def list_keys(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """List the keys of a workspace, the revoked ones too."""
    from heliograph.store import keys as stored

    found = options.read_in(workspace, database, stored.listed)
    terminal.show_table(
        ("number", "role", "name", "tenant", "folders", "made", "revoked"),
        [
            (
                key.number,
                key.role,
                key.name,
                key.tenant_id,
                ", ".join(key.folders),
                options.second(key.created_at),
                options.second(key.revoked_at),
            )
            for key in found
        ],
        nothing=f"The workspace {workspace} has no keys: heliograph key create --role admin",
    )


@keys.command("revoke")
def revoke_key(
    number: Annotated[int, typer.Argument(help="The key's number, as `key list` shows it.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Let a key count no more; servers follow within two seconds."""
    from heliograph.store import keys as stored

    with options.opened(database) as store, store.writing() as connection:
        found = stored.listed(connection, options.workspace_id(connection, workspace))
        key = next((key for key in found if key.number == number), None)
        if key is None:
            raise errors.NotFound(f"the workspace {workspace} has no key {number}: see `heliograph key list`")
        counted = stored.revoke(connection, key.id, clock.WallClock().now())
    terminal.say(f"Key {number} ({key.name}) {'is revoked' if counted else 'was revoked before'}.")


# ── workspaces ──────────────────────────────────────────────────────────────────────────────────────


@workspaces.command("create")
def create_workspace(
    name: Annotated[str, typer.Argument(help="Its name: 1 to 64 letters, digits, `-`, `_` and `.`.")],
    database: options.DatabaseUrl = None,
) -> None:
    """Make a workspace: people, rules and keys of its own, unseen by others."""
    from heliograph.store import workspaces as spaces

    if not (0 < len(name) <= 64 and all(sign.isalnum() or sign in "-_." for sign in name)):
        raise typer.BadParameter("takes 1 to 64 letters, digits, `-`, `_` and `.`", param_hint="NAME")
    with options.opened(database, must_exist=False) as store, store.writing() as connection:
        is_new = spaces.find(connection, name) is None
        spaces.ensure(connection, name, clock.WallClock().now(), store.safe)
    terminal.say(f"The workspace {name} {'is made' if is_new else 'was there already'}.")


@workspaces.command("webhook-secret")
def webhook_secret(
    name: Annotated[str, typer.Argument(help="The workspace's name.")] = "default",
    replace: Annotated[
        bool, typer.Option("--replace", help="Draw a new one; the one before it signs for another day.")
    ] = False,
    database: options.DatabaseUrl = None,
) -> None:
    """Show the secret by which a workspace signs the webhooks of its alerts (Standard Webhooks)."""
    from heliograph.store import webhook_secrets

    with options.opened(database) as store:
        now = options.moment(store)
        with store.writing() as connection:
            owner = options.workspace_id(connection, name)
            found = [] if replace else webhook_secrets.read(connection, owner, now, store.safe)
            secret = found[0] if found else webhook_secrets.replace(connection, owner, now, store.safe)
    terminal.say(secret)


@workspaces.command("list")
def list_workspaces(database: options.DatabaseUrl = None) -> None:
    """List the names of all workspaces."""
    from heliograph.store import workspaces as spaces

    with options.opened(database) as store, store.reading() as connection:
        for name in spaces.names(connection):
            terminal.say(name)


@workspaces.command("set")
def set_workspace(
    name: Annotated[str, typer.Argument(help="The workspace's name.")] = "default",
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The company's time zone, such as Europe/London.")
    ] = None,
    leap_day: Annotated[
        str | None,
        typer.Option(
            metavar="POLICY",
            help="When birthdays on the 29th of February are in other years: feb28, mar1, or skip.",
        ),
    ] = None,
    folders: Annotated[
        bool | None,
        typer.Option(
            "--keep-folders/--open-folders",
            help="Whether keys but those of admins see the lists of their own folders alone.",
        ),
    ] = None,
    database: options.DatabaseUrl = None,
) -> None:
    """Set what date automations go by; what is queued already stays as it is. Without options, show it."""
    from heliograph.core import dates as core_dates
    from heliograph.core import schedule
    from heliograph.store import dates

    changed: dict[str, str | bool] = {} if folders is None else {"folderrestrict": folders}
    if timezone is not None:
        fault = schedule.zone_fault(timezone)
        if fault:
            raise typer.BadParameter(fault, param_hint="--timezone")
        changed["timezone"] = timezone
    if leap_day is not None:
        policies = tuple(core_dates.LeapDay)
        if leap_day not in policies:
            raise typer.BadParameter(errors.unknown("policy", leap_day, policies), param_hint="--leap-day")
        changed["leap_day_policy"] = leap_day
    with options.opened(database) as store:
        now = options.moment(store)
        with store.writing() as connection:
            owner = options.workspace_id(connection, name)
            company = (
                dates.set_company(connection, owner, changed, now)
                if changed
                else dates.company(connection, owner)
            )
    apart = ", folders of lists are kept apart" if company.keeps_folders else ""
    terminal.say(f"The workspace {name}: timezone {company.zone}, leap day {company.leap_day.value}{apart}.")
