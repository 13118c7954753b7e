"""`python -m bench.inputs FOLDER`: a deit3_small-shaped checkpoint and a deit_small-shaped image."""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.numpy import save_file

from ftervit_deploy.architecture import PRESETS
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from synthetic import random_checkpoint_arrays, random_graph


def main(folder: Path) -> None:
    """Write both files into `folder`."""
    save_file(random_checkpoint_arrays(PRESETS["deit3_small_224"]), folder / "deit3_small_224.safetensors")
    image = write_image(lower(random_graph(PRESETS["deit_small_224"])), "t2")
    (folder / "deit_small_224.ftv").write_bytes(image)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
