"""Reports of providers: taken by their signatures, once, and as what they mean."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from email.message import Message
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from heliograph import channels, testing
from heliograph.core import ids, schedule
from heliograph.store import retention, safe
from tests import tables
from tests.channels import certificates
from tests.web.client import Client, faults

PLACE = "https://mail.shop.example"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mail"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem"
HOUR = 3_600_000_000


@pytest.fixture
def api(database_url: str) -> Iterator[Client]:
    """A client of an application that has a key for secrets, on each database in turn."""
    with Client(database_url, secret_key=safe.drawn(), public_url=PLACE) as made:
        yield made


@pytest.fixture
def lone_api(ready_sqlite_url: str) -> Iterator[Client]:
    """The same on SQLite, for what no database has a part in."""
    with Client(ready_sqlite_url, secret_key=safe.drawn(), public_url=PLACE) as made:
        yield made


def write_to(api: Client, *people: str) -> dict[str, str]:
    """An e-mail to each of these people; their ids."""
    for name in people:
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com"}})
    api.make_rule(conditions=[], actions=[{"type": "send_message", "text": "hello"}])
    for name in people:
        api.happen(contact_id=name)
    api.decide()
    return {one["recipient"]: one["id"] for one in api.get("/messages").json()["results"]}


def provider(api: Client, reports: str, *, enabled: bool = True, **settings: str) -> str:
    """A mail server whose service reports; the path at which it does."""
    given = {"host": "smtp.example.com", "reports": reports, **settings}
    made = api.post(
        "/providers",
        {"provider": "smtp", "alias": f"by-{reports}", "settings": given, "enabled": enabled},
    )
    assert made.status_code == 200, made.text
    return f"/inbound/providers/by-{reports}"


def stands(api: Client) -> dict[str, str]:
    """How each recipient's message stands; what bounced has its kind."""
    api.decide()
    return {
        one["recipient"]: one["bounce"] or one["status"] for one in api.get("/messages").json()["results"]
    }


def suppressed(api: Client) -> list[str]:
    """Addresses that nothing is sent to."""
    return [one["address"] for one in api.get("/api/suppressions").json()["data"]]


