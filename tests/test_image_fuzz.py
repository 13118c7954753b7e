"""Short runs of the fuzz targets that read images, and run those that can be opened."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from c_compiler import READER_SOURCES, ROOT
from folding_models import folded_model
from fuzz_target import FUZZ, fuzz
from image_models import TINY, random_model
from line_board import ENGINE_SOURCES, FLAGS

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.image import write_image

PROGRAMS = ROOT / "tests" / "c"

SMALL = (
    TINY,
    Architecture(6, 3, 20, 1, 2, 300, 3),
    Architecture(8, 4, 33, 1, 1, 17, 2, layer_scale=True),
    Architecture(4, 1, 17, 1, 17, 18, 5, position_on_class_token=False),
    Architecture(2, 1, 1, 3, 1, 1, 1),
    Architecture(9, 3, 48, 1, 3, 40, 4),
)
"""Every kind of padding, sums beyond 256 inputs, and passes of a millisecond."""


@pytest.mark.slow
def test_the_fuzzer_finds_no_bad_read(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    subprocess.run((sys.executable, FUZZ / "make_corpus.py", corpus), check=True)
    fuzz(tmp_path, "fuzz_open", READER_SOURCES, corpus=corpus, longest=8192)


@pytest.mark.slow
def test_the_fuzzer_finds_no_image_or_plan_that_goes_wrong(tmp_path: Path) -> None:
    images, corpus = tmp_path / "images", tmp_path / "corpus"
    images.mkdir()
    corpus.mkdir()
    models = [*(random_model(shape, number) for number, shape in enumerate(SMALL)), folded_model()]
    for number, model in enumerate(models):
        for encoding in ("t2", "t5"):
            (images / f"{number}.{encoding}").write_bytes(write_image(model, encoding))
    draw = random.Random(1)
    for number in range(40):
        (corpus / str(number)).write_bytes(draw.randbytes(draw.choice((60, 150, 300))))
    fuzz(
        tmp_path, "fuzz_run", (PROGRAMS / "late_copies.c", *ENGINE_SOURCES), *FLAGS, f"-I{PROGRAMS}",
        "-DFTV_NO_CLONES", corpus=corpus, longest=300, FTV_IMAGES=images,
    )  # fmt: skip
