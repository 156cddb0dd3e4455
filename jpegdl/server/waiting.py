"""The queue in front of the networks: Gradio's, with bounds that hold for strangers.

Gradio's own queue stops for everybody when one waiting event has no list to write its messages to; it counts places
without asking how long they take; it lets one visitor take them all, and runs what nobody is waiting for any more.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal
from weakref import WeakKeyDictionary

import fastapi
import gradio as gr
from gradio.block_function import BlockFunction
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, EventQueue, Queue
from gradio.server_messages import EventMessage, ProcessCompletedMessage
from gradio.utils import error_payload, get_upload_folder
from starlette.exceptions import HTTPException

from jpegdl.server.decoding import Decoded, Decoders
from jpegdl.server.inboxes import Inboxes

LEAST_PLACES, MOST_PLACES = 64, 256
LONGEST_WAIT = 90  # seconds in the queue; who would wait longer is told so at once, unless fewer than 64 wait
PLACES_PER_VISITOR = 8
REMEMBERED_RUNS = 15  # of each function: the median of their seconds is what the next one is expected to take
REMEMBERED, REMEMBERED_AT_ONCE = "remembered", 2  # the line of calls that run no network, and how many at a time
# A place is kept so long for a visitor who has not begun to read its messages; shorter where many wait.
UNREAD_SECONDS, UNREAD_SECONDS_IN_A_CROWD = 120, 20
LONGEST_SESSION_NAME = 128

BUSY = "Too many people are waiting just now; your picture is kept, try again in a minute."
ENOUGH = f"You already have {PLACES_PER_VISITOR} places in the queue; wait for their results."
STOPPING = "The server is being restarted; try again in a minute."
NOT_UNDERSTOOD = "This request names no function or no session of this app; load the page again."

_Pushed = tuple[bool, str | list[dict[str, Any]], Literal["success", "error", "queue_full", "validator_error"]]


class WaitingRoom(Queue):
    """Gradio's queue. `seconds`: about how long one run takes, until runs of each function have been measured.

    `is_remembered` says of a call (the name of its function, the values as they were sent) whether it will run no
    network: it passes those that will.
    """

    def __init__(
        self,
        blocks: gr.Blocks,
        *,
        seconds: float,
        decoders: Decoders | None = None,
        is_remembered: Callable[[str, list[Any]], bool] = lambda name, values: False,
    ) -> None:
        super().__init__(
            live_updates=True,
            concurrency_count=blocks.max_threads,
            update_intervals=1,
            max_size=None,
            blocks=blocks,
            default_concurrency_limit=1,
        )
        self.sleep_when_free = 0.005  # seconds; Gradio polls a thousand times a second
        self.draining = False
        self.loop: asyncio.AbstractEventLoop | None = None  # the server's, while it runs
        self._first_guess = seconds
        self._decoders = decoders
        self._is_remembered = is_remembered
        self._asking: set[asyncio.Task[None]] = set()
        self._pictures: WeakKeyDictionary[Event, list[Future[Decoded]]] = WeakKeyDictionary()
        self._seconds: defaultdict[BlockFunction, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED_RUNS))
        self.inboxes = Inboxes()
        # Gradio's own are the last 2,000, also of those who still wait; what bounds these is `forget`.
        self.pending_messages_per_session = self.inboxes  # type: ignore[assignment]

    # Who gets in

    async def push(self, body: PredictBodyInternal, request: fastapi.Request, username: str | None) -> _Pushed:
        """Take a place, or raise the answer (4xx or 503, one sentence) that says why there is none."""
        self.forget()
        self._admit(body)
        paths = uploads_in(body.data)[:1] if self._decoders else []  # no function takes two
        pictures = [await asyncio.to_thread(self._decoders.expect, path) for path in paths] if self._decoders else []
        pushed = await super().push(body, request, username)
        if isinstance(pushed[1], str) and pushed[1] in self.event_ids_to_events:
            event = self.event_ids_to_events[pushed[1]]
            self._pictures[event] = pictures
            asking = asyncio.create_task(self._let_pass(event))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        return pushed

    async def _let_pass(self, event: Event) -> None:
        """Put a call whose answer is remembered into the line of those, once its pictures are decoded."""
        pictures = map(asyncio.wrap_future, self._pictures.get(event, []))
        await asyncio.gather(*pictures, return_exceptions=True)
        name, values = event.fn.api_name, event.data.data if event.data else []
        if isinstance(name, str) and await asyncio.to_thread(self._is_remembered, name, values):
            group = self.event_queue_per_concurrency_id[event.concurrency_id]
            if event in group.queue:
                group.queue.remove(event)
                event.concurrency_id = REMEMBERED
                quick = EventQueue(REMEMBERED, REMEMBERED_AT_ONCE)
                self.event_queue_per_concurrency_id.setdefault(REMEMBERED, quick).queue.append(event)

    def _admit(self, body: PredictBodyInternal) -> None:
        function = self.blocks.fns.get(body.fn_index) if body.fn_index is not None else None
        if function is None or (
            body.session_hash is not None and not 0 < len(body.session_hash) <= LONGEST_SESSION_NAME
        ):
            raise HTTPException(400, NOT_UNDERSTOOD)
        if self.draining:
            raise HTTPException(503, STOPPING, {"Retry-After": "30"})
        if sum(event.session_hash == body.session_hash for event in self._waiting()) >= PLACES_PER_VISITOR:
            raise HTTPException(429, ENOUGH, {"Retry-After": "5"})
        if not self.has_room(function):
            raise HTTPException(429, BUSY, {"Retry-After": "60"})

    def has_room(self, function: BlockFunction) -> bool:
        """Whether one more run of `function` would wait no longer than LONGEST_WAIT, within the bounds on places."""
        group = self.event_queue_per_concurrency_id.get(function.concurrency_id)
        waiting = group.queue if group else []
        if len(self) >= MOST_PLACES:
            return False
        return len(waiting) < LEAST_PLACES or self.expected_wait(waiting) <= LONGEST_WAIT

    def why_closed(self) -> str | None:
        """One sentence if nobody is let in now."""
        if self.draining or self.stopped:
            return STOPPING
        return BUSY if len(self) >= MOST_PLACES else None

    def expected_wait(self, events: list[Event]) -> float:
        """Seconds that these events take one after another, by what their functions took lately."""
        typical = {fn: statistics.median(runs) for fn, runs in self._seconds.items()}
        return sum(typical.get(event.fn, self._first_guess) for event in events)

    # Who is served

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """The first event of a group that may run, whose messages somebody reads, and whose pictures are decoded."""
        for name, group in self.event_queue_per_concurrency_id.items():
            if group.concurrency_limit is not None and group.current_concurrency >= group.concurrency_limit:
                continue
            for event in group.queue:
                if self._is_ready(event):
                    group.queue.remove(event)
                    _to_the_end(self.event_queue_per_concurrency_id, name)
                    return [event], False, name
        return None

    def _is_ready(self, event: Event) -> bool:
        inbox = self.inboxes.get(event.session_hash)
        return inbox is not None and inbox.was_read and all(picture.done() for picture in self._pictures.get(event, []))

    async def process_events(self, events: list[Event], batch: bool, begin_time: float, fn: BlockFunction) -> None:
        started = time.monotonic()
        await super().process_events(events, batch, begin_time, fn)
        if events[0].concurrency_id != REMEMBERED:
            self._seconds[fn].append(time.monotonic() - started)

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        """As Gradio's, but a session without a list is skipped: the error would end the queue for everybody."""
        if event.session_hash in self.inboxes:
            super().send_message(event, event_message)
        else:
            event.alive = False

    # Who is gone

    def forget(self) -> None:
        """Drop what nobody reads: places never asked after, and lists of sessions that wait for nothing."""
        now = time.monotonic()
        patience = UNREAD_SECONDS if len(self) < LEAST_PLACES else UNREAD_SECONDS_IN_A_CROWD
        for group in self.event_queue_per_concurrency_id.values():
            for event in list(group.queue):
                inbox = self.inboxes.get(event.session_hash)
                if inbox is None or (not inbox.was_read and now - event.enqueue_time > patience):
                    self.drop(event)
        busy = {event.session_hash for event in self.event_ids_to_events.values()}
        for session, inbox in list(self.inboxes.items()):
            told_everything = not self.pending_event_ids_session.get(session)
            if not inbox.readers and session not in busy and (told_everything or now - inbox.touched > UNREAD_SECONDS):
                del self.inboxes[session]
        for session in self.pending_event_ids_session.keys() - self.inboxes.keys():
            del self.pending_event_ids_session[session]

    def drop(self, event: Event) -> None:
        """Take a waiting event's place."""
        self.event_queue_per_concurrency_id[event.concurrency_id].queue.remove(event)
        self.event_ids_to_events.pop(event._id, None)
        self.pending_event_ids_session.get(event.session_hash, set()).discard(event._id)

    def expect_reader(self, name: str) -> bool:
        """Somebody has come to read under the name of a session or an event; whether there is such a one.

        From now on it is not forgotten: until its stream begins, a busy server may take longer than the unread wait.
        """
        event = self.event_ids_to_events.get(name)
        named = (
            [event.session_hash] if event else [s for s, ids in self.pending_event_ids_session.items() if name in ids]
        )
        inbox = self.inboxes.get(name) or next((self.inboxes[s] for s in named if s in self.inboxes), None)
        if inbox is None:
            return False
        inbox.was_read, inbox.touched = True, time.monotonic()
        return True

    def _waiting(self) -> list[Event]:
        return [event for group in self.event_queue_per_concurrency_id.values() for event in group.queue]

    # The end

    async def drain(self, seconds: float) -> None:
        """Let nobody in, tell who waits, and let what runs end, for at most `seconds`."""
        self.draining = True
        sorry = error_payload(gr.Error(STOPPING, title="Restarting", print_exception=False), show_error=False)
        for group in self.event_queue_per_concurrency_id.values():
            for event in group.queue:
                self.send_message(event, ProcessCompletedMessage(output=sorry, title="Restarting", success=False))
                self.event_ids_to_events.pop(event._id, None)
            group.queue.clear()
        end = time.monotonic() + seconds
        while time.monotonic() < end and (
            self.get_active_worker_count() or any(inbox.is_awaited() for inbox in self.inboxes.values())
        ):
            await asyncio.sleep(0.02)


def uploads_in(data: object, depth: int = 4) -> list[str]:
    """Paths of files in the upload folder that a call names, wherever in its arguments."""
    if isinstance(data, str):
        return [data] if data.startswith(get_upload_folder() + os.sep) else []
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    return [path for part in parts for path in uploads_in(part, depth - 1)] if depth else []


def _to_the_end(groups: dict[str, EventQueue], name: str) -> None:
    """Groups take turns."""
    groups[name] = groups.pop(name)


__all__ = ["WaitingRoom"]
