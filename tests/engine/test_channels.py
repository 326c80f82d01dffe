"""Messages by every channel: where they go, what they say, and what is told where they cannot go."""

import base64
import hashlib
import hmac
import json

import pytest

from heliograph import channels
from heliograph.core import communication_groups as core_groups
from heliograph.core import consent, messages
from heliograph.store import communication_groups, templates, webhook_secrets
from heliograph.store import consent as stored_consent
from heliograph.testing import World

PROFILE = {
    "email": "ana@example.com",
    "phone_number": "+442079460100",
    "push_token": "token-1",
    "slack": {"channel": "C01"},
    "webhook": {"url": "https://ana.example/hook"},
}


def written(world: World, channel: str, **action: object) -> str:
    """Ana is written to by a channel; gives the event's id."""
    given = {"text": "Hello {{ contact.given_name }}", "subject": "Hi", **action}
    world.rule(
        trigger_type=f"custom.{channel}", actions=[{"type": "send_message", "channel": channel, **given}]
    )
    event = world.event(f"custom.{channel}", contact_id="ana")
    world.run_until_idle()
    return event


@pytest.mark.parametrize(
    ("channel", "provider", "address"),
    [
        ("sms", "twilio", "+442079460100"),
        ("push", "apprise-push", "token-1"),
        ("direct_message", "apprise-chat", "C01"),
    ],
)
def test_words_go_where_the_profile_says(world: World, channel: str, provider: str, address: str) -> None:
    """A rule's text is filled and goes by the channel's provider; whoever has no address there is not reached."""
    box = world.provider(provider, "ours")
    world.contact("ana", **PROFILE, given_name="Ana")
    event = written(world, channel)
    (sent,) = box.received
    assert (sent.address, sent.content) == (address, channels.Words("Hi", "Hello Ana"))
    assert world.explain(event).messages[0].attempts[0].provider == "ours"
    world.contact("ana", email="ana@example.com")
    event = world.event(f"custom.{channel}", contact_id="ana")
    world.run_until_idle()
    (message,) = world.explain(event).messages
    assert (message.state, len(box.received)) == ("unroutable", 1)


def test_a_channel_without_a_provider_reaches_nobody(world: World) -> None:
    """The message is unroutable though there is an address, and says why."""
    world.contact("ana", **PROFILE)
    event = written(world, "sms")
    assert world.explain(event).messages[0].state == "unroutable"
    (sent,) = world.ledger()
    assert sent.row.error == "no provider is set for the channel 'sms'"
    assert (sent.row.state, sent.row.address) == (messages.State.UNROUTABLE, "+442079460100")


def test_a_template_says_to_each_channel_what_is_for_it(world: World) -> None:
    """Elements for text messages alone; of a template of texts its text; one with nothing for a channel fails."""
    box = world.provider("twilio", "ours")
    world.contact("ana", **PROFILE)
    both = [
        {"type": "channel", "channel": "email", "elements": [{"type": "text", "content": "A long letter"}]},
        {"type": "channel", "channel": "sms", "elements": [{"type": "text", "content": "Short: {{data.x}}"}]},
    ]
    world.template("both", elements=both)
    world.template("texts", subject="Hi", text="Just text", html="<p>HTML</p>")
    world.template("mail", elements=both[:1])
    states = []
    for name in ("both", "texts", "mail"):
        action = {"type": "send_message", "channel": "sms", "template_id": name, "data": {"x": "yes"}}
        world.rule(trigger_type=f"custom.{name}", actions=[action])
        event = world.event(f"custom.{name}", contact_id="ana")
        world.run_until_idle()
        states.append(world.explain(event).messages[0].state)
    assert [one.content for one in box.received] == [
        channels.Words("", "Short: yes"),
        channels.Words("Hi", "Just text"),
    ]
    assert states == ["accepted", "accepted", "failed"]


def test_a_message_to_a_program_is_signed(world: World) -> None:
    """By the provider's secret, else by the workspace's own; the request says what was written to whom."""
    world.contact("ana", **PROFILE, given_name="Ana")
    written(world, "webhook")
    ((address, request),) = world.calls.received
    assert address == "https://ana.example/hook"
    body = json.loads(request.body)
    assert body["data"] | {"template": None} == body["data"]
    assert (body["type"], body["data"]["recipient"], body["data"]["text"]) == ("message", "ana", "Hello Ana")
    with world.app.store.reading() as connection:
        (secret,) = webhook_secrets.read(
            connection, world.workspace_id, world.clock.now(), world.app.store.safe
        )
    assert signed(request, secret)
    own = "whsec_" + base64.b64encode(b"a secret of the provider's own").decode()
    box = world.provider("webhook", "ours", settings={"signing_secret": own})
    world.event("custom.webhook", contact_id="ana")
    world.run_until_idle()
    (sent,) = box.received
    assert isinstance(sent.content, channels.HttpRequest)
    assert signed(sent.content, own)