def test_workspaces_may_share_a_service(lone_api: Client) -> None:
    """Of providers that have one name and one key in two workspaces, each hears what is told of its own messages."""
    api = lone_api
    other = api.key("admin", workspace="other")
    message = {"to": {"email": "ana@example.com"}, "content": {"title": "t", "body": "b"}}
    wire = api.post("/send", {"message": message}, key=other).json()["requestId"]
    api.decide()
    mail = ids.text(ids.of_wire(wire) or b"")
    settings = {"host": "smtp.example.com", "reports": "mailgun", "reports_key": "key"}
    for key in ("", other):
        given = {"provider": "smtp", "alias": "mails", "settings": settings}
        assert api.post("/providers", given, key=key).status_code == 200
    seconds = str(api.clock.now() // 1_000_000)
    signature = hmac.new(b"key", f"{seconds}t".encode(), hashlib.sha256).hexdigest()
    told = {
        "signature": {"timestamp": seconds, "token": "t", "signature": signature},
        "event-data": {"event": "opened", "message": {"headers": {"message-id": f"{mail}@shop.example"}}},
    }
    assert api.post("/inbound/providers/mails", told, key=None).status_code == 200
    api.decide()
    assert api.get(f"/messages/{wire}", key=other).json()["status"] == "OPENED"


# ── SendGrid ────────────────────────────────────────────────────────────────────────────────────────


def signed_by_sendgrid(key: ec.EllipticCurvePrivateKey, body: bytes, at: int) -> dict[str, str]:
    """The headers of a call of the event webhook."""
    written = str(at // 1_000_000)
    signature = key.sign(written.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": written,
        "Content-Type": "application/json",
    }


def test_sendgrid_tells_of_many_messages_at_once(api: Client) -> None:
    """Events of SendGrid are taken by its key; a wrong signature, an old one and a repeat change nothing."""
    mails = write_to(api, "ana", "ben", "cleo", "dot", "eve")
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    refused = api.post(
        "/providers", {"provider": "smtp", "settings": {"host": "a.example", "reports": "sendgrid"}}
    )
    assert faults(refused).keys() == {"settings.reports_key"}
    path = provider(api, "sendgrid", reports_key=base64.b64encode(public).decode())
    now = api.clock.now()
    api.clock.move(HOUR)

    def event(name: str, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "event": kind,
            "smtp-id": f"<{mails[name]}@shop.example>",
            "timestamp": now // 1_000_000 + 1,
            **more,
        }

    body = json.dumps(
        [
            event("ana", "delivered"),
            event("ana", "click", url="https://shop.example/"),
            event("ben", "bounce", type="bounce", status="5.1.1", reason="550 5.1.1 no such user"),
            event("cleo", "bounce", type="bounce", status="5.2.2", reason="552 5.2.2 over quota"),
            event("dot", "spamreport"),
            event("eve", "open", sg_machine_open=True),
            event("eve", "deferred"),
            {"event": "delivered", "smtp-id": "<somebody@else.example>"},
        ]
    ).encode()

    def tell(body: bytes, headers: dict[str, str]) -> int:
        return api.send("POST", path, key=None, content=body, headers=headers).status_code

    other = ec.generate_private_key(ec.SECP256R1())
    assert tell(body, signed_by_sendgrid(other, body, now)) == 403
    assert tell(body + b" ", signed_by_sendgrid(key, body, now)) == 403
    assert tell(body, signed_by_sendgrid(key, body, now - 26 * HOUR)) == 403
    assert tell(body, {}) == 403
    assert api.send("POST", "/inbound/providers/nobody", key=None, content=body).status_code == 404
    assert set(stands(api).values()) == {"SENT"}

    headers = signed_by_sendgrid(key, body, now)
    answer = api.send("POST", path, key=None, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"reports": 5})
    wanted = {"ana": "CLICKED", "ben": "hard", "cleo": "soft", "dot": "DELIVERED", "eve": "SENT"}
    assert stands(api) == wanted
    assert suppressed(api) == ["ben@example.com", "dot@example.com"]
    answer = api.send("POST", path, key=None, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"reports": 0})
    (ana,) = api.get("/messages", params={"recipient": "ana"}).json()["results"]
    assert ana["delivered"] == now // 1000 + 1000


# ── Mailgun ─────────────────────────────────────────────────────────────────────────────────────────


def test_mailguns_token_is_good_for_one_report(lone_api: Client) -> None:
    """What Mailgun tells is signed by a token alone: it is taken once, and the same token brings nothing else."""
    api = lone_api
    mails = write_to(api, "ana", "ben", "cleo")
    path, now = provider(api, "mailgun", reports_key="signing key"), api.clock.now()

    def webhook(
        name: str, token: str, *, key: str = "signing key", at: int = now, **told: Any
    ) -> dict[str, Any]:
        seconds = str(at // 1_000_000)
        signature = hmac.new(key.encode(), f"{seconds}{token}".encode(), hashlib.sha256).hexdigest()
        headers = {"message-id": f"{mails[name]}@shop.example"}
        told = {name.replace("_", "-"): value for name, value in told.items()}
        told = {"timestamp": now / 1e6, "message": {"headers": headers}, **told}
        return {
            "signature": {"timestamp": seconds, "token": token, "signature": signature},
            "event-data": told,
        }

    def tell(given: Any) -> int:
        return api.post(path, given, key=None).status_code

    assert tell(webhook("ana", "t1", key="other", event="opened")) == 403
    assert tell(webhook("ana", "t1", at=now - 26 * HOUR, event="opened")) == 403
    assert tell({"event-data": {}}) == 403
    opened = webhook("ana", "t1", event="opened")
    assert [tell(opened), tell(opened)] == [200, 200]
    forged = {**opened, "event-data": webhook("ben", "t2", event="complained")["event-data"]}
    assert tell(forged) == 403
    assert tell(webhook("ben", "t3", event="failed", severity="temporary")) == 200
    assert tell(webhook("cleo", "t4", event="opened", client_info={"bot": "apple"})) == 200
    assert stands(api) == {"ana": "OPENED", "ben": "SENT", "cleo": "SENT"}
    gone = {"code": 550, "message": "no such user", "enhanced-code": "5.1.1"}
    assert tell(webhook("ben", "t5", event="failed", severity="permanent", delivery_status=gone)) == 200
    assert stands(api)["ben"] == "hard"


# ── Amazon SES ──────────────────────────────────────────────────────────────────────────────────────


class Amazon:
    """SNS with a certificate of its own, and what is asked of its hosts."""

    def __init__(self, api: Client):
        self.api, self.asked = api, list[str]()
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        )
        made = made.serial_number(1).not_valid_before(certificates.SINCE).not_valid_after(certificates.UNTIL)
        self._certificate = made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        api.world.app.fetch = self.fetch

    async def fetch(self, url: str) -> bytes:
        """What is at an address of Amazon's."""
        self.asked.append(url)
        return self._certificate

    def envelope(self, kind: str, message: Any, *, version: str = "2", **changed: Any) -> dict[str, Any]:
        """A signed envelope."""
        told = {
            "Type": kind,
            "MessageId": f"m{len(self.asked)}-{hash(str(message)) % 1000}",
            "TopicArn": TOPIC,
            "Message": message if isinstance(message, str) else json.dumps(message),
            "Timestamp": schedule.write_instant(self.api.clock.now()),
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE,
            **changed,
        }
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        signed = "".join(f"{name}\n{told[name]}\n" for name in names if name in told)
        digest = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), digest)
        return {**told, "Signature": base64.b64encode(signature).decode()}


