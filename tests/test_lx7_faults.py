"""What a kernel must not do is found, and said with file, line, function and address."""

from __future__ import annotations

import numpy as np
import pytest

from ftervit_deploy.errors import FtervitError
from ftervit_deploy.lx7 import Core, Lx7Fault, Result, assemble_text


def _run(body: str, *arguments: object, before: str = "", strict: bool = True) -> Result:
    text = f"{before}\n    .global f\nf:  entry a1, 48\n{body}\n    retw\n"
    return Core(assemble_text(text, "kernel.S"), strict).call("f", *arguments)  # type: ignore[arg-type]


def _fault(body: str, *arguments: object, before: str = "") -> str:
    with pytest.raises(Lx7Fault) as error:
        _run(body, *arguments, before=before)
    assert isinstance(error.value, FtervitError)
    return str(error.value)


def test_reading_past_an_array_names_everything() -> None:
    said = _fault("    ee.vld.128.ip q0, a2, 16\n    ee.vld.128.ip q1, a2, 16", np.zeros(24, np.int8))
    assert said.startswith("kernel.S:5: in f, `ee.vld.128.ip q1, a2, 16`: load of 16 bytes at 0x3fca0020")
    assert "8 bytes past the end of argument 1" in said


@pytest.mark.parametrize(
    "access", ["l8ui a3, a2, 16", "s8i a2, a2, 16", "l16ui a3, a2, 16", "l32i a3, a2, 16"]
)
def test_every_access_is_checked(access: str) -> None:
    assert "past the end of argument 1" in _fault(access, np.zeros(16, np.uint8))
    _run(access, np.zeros(32, np.uint8))


def test_before_an_array_is_outside_too() -> None:
    said = _fault("addi a2, a2, -16\n ee.vld.128.ip q0, a2, 0", np.zeros(16, np.uint8))
    assert "16 bytes before argument 1" in said


def test_the_array_may_be_accessed_to_its_last_byte() -> None:
    assert _run("l8ui a2, a2, 6", np.arange(7, dtype=np.uint8)).value == 6


def test_a_read_only_array_is_not_stored_to() -> None:
    array = np.zeros(16, np.uint8)
    array.flags.writeable = False
    assert "read-only" in _fault("s32i a2, a2, 0", array)


def test_what_the_program_holds_as_constants_is_read_only() -> None:
    before = " .section .rodata\n .align 4\nt: .word 5\n .text\n"
    assert _run("movi a3, t\n l32i a2, a3, 0", before=before).value == 5
    assert ".rodata" in _fault("movi a3, t\n s32i a3, a3, 0", before=before)


def test_data_keeps_what_was_stored_from_call_to_call() -> None:
    before = " .data\n .align 4\nt: .word 5\n .text\n"
    body = "movi a3, t\n l32i a2, a3, 0\n addi a4, a2, 1\n s32i a4, a3, 0"
    core = Core(assemble_text(f"{before}\nf: entry a1, 32\n{body}\n retw"))
    assert [core.call("f").value for _ in range(3)] == [5, 6, 7]


def test_misaligned_vector_accesses_are_faults_unless_they_are_meant() -> None:
    array = np.arange(32, dtype=np.uint8)
    body = "addi a2, a2, 4\n ee.vld.128.ip q0, a2, 0{}\n ee.movi.32.a q0, a2, 0"
    assert "is not a multiple of 16" in _fault(body.format(""), array)
    assert _run(body.format("  # lx7: misaligned"), array).value == 0x03020100
    assert _run(body.format(""), array, strict=False).value == 0x03020100


def test_misaligned_scalar_accesses_are_faults() -> None:
    array = np.arange(32, dtype=np.uint8)
    body = "addi a2, a2, 2\n l32i a2, a2, 0"
    assert "is not a multiple of 4" in _fault(body, array)
    assert _run(body, array, strict=False).value == 0x05040302


