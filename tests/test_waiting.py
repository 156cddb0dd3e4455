"""The queue: nobody stops it for others, takes it all, or has work done that nobody waits for."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import queueing
from gradio.server_messages import HeartbeatMessage

from jpegdl.server import waiting
from jpegdl.server.inboxes import Inboxes
from jpegdl.server.serving import serve
from jpegdl.server.waiting import BUSY, ENOUGH, PLACES_PER_VISITOR, WaitingRoom
from tests.conftest import unused_port
from tests.visitors import Visitor, fn_index


@pytest.fixture(scope="module")
def app() -> Iterator[SimpleNamespace]:
    """`work` returns what it is given, and waits for `go` before that unless it is remembered; `ran` holds what it
    was given."""
    go, ran = Event(), []

    def is_remembered(name: str, values: list[Any]) -> bool:
        return name == "compute" and values[0].startswith("remembered")

    def work(text: str) -> str:
        ran.append(text)
        if not is_remembered("compute", [text]):
            go.wait(20)
        return text

    with gr.Blocks() as demo:
        word = gr.Textbox()
        gr.Button().click(work, word, word, api_name="compute", concurrency_id="networks", concurrency_limit=1)
    options: dict[str, Any] = {"server_port": unused_port(), "prevent_thread_lock": True, "quiet": True}
    _, url, _ = serve(demo, seconds_per_analysis=0.1, is_remembered=is_remembered, **options)
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=url, timeout=30, limits=limits) as client, ThreadPoolExecutor(80) as pool:
        yield SimpleNamespace(
            client=client, go=go, ran=ran, room=demo._queue, work=fn_index(client, "compute"), pool=pool
        )
        go.set()
        demo.server.config.timeout_graceful_shutdown = 0  # for the streams of those whom nobody answers any more
        demo.close(verbose=False)


@pytest.fixture(autouse=True)
def idle(request) -> Iterator[None]:
    """Each test begins with an empty queue, and lets everybody go at its end."""
    if "app" not in request.fixturenames:
        yield
        return
    app = request.getfixturevalue("app")
    app.go.clear()
    app.ran.clear()
    yield
    app.go.set()
    for event in app.room._waiting():
        if not app.room.inboxes[event.session_hash].was_read:
            app.room.drop(event)
    wait_until(lambda: app.room.get_active_worker_count() + len(app.room) == 0)


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def answers(app: SimpleNamespace, *texts: str) -> list[Any]:
    """Futures of what visitors get, who are waiting in this order when this returns."""

    futures = []
    for text in texts:
        futures.append(app.pool.submit(lambda text=text: Visitor(app.client).ask(app.work, [text])))
        wait_until(lambda text=text: text in app.ran or [text] in [event.data.data for event in app.room._waiting()])
    return futures


def texts(futures: list[Any]) -> list[str]:
    return [future.result(20)["output"]["data"][0] for future in futures]


# Nobody stops it


def test_a_join_with_an_empty_session_behind_two_visitors_is_refused_and_both_are_answered(app):
    waiting = answers(app, "a", "b")
    forged = Visitor(app.client, session="").join(app.work, ["forged"])
    assert (forged.status_code, "load the page again" in forged.json()["detail"]) == (400, True)
    app.go.set()
    assert texts(waiting) == ["a", "b"]
    assert Visitor(app.client).ask(app.work, ["later"])["output"]["data"] == ["later"]


@pytest.mark.parametrize("lost", ["of the first that waits", "of the one that runs"])
def test_a_session_whose_list_is_gone_is_skipped_and_the_others_are_answered(app, lost):
    """What an empty session name led to in Gradio, and 2,000 unread joins to whom they pushed out."""
    waiting = answers(app, "runs", "first", "second")
    event = app.room._waiting()[0] if lost == "of the first that waits" else app.room.active_jobs[0][0]
    dict.pop(app.room.inboxes, event.session_hash)
    others = answers(app, "third")
    app.go.set()
    assert texts([waiting[2], *others]) == ["second", "third"]
    assert Visitor(app.client).ask(app.work, ["later"])["output"]["data"] == ["later"]


def test_any_number_of_unread_joins_leaves_the_visitors_list_where_it_is(app, monkeypatch):
    waiting = answers(app, "runs", "visitor")
    monkeypatch.setattr("jpegdl.server.waiting.UNREAD_SECONDS_IN_A_CROWD", 0)
    for _ in range(150):
        assert Visitor(app.client).join(app.work, ["unread"]).status_code == 200
    assert len(app.room) < 100
    app.go.set()
    assert texts(waiting) == ["runs", "visitor"]
    assert app.ran == ["runs", "visitor"]


# Nobody takes it all


def test_one_session_gets_a_few_places_and_then_a_sentence(app):
    runs = answers(app, "runs")
    greedy = Visitor(app.client)
    codes = [greedy.join(app.work, ["more"]).status_code for _ in range(PLACES_PER_VISITOR)]
    refused = greedy.join(app.work, ["too many"])
    assert codes == [200] * PLACES_PER_VISITOR
    assert (refused.status_code, refused.json()["detail"], refused.headers["retry-after"]) == (429, ENOUGH, "5")
    others = answers(app, "other")
    app.go.set()
    assert texts(runs + others) == ["runs", "other"]


def test_who_finds_no_place_is_told_at_once_in_words(app, monkeypatch):
    waiting = answers(app, "runs", "waits")
    monkeypatch.setattr("jpegdl.server.waiting.LEAST_PLACES", 1)
    monkeypatch.setattr("jpegdl.server.waiting.LONGEST_WAIT", 0)
    started = time.monotonic()
    refused = Visitor(app.client).join(app.work, ["refused"])
    assert (refused.status_code, refused.json()["detail"]) == (429, BUSY)
    assert time.monotonic() - started < 3
    app.go.set()
    assert texts(waiting) == ["runs", "waits"]


@pytest.mark.parametrize(
    ("seconds", "places"), [(0.01, 256), (0.35, 256), (0.7, 129), (5, 64), (100, 64)], ids=lambda value: str(value)
)
def test_places_follow_what_a_run_takes_and_are_never_fewer_than_64(seconds, places):
    room = room_of_one_function(seconds_at_the_start=3)
    fn = room.blocks.fns[0]
    room._seconds[fn].extend([seconds] * 3)
    assert places_of(room) == places


def test_one_slow_run_takes_no_places_and_a_slow_machine_gets_them_back(monkeypatch):
    room = room_of_one_function(seconds_at_the_start=0.35)
    fn = room.blocks.fns[0]
    assert places_of(room) == 256
    room._seconds[fn].extend([0.35, 0.35, 20.0])
    assert places_of(room) == 256
    room._seconds[fn].extend([5.0] * 15)
    assert places_of(room) == 64
    room._seconds[fn].extend([0.35] * 15)
    assert places_of(room) == 256


def room_of_one_function(seconds_at_the_start: float) -> WaitingRoom:
    with gr.Blocks() as demo:
        word = gr.Textbox()
        word.submit(lambda text: text, word, word)
    room = WaitingRoom(demo, seconds=seconds_at_the_start)
    room.create_event_queue_for_fn(demo.fns[0])
    return room


def places_of(room: WaitingRoom) -> int:
    """How many get in before one is refused."""
    fn = room.blocks.fns[0]
    queue = room.event_queue_per_concurrency_id[fn.concurrency_id].queue
    queue.clear()
    while room.has_room(fn):
        queue.append(SimpleNamespace(fn=fn))  # type: ignore[arg-type]
    return len(queue)


# No work that nobody waits for


def test_work_begins_when_somebody_reads_its_messages(app):
    app.go.set()
    visitor = Visitor(app.client)
    assert visitor.join(app.work, ["hello"]).status_code == 200
    time.sleep(0.3)
    assert app.ran == []
    assert next(m for m in visitor.messages() if m["msg"] == "process_completed")["output"]["data"] == ["hello"]


def test_a_reader_who_has_come_is_not_forgotten_before_its_stream_begins(app, monkeypatch):
    runs = answers(app, "runs")
    slow = Visitor(app.client)
    slow.join(app.work, ["slow"])
    wait_until(lambda: len(app.room) == 1)
    monkeypatch.setattr("jpegdl.server.waiting.UNREAD_SECONDS", 0)
    assert app.room.expect_reader(slow.session)
    app.room.forget()
    assert len(app.room) == 1
    assert not app.room.expect_reader("nobody")
    app.go.set()
    assert next(m for m in slow.messages() if m["msg"] == "process_completed")["output"]["data"] == ["slow"]
    assert texts(runs) == ["runs"]


def test_work_of_a_session_that_is_gone_is_skipped(app):
    runs = answers(app, "runs")
    gone = Visitor(app.client)
    gone.join(app.work, ["gone"])
    with gone.stream() as messages:
        assert next(messages)["msg"] == "estimation"
    stays = answers(app, "stays")
    wait_until(lambda: len(app.room) == 1)
    app.go.set()
    assert texts(runs + stays) == ["runs", "stays"]
    assert app.ran == ["runs", "stays"]


def test_a_call_by_name_works_without_a_session(app):
    app.go.set()
    event = app.client.post("/gradio_api/call/compute", json={"data": ["hello"]}).json()["event_id"]
    lines = app.client.get(f"/gradio_api/call/compute/{event}").text.splitlines()
    assert lines[-3:-1] == ["event: complete", 'data: ["hello"]'] or 'data: ["hello"]' in lines


def test_nothing_is_kept_of_sessions_that_got_their_answer(app):
    app.go.set()
    list(app.pool.map(lambda number: Visitor(app.client).ask(app.work, [str(number)]), range(20)))
    room = app.room

    def is_empty() -> bool:
        room.forget()
        return (len(room.inboxes), room.pending_event_ids_session, room.event_ids_to_events) == (0, {}, {})

    wait_until(is_empty)  # the last stream may still be closing


def test_a_session_keeps_no_values_of_components(app):
    app.go.set()
    visitor = Visitor(app.client)
    visitor.ask(app.work, ["a result"])
    session = app.room.server_app.state_holder.session_data[visitor.session]
    assert session.config_values == {}


# Requests that make no sense


@pytest.mark.parametrize("index", [999, -1, None])
def test_an_unknown_function_is_refused_in_a_sentence_and_one_line_of_the_log(app, capfd, caplog, index):
    refused = Visitor(app.client).join(index, ["x"])
    assert (refused.status_code, "load the page again" in refused.json()["detail"]) == (400, True)
    assert "Traceback" not in capfd.readouterr().err


def test_a_session_that_nobody_knows_is_404_and_one_line(app, capfd, caplog):
    for path in ("queue/data?session_hash=nobody", "queue/data?session_hash=", "queue/data", "call/compute/nobody"):
        answer = app.client.get(f"/gradio_api/{path}")
        assert (answer.status_code, "load the page again" in answer.json()["detail"]) == (404, True)
    assert len(caplog.records) == 4
    assert "Traceback" not in capfd.readouterr().err


# Who need not wait


def test_calls_that_are_remembered_pass_those_that_run_a_network(app):
    waiting = answers(app, "runs", "waits")
    known = [Visitor(app.client).ask(app.work, [f"remembered {number}"]) for number in range(3)]
    assert [message["output"]["data"] for message in known] == [[f"remembered {number}"] for number in range(3)]
    assert app.ran == ["runs", "remembered 0", "remembered 1", "remembered 2"]
    app.go.set()
    assert texts(waiting) == ["runs", "waits"]


def test_what_is_remembered_says_nothing_of_how_long_a_run_takes(monkeypatch):
    async def done(*_: object) -> None: ...

    monkeypatch.setattr(queueing.Queue, "process_events", done)
    room = room_of_one_function(seconds_at_the_start=1)
    fn = room.blocks.fns[0]
    event = queueing.Event("session", fn, SimpleNamespace(), None)  # type: ignore[arg-type]
    for line, measured in (("remembered", 0), (fn.concurrency_id, 1)):
        event.concurrency_id = line
        asyncio.run(room.process_events([event], False, 0, fn))
        assert len(room._seconds[fn]) == measured


# The end


def test_draining_tells_who_waits_lets_what_runs_end_and_admits_nobody():
    async def drain() -> tuple[list[str], float]:
        room = room_of_one_function(seconds_at_the_start=1)
        fn = room.blocks.fns[0]
        event = queueing.Event("session", fn, SimpleNamespace(), None)  # type: ignore[arg-type]
        room.event_queue_per_concurrency_id[fn.concurrency_id].queue.append(event)
        room.inboxes["session"] = None
        inbox = room.inboxes["session"]
        reader = asyncio.create_task(inbox.get())
        await asyncio.sleep(0)
        room.active_jobs = [[event]]
        asyncio.get_running_loop().call_later(0.2, room.active_jobs.clear)
        started = time.monotonic()
        await room.drain(5)
        return [str((await reader).output["error"]), str(room.why_closed())], time.monotonic() - started

    sentences, seconds = asyncio.run(drain())
    assert sentences == [waiting.STOPPING] * 2
    assert 0.2 <= seconds < 2


def test_a_message_to_a_session_without_a_list_ends_its_own_event_and_nothing_else():
    room = room_of_one_function(seconds_at_the_start=1)
    event = queueing.Event("gone", room.blocks.fns[0], SimpleNamespace(), None)  # type: ignore[arg-type]
    room.send_message(event, HeartbeatMessage())
    assert not event.alive
    assert room.inboxes == {}


def test_a_list_that_is_taken_out_twice_is_no_error():
    inboxes = Inboxes()
    inboxes["a"] = "whatever Gradio puts there"
    del inboxes["a"]
    del inboxes["a"]
    assert inboxes == {}
