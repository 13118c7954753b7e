"""Modelled cycles against published ones, and every rule on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ftervit_deploy.lx7 import Core, Result, assemble, assemble_text
from ftervit_deploy.lx7.timing import RULES

OUTER = Path(__file__).parent / "lx7" / "outer.S"
PASSES = 1000


def _call(body: str, *arguments: object, entry: str = "entry a1, 32") -> Result:
    text = f"    .align 4\nf:  {entry}\n{body}\n    retw\n"
    return Core(assemble_text(text)).call("f", *arguments)  # type: ignore[arg-type]


def _per_pass(body: str, setup: str = "") -> float:
    """Cycles of one pass of a hardware loop; a2 and a3 point to 64 KB each."""
    one, more = (
        _call(
            f"{setup}\n movi a4, {count}\n loop a4, .Lend\n{body}\n.Lend:",
            np.zeros(65536, np.uint8),
            np.zeros(65536, np.uint8),
        )
        for count in (1, PASSES + 1)
    )
    return (more.cycles - one.cycles) / PASSES


def _cycles(body: str, setup: str = "") -> int:
    """Cycles of straight text, over those of the text without it."""
    memory = np.zeros(4096, np.uint8)
    vectors = "\n".join(f"ee.zero.q q{n}" for n in range(8))
    clear = "ee.zero.qacc\n ee.zero.accx\n ssai 0\n movi a4, 3\n mov a5, a2"
    setup = f"{vectors}\n{clear}\n{setup}\n nop\n nop\n nop"
    with_it = _call(f"{setup}\n{body}\n nop\n nop\n nop", memory)
    without = _call(f"{setup}\n nop\n nop\n nop", memory)
    return with_it.cycles - without.cycles


# ---- published measurements ----


def test_a_copy_loop_of_one_vector_takes_3_cycles() -> None:
    """Published: 3.03 for 16 bytes; the store waits for the load."""
    assert _per_pass("ee.vld.128.ip q0, a2, 16\n ee.vst.128.ip q0, a3, 16") == pytest.approx(3.03, abs=0.05)


def test_a_copy_loop_of_two_vectors_takes_4_cycles() -> None:
    """Published: 4.00 for 32 bytes."""
    loads = "ee.vld.128.ip q0, a2, 16\n ee.vld.128.ip q1, a2, 16"
    stores = "ee.vst.128.ip q0, a3, 16\n ee.vst.128.ip q1, a3, 16"
    assert _per_pass(f"{loads}\n{stores}") == pytest.approx(4.00, abs=0.01)


@pytest.mark.parametrize("body", ["ee.vadds.s16 q0, q1, q2", "ee.vmul.s16 q0, q1, q2"])
def test_forty_vector_operations_take_40_9_cycles(body: str) -> None:
    """Published: 40.9 a pass, of loops of 30 passes with what it takes to call and time them."""
    setup = "ee.zero.q q1\n ee.zero.q q2\n ssai 1"
    assert _per_pass(f".rept 40\n{body}\n.endr", setup) == pytest.approx(40.9, abs=1.0)


def test_fused_loads_are_free() -> None:
    """Published: 41 operations take the same with 0 to 32 loads beside them."""
    setup = "ee.zero.q q1\n ee.zero.q q2"
    plain = _per_pass(".rept 41\n ee.vadds.s16 q0, q1, q2\n.endr", setup)
    reset = "mov a5, a2\n.rept 20\n ee.vadds.s16.ld.incp q3, a5, q0, q1, q2\n ee.vadds.s16 q0, q1, q2\n.endr"
    assert _per_pass(reset, setup) == plain


@pytest.mark.parametrize(
    ("text", "stalls"),
    [
        ("ee.ld.accx.ip a5, 0\n ee.st.accx.ip a5, 0", 1),
        ("ee.vrelu.s16 q0, a4, a4\n ee.mov.s16.qacc q0", 1),
        ("ee.andq q0, q1, q2\n ee.andq q3, q0, q1", 0),
        ("l32i a6, a2, 0\n add a7, a6, a6", 1),
        ("l32i a6, a2, 0\n nop\n add a7, a6, a6", 0),
        ("add a6, a4, a4\n add a7, a6, a6", 0),
        ("ld.qr q0, a2, 0\n ee.andq q3, q0, q1", 1),
        ("ld.qr q0, a2, 0\n st.qr q0, a2, 16", 0),
        ("mv.qr q0, q1\n ee.andq q3, q0, q1", 0),
        ("ee.vmulas.u16.qacc q0, q1\n ee.srcmb.s16.qacc q2, a4, 0", 1),
        ("ee.vmulas.u16.accx q0, q1\n ee.srcmb.s16.qacc q2, a4, 0", 1),
        ("ee.vmulas.u16.accx q0, q1\n ee.andq q2, q0, q1", 0),
        ("ee.vmulas.u16.qacc q0, q1\n ee.vmulas.u16.qacc q2, q3", 0),
        ("ee.vmulas.u16.qacc q0, q1\n ee.st.qacc_l.l.128.ip a5, 16", 1),
        ("ee.vmulas.u16.qacc q0, q1\n nop\n ee.st.qacc_l.l.128.ip a5, 16", 0),
    ],
)
def test_stalls_are_those_that_were_measured(text: str, stalls: int) -> None:
    """Published: interlocks of pairs, measured on the chip (stalls of issue distance 1 and 2)."""
    assert _cycles(text) == text.count("\n") + 1 + stalls


# ---- rules ----


@pytest.mark.parametrize(
    ("text", "stalls"),
    [
        ("ee.vld.128.ip q0, a5, 16\n ee.vadds.s8 q1, q0, q2", 1),
        ("ee.vadds.s8.ld.incp q0, a5, q1, q2, q3\n ee.vadds.s8 q4, q1, q2", 0),
        ("ee.vadds.s8.ld.incp q0, a5, q1, q2, q3\n ee.vadds.s8 q4, q0, q2", 1),
        ("ee.vmul.s8 q0, q1, q2\n ee.vadds.s8 q3, q0, q1", 1),
        ("ee.vadds.s8 q0, q1, q2\n ee.vmul.s8 q3, q0, q1", 0),
        ("ee.vadds.s8 q0, q1, q2\n ee.srcmb.s8.qacc q3, a4, 0", 1),
        ("ee.orq q0, q1, q2\n ee.srcmb.s8.qacc q3, a4, 0", 0),
        ("ee.vmulas.s8.accx q0, q1\n ee.srs.accx a6, a4, 0", 1),
        ("ee.vmulas.s8.accx q0, q1\n nop\n ee.srs.accx a6, a4, 0", 0),
        ("ee.zero.qacc\n ee.vsmulas.s8.qacc q0, q1, 3", 0),
        ("ee.ldqa.s8.128.ip a5, 16\n ee.st.qacc_l.l.128.ip a5, 16", 1),
        ("ee.vldbc.8 q0, a5\n ee.notq q1, q0", 1),
        ("ee.movi.32.a q0, a6, 1\n addi a6, a6, 1", 0),
        ("mull a6, a4, a4\n add a7, a6, a6", RULES["multiply_ready"].value - 1),
        ("quou a6, a4, a4", RULES["divide"].value),
        ("l32i a6, a2, 0\n beqz a4, 1f\n1: add a7, a6, a6", 0),
    ],
)
def test_what_waits_for_what(text: str, stalls: int) -> None:
    assert _cycles(text) == text.count("\n") + 1 + stalls


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("bnez a4, 1f\n nop\n .align 4\n1:", 3),
        ("beqz a4, 1f\n1:", 1),
        ("j 1f\n .align 4\n1:", 3),
        ("loopgtz a4, 1f\n add a6, a4, a4\n add a7, a4, a4\n1:", 7),
        ("addi a6, a4, -4\n loopgtz a6, 1f\n nop\n .align 4\n1:", 4),
    ],
)
def test_what_leads_elsewhere_costs_two_cycles_more(text: str, cycles: int) -> None:
    """But for a `nop` that aligns a loop."""
    assert _cycles(text) in (cycles, cycles + 1)


def test_a_call_and_its_return_cost_two_taken_branches() -> None:
    text = "f: entry a1, 32\n call8 g\n retw\n .align 4\ng: entry a1, 32\n retw"
    assert Core(assemble_text(text)).call("f").cycles == 5 + 3 * RULES["taken"].value


def test_a_target_that_crosses_a_fetch_costs_one_cycle_more() -> None:
    """Xtensa ISA, 8.4.2: three cycles in place of two."""

    def cycles(skipped: int) -> int:
        nops = " _nop\n" * skipped
        return _call(f" _bnez a2, 1f\n{nops}1: _add a3, a2, a2\n _add a3, a2, a2", 1).cycles

    assert cycles(3) == cycles(1) + 1
    assert cycles(2) == cycles(1)


def test_four_byte_instructions_outside_the_loop_buffer_keep_up_with_fetch() -> None:
    body = ".rept 80\n ee.vadds.s8.ld.incp q3, a5, q0, q1, q2\n.endr"
    result = _call(f"mov a5, a2\n ee.zero.q q1\n ee.zero.q q2\n{body}", np.zeros(4096, np.uint8))
    assert result.cycles == pytest.approx(85 + RULES["taken"].value, abs=2)


def test_a_loop_over_256_bytes_pays_for_its_set_up() -> None:
    def cycles(count: int) -> int:
        return _call(f"movi a4, 3\n loop a4, 1f\n .rept {count}\n ee.zero.qacc\n .endr\n1:").cycles

    assert cycles(85) == pytest.approx(3 * 85 + 6, abs=3)
    assert cycles(90) == pytest.approx(3 * 90 + 6 + RULES["loop_far"].value, abs=4)


def test_the_outer_product_takes_17_cycles_for_256_macs() -> None:
    """16 accumulations with a load and 1 load; one more where the activations have one register only."""
    core = Core(assemble(OUTER))

    def cycles(name: str, passes: int) -> int:
        x, w = np.zeros(16 * passes + 32, np.int8), np.zeros((16 * passes + 2, 16), np.int8)
        return core.call(name, x, w, passes, np.zeros(64, np.uint8)).cycles

    assert (cycles("outer2", 102) - cycles("outer2", 2)) / 100 == 17
    assert (cycles("outer", 102) - cycles("outer", 2)) / 100 == 18


def test_cycles_do_not_depend_on_how_a_loop_is_run() -> None:
    """A loop whose body is one block, and the same with a branch in it that is never taken."""
    body = "ee.vld.128.ip q0, a2, 16\n {} ee.vst.128.ip q0, a3, 16\n nop"
    memory = np.zeros(65536, np.uint8), np.zeros(65536, np.uint8)
    text = "movi a4, 500\n movi a5, 0\n loop a4, 2f\n" + body + "\n2:"
    straight = _call(text.format("nop\n"), *memory)
    branching = _call(text.format("bnez a5, 1f\n1:"), *memory)
    assert abs(straight.cycles - branching.cycles) <= 2


def test_every_rule_names_its_source() -> None:
    assert {rule.source for rule in RULES.values()} <= {"TRM", "CONFIG", "MEASURED", "ASSUMED"}
