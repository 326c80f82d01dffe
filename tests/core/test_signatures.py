"""Signatures of webhooks: what Standard Webhooks says, and what its reference signs."""

from heliograph.core import signatures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_specification() -> None:
    """The specification's own secret, id, time and body give its signature."""
    made = signatures.headers(
        [SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000_000, b'{"test": 2432232314}'
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_sign_twice() -> None:
    """While a secret is replaced, a receiver that knows either finds a signature of its own."""
    other = signatures.write_secret(bytes(range(24)))
    made = signatures.headers([other, SECRET], "m", 5_999_999, b"{}")
    alone = signatures.headers([SECRET], "m", 5_000_000, b"{}")
    assert made["webhook-signature"].split(" ")[1] == alone["webhook-signature"]
    assert made["webhook-timestamp"] == "5"
