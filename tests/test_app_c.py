"""The application's parts under sanitizers: crop, letters, self-test, camera faults; what it may use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from c_compiler import ROOT, RUNTIME, SANITIZERS, WARNINGS, build, compiler
from display_text import Draw, build_draw
from folding_models import folded_model
from line_board import APP_INCLUDE, APP_SOURCES, FLAGS, LINE_INCLUDE, LINE_SOURCES
from PIL import Image

from ftervit_deploy.architecture import Architecture
from ftervit_deploy.bench.numbers import expected_crc
from ftervit_deploy.image import write_image
from ftervit_deploy.lower import lower
from synthetic import random_graph

INCLUDES = (f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}", LINE_INCLUDE, APP_INCLUDE)
PROGRAMS = ROOT / "tests" / "c"
CHIP_SOURCES = (*sorted((RUNTIME / "src").rglob("*.c")), *LINE_SOURCES, *APP_SOURCES)
PACKAGES = {"xtensa-lx106-elf-gcc": "gcc-xtensa-lx106"}
SHAPE = Architecture(24, 6, 40, 2, 2, 77, 5)
RGB565, YUYV, GRAY8, RGB888 = 1, 2, 3, 4


# ---- what it is made of ----


@pytest.mark.parametrize("name", ["gcc", "clang", "xtensa-lx106-elf-gcc"])
def test_all_that_a_chip_needs_compiles_without_a_warning(tmp_path: Path, name: str) -> None:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: install {PACKAGES.get(name, name)}")
    flags = ("-std=c11", "-O2", "-ffreestanding", *WARNINGS, *INCLUDES)
    subprocess.run((found, *flags, "-c", *CHIP_SOURCES), check=True, cwd=tmp_path)


def test_the_application_calls_no_library_and_has_no_globals(tmp_path: Path) -> None:
    found = shutil.which("gcc")
    if found is None or shutil.which("nm") is None:
        pytest.skip("no gcc or nm: install gcc")
    flags = ("-std=c11", "-O2", "-ffreestanding", "-fno-stack-protector", "-fno-pic", *INCLUDES)
    subprocess.run((found, *flags, "-c", *LINE_SOURCES, *APP_SOURCES), check=True, cwd=tmp_path)
    listed = subprocess.run(
        ("nm", *sorted(tmp_path.glob("*.o"))), capture_output=True, text=True, check=True
    ).stdout
    symbols = [line.split()[-2:] for line in listed.splitlines() if line and not line.endswith(":")]
    wanted = {name for kind, name in symbols if kind == "U" and not name.startswith("ftv_")}
    assert wanted <= {"memcpy", "memset", "memcmp"}, "what a compiler calls by itself"
    assert not [name for kind, name in symbols if kind in "bBdDC"], "nothing that can be written"


def test_the_application_needs_nothing_but_the_compiler() -> None:
    allowed = {"ftv.h", "stddef.h", "stdint.h", "stdbool.h"}
    for path in sorted((RUNTIME / "app").glob("*.[ch]")):
        code = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        included = set(re.findall(r'#include [<"](.*?)[>"]', code))
        own = {
            name
            for name in included
            for folder in ("app", "line", "src")
            if (RUNTIME / folder / name).is_file()
        }
        assert not included - allowed - own, f"{path.name} includes {included - allowed - own}"
        if not path.stem.startswith("ftv_dense"):  # what ternary kernels are compared with
            assert not re.findall(r"\b(?:float|double)\b", code), f"{path.name} has floating point"


# ---- crop ----


Crop = Callable[[bytes, int, int, int, int], np.ndarray]


@pytest.fixture(scope="module")
def crop(tmp_path_factory: pytest.TempPathFactory) -> Crop:
    """(frame, width, height, format, size) -> uint8 [size, size, 3]."""
    folder = tmp_path_factory.mktemp("crop")
    sources = (PROGRAMS / "crop_frame.c", RUNTIME / "app" / "ftv_crop.c")
    program = build(compiler(), folder / "crop", sources, *INCLUDES, *SANITIZERS)

    def run(frame: bytes, width: int, height: int, pixel_format: int, size: int) -> np.ndarray:
        command = (program, *map(str, (width, height, pixel_format, size)))
        done = subprocess.run(command, input=frame, capture_output=True)
        assert done.returncode == 0, done.stderr[-4000:]
        return np.frombuffer(done.stdout, np.uint8).reshape(size, size, 3)

    return run


def _noise(width: int, height: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _pillow(pixels: np.ndarray, size: int) -> np.ndarray:
    height, width, _ = pixels.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (240, 240, 64), (240, 240, 224), (320, 240, 96), (240, 320, 96), (64, 64, 224), (101, 77, 30),
        (77, 100, 49), (640, 480, 8), (1600, 1200, 96), (3, 1, 5), (2, 2, 1),
    ],
)  # fmt: skip
def test_resizing_is_pillows(crop: Crop, width: int, height: int, size: int) -> None:
    pixels = _noise(width, height)
    difference = crop(pixels.tobytes(), width, height, RGB888, size).astype(int) - _pillow(pixels, size)
    assert np.abs(difference).max() <= 2


def test_a_frame_of_the_models_size_stays_as_it_is(crop: Crop) -> None:
    pixels = _noise(64, 64)
    assert (crop(pixels.tobytes(), 64, 64, RGB888, 64) == pixels).all()


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("size", [7, 64, 240, 300])
def test_one_colour_stays_one_colour(crop: Crop, value: int, size: int) -> None:
    assert (crop(bytes([value]) * 240 * 240 * 3, 240, 240, RGB888, size) == value).all()


def test_rgb565_is_expanded_by_repeating_its_bits(crop: Crop) -> None:
    values = np.arange(65536, dtype=np.uint32).reshape(256, 256)
    red, green, blue = values >> 11, values >> 5 & 63, values & 31
    expected = np.stack([red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2], -1)
    assert (crop(values.astype(">u2").tobytes(), 256, 256, RGB565, 256) == expected).all()


def test_yuyv_is_bt601_full_range(crop: Crop) -> None:
    draw = np.random.default_rng(2)
    data = draw.integers(0, 256, (62, 31, 4), np.uint8)
    data[0, 0], data[0, 1] = (0, 128, 255, 128), (255, 255, 0, 0)
    luma = data[:, :, [0, 2]].reshape(62, 62).astype(float)
    u, v = (np.repeat(data[:, :, at].astype(float) - 128, 2, axis=1) for at in (1, 3))
    exact = np.stack([luma + 1.402 * v, luma - 0.344136 * u - 0.714136 * v, luma + 1.772 * u], -1)
    found = crop(data.tobytes(), 62, 62, YUYV, 62)
    assert np.abs(found - exact.clip(0, 255)).max() <= 1


def test_the_middle_of_a_wide_yuyv_frame_has_its_own_colours(crop: Crop) -> None:
    data = np.full((4, 5, 4), (100, 128, 100, 128), np.uint8)
    data[:, 2] = (100, 128, 100, 255)
    found = crop(data.tobytes(), 10, 4, YUYV, 4)[0, :, 0]
    assert (found == (100, 255, 255, 100)).all()


def test_grey_is_grey(crop: Crop) -> None:
    pixels = _noise(50, 40)[:, :, :1]
    expected = _pillow(np.repeat(pixels, 3, axis=2), 20).astype(int)
    assert np.abs(crop(pixels.tobytes(), 50, 40, GRAY8, 20) - expected).max() <= 2


# ---- letters ----

LETTERS = ROOT / "tests" / "golden" / "letters.png"
EVERYTHING = "".join(map(chr, range(32, 127)))


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """(text, width, height, scale, rows of a strip) -> bool [height, width]: where the ink is."""
    return build_draw(tmp_path_factory.mktemp("draw"))


def test_the_letters_stay_as_they_are(draw: Draw, request: pytest.FixtureRequest) -> None:
    small, large = draw(EVERYTHING, 198, 30, 1), draw(EVERYTHING, 396, 60, 2)
    sheet = np.zeros((90, 396), bool)
    sheet[:30, :198], sheet[30:] = small, large
    if request.config.getoption("--regenerate-golden"):
        Image.fromarray(sheet).save(LETTERS, optimize=True)
    golden = np.asarray(Image.open(LETTERS))
    assert (sheet == golden).all(), "letters changed; if that is meant: pytest --regenerate-golden"


def test_every_letter_is_there_and_none_is_twice(draw: Draw) -> None:
    cells = [draw(letter, 6, 10, 1).tobytes() for letter in EVERYTHING[1:]]
    assert len(set(cells)) == len(cells)
    assert bytes(60) not in cells


@pytest.mark.parametrize("rows", [1, 3, 7, 60])
def test_the_height_of_a_strip_changes_nothing(draw: Draw, rows: int) -> None:
    text = "A long sentence, with gjpqy"
    assert (draw(text, 100, 60, 2, rows) == draw(text, 100, 60, 2)).all()


def test_words_are_wrapped_and_only_words_too_long_are_cut(draw: Draw) -> None:
    wrapped = draw("one two threefourfive", 6 * 8, 40, 1)
    for row, line in enumerate(("one two", "threefou", "rfive")):
        assert (wrapped[10 * row : 10 * row + 10] == draw(line, 6 * 8, 10, 1)).all()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller & Søn", "Muller & Son"), ("żółw čaj", "zolw caj"),
        ("naïve “quote” – it’s", "naive \"quote\" - it's"), ("日本", "??"),
        ("a\tb", "a?b"), ("Straße", "Strase"),
    ],
)  # fmt: skip
def test_other_letters_fall_back_sensibly(draw: Draw, text: str, shown: str) -> None:
    assert (draw(text, 150, 10, 1) == draw(shown, 150, 10, 1)).all()


# ---- the application with made-up devices ----


class Run:
    """What `run_app` printed."""

    def __init__(self, output: str) -> None:
        self.lines = output.splitlines()
        self.info = json.loads(self._with("info: ")[0])
        self.log = self._with("log: ")
        self.restarts_ms = [int(line.split()[0]) for line in self._with("restart: ")]
        self.predictions = [line for line in self._with("line: ") if line.startswith("@ftv ")]

    def _with(self, start: str) -> list[str]:
        return [line.removeprefix(start) for line in self.lines if line.startswith(start)]


RunApp = Callable[..., Run]


@pytest.fixture(scope="module")
def run_app(tmp_path_factory: pytest.TempPathFactory) -> RunApp:
    """Starts the application with the options that run_app.c names."""
    folder = tmp_path_factory.mktemp("app")
    sources = (PROGRAMS / "run_app.c", *CHIP_SOURCES)
    program = build(compiler(), folder / "run_app", sources, *INCLUDES, *FLAGS, *SANITIZERS)
    images = {}
    for encoding in ("t2", "t5"):
        images[encoding] = folder / f"model.{encoding}"
        images[encoding].write_bytes(write_image(lower(random_graph(SHAPE, 3)), encoding))
    images["folded"] = folder / "model.folded"
    images["folded"].write_bytes(write_image(folded_model(replace(SHAPE, hidden=256))))

    def run(encoding: str = "t2", **options: object) -> Run:
        words = [f"{key}={value}" for key, value in options.items()]
        done = subprocess.run((program, images[encoding], *words), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        assert not any("too many" in line or "does not change" in line for line in done.stdout.splitlines())
        assert "held: 0" in done.stdout, "a frame was not given back"
        return Run(done.stdout)

    return run


@pytest.mark.parametrize("encoding", ["t2", "t5", "folded"])
@pytest.mark.parametrize(
    "kernels", ["portable", "ref", "scalar", "fused", "layer", "attend", "norm", "quantise"]
)
def test_right_kernels_pass_the_self_test(run_app: RunApp, encoding: str, kernels: str) -> None:
    for shared in (0, 1):
        run = run_app(encoding, kernels=kernels, workers=2, shared=shared, core=9)
        assert (run.info["self_test"], run.info["kernels"]) == ("passed", kernels)
        assert run.info["model"] is not None


@pytest.mark.parametrize("core", [0, 1])
@pytest.mark.parametrize(
    ("wrong", "kernel"),
    [
        ("linear", "linear_s8t2"),
        ("scores", "scores_s8s8"),
        ("mix", "mix_s16s8"),
        ("parts", "qkv"),
        *((step, step) for step in ("qkv", "layer", "attend", "norm", "quantise")),
    ],
)
def test_a_wrong_kernel_is_found_on_the_core_where_it_is_wrong(
    run_app: RunApp, wrong: str, kernel: str, core: int
) -> None:
    run = run_app(kernels=wrong, workers=2, core=core, camera="F", steps=3)
    expected = f"failed: {kernel} on core {core}; using ref"
    assert (run.info["self_test"], run.info["kernels"]) == (expected, "ref")
    assert f"1 self-test of the kernels {wrong} {expected}" in run.log
    assert len(run.predictions) == 3, "the board works, with ref"


def test_a_self_test_needs_the_memory_that_it_says(run_app: RunApp) -> None:
    run = run_app(scratch=31000)
    assert run.info["model"] is None
    assert re.search(r"self-test needs \d+ bytes, .* `ftervit build`", run.info["model_error"])


def test_the_trigger_is_high_while_the_engine_runs(run_app: RunApp) -> None:
    run = run_app(camera="F", steps=2)
    events = [line for line in run.lines if line.startswith(("trigger", "line: @ftv"))]
    assert [event[:10] for event in events] == ["trigger: 1", "trigger: 0", "line: @ftv"] * 2


@pytest.fixture(scope="module")
def bench_kernel(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Serves a BENCH: name, tokens, inputs, bytes of memory."""
    sources = (PROGRAMS / "bench_kernel.c", *CHIP_SOURCES)
    program = tmp_path_factory.mktemp("bench") / "bench_kernel"
    build(compiler(), program, sources, *INCLUDES, *FLAGS, *SANITIZERS)

    def run(*words: object) -> str:
        done = subprocess.run((program, *map(str, words)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.strip()

    return run


KERNELS = ("linear_s8t5_portable", "activate_s8t2_ref", "linear_s8s8_portable", "linear_f32f32_portable")


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_kernel_raises_the_trigger_and_needs_no_more_memory_than_it_has(
    bench_kernel: Callable[..., str], kernel: str
) -> None:
    expected = f"trigger 1 trigger 0 error 0 crc {expected_crc(kernel, 3, 37)}"
    answers = [bench_kernel(kernel, 3, 37, size) for size in (0, 16, 700, 1500, 3000, 6000, 30_000)]
    assert set(answers) == {"error 4 crc 0", expected}, "PAYLOAD where memory lacks"
    assert answers == sorted(answers), "and with more of it, none lacks"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("linear_s8t2_fast", 1, 16), 8),
        (("linear_s8s8_ref", 1, 16), 8),
        (("linear_s8t2_", 1, 16), 8),
        (("linear_s8t2_refs", 1, 16), 8),
        (("store_s8t2_ref", 0, 16), 4),
        (("store_s8t2_ref", 5000, 1), 4),
        (("store_s8t2_ref", 1, 4129), 4),
        (("linear_f32f32_portable", 4294967295, 16), 4),
    ],
)
def test_a_bench_that_cannot_be_is_refused_without_a_trigger(
    bench_kernel: Callable[..., str], words: tuple[object, ...], error: int
) -> None:
    assert bench_kernel(*words, 1 << 20) == f"error {error} crc 0"


