"""What Gradio leaves open to strangers, closed for the whole process by putting a part of it in another's place.

Each class says what was open. Gradio is pinned, and tests/test_server.py shows each gap closed from outside.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import processing_utils, route_utils, routes, state_holder
from gradio.exceptions import InvalidPathError
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException

from jpegdl.server.uploads import UNREADABLE

CUT_OFF = "The upload is not complete; send the picture again."
MISSING_INPUTS = "This call has too few values; the API page says which there are."
FETCHES_NOTHING = "This app fetches nothing from other servers; upload the file."

_gradio_check_allowed = processing_utils._check_allowed
_gradio_validate_inputs = gr.Blocks.validate_inputs


def close_gaps() -> None:
    """Put the parts below in Gradio's place; calling it again is harmless."""
    processing_utils.async_ssrf_protected_download = refuse_to_fetch
    processing_utils._check_allowed = check_allowed
    state_holder.SessionState = LeanSession  # type: ignore[misc]
    route_utils.GradioMultiPartParser = WholeOrNothing  # type: ignore[misc]
    gr.Blocks.validate_inputs = refuse_missing_inputs  # type: ignore[assignment, method-assign]
    routes.CustomCORSMiddleware = WithoutCredentials  # type: ignore[attr-defined]


async def refuse_to_fetch(url: str, cache_dir: str) -> str:
    """Gradio downloads an address that a request names as the path of a file, for any component, without a limit."""
    raise gr.Error(FETCHES_NOTHING, print_exception=False)


def check_allowed(path: str | Path, check_in_upload_folder: bool) -> None:
    """Gradio refuses a file that nobody has uploaded without a word to who sent it, and with a traceback in the log."""
    try:
        _gradio_check_allowed(path, check_in_upload_folder)
    except InvalidPathError:
        if not check_in_upload_folder:
            raise
        raise gr.Error(UNREADABLE, print_exception=False) from None


def refuse_missing_inputs(blocks: gr.Blocks, block_fn: Any, inputs: list[Any]) -> None:
    """Gradio tells the log in forty lines that somebody left out an argument, and the sender nothing."""
    try:
        _gradio_validate_inputs(blocks, block_fn, inputs)
    except ValueError:
        raise gr.Error(MISSING_INPUTS, print_exception=False) from None


class LeanSession(state_holder.SessionState):
    """Gradio keeps the last value of every component of each session, results included, so that a link can restore a
    page. That route is closed here, and the values were 0.2 to 0.45 MB a visitor."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(_NoValues(blocks))  # type: ignore[arg-type]

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None: ...

    def _update_value_in_config(self, key: int, value: Any) -> None: ...


class _NoValues:
    """As much of Blocks as SessionState reads when it is made, without components whose values it would copy."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self.default_config = blocks.default_config
        self.blocks: dict[int, Any] = {}


class WholeOrNothing(route_utils.GradioMultiPartParser):
    """Gradio deletes what it has stored of an upload when the form is malformed, and only then: not when the visitor
    is gone, the disk is full, or the form just ends without its last boundary."""

    async def parse(self) -> FormData:
        try:
            form = await super().parse()
        except MultiPartException:
            raise  # Gradio has deleted them
        except BaseException:
            self._delete_files()
            raise
        if len(form.multi_items()) < self._current_files + self._current_fields:
            self._delete_files()
            raise MultiPartException(CUT_OFF)
        return form

    def _delete_files(self) -> None:
        for file in self._files_to_close_on_error:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                os.unlink(file.name)


class WithoutCredentials(route_utils.CustomCORSMiddleware):
    """Gradio lets a foreign page ask with this visitor's cookies. Such a page may ask here, but as nobody."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        for headers in (self.preflight_headers, self.simple_headers):
            headers.pop("Access-Control-Allow-Credentials", None)


__all__ = ["close_gaps"]