@pytest.mark.parametrize(
    ("body", "register"),
    [
        ("addi a2, a9, 1", "a9"),
        ("add a2, a3, a15", "a15"),
        ("beqz a8, 1f\n1: nop", "a8"),
        ("beq a8, a2, 1f\n1: nop", "a8"),
        ("moveqz a3, a2, a10", "a10"),
        ("ee.vadds.s8 q0, q1, q1", "q1"),
        ("ee.vst.128.ip q4, a2, 16", "q4"),
        ("ee.zero.qacc\n ee.zero.q q0\n ee.vsmulas.s8.qacc q0, q6, 3", "q6"),
        ("ee.vsmulas.s8.qacc.ld.incp q0, a2, q5, q5, 3", "q5"),
        ("ee.zero.q q0\n ee.vmulas.s8.qacc q0, q0", "QACC"),
        ("ee.zero.q q0\n ee.vmulas.s8.accx q0, q0", "ACCX"),
        ("movi a3, 2\n ee.srcmb.s16.qacc q0, a3, 0", "QACC"),
        ("rur.qacc_l_0 a3", "QACC"),
        ("ee.zero.q q0\n ee.vmul.s8 q1, q0, q0", "SAR"),
        ("srl a2, a2", "SAR"),
        ("ee.zero.q q0\n ee.src.q q1, q0, q0", "SAR_BYTE"),
        ("movi a3, 0\n ee.movi.32.q q0, a3, 1\n ee.notq q1, q0", "q0"),
        ("movi a3, 0\n ee.movi.32.q q0, a3, 1\n ee.movi.32.a q0, a4, 2", "q0"),
        ("loop a8, 1f\n nop\n1:", "a8"),
        ("rsr.m0 a3", "m0"),
    ],
)
def test_a_register_that_was_never_written_is_not_read(body: str, register: str) -> None:
    assert f"{register} is read and was never written" in _fault(body, np.zeros(64, np.uint8), 0)


def test_a_vector_register_may_be_written_in_parts() -> None:
    parts = "\n".join(f"movi a3, {n + 1}\n ee.movi.32.q q0, a3, {n}" for n in range(4))
    array = np.zeros(4, np.uint32)
    _run(f"{parts}\n ee.vst.128.ip q0, a2, 0", array)
    assert array.tolist() == [1, 2, 3, 4]
    _run("ee.vld.l.64.ip q1, a2, 8\n ee.vld.h.64.ip q1, a2, -8\n ee.vst.128.ip q1, a2, 0", array)
    assert array.tolist() == [1, 2, 3, 4]


def test_exclusive_or_with_itself_needs_no_value() -> None:
    array = np.ones(4, np.uint32)
    _run("ee.xorq q3, q3, q3\n ee.vst.128.ip q3, a2, 0", array)
    assert not array.any()


def test_division_by_zero() -> None:
    assert "division by zero" in _fault("movi a3, 0\n quou a2, a2, a3", 5)


def test_a_loop_that_would_run_two_to_the_32_times() -> None:
    assert "count is 0" in _fault("movi a3, 0\n loop a3, 1f\n nop\n1:")


def test_a_function_that_never_ends_is_stopped() -> None:
    core = Core(assemble_text("f: entry a1, 32\n1: j 1b\n retw", "kernel.S"), limit=1000)
    with pytest.raises(Lx7Fault, match="1,000 instructions and no end"):
        core.call("f")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("addi a1, a1, 16", "a1 is not what `entry` made it"),
        ("movi a0, 0x40001234", "not the return address"),
        ("s32i a2, a1, -4 + 8\n addi a3, a1, -16\n s32i a2, a3, 0", "before stack"),
        ("movi a3, 0x40001000\n jx a3", "where there is no instruction"),
    ],
)
def test_the_windowed_convention_is_kept(body: str, said: str) -> None:
    assert said in _fault(body, 1)


def test_a_caller_leaves_room_for_its_callees_registers() -> None:
    before = "g: entry a1, 32\n retw\n .align 4\nh: entry a1, 16\n call8 g\n retw\n .align 4"
    assert "a frame of 16 bytes; `entry` must leave 32" in _fault("call8 h", before=before)


