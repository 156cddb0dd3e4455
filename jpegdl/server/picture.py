"""The page's input for a picture: gr.Image to the eye, but no file is opened before `read_upload` has judged it."""

from abc import ABCMeta
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder, is_in_or_equal

from jpegdl.server.uploads import UNREADABLE

TITLE = "Picture not accepted"


class NoStubFile(ComponentMeta):
    """Gradio writes a .pyi file next to every subclass of a component, which hides the subclass from mypy. It does
    nothing else for a class without events and without a decorated __init__."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(mcs, name, bases, attributes)


class SafeImage(gr.Image, metaclass=NoStubFile):
    """gr.Image whose handlers get the path of the uploaded file, as it was sent, or None.

    gr.Image itself would decode the file first: any of forty formats, without limits, with "Error" as the only answer
    to a bad one, and without the JPEG file's own tables. Takes gr.Image's settings by keyword.
    """

    is_template = True  # the browser shows it as what it inherits from

    def __init__(self, value: str | None = None, **settings: Any) -> None:
        defaults = {"sources": ["upload", "clipboard"], "type": "filepath", "image_mode": None, "format": "png"}
        super().__init__(value, **{**defaults, **settings})

    def get_config(self, cls: type[gr.blocks.Block] | None = None) -> dict[str, Any]:
        return super().get_config(cls or gr.Image)  # Gradio reads the names of the settings from __init__

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path of the upload, unopened. Raises gr.Error for anything but a file in the upload folder."""
        if payload is None:
            return None
        # Gradio checks only what is marked as its own file object, and a client may leave the mark out.
        if not payload.path or not is_in_or_equal(payload.path, get_upload_folder()):
            raise refusal(UNREADABLE)
        return payload.path


def refusal(sentence: str) -> gr.Error:
    """The message on the page for what `read_upload` refuses. Gradio shows the text as HTML: no file names in it."""
    return gr.Error(sentence, title=TITLE, print_exception=False)


__all__ = ["NoStubFile", "SafeImage", "refusal"]
