"""`python -m core.training.starting_child FORM NETWORK FILE OUT`: the weights of a file, layer by layer, as an `.npz`.

In a child that is watched for its memory: the file may be from elsewhere. What comes back is numbers and names only.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from core.training.networks import NETWORKS, leaves_of


def main(arguments: list[str]) -> int:
    """Write each layer with weights, in order: `names`, and arrays `layer_weight`. The last line of what goes wrong is
    told by the parent."""
    form, network, source, out = arguments
    model = _weighted(network, Path(source)) if form == "weights" else _loaded(Path(source))
    layers = [layer for layer in leaves_of(model) if layer.weights]
    names = json.dumps([layer.name for layer in layers])
    arrays = {
        f"{at}_{place}": value for at, layer in enumerate(layers) for place, value in enumerate(layer.get_weights())
    }
    np.savez(out, allow_pickle=False, names=np.array(names), **arrays)
    return 0


def _loaded(path: Path) -> Any:
    import keras

    return keras.models.load_model(path, compile=False, safe_mode=True)


def _weighted(network: str, path: Path) -> Any:
    """The network's body with the weights of an HDF5 file, which may not point to other files."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as opened:
        outside = opened.visititems_links(lambda name, link: name if isinstance(link, h5py.ExternalLink) else None)
        outside = outside or opened.visititems(lambda name, item: name if _lies_outside(item) else None)
        if outside:
            raise ValueError(f"it points to another file ({outside})")
        old = "layer_names" in opened.attrs  # as keras.applications keeps its own
    model = NETWORKS[network].ready_made()  # type: ignore[attr-defined]  # of those that take ready-made weights
    named = path.with_name("ready_made.h5" if old else "ready_made.weights.h5")  # Keras knows the format by the name
    path.rename(named)
    model.load_weights(named)
    return model


def _lies_outside(item: Any) -> bool:
    return bool(getattr(item, "external", None) or getattr(item, "is_virtual", False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