def test_what_a_callee_may_overwrite_is_overwritten() -> None:
    before = "g: entry a1, 32\n movi a2, 7\n movi a3, 8\n retw\n .align 4"
    assert _run("movi a10, 1\n movi a11, 2\n call8 g\n add a2, a10, a11", before=before).value == 15
    assert "a14 is read" in _fault("movi a14, 1\n call8 g\n add a2, a14, a14", before=before)


def test_registers_below_the_window_survive_a_call() -> None:
    before = "g: entry a1, 32\n movi a2, 7\n movi a3, 8\n retw\n .align 4"
    assert _run("movi a5, 30\n call8 g\n add a2, a5, a10", before=before).value == 37


def test_call0_functions_and_arguments_on_the_stack() -> None:
    core = Core(assemble_text("f: add a2, a2, a7\n l32i a3, a1, 0\n add a2, a2, a3\n ret"))
    assert core.call("f", 1, 2, 3, 4, 5, 60, 700).value == 761
    core = Core(assemble_text("f: entry a1, 32\n l32i a3, a1, 32\n l32i a4, a1, 36\n sub a2, a3, a4\n retw"))
    assert core.call("f", 1, 2, 3, 4, 5, 6, 70, 100).signed == -30


def test_memory_is_mapped_where_it_is_asked_for() -> None:
    core = Core(assemble_text("f: entry a1, 32\n l32i a2, a2, 0\n retw"))
    array = np.array([11, 22], np.uint32)
    with core.memory.map("here", array, address=0x4567_8900, writable=False) as address:
        assert address == 0x4567_8900
        assert core.call("f", address + 4).value == 22
    with pytest.raises(Lx7Fault):
        core.call("f", 0x4567_8904)


def test_areas_hold_what_the_chip_holds() -> None:
    core = Core(assemble_text("f: entry a1, 32\n retw"))
    with pytest.raises(Lx7Fault, match="do not fit into sram"):
        core.memory.add("too large", np.zeros(600 * 1024, np.uint8))
    with core.memory.map("large", np.zeros(600 * 1024, np.uint8), area="psram") as address:
        assert address >= 0x3D00_0000
    for _ in range(100):
        with core.memory.map("again", np.zeros(200 * 1024, np.uint8)):
            pass


def test_mappings_do_not_overlap_and_are_contiguous() -> None:
    core = Core(assemble_text("f: entry a1, 32\n retw"))
    core.memory.add("first", np.zeros(64, np.uint8), address=0x3D00_0000)
    with pytest.raises(Lx7Fault, match="overlaps first"):
        core.memory.add("second", np.zeros(64, np.uint8), address=0x3D00_0030)
    core.memory.add("beside", np.zeros(64, np.uint8), address=0x3D00_0040)
    with pytest.raises(Lx7Fault, match="not contiguous"):
        core.memory.add("strided", np.zeros((8, 8), np.uint8)[:, ::2])
    frozen = np.zeros(4)
    frozen.flags.writeable = False
    with pytest.raises(Lx7Fault, match="writable=False"):
        core.memory.add("frozen", frozen)


def test_neighbours_without_a_gap_are_kept_apart() -> None:
    core = Core(assemble_text("f: entry a1, 32\n l32i a2, a2, 0\n retw"))
    core.memory.add("first", np.array([1, 2], np.uint32), address=0x3D00_0000)
    core.memory.add("second", np.array([3, 4], np.uint32), address=0x3D00_0008)
    assert [core.call("f", 0x3D00_0000 + 4 * n).value for n in range(4)] == [1, 2, 3, 4]


def test_addresses_are_no_more_aligned_than_promised() -> None:
    core = Core(assemble_text("f: entry a1, 32\n mov a2, a2\n retw"))
    for size in (16, 100, 5000):
        assert (core.call("f", np.zeros(size, np.uint8)).value or 0) % 32 == 16


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(Lx7Fault, match="no function `g`"):
        Core(assemble_text("f: entry a1, 32\n retw")).call("g")