def of_ses(kind: str, message_id: str, **detail: Any) -> dict[str, Any]:
    """A notification of SES's about a message."""
    mail = {"messageId": "0102", "commonHeaders": {"messageId": f"<{message_id}@shop.example>"}}
    return {
        "notificationType": kind,
        "mail": mail,
        kind.lower(): {"timestamp": "2026-01-05T12:00:01Z", **detail},
    }


def test_amazon_tells_through_sns(lone_api: Client) -> None:
    """A topic is confirmed, and what SES tells is taken in both versions of the signature, of Amazon's hosts alone."""
    api = lone_api
    mails = write_to(api, "ana", "ben", "cleo")
    path, amazon = provider(api, "ses", reports_topic=TOPIC), Amazon(api)
    api.clock.move(5_000_000)

    def tell(given: dict[str, Any]) -> int:
        # SNS calls its JSON plain text.
        headers = {"Content-Type": "text/plain; charset=UTF-8"}
        return api.send("POST", path, key=None, content=json.dumps(given), headers=headers).status_code

    subscribing = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
    confirmation = {"SubscribeURL": subscribing, "Token": "t"}
    assert tell(amazon.envelope("SubscriptionConfirmation", "confirm", **confirmation)) == 200
    assert amazon.asked == [CERTIFICATE, subscribing]

    delivered = of_ses("Delivery", mails["ana"], smtpResponse="250 ok")
    for version in ("1", "2"):
        assert tell(amazon.envelope("Notification", delivered, version=version, Subject="x")) == 200
    bounced = [{"diagnosticCode": "smtp; 550 5.1.1 no such user"}]
    gone = of_ses("Bounce", mails["ben"], bounceType="Permanent", bouncedRecipients=bounced)
    assert tell(amazon.envelope("Notification", gone)) == 200
    assert tell(amazon.envelope("Notification", "Successfully validated SNS topic")) == 200
    assert stands(api) == {"ana": "DELIVERED", "ben": "hard", "cleo": "SENT"}
    assert api.get(f"/messages/{mails['ben']}").json()["error"] == "smtp; 550 5.1.1 no such user"
    assert amazon.asked == [CERTIFICATE, subscribing]

    complaint = of_ses("Complaint", mails["cleo"])
    good = amazon.envelope("Notification", complaint)
    assert tell({**good, "Message": json.dumps(gone)}) == 403
    assert tell({**good, "SignatureVersion": "1"}) == 403
    for changed in (
        {"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem"},
        {"SigningCertURL": "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/a.pem"},
        {"SigningCertURL": "https://user@sns.eu-west-1.amazonaws.com/a.pem"},
        {"TopicArn": f"{TOPIC}-of-somebody"},
        {"Timestamp": "2026-01-04T10:00:00Z"},
        {"Type": "Other"},
    ):
        assert tell(amazon.envelope("Notification", complaint, **changed)) == 403, changed
    away = {"SubscribeURL": "https://evil.example/", "Token": "t"}
    assert tell(amazon.envelope("SubscriptionConfirmation", "confirm", **away)) == 403
    assert (stands(api)["cleo"], amazon.asked) == ("SENT", [CERTIFICATE, subscribing])


