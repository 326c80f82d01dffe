"""`apply` of segments, communication groups and campaigns."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from heliograph.core.campaigns import State
from heliograph.store import campaigns, communication_groups, database, schema, segments, workspaces
from tests.cli import program

SEGMENT = """\
kind: segment
id: 5a0b0000-0000-4000-8000-0000000000b1
name: Pros
conditions:
  - {field: plan, operator: equals, value: pro}
"""
GROUP = """\
kind: communication_group
id: 5a0b0000-0000-4000-8000-0000000000b2
name: News
email: {subject: "Hello {{ first_name }}", text_body: Hello}
"""
CAMPAIGN = """\
kind: campaign
id: 5a0b0000-0000-4000-8000-0000000000b3
name: Sale
status: active
include_segments: [5a0b0000-0000-4000-8000-0000000000b1]
exclude_segments: []
action_data:
  - action_type: send_communication
    action_metadata: {communication_group_id: 5a0b0000-0000-4000-8000-0000000000b2}
trigger_metadata: {scheduled_at: 2099-01-01T10:00:00, timezone: Europe/Berlin}
"""


def folder(place: Path, **files: str) -> Path:
    """A folder of these files."""
    place.mkdir(exist_ok=True)
    for name, content in files.items():
        (place / f"{name}.yaml").write_text(content, encoding="utf-8")
    return place


def test_what_a_campaign_refers_to_is_applied_before_it(
    house: str, tmp_path: Path, tell: program.Tell
) -> None:
    """Segments and groups come first, a campaign is activated where its file says so, and again is no change."""
    files = folder(tmp_path / "d", a=CAMPAIGN, b=SEGMENT, c=GROUP)
    told = tell("apply", files)
    assert told.lines == [
        "segment   Pros: created",
        "communication_group News: created",
        "campaign  Sale: created",
        "3 created, 0 changed, 0 unchanged in the workspace default",
    ]
    again = tell("apply", files)
    assert again.lines[-1] == "0 created, 0 changed, 3 unchanged in the workspace default"
    store = database.Database(house)
    with store.reading() as connection:
        owner = workspaces.find(connection, "default")
        assert owner is not None
        (campaign,) = campaigns.listed(connection, owner, None)
        assert [one.definition.name for one in segments.listed(connection, owner, None)] == ["Pros"]
        assert [one.definition.name for one in communication_groups.listed(connection, owner, None)] == [
            "News"
        ]
        (timer,) = connection.execute(sa.select(schema.timers.c.wake_at)).scalars()
    store.close()
    assert campaign.standing.state is State.ACTIVE
    assert timer == (campaign.standing.due_at or 0) - 60_000_000


def test_what_changed_of_a_campaign_is_named(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """Each kind tells the fields that differ."""
    files = folder(tmp_path / "d", a=CAMPAIGN, b=SEGMENT, c=GROUP)
    tell("apply", files)
    folder(files, a=CAMPAIGN.replace("name: Sale", "name: Last sale"))
    folder(files, b=SEGMENT.replace("value: pro", "value: [pro, gold]"), c=GROUP.replace("News", "Daily"))
    assert tell("apply", files).lines == [
        "segment   Pros: changed: conditions",
        "communication_group Daily: changed: name (version 2)",
        "campaign  Last sale: changed: name (version 2)",
        "0 created, 3 changed, 0 unchanged in the workspace default",
    ]
    folder(files, a=CAMPAIGN.replace("status: active", "status: deactivated"))
    assert "campaign  Sale: changed: name, status (version 3)" in tell("apply", files).lines


def test_a_segment_of_what_is_true_is_not_that_of_one(house: str, tmp_path: Path, tell: program.Tell) -> None:
    """A segment's value counts as it is written: `true` in place of 1 is a change."""
    files = folder(tmp_path / "d", b=SEGMENT.replace("value: pro", "value: 1"))
    tell("apply", files)
    folder(files, b=SEGMENT.replace("value: pro", "value: true"))
    assert tell("apply", files).lines[0] == "segment   Pros: changed: conditions"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a", CAMPAIGN.replace("0000b1]", "0000ff]"), "there is no segment"),
        ("a", CAMPAIGN.replace("status: active", "status: running"), "a.yaml"),
        ("a", CAMPAIGN.replace("timezone: Europe/Berlin", "timezone: null"), "a.yaml:10: trigger_metadata"),
        ("b", SEGMENT.replace("operator: equals", "operator: is"), "b.yaml:5: conditions[0].operator"),
        ("c", GROUP.replace("subject", "subjekt"), "c.yaml:4: email.subjekt"),
    ],
)
def test_a_file_with_a_fault_stops_all(
    house: str, tmp_path: Path, tell: program.Tell, name: str, content: str, said: str
) -> None:
    """A fault names its file, and nothing is applied."""
    files = folder(tmp_path / "d", **{"a": CAMPAIGN, "b": SEGMENT, "c": GROUP, name: content})
    told = tell("apply", files)
    assert told.code == 1
    assert said in told.err
    store = database.Database(house)
    with store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.segments)).scalar_one() == 0
    store.close()
