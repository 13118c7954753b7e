"""A short run of the fuzz target; run it longer as CONTRIBUTING says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from c_compiler import READER_SOURCES, ROOT, build

FUZZ = ROOT / "tests" / "fuzz"
SECONDS = 10


@pytest.mark.slow
def test_the_fuzzer_finds_no_bad_read(tmp_path: Path) -> None:
    clang = shutil.which("clang")
    if clang is None:
        pytest.skip("no clang: install clang and libclang-rt-dev")
    corpus = tmp_path / "corpus"
    subprocess.run((sys.executable, FUZZ / "make_corpus.py", corpus), check=True)
    sanitizers = ("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    try:
        program = build(clang, tmp_path / "fuzz_open", (FUZZ / "fuzz_open.c", *READER_SOURCES), *sanitizers)
    except subprocess.CalledProcessError:
        pytest.skip("clang has no libFuzzer or does not compile: install libclang-rt-dev")
    options = (f"-max_total_time={SECONDS}", "-max_len=8192", "-print_final_stats=1", "-verbosity=0")
    done = subprocess.run((program, *options, corpus), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