# ── Twilio ──────────────────────────────────────────────────────────────────────────────────────────


def test_twilio_calls_back(lone_api: Client) -> None:
    """A status callback is signed over the address that was called and all it says."""
    api = lone_api
    mails = write_to(api, "ana", "ben")
    settings = {"account_sid": "AC1", "auth_token": "secret", "from": "+4912345"}
    assert (
        api.post("/providers", {"provider": "twilio", "alias": "text", "settings": settings}).status_code
        == 200
    )

    def tell(name: str, *, token: str = "secret", at: str = PLACE, to: str = "text", **told: str) -> int:
        path = f"/inbound/providers/{to}?message={mails[name]}"
        given = {"MessageSid": "SM1", "To": "+49", **told}
        signed = at + path + "".join(f"{key}{given[key]}" for key in sorted(given))
        made = base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        headers = {"X-Twilio-Signature": made, "Content-Type": "application/x-www-form-urlencoded"}
        return api.send("POST", path, key=None, content=urlencode(given), headers=headers).status_code

    assert tell("ana", token="other", MessageStatus="delivered") == 403
    assert tell("ana", at="https://elsewhere.example", MessageStatus="delivered") == 403
    assert stands(api) == {"ana": "SENT", "ben": "SENT"}
    for status, to in (("sent", "text"), ("sent", "t%65xt/"), ("delivered", "text"), ("delivered", "text")):
        assert tell("ana", MessageStatus=status, to=to) == 200
    assert tell("ben", MessageStatus="undelivered", ErrorCode="30005", ErrorMessage="Unknown") == 200
    assert stands(api) == {"ana": "DELIVERED", "ben": "hard"}


# ── what a provider calls a message ─────────────────────────────────────────────────────────────────


def called(*names: str) -> Callable[[channels.Outgoing], channels.Answer]:
    """A provider that gives these names to what it takes, one after the other."""
    left = iter(names)
    return lambda _: channels.Answer(channels.Outcome.ACCEPTED, "", next(left), "250", "ok")


NAMES = (("abc.def", "ana"), ("14c5d", "ben"), ("kept", "cleo"))


def references(api: Client) -> list[list[Any]]:
    """The names that are kept."""
    found = tables.rows(api.store, "message_references")
    return sorted([row["reference"], ids.text(row["message_id"])] for row in found)


