"""Writes the fuzzer's first images into a folder: valid ones, and one for each broken rule.

Run as ``python tests/fuzz/make_corpus.py FOLDER``.
"""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

from folding_models import FEW_BYTES, folded_model  # noqa: E402
from image_hostile import hostile_images  # noqa: E402
from image_models import TINY, random_model  # noqa: E402

from ftervit_deploy.image import write_image  # noqa: E402


def make_corpus(folder: Path) -> int:
    """Writes the corpus; returns the number of files."""
    folder.mkdir(parents=True, exist_ok=True)
    images: list[bytes] = []
    for encoding in ("t2", "t5"):
        images += [write_image(model, encoding) for model in (random_model(TINY), folded_model(FEW_BYTES))]
        images += [hostile.data for hostile in hostile_images(encoding)]
    for index, data in enumerate(images):
        (folder / f"{index:04d}.ftv").write_bytes(data)
    return len(images)


if __name__ == "__main__":
    print(make_corpus(Path(sys.argv[1])), "files")
