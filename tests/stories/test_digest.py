"""A blog's digest: comments come in by ones, and the author hears of them once, when it has become quiet."""

from collections.abc import Iterator

import pytest

from heliograph import testing

COLLECT = {
    "action": "add-to-batch",
    "batch_id": "${`comments-${data.post}`}",
    "scope": "user",
    "wait_period": "PT10M",
    "max_wait_period": "PT1H",
    "retain": {"type": "highest", "count": 3, "sort_key": "likes"},
    "category_key": "comments",
}


@pytest.fixture
def blog(database_url: str) -> Iterator[testing.World]:
    """Ana's blog: a journey that collects what is said under a post."""
    with testing.World(database_url) as made:
        furnish(made)
        yield made


def furnish(world: testing.World) -> None:
    """Ana, her digest, and the journey that makes it."""
    world.contact("ana", email="ana@example.com", given_name="Ana")
    world.template(
        "digest",
        subject="{{ comments.count }} comments on {{ post }}",
        text="{% for one in comments.items %}{{ one.by }}: {{ one.text }}\n{% endfor %}",
    )
    world.journey(
        "digest",
        COLLECT,
        {"action": "send", "template": "digest"},
        trigger={"event_type": "comment_written"},
    )


def comment(blog: testing.World, by: str, *, post: str = "Soup", likes: int = 0) -> None:
    """Somebody writes under one of Ana's posts."""
    payload = {"post": post, "by": by, "text": f"from {by}", "likes": likes}
    blog.event("comment_written", contact_id="ana", payload=payload)
    blog.pass_time(minutes=2)


@pytest.mark.spec("S2-04", "S2-05", "S2-06", "S2-21")
def test_a_digest_of_comments(blog: testing.World) -> None:
    """Five comments, one mail: the three that are liked most, and how many there were; another post has its own."""
    for likes, by in enumerate(("bob", "cid", "dot", "eve", "flo")):
        comment(blog, by, likes=likes)
    comment(blog, "gus", post="Bread")
    assert blog.mailbox.received == []
    blog.pass_time(minutes=15)
    soup, bread = blog.mailbox.to("ana@example.com")
    assert soup.subject == "5 comments on Soup"
    assert soup.text.split() == ["flo:", "from", "flo", "eve:", "from", "eve", "dot:", "from", "dot"]
    assert bread.subject == "1 comments on Bread"

    comment(blog, "bob")
    blog.pass_time(hours=1)
    assert [mail.subject for mail in blog.mailbox.received[2:]] == ["1 comments on Soup"]


@pytest.mark.spec("S2-12")
def test_a_busy_post_is_told_of_every_hour(blog: testing.World) -> None:
    """Where comments never stop, the longest wait releases what there is, and the next one opens a new digest."""
    for number in range(40):
        comment(blog, f"c{number}")
    assert [mail.subject for mail in blog.mailbox.received] == ["30 comments on Soup"]
    blog.pass_time(hours=1)
    assert [mail.subject for mail in blog.mailbox.received[1:]] == ["10 comments on Soup"]