def test_a_message_is_found_by_what_its_provider_calls_it(api: Client) -> None:
    """A report that has not our id is of the message that was taken under that name, in this workspace alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path = provider(api, "sendgrid", reports_key=base64.b64encode(public).decode())
    box = api.world.outboxes.setdefault("by-sendgrid", testing.Outbox("email"))
    box.answer = called("abc.def", "14c5d", "kept")
    mails = write_to(api, "ana", "ben", "cleo")
    assert references(api) == sorted([name, mails[who]] for name, who in NAMES)
    events: list[dict[str, Any]] = [
        {"event": "delivered", "sg_message_id": "abc.def.filter0001.16648.5515E0B88.0"},
        {"event": "open", "sg_message_id": "14c5d.recvd-7-1", "smtp-id": "<theirs@sendgrid.example>"},
        {"event": "delivered", "sg_message_id": "nobody.filter1"},
        {"event": "delivered", "sg_message_id": ""},
        {"event": "delivered", "sg_message_id": 7},
    ]
    now = api.clock.now()
    body = json.dumps([{"timestamp": now // 1_000_000, **one} for one in events]).encode()
    headers = signed_by_sendgrid(key, body, now)
    answer = api.send("POST", path, key=None, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"reports": 2})
    assert stands(api) == {"ana": "DELIVERED", "ben": "OPENED", "cleo": "SENT"}
    # What is forgotten takes its names with it.
    api.clock.move(400 * 24 * HOUR)
    before, owner = api.clock.now() - 24 * HOUR, api.world.workspace_id
    for kind in retention.KINDS:
        retention.forget(api.store, owner, kind, retention.START, before, 100)
    assert references(api) == []


def test_every_provider_may_use_its_own_name(lone_api: Client) -> None:
    """SES, Mailgun and Twilio as well; of what nobody reports on no name is kept."""
    api = lone_api
    api.mailbox.answer = called("first", "second")
    hello = {"content": {"title": "", "body": "x"}}
    api.post("/send", {"message": {**hello, "to": {"email": "eve@example.com"}}})
    api.decide()
    assert references(api) == []
    path, amazon = provider(api, "ses", reports_topic=TOPIC, enabled=False), Amazon(api)
    mails = write_to(api, "ana")
    told = {"notificationType": "Delivery", "mail": {"messageId": "second"}, "delivery": {}}
    certificate = CERTIFICATE.replace("-1.pem", "-2.pem")
    content = json.dumps(amazon.envelope("Notification", told, SigningCertURL=certificate))
    assert api.send("POST", path, key=None, content=content).json() == {"reports": 1}
    assert stands(api)["ana"] == "DELIVERED"
    assert references(api) == [["second", mails["ana"]]]

    settings = {"account_sid": "AC1", "auth_token": "secret", "from": "+4912345"}
    api.world.provider("twilio", "text", settings=settings).answer = called("SM7")
    message = {**hello, "to": {"phone_number": "+15005550001"}}
    api.post("/send", {"message": {**message, "routing": {"method": "single", "channels": ["sms"]}}})
    api.decide()
    path, given = "/inbound/providers/text", {"MessageSid": "SM7", "MessageStatus": "delivered"}
    signed = PLACE + path + "".join(f"{key}{given[key]}" for key in sorted(given))
    made = base64.b64encode(hmac.new(b"secret", signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": made, "Content-Type": "application/x-www-form-urlencoded"}
    answer = api.send("POST", path, key=None, content=urlencode(given), headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"reports": 1})
    assert stands(api)["+15005550001"] == "DELIVERED"


# ── e-mails that come back ──────────────────────────────────────────────────────────────────────────


def notification(
    message_id: str | None,
    status: str,
    action: str = "failed",
    to: str = "b@shop.example",
    date: str = "Mon, 05 Jan 2026 12:00:02 +0000",
) -> bytes:
    """A delivery status notification as a mail server writes it."""
    mail = MIMEMultipart("report", report_type="delivery-status")
    mail["To"], mail["Subject"] = to, "Undelivered Mail Returned to Sender"
    mail["Date"] = date
    mail.attach(MIMEText("It came back."))
    whole, one = Message(), Message()
    whole["Reporting-MTA"] = "dns; mx.example.com"
    one["Final-Recipient"] = "rfc822; ana@example.com"
    one["Action"], one["Status"] = action, status
    one["Diagnostic-Code"] = f"smtp; 550 {status} no"
    told = Message()
    told["Content-Type"] = "message/delivery-status"
    told.set_payload([whole, one])
    mail.attach(told)
    if message_id is not None:
        returned = Message()
        returned["Message-ID"], returned["Subject"] = f"<{message_id}@shop.example>", "Hello"
        returned.set_payload("Hello")
        mail.attach(MIMEMessage(returned))
    return mail.as_bytes()


@pytest.mark.parametrize("zone", ["+0000", "-0000"])
def test_when_an_email_came_back(lone_api: Client, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """What its date says goes, wherever our server stands: one that names no zone is in UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    mails = write_to(lone_api, "ana")
    lone_api.make_rule(trigger_type="message_bounced", conditions=[])
    lone_api.clock.move(2 * schedule.HOUR)
    mail = notification(mails["ana"], "5.1.1", date=f"Mon, 05 Jan 2026 13:00:00 {zone}")
    lone_api.send("POST", "/inbound/bounces", content=mail)
    lone_api.decide()
    (told,) = [row for row in tables.rows(lone_api.store, "events") if row["event_type"] == "message_bounced"]
    assert json.loads(told["payload"])["bounced_at"] == "2026-01-05T13:00:00.000000Z"
    monkeypatch.undo()
    time.tzset()


