"""Requests that no page sends: every route, wrong types, missing fields, other people's sessions, private functions."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

VALUES: list[Any] = [
    None, True, -1, 0, 2**63, 1e308, "", "x", "\0", "../../etc/passwd", "<img src=x onerror=alert(1)>", "é" * 300,
    [], [[]], [None] * 50, {}, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {"path": None},
    {"path": "http://127.0.0.1:1/x", "url": "http://127.0.0.1:1/x", "meta": {"_type": "gradio.FileData"}},
    {"number": 1, "pair": "x", "picture": "upload", "true": None, "stage": None, "quantizer": "five levels"},
    {"number": "1", "pair": [], "picture": {}, "true": "x", "stage": 5, "quantizer": None, "file": {"a": 1}},
    {"__type__": "update", "value": "x"}, {"is_file": True, "name": "/etc/passwd", "data": "data:;base64,AAAA"},
]  # fmt: skip
SESSIONS: list[Any] = [None, "", "a", "a" * 200, 5, [], {"a": 1}, "\0", "../x", "somebody-else"]
POSTS = [
    "queue/join", "queue/join/", "run/{name}", "api/{name}", "call/{name}", "call/v2/{name}", "cancel", "reset",
    "component_server", "stream/{name}", "stream/{name}/close", "upload", "process_recording", "vibe-edit",
    "run-history/connect", "profiling/clear", "login", "../login",
]  # fmt: skip
GETS = [
    "queue/data?session_hash={session}", "call/{name}/{session}", "call/v2/{name}/{session}", "queue/status", "info",
    "file={value}", "file/{value}", "stream/{session}/0/0/playlist.m3u8", "upload_progress?upload_id={session}x",
    "../config", "../static/{value}", "../assets/{value}", "../theme.css", "../monitoring", "../monitoring/summary",
    "custom_component/{value}/client/component/x.js", "token", "app_id", "user", "openapi.json", "deep_link",
    "../jx/000000000000/{value}", "../readyz", "../svelte/{value}", "../pwa_icon/{value}", "../manifest.json",
]  # fmt: skip
RAW = [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"data": ' + b"[" * 3000, b'{"data": [1], "data": 2}', b"NaN"]


@dataclass(frozen=True)
class Forged:
    method: str
    path: str
    body: bytes = b""
    kind: str = "application/json"


def forged_requests(count: int, names: list[str], functions: int, seed: int = 0) -> Iterator[Forged]:
    """The same for the same numbers. `names`: the app's named functions; `functions`: how many it has in all."""
    dice = random.Random(seed)
    for _ in range(count):
        name = dice.choice([*names, "nothing", "..", "%00", "a" * 300])
        session = dice.choice(SESSIONS)
        if dice.random() < 0.3:
            value = dice.choice(["x", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "%00", "a" * 2000, "file:///etc/passwd"])
            path = dice.choice(GETS).format(name=name, session=str(session)[:300], value=value)
            yield Forged("GET", path.replace("\0", "%00"))
            continue
        path = dice.choice(POSTS).format(name=name)
        if dice.random() < 0.1:
            yield Forged("POST", path, dice.choice(RAW), dice.choice(["application/json", "text/plain", "x"]))
            continue
        if "upload" in path:
            body = dice.choice(
                [b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data; name=files\r\n\r\nx\r\n--x--"]
            )
            yield Forged("POST", path, body, dice.choice(["multipart/form-data; boundary=x", "multipart/form-data"]))
            continue
        yield Forged("POST", path, json.dumps(_body(dice, functions, session)).encode())


def _body(dice: random.Random, functions: int, session: Any) -> dict[str, Any]:
    """Fields of every kind of request, each wrong, missing or right by chance."""
    full = {
        "data": dice.choice([[dice.choice(VALUES) for _ in range(dice.randrange(5))], dice.choice(VALUES)]),
        "fn_index": dice.choice([*range(functions), -1, functions, 10**9, None, "0", [], 1.5]),
        "session_hash": session,
        "event_data": dice.choice(VALUES),
        "trigger_id": dice.choice([None, 0, "x", -1]),
        "event_id": dice.choice(SESSIONS),
        "simple_format": dice.choice([True, False, None, "x"]),
        "batched": dice.choice([True, False, 3]),
        "component_id": dice.choice([0, 1, 10**6, "x", None]),
        "fn_name": dice.choice(["postprocess", "preprocess", "__init__", "ls", "x", 3]),
        "request": dice.choice(VALUES),
        "username": dice.choice(["x", None]),
        "password": dice.choice(["x", None]),
    }
    return {field: value for field, value in full.items() if dice.random() < 0.75}


def send(client: httpx.Client, request: Forged) -> int:
    """The status of the answer; of streams only their beginning is read."""
    headers = {"content-type": request.kind} if request.method == "POST" else {}
    url = f"{str(client.base_url).rstrip('/')}/gradio_api/{request.path}"
    with client.stream(request.method, url, content=request.body, headers=headers) as answer:
        return answer.status_code


def storm(client: httpx.Client, count: int, seed: int = 0) -> Counter[int]:
    """How often each status came. Raises what httpx raises if the server does not answer one."""
    dependencies = client.get("/config").json()["dependencies"]
    names = [item["api_name"] for item in dependencies if item["api_name"]]
    with ThreadPoolExecutor(16) as senders:  # Gradio thinks three seconds about the progress of an unknown upload
        return Counter(senders.map(partial(send, client), forged_requests(count, names, len(dependencies), seed)))
