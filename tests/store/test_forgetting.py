"""What has expired is forgotten beside those who use it."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from heliograph.store import database, request_keys


def test_what_is_renewed_while_it_is_forgotten_stays(ready_postgres_url: str) -> None:
    """What a turn counts of somebody stays, though what was counted before had expired and is being forgotten."""
    store = database.Database(ready_postgres_url)
    store.migrate()
    with psycopg.connect(ready_postgres_url, autocommit=True) as observer, ThreadPoolExecutor(1) as others:
        observer.execute("INSERT INTO recent_sends VALUES (1, 'ana', '{}', 10), (1, 'ben', '{}', 10)")
        with psycopg.connect(ready_postgres_url) as turn:
            turn.execute("UPDATE recent_sends SET expires_at = 100 WHERE user_id = 'ana'")
            forgetting = others.submit(request_keys.forget, store, 50, 10)
            while not observer.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'"
            ).fetchall():
                assert not forgetting.done()
            turn.commit()
        assert forgetting.result() == 1
        assert observer.execute("SELECT user_id FROM recent_sends").fetchall() == [("ana",)]
    store.close()