def test_guesses_that_stumble_tell_nothing(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An e-mail over which the guesses at old mail servers stumble is no bounce, and no fault of ours either."""

    def stumble(_mail: object) -> None:
        raise IndexError("no address")

    monkeypatch.setattr("flufl.bounce.all_failures", stumble)
    write_to(api, "ana")
    answer = api.send("POST", "/inbound/bounces", content=b"Subject: Undelivered\n\nSorry.")
    assert (answer.status_code, answer.json()) == (202, {"reports": 0})
    assert stands(api) == {"ana": "SENT"}


def test_an_email_of_endless_depth_tells_nothing(lone_api: Client) -> None:
    """Mails within mails, more than anybody reads, are no bounce; who handed one on is not asked to do so again."""
    raw = b"Subject: x\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 3_000
    answer = lone_api.send("POST", "/inbound/bounces", content=raw)
    assert (answer.status_code, answer.json()) == (202, {"reports": 0})


def test_an_email_that_comes_back(api: Client) -> None:
    """A notification leads back by the Message-ID of what it returns, or the address that it was sent to."""
    mails = write_to(api, "ana", "ben", "cleo", "dot", "eve")

    def tell(raw: bytes, key: str = "", **headers: str) -> int:
        answer = api.send("POST", "/inbound/bounces", key=key, content=raw, headers=headers)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["reports"])

    verp = f"bounces+{mails['cleo'].replace('-', '')}@shop.example"
    ingest = api.key("ingest")
    assert tell(notification(mails["ana"], "5.1.1"), ingest, **{"Content-Type": "message/rfc822"}) == 1
    assert tell(notification(mails["ben"], "5.2.2")) == 1
    assert tell(notification(None, "5.1.10", to=verp)) == 1
    assert tell(notification(mails["dot"], "4.4.1", action="delayed")) == 0
    assert tell(notification(mails["dot"], "2.0.0", action="delivered")) == 1
    assert tell(notification("01000000-0000-7000-8000-000000000000", "5.1.1")) == 0
    complaint = MIMEMultipart("report", report_type="feedback-report")
    feedback = Message()
    feedback["Content-Type"] = "message/feedback-report"
    feedback.set_payload("Feedback-Type: abuse\nUser-Agent: x/1\nVersion: 1\n")
    returned = MIMEText(f"Message-ID: <{mails['eve']}@shop.example>\n", "rfc822-headers")
    for part in (feedback, returned):
        complaint.attach(part)
    assert tell(complaint.as_bytes()) == 1
    for strange in (
        b"",
        b"\xff\xfe\x00",
        b"Subject: out of office\n\nI am away.",
        b"Content-Type: message/rfc822\n\n",
    ):
        assert tell(strange) == 0
    wanted = {"ana": "hard", "ben": "soft", "cleo": "hard", "dot": "DELIVERED", "eve": "DELIVERED"}
    assert stands(api) == wanted
    assert suppressed(api) == ["ana@example.com", "cleo@example.com", "eve@example.com"]
    assert api.post("/inbound/bounces", {}, key="").status_code == 415
    assert api.send("POST", "/inbound/bounces", key=None, content=b"").status_code == 401


def test_each_email_comes_back_to_an_address_of_its_own(ready_sqlite_url: str) -> None:
    """With an address for bounces the envelope of each e-mail names its message, by which its bounce is known."""
    with Client(ready_sqlite_url, bounce_address="bounces@shop.example") as api:
        senders = []

        def answer(outgoing: channels.Outgoing) -> channels.Answer:
            senders.append(outgoing.sender)
            return testing.accepted(outgoing)

        api.mailbox.answer = answer
        mails = write_to(api, "ana")
        assert senders == [f"bounces+{mails['ana'].replace('-', '')}@shop.example"]
        raw = notification(None, "5.1.1", to=senders[0])
        assert api.send("POST", "/inbound/bounces", content=raw).json() == {"reports": 1}
        assert stands(api) == {"ana": "hard"}