def signed(request: channels.HttpRequest, secret: str) -> bool:
    """Whether a request is signed by a secret, as its receiver checks it."""
    said = dict(request.headers)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{said['webhook-id']}.{said['webhook-timestamp']}.".encode() + request.body
    right = base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
    return said["webhook-signature"] == f"v1,{right}"


def test_staff_are_told_by_e_mail_and_text_message(world: World) -> None:
    """`notify` writes to addresses and to numbers, each once."""
    box = world.provider("twilio", "ours")
    world.rule(
        trigger_type="custom.a",
        actions=[
            {
                "type": "notify",
                "emails": ["staff@example.com"],
                "phone_numbers": ["+44 20 7946 0101", "+442079460101"],
                "text": "Look",
            }
        ],
    )
    world.event("custom.a")
    world.run_until_idle()
    assert [one.address for one in box.received] == ["+442079460101"]
    assert [mail.text for mail in world.mailbox.to("staff@example.com")] == ["Look"]


def test_a_campaign_sends_text_messages_to_those_who_want_them(world: World) -> None:
    """Beside the e-mail, each its own job: silence is a yes for e-mails alone; without a provider it goes without."""
    both = {"subject": "News", "text_body": "Hello"}, {"message_body": "Hi {{ first_name }}"}
    for name, phone in (("yes", "+442079460101"), ("silent", "+442079460102"), ("bare", None)):
        world.contact(name, email=f"{name}@example.com", phone_number=phone, given_name=name)

    def agreed(_: consent.Consent) -> consent.Consent:
        return consent.Consent({"*": consent.Topic("OPTED_IN", ("email", "sms"))})

    stored_consent.change(world.app.store, world.workspace_id, None, "yes", agreed, world.clock.now())
    world.campaign(group=group(world, *both))
    world.pass_time(minutes=3)
    assert len(world.mailbox.received) == 3
    box = world.provider("twilio", "texts")
    campaign = world.campaign(group=group(world, *both))
    world.pass_time(minutes=3)
    assert [(one.address, one.content) for one in box.received] == [
        ("+442079460101", channels.Words("News", "Hi yes"))
    ]
    assert len(world.mailbox.received) == 6
    progress = world.progress(campaign)
    assert (progress.sent, progress.skipped) == (4, 2)
    alone = world.campaign(group=group(world, None, both[1]))
    world.pass_time(minutes=3)
    assert (world.progress(alone).sent, len(world.mailbox.received)) == (1, 6)


def group(world: World, email: dict[str, str] | None, sms: dict[str, str]) -> str:
    """A communication group with a text message; gives its id."""
    definition = core_groups.define({"name": "A group", "email": email, "sms": sms})
    with world.app.store.writing() as connection:
        made = communication_groups.create(
            connection, world.workspace_id, None, definition, world.clock.now()
        )
    return made.id


@pytest.mark.spec("S1-49")
def test_a_birthday_is_answered_with_a_text_message(world: World) -> None:
    """An `sms_autoresponder` sends the message of its number to the contact's phone; who has none is passed over."""
    box = world.provider("twilio", "texts")
    world.template("wish", subject="Hi", text="Many happy returns, {{ contact.given_name }}")
    with world.app.store.reading() as connection:
        stored = templates.read(connection, world.workspace_id, "wish")
    assert stored is not None
    birthday = {"birthdate": "1990-01-02"}
    world.contact("ana", **PROFILE, **birthday, given_name="Ana")
    world.contact("ben", email="ben@example.com", **birthday)
    world.date_automation(
        actiontype="sms_autoresponder", actiontarget=stored.number, actiontimediff=60, actiononweekend=True
    )
    world.pass_time(days=2)
    assert [(one.address, one.content) for one in box.received] == [
        ("+442079460100", channels.Words("Hi", "Many happy returns, Ana"))
    ]
    assert world.mailbox.received == []
