"""Communication groups: what may be written, and what a letter is made of."""

import pytest

from heliograph import errors
from heliograph.core import communication_groups


def test_a_group_is_changed_part_by_part() -> None:
    """Of the e-mail the given fields change, null empties one, and a null e-mail is none."""
    made = communication_groups.define({"name": "News", "email": {"subject": "Hi", "text_body": "Text"}})
    changed = communication_groups.change(made, {"email": {"subject": None, "html_body": "<b>Text</b>"}})
    assert changed.email == communication_groups.Email(text_body="Text", html_body="<b>Text</b>")
    assert communication_groups.change(changed, {"email": None, "name": "Other"}) == (
        communication_groups.Definition(name="Other")
    )


def test_every_fault_of_a_group_is_told() -> None:
    """Templates that cannot be filled, addresses that are none and unknown fields are refused with their places."""
    with pytest.raises(errors.InvalidInput) as refusal:
        communication_groups.define(
            {
                "name": "",
                "email": {"subject": "{{ a", "text_body": 3, "sender": "nobody", "boddy": ""},
                "sms": {"body": "x"},
                "push": {},
            }
        )
    assert {fault.path for fault in refusal.value.faults} == {
        "name", "push", "sms.body", "email.subject", "email.text_body", "email.sender", "email.boddy",
    }  # fmt: skip


def test_a_group_says_what_it_lacks() -> None:
    """A campaign needs an e-mail with a text."""
    empty = communication_groups.define({"name": "News"})
    assert "no e-mail" in str(communication_groups.unready(empty))
    html = communication_groups.define({"name": "News", "email": {"html_body": "<p>Hi</p>"}})
    assert "text_body" in str(communication_groups.unready(html))
    assert (
        communication_groups.unready(communication_groups.change(html, {"email": {"text_body": "Hi"}}))
        is None
    )


def test_the_preview_stands_hidden_before_the_text() -> None:
    """The preview text leads the HTML, inside its body, escaped but for its Liquid."""
    made = communication_groups.define(
        {
            "name": "News",
            "email": {
                "html_body": '<html><BODY class="a"><p>Hi</p></body></html>',
                "text_body": "Hi",
                "preview_text": 'Tea & {{ contact.plan | default: "<b>" }}',
            },
        }
    )
    html = communication_groups.content(made)["html"]
    assert html.startswith('<html><BODY class="a"><div style="display:none')
    assert '>Tea &amp; {{ contact.plan | default: "<b>" }}</div><p>Hi</p>' in html
    bare = communication_groups.change(made, {"email": {"html_body": "<p>Hi</p>"}})
    assert communication_groups.content(bare)["html"].endswith("</div><p>Hi</p>")
