"""What the benchmarks compare is one job: the same decisions, the same text, every side's rows and messages counted."""

import asyncio
from pathlib import Path

import pytest
import typer

from benchmarks import __main__ as command
from benchmarks import engine, job, ledger, mailbox, observer, our_job, results, sides, sink
from heliograph.core import conditions, rules, templates

EVENTS = job.events(1, 0, 300)
NOW = 1_795_000_000_000_000


def test_rules_say_what_the_peers_functions_say() -> None:
    """Our conditions, as JSON, and the peers' plain functions match the same events; of four rules, exactly one."""
    for event in EVENTS:
        facts = conditions.Facts(event.event_type, "api", None, event.payload, None, None, None)
        decided = job.decide(event.event_type, event.payload)
        ours = [conditions.holds(conditions.parse(rule.conditions), facts) for rule, _ in decided]
        assert ours == [matched for _, matched in decided]
        assert sorted(ours) == [False, False, False, True]


def test_every_rule_can_be_created() -> None:
    """The twenty bodies are bodies that our API takes."""
    assert [rules.define(job.wire(rule)).name for rule in job.RULES] == [rule.name for rule in job.RULES]
    assert len(job.RULES) == 20


def test_events_are_of_300_bytes_and_the_same_for_the_same_seed() -> None:
    """A run can be repeated, and its events are as large as is said."""
    sizes = [len(job.body(event)) for event in EVENTS]
    assert 290 <= sum(sizes) / len(sizes) <= 310
    assert job.events(1, 0, 300) == EVENTS
    assert job.expected(EVENTS).total() == len(EVENTS)


def test_the_peers_text_is_the_templates_text() -> None:
    """Plain formatting and the Liquid template give the same message."""
    event, contact = EVENTS[0], job.contacts()[0]
    context = templates.context_for(
        event.payload, contact={"given_name": contact.given_name}, event={"payload": event.payload}
    )
    assert templates.compile_text(job.TEXT).fill(context, NOW) == job.render(
        event.payload, contact.given_name
    )


def test_a_repeated_record_counts_once(tmp_path: Path) -> None:
    """A task queue that does a job twice leaves the rows of one, and rows of anything else are found out."""
    book, connection = ledger.Ledger("sqlite"), ledger.open_sqlite(str(tmp_path / "ledger.db"))
    book.create(connection.cursor())
    for event in EVENTS[:3] + EVENTS[:1]:
        book.mark(connection.cursor(), book.record(connection.cursor(), event, NOW), NOW)
    book.check(connection.cursor(), EVENTS[:3])
    with pytest.raises(sides.Failed, match="instead of 4"):
        book.check(connection.cursor(), EVENTS[:4])
    connection.close()


def test_the_sink_answers_every_key_and_counts_it() -> None:
    """What was handed over twice shows in the sink's count."""
    with sink.running() as address:
        line = sink.Line(address)
        line.send_all([("a", "one"), ("b", "two"), ("a", "one")])
        assert line.seen() == sink.Seen(lines=3, keys=2, size=9)
        line.close()


def test_a_row_has_its_ratio_and_no_more_digits_than_it_means() -> None:
    """Ours divided by theirs, from the figures as they were measured."""
    assert results.row("engine", "sqlite", 12_345.678, "jobs/s", "dbos", 123.456) == results.Row(
        "engine", "sqlite", 12345.7, "jobs/s", "dbos", 123.5, 100.0
    )
    assert results.row("engine", "sqlite", None, "jobs/s", "dbos", 0.012345).ratio is None


def test_our_side_does_the_whole_job(tmp_path: Path) -> None:
    """Our engine's rows are right by the check that judges the bare loop, and the sink saw each message once."""
    with sink.running() as address:
        order = sides.Order("sqlite", str(tmp_path / "ours.db"), address, "", 60, 20, 2)
        outcome = our_job.work(order)
        line = sink.Line(address)
        assert (line.seen().lines, line.seen().keys) == (140, 140)
        line.close()
    assert (len(outcome.seconds), outcome.jobs) == (2, 140)


def test_the_observer_hears_of_every_message_by_its_order() -> None:
    """A mail that comes in pieces, beside others in one write, is noted under the number it speaks of."""

    async def talk() -> list[bytes]:
        async with await mailbox.opened(noted.append) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", mailbox.port_of(server))
            said = b"EHLO me\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
            body = b"Subject: About order-%09d\r\n\r\n.\r\n"
            whole = said + body % 7 + said[9:] + body % 12 + b"QUIT\r\n"
            for piece in (whole[:70], whole[70:110], whole[110:]):
                writer.write(piece)
                await writer.drain()
            answers = (await reader.read()).splitlines()
            writer.close()
        return answers

    noted: list[int] = []
    answers = asyncio.run(talk())
    assert noted == [7, 12]
    assert [answer[:3] for answer in answers].count(b"354") == 2
    assert answers[-1].startswith(b"221")


def test_a_quantile_is_a_value_that_was_measured() -> None:
    """Of a hundred values the 99th in order is the p99, and of one it is that one."""
    values = [float(n) for n in range(100, 0, -1)]
    assert [observer.quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert observer.quantile([3.0], 0.99) == 3.0


def test_a_quick_run_is_the_engine_alone() -> None:
    """`--quick` measures the engine, unless another bench or all of them are named."""
    assert command.chosen(None, quick=True) == [engine.BENCH]
    assert command.chosen("history", quick=True) == ["history"]
    everything = command.chosen("all", quick=True)
    assert everything == command.chosen(None, quick=False)
    assert set(everything) == set(command.BENCHES)
    with pytest.raises(typer.BadParameter, match="there are: engine"):
        command.chosen("engines", quick=False)
