"""One visit by the API's own protocol: page, upload, /compare through the queue; and what came of it."""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from tests.conftest import EXAMPLES
from tests.visitors import Visitor, fn_index

RETRIES = 40  # every 5 s


@dataclass
class Visit:
    page: float = 0.0  # seconds each
    upload: float = 0.0
    answer: float = 0.0  # from joining to the result
    refused: list[float] = field(default_factory=list)  # seconds until each refusal
    saw_a_position: bool = False
    result: str | None = None  # the numbers, as text
    error: str | None = None


def pictures(count: int) -> Iterator[bytes]:
    """Different pictures: the examples, each with a patch in its middle that numbers it."""
    paths = sorted(EXAMPLES.glob("*.jpg"))
    for number in range(count):
        image = Image.open(paths[number % len(paths)]).convert("RGB")
        left, top = image.width // 2 - 8, image.height // 2 - 8
        image.paste((number % 16 * 16, number // 16 % 16 * 16, number // 256 * 6), (left, top, left + 16, top + 16))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=92)
        yield file.getvalue()


def visit(url: str, picture: bytes, pair: str) -> Visit:
    done = Visit()
    try:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            _visit(client, picture, pair, done)
    except (httpx.HTTPError, TimeoutError, StopIteration) as error:
        done.error = f"{type(error).__name__}: {error}"
    return done


def _visit(client: httpx.Client, picture: bytes, pair: str, done: Visit) -> None:
    done.page = seconds(lambda: client.get("/").raise_for_status())
    compare = fn_index(client, "compare")
    began = time.perf_counter()
    uploaded = client.post("/gradio_api/upload", files={"files": ("a.jpg", picture)})
    done.upload = time.perf_counter() - began
    if uploaded.status_code != 200:
        done.error = str({"error": uploaded.text})
        return
    file = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
    visitor = Visitor(client, patience=300)
    data = [file, pair, "shared", None, None, "five levels"]
    began = time.perf_counter()
    for _ in range(RETRIES):
        asked = time.perf_counter()
        answer = visitor.join(compare, data)
        if answer.status_code == 200:
            break
        done.refused.append(time.perf_counter() - asked)
        time.sleep(5)
    else:
        done.error = f"refused {RETRIES} times"
        return
    for message in visitor.messages():
        done.saw_a_position |= message["msg"] == "estimation"
        if message["msg"] == "process_completed":
            break
    done.answer = time.perf_counter() - began
    if message["success"]:
        done.result = comparable(message["output"]["data"][0])
    else:
        done.error = str(message["output"])


def comparable(numbers: dict[str, Any]) -> str:
    """The numbers of a result without what differs between two equal runs: how long they took."""
    return json.dumps({name: value for name, value in numbers.items() if "seconds" not in name}, sort_keys=True)


def seconds(action: Any) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def reference(url: str, sent: list[bytes], pair: str) -> list[str | None]:
    """Answers of an idle server, one after another."""
    return [visit(url, picture, pair).result for picture in sent]
