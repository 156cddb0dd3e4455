"""The named endpoints that scripts call: /pairs, /tables, /compare and /draw. Numbers first, then files by name."""

import errno
import io
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import FileData
from gradio.events import api
from gradio.utils import get_upload_folder, is_in_or_equal
from PIL import Image

from jpegdl.analysis.answers import Answers
from jpegdl.analysis.numbers import answer_numbers, describe_pair, named_tables
from jpegdl.analysis.panels import learned_file, panels
from jpegdl.analysis.request import Request, find_pair, make_request
from jpegdl.codec.jpegfile import cjpeg_qtables_text, tables_csv, tables_json
from jpegdl.pairs.checkpoints import ModelPair
from jpegdl.server.decoding import Decoded
from jpegdl.server.results import save_bytes
from jpegdl.server.uploads import UNREADABLE, Refused, Upload, read_upload

Draw = Callable[[int], tuple[Image.Image, str]]  # seed -> a test picture and its class
Files = dict[str, FileData]  # by file name

SEEDS = 1_000_000
HOW_TO_SEND = (
    "The picture must be a file that was sent along: handle_file(PATH) of gradio_client. A path alone says "
    "nothing to this server."
)
NO_ROOM = "The server has no space for result files now; try again in an hour."
NO_TEST_PICTURES = "The test pictures of {pair!r} are not on this machine; the server needs --data for them."


class Endpoints:
    """What the endpoints do, callable without a server; every refusal is a gr.Error of one sentence.

    `answers` gives the answers, `draws` draws test pictures of the pairs whose data set is here, `folder` is where
    files for download are written.
    """

    def __init__(
        self,
        pairs: Mapping[str, ModelPair],
        answers: Answers,
        folder: Path,
        draws: Mapping[str, Draw],
        read: Callable[[str | None], Upload | Decoded] = read_upload,
    ) -> None:
        self.pairs_by_name, self.answers, self.folder, self.draws, self.read = pairs, answers, folder, draws, read

    def pairs(self) -> list[dict[str, Any]]:
        """Every pair with all values that its settings may have, its classes, and its counts on the test set."""
        return [describe_pair(pair) for pair in self.pairs_by_name.values()]

    def tables(self, pair: str) -> tuple[dict[str, Any], Files]:
        """Learned, initial and standard quantization tables of a pair, each 2 x 8 x 8: luma, chroma; row = vertical
        frequency; grey levels a step. Files: the learned ones for cjpeg -qtables and as CSV, all as JSON."""
        tables = named_tables(self._pair(pair))
        learned = tables["learned"]
        files = {
            "qtables.txt": cjpeg_qtables_text(learned).encode("utf-8"),
            "tables.json": tables_json(tables).encode("utf-8"),
            "learned.csv": tables_csv(learned).encode("utf-8"),
        }
        return {name: table.tolist() for name, table in tables.items()}, self._save(files)

    def compare(
        self,
        picture: FileData,
        pair: str,
        target: str = "shared",
        true_class: str | None = None,
        stage: str | None = None,
        quantizer: str = "five levels",
    ) -> tuple[dict[str, Any], Files]:
        """One picture through both networks of a pair. /pairs lists what each setting may be.

        target: the class to explain, by name, or "shared" (the most probable of both), "true" (true_class) or "own"
        (each network's first). true_class: what the picture shows, if that is known. stage: where to explain; the last
        if none is given. quantizer: "five levels", as trained, or "all levels", the paper's formula.
        Numbers: settings, answers, probabilities, maps as shares, what the layer did, test-set counts, versions.
        Files: picture, reconstruction, maps, difference and overlays as exact PNG, learned-tables.jpg.
        """
        try:
            answer = self.answers.get(self._request(picture, pair, target, true_class, stage, quantizer))
        except ValueError as error:
            raise _refusal(str(error)) from None
        found = self._pair(pair)
        file = learned_file(found, answer)
        return answer_numbers(found, answer, file), self._save(panels(answer, file))

    def is_remembered(self, name: str, values: list[Any]) -> bool:
        """Whether the call of `name` with `values`, as they were sent, is a /compare that runs no network."""
        try:
            return name == "compare" and self.answers.known(self._request(*values)) is not None
        except Exception:  # anything may have been sent; its turn comes, and then the sentence
            return False

    def draw(self, pair: str, seed: int | None = None) -> tuple[dict[str, Any], Files]:
        """A random test picture of a pair's data set, its true class, and the seed that draws it again."""
        self._pair(pair)
        if pair not in self.draws:
            raise _refusal(NO_TEST_PICTURES.format(pair=pair))
        number = secrets.randbelow(SEEDS) if seed is None else seed
        if not isinstance(number, int) or not 0 <= number < SEEDS:
            raise _refusal(f"The seed must be a whole number 0..{SEEDS - 1}, got {seed!r}.")
        picture, true_class = self.draws[pair](number)
        file = io.BytesIO()
        picture.save(file, "PNG", compress_level=1)
        return {"pair": pair, "seed": number, "true_class": true_class}, self._save({"picture.png": file.getvalue()})

    def _request(
        self, picture: object, pair: str, target: str, true_class: str | None, stage: str | None, quantizer: str
    ) -> Request:
        """What a call of /compare asks the networks. Raises ValueError or gr.Error."""
        card, image = self._pair(pair).card, self.read(_sent_file(picture)).image
        return make_request(card, image, target=target, true_class=true_class, stage=stage, quantizer=quantizer)

    def _pair(self, name: str) -> ModelPair:
        try:
            return find_pair(self.pairs_by_name, name)
        except ValueError as error:
            raise _refusal(str(error)) from None

    def _save(self, files: Mapping[str, bytes]) -> Files:
        try:
            return {
                name: FileData(path=save_bytes(data, name, self.folder), orig_name=name, size=len(data))
                for name, data in files.items()
            }
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _refusal(NO_ROOM) from None


def _sent_file(picture: object) -> str | None:
    """Where the sent file lies. Raises Refused for anything that is not a file in the upload folder."""
    if picture is None:
        return None
    path = picture.get("path") if isinstance(picture, dict) else None
    if not isinstance(path, str):
        raise Refused(HOW_TO_SEND)
    if not is_uploaded(path):
        raise Refused(UNREADABLE)
    return path


def is_uploaded(path: str) -> bool:
    """Does the path lie in the upload folder? False for what no file can be called."""
    try:
        return bool(is_in_or_equal(path, get_upload_folder()))
    except ValueError:  # a null byte
        return False


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, title="Not accepted", print_exception=False)


def offer_api(page: gr.Blocks, endpoints: Endpoints, **networks: Any) -> None:
    """Add the endpoints to the page, inside whose `with` this is called. `networks`: the queue of what runs one."""
    for function, results, settings in (
        (endpoints.pairs, ["pairs"], {}),
        (endpoints.tables, ["numbers", "files"], {}),
        (endpoints.compare, ["numbers", "files"], networks),
        (endpoints.draw, ["numbers", "files"], {}),
    ):
        added = api(function, api_name=function.__name__, **settings)
        for number, name in zip(added["outputs"], results, strict=True):
            vars(page.blocks[number])["label"] = name  # what view_api() calls it


__all__ = ["Draw", "Endpoints", "is_uploaded", "offer_api"]
