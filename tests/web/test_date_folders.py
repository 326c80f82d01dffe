"""Folders of lists that a workspace keeps apart, and the date automations that fill these lists."""

import pytest

from tests.web import client
from tests.web.test_dates import PATH, create, enlisting, listed, news, one, refusal


def shop(api: client.Client) -> dict[str, int]:
    """A workspace that keeps folders apart, with lists in and beside them; their numbers."""
    api.world.company(folderrestrict=True)
    return {name: news(api, name) for name in ("spring.shoes", "spring.old.hats", "autumn.coats", "news")}


@pytest.mark.spec("S1-73")
def test_a_list_of_a_folder_that_is_not_seen_is_filled_by_nobody(api: client.Client) -> None:
    """Creating, and changing the target, is a 403 for a list in another folder, and leaves nothing behind."""
    numbers = shop(api)
    spring = api.key("supervisor", folders=("spring",))
    told = refusal(api.post(PATH, enlisting(numbers["autumn.coats"]), key=spring), 403)
    assert told == (
        f"actiontarget: the list {numbers['autumn.coats']} is in a folder that this key does not see"
    )
    assert listed(api) == []
    made = [
        create(api, spring, **enlisting(numbers[name]))
        for name in ("spring.shoes", "spring.old.hats", "news")
    ]
    change = {"actiontarget": numbers["autumn.coats"]}
    assert refusal(api.put(f"{PATH}/{made[0]['id']}", change, key=spring), 403)
    assert one(api.get(f"{PATH}/{made[0]['id']}")) == made[0]
    # A folder is its whole name, and a key that is kept to none sees lists in no folder.
    sprin, none = api.key("supervisor", folders=("sprin", "spring.shoes")), api.key("supervisor")
    for key in (sprin, none):
        assert refusal(api.post(PATH, enlisting(numbers["spring.shoes"]), key=key), 403)
        assert create(api, key, **enlisting(numbers["news"]))


@pytest.mark.spec("S1-72")
def test_what_fills_a_list_that_is_not_seen_is_not_there(api: client.Client) -> None:
    """It is left out of the list, and a 404 to read, change and delete, and to ask what it has queued."""
    numbers = shop(api)
    spring = api.key("supervisor", folders=("spring",))
    shoes = create(api, **enlisting(numbers["spring.shoes"]))["id"]
    coats = create(api, **enlisting(numbers["autumn.coats"]))["id"]
    call = create(api)["id"]
    assert [found["id"] for found in api.get(PATH, key=spring).json()["response"]["data"]] == [shoes, call]
    for answer in (
        api.get(f"{PATH}/{coats}", key=spring),
        api.get(f"{PATH}/{coats}/actions", key=spring),
        api.put(f"{PATH}/{coats}", {"paused": True}, key=spring),
        api.delete(f"{PATH}/{coats}", key=spring),
    ):
        assert refusal(answer, 404)
    assert api.get(f"{PATH}/{shoes}/actions", key=spring).status_code == 200
    assert one(api.get(f"{PATH}/{coats}"))["paused"] is False
    # Once it fills another list it is there, and for admins it always was.
    one(api.put(f"{PATH}/{coats}", {"actiontarget": numbers["spring.shoes"]}))
    assert one(api.get(f"{PATH}/{coats}", key=spring))["id"] == coats


def test_folders_that_are_not_kept_apart_are_open(api: client.Client) -> None:
    """Without the workspace's word, and after it is taken back, every key sees every list."""
    numbers = shop(api)
    spring = api.key("supervisor", folders=("spring",))
    api.world.company(folderrestrict=False)
    made = create(api, spring, **enlisting(numbers["autumn.coats"]))
    api.world.company(folderrestrict=True)
    assert refusal(api.get(f"{PATH}/{made['id']}", key=spring), 404)
