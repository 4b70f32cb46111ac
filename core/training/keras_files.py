"""What a `.keras` file from elsewhere may hold: looked at before Keras opens it, and without Keras.

Such a file describes layers as JSON beside their weights. Keras would build whatever is described, so only layers that
are known to compute and nothing else are let through, of sizes that a medical image needs, with no code and no paths.
"""

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from core.errors import InvalidInput

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MOST_BYTES = {METADATA: 1 << 20, CONFIG: 20 << 20, WEIGHTS: 4 << 30}  # unpacked
MOST_TIMES_PACKED = 200  # weights hardly shrink, and text by ten to forty times
BOMB_FROM = 1 << 20  # bytes below which no ratio matters
LARGEST_NUMBER = 1_000_000  # of units, filters, pixels: one dense layer of so many has more weights than any file here
MODULES = ("keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers", "keras.constraints")
LAYERS = (
    "Functional Sequential Model InputLayer Dense Conv1D Conv2D Conv3D SeparableConv2D DepthwiseConv2D "
    "Conv2DTranspose Conv3DTranspose BatchNormalization LayerNormalization GroupNormalization Normalization Rescaling "
    "Resizing Activation ReLU LeakyReLU PReLU ELU Softmax Dropout SpatialDropout2D SpatialDropout3D GaussianNoise "
    "GaussianDropout MaxPooling2D MaxPooling3D AveragePooling2D AveragePooling3D GlobalAveragePooling2D "
    "GlobalAveragePooling3D GlobalMaxPooling2D GlobalMaxPooling3D ZeroPadding2D ZeroPadding3D Cropping2D Cropping3D "
    "UpSampling2D UpSampling3D Flatten Reshape Permute Concatenate Add Average Multiply Subtract Maximum Minimum"
)
BESIDE = (
    "DTypePolicy __keras_tensor__ Zeros Ones Constant GlorotUniform GlorotNormal HeNormal HeUniform LecunNormal "
    "LecunUniform RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal L1 L2 L1L2 MaxNorm NonNeg "
    "UnitNorm"
)
# Of tensors; networks of our own that draw take them.
OPERATIONS = frozenset(["Add", "Subtract", "Multiply", "Divide", "Clip", "Exp", "Sin", "Cos"])
OPERATIONS_OF = "keras.src.ops.numpy"
NUMBERS = "__numpy__"  # a constant among the arguments of an operation
ALLOWED = frozenset(f"{LAYERS} {BESIDE}".split())
DAMAGED = (zlib.error, lzma.LZMAError, OSError)  # what unpacking says of damaged bytes, of bzip2 the last one
COMPILED = "compile_config"  # never read of the whole, which is loaded without compiling; of a model inside it is
ANY_SIZE = ("seed", "shared_object_id")


def check_keras_file(content: bytes) -> None:
    """Raise `InvalidInput` unless the bytes are a `.keras` file that is safe to hand to Keras, in a child."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_members(archive.infolist())
            config = json.loads(archive.read(CONFIG))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The description inside this Keras file cannot be read. Received: {error}") from error
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, *DAMAGED) as error:
        raise InvalidInput(
            f"This is not a Keras file; save it with model.save('name.keras') of Keras 3. Received: {error}"
        ) from error
    if not isinstance(config, dict) or "class_name" not in config:
        raise InvalidInput("The description inside this Keras file is of no model. Received: no class_name")
    for key, value in _walk({name: part for name, part in config.items() if name != COMPILED}):
        _check_value(key, value)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if odd := [name for name in names if name not in MOST_BYTES]:
        raise InvalidInput(
            f"A Keras file holds {', '.join(MOST_BYTES)} and nothing else here; this one names another file or path. "
            f"Received: {odd[0][:80]!r}"
        )
    if len(set(names)) != len(names) or not {CONFIG, WEIGHTS} <= set(names):
        raise InvalidInput(
            f"This is not a Keras file: it must hold {CONFIG} and {WEIGHTS}, each once. "
            f"Received: {', '.join(names) or 'nothing'}"
        )
    for member in members:
        size = member.file_size
        if size > MOST_BYTES[member.filename]:
            raise InvalidInput(
                f"{member.filename} in this Keras file would unpack to more than "
                f"{MOST_BYTES[member.filename] >> 20:,} MB. Received: {size >> 20:,} MB"
            )
        if size > BOMB_FROM and size > MOST_TIMES_PACKED * max(member.compress_size, 1):
            raise InvalidInput(
                f"{member.filename} in this Keras file unpacks to more than {MOST_TIMES_PACKED} times its size, as no "
                f"model does (a zip bomb). Received: {member.compress_size:,} bytes for {size:,}"
            )


def _walk(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of the description that Keras would read, with its key."""
    yield key, value
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _walk(part, str(name))
    elif isinstance(value, list):
        for part in value:
            yield from _walk(part, key)


def _check_value(key: str, value: Any) -> None:
    if isinstance(value, dict) and "class_name" in value:
        _check_class(value)
    elif isinstance(value, str) and ("/" in value or "\\" in value):
        raise InvalidInput(f"This Keras file names a path, which none needs. Received: {value[:80]!r} as {key}")
    elif isinstance(value, int | float) and key not in ANY_SIZE and abs(value) > LARGEST_NUMBER:
        raise InvalidInput(
            f"This Keras file describes a size beyond {LARGEST_NUMBER:,}, as no network for images has. "
            f"Received: {str(value)[:20]} as {key}"
        )


def _check_class(described: dict[str, Any]) -> None:
    name, module = described["class_name"], described.get("module")
    if described.get(COMPILED):
        raise InvalidInput(
            f"A model inside it was compiled, and Keras would build what its {COMPILED} names; save it before it is "
            f"compiled. Received: {str(name)[:80]}"
        )
    if name in ("Lambda", "function") or str(name).startswith("TFOp"):
        raise InvalidInput(
            f"This Keras file holds code of its own, which Readroom never runs; build the model from plain layers. "
            f"Received: {name}"
        )
    called, of = str(name), str(module)  # a file of others may hold anything where a name should be
    ours = module is None or of in MODULES or of.startswith("keras.src.models.")
    operation = (of == OPERATIONS_OF and called in OPERATIONS) or (module is None and called == NUMBERS)
    if not ((called in ALLOWED and ours) or operation) or described.get("registered_name") not in (None, name):
        raise InvalidInput(
            f"This Keras file holds a layer that Readroom does not let in. Received: {called[:80]} of {of[:80]}"
        )