def test_time_outs_restart_the_camera_after_growing_pauses(run_app: RunApp) -> None:
    run = run_app(camera="FT", steps=40_000)
    pauses = np.diff(run.restarts_ms)
    assert len(pauses) >= 4
    assert (pauses[1:] >= 1.9 * pauses[:-1]).all()
    assert (pauses[1:] <= 2.1 * pauses[:-1]).all()
    assert run.info["frames"] == 1
    assert run.info["camera_timeouts"] >= run.info["camera_restarts"] == len(run.restarts_ms)


def test_pauses_do_not_grow_beyond_half_a_minute(run_app: RunApp) -> None:
    pauses = np.diff(run_app(camera="X", restart="x", steps=200_000).restarts_ms)
    assert pauses.max() <= 31_000
    assert len(pauses) >= 10


def test_a_camera_that_comes_back_predicts_again_and_is_patient_no_longer(run_app: RunApp) -> None:
    run = run_app(camera="FTTTFFFTFFFF", steps=3000)
    assert run.info["frames"] > 10
    assert (run.info["camera_timeouts"], run.info["camera_restarts"]) == (4, 4)
    assert "3 camera: pictures come again" in run.log
    pauses = np.diff(run.restarts_ms)
    assert pauses[2] < pauses[1], "after a good frame the first pause is short again"


def test_a_restart_that_fails_is_tried_again(run_app: RunApp) -> None:
    run = run_app(camera="FXFF", restart="xx+", steps=3000)
    assert run.info["camera_restarts"] == 3
    assert run.info["camera_failures"] == 3
    assert run.info["frames"] > 10


def test_damaged_frames_are_counted_and_many_in_a_row_restart_the_camera(run_app: RunApp) -> None:
    run = run_app(camera="FOFOFF", steps=50)
    assert (run.info["camera_overflows"], run.info["camera_restarts"]) == (2, 0)
    assert run_app(camera="O" * 20 + "F", steps=2000).info["camera_restarts"] == 1


def test_the_log_does_not_fill_with_faults(run_app: RunApp) -> None:
    run = run_app(camera="O", steps=30_000)
    assert run.info["camera_overflows"] > 100
    assert 1 <= sum("damaged" in line for line in run.log) <= 5


def test_a_display_that_fails_is_left_alone(run_app: RunApp) -> None:
    for strips in (0, 5, 30):
        run = run_app(display=strips, camera="F", steps=500)
        assert sum(line.startswith("1 display: ") for line in run.log) == 1
        assert run.info["frames"] == 500
