"""The LX7 model reads what GNU as reads, and lays it out alike."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lx7_bench import Bench, Machine

from ftervit_deploy.lx7 import AssemblyError, Core, assemble, assemble_text
from ftervit_deploy.lx7.opcodes import B4CONST, B4CONSTU, OPCODES, Operand

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
LAYOUT = HERE / "lx7" / "layout.S"
ASSEMBLER = "xtensa-esp32s3-elf-as"


def _value(text: str) -> int:
    """What a function with this body returns."""
    result = Core(assemble_text(f"f: entry a1, 32\n{text}\n retw")).call("f")
    assert result.value is not None
    return result.value


def _words(text: str) -> list[int]:
    """The words that a `.data` section with this text holds."""
    (section,) = assemble_text(f".data\n{text}").sections
    return [int.from_bytes(section.data[i : i + 4], "little") for i in range(0, len(section.data), 4)]


# ---- against the real assembler's output ----


def _written(operand: Operand) -> str:
    return {"A": "a4", "Q": "q1", "I": str(operand.low), "B": str(B4CONST[0]), "U": str(B4CONSTU[0])}.get(
        operand.kind, "target"
    )


def _samples() -> list[str]:
    """One instruction of every opcode that a text can hold; no two results in one register."""
    out = []
    for name, opcode in sorted(OPCODES.items()):
        taken, words = 4, []
        for operand in opcode.operands:
            word = _written(operand)
            if operand.kind in ("A", "Q"):
                word = f"{word[0]}{taken}" if operand.kind == "A" else f"q{taken % 8}"
                taken += 1
            if operand.kind == "I" and name == "addi.n":
                word = "1"
            words.append("a1" if name == "entry" and operand.kind == "A" else word)
        if name not in ("l32r=", "l32r"):
            out.append(f"{'' if opcode.size == 2 else '_'}{name} {', '.join(words)}".strip())
    return out


def _listing(source: Path, tmp_path: Path) -> list[tuple[int, int]]:
    """Offset and size of every instruction, as the real assembler has them."""
    tool = shutil.which(ASSEMBLER)
    assert tool, f"put ESP-IDF's {ASSEMBLER} on PATH to regenerate"
    plain = tmp_path / "plain.s"
    plain.write_text(subprocess.run(["cpp", "-P", source], capture_output=True, text=True, check=True).stdout)
    subprocess.run([tool, plain, "-o", tmp_path / "out.o"], check=True)
    dump = [tool.removesuffix("as") + "objdump", "-d", tmp_path / "out.o"]
    text = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^\s*([0-9a-f]+):\t([0-9a-f]+)\s*\t(\S+)", text, re.M)
    return [(int(at, 16), len(code) // 2) for at, code, name in lines if name not in (".byte", "ill")]


def test_sizes_are_those_of_the_real_assembler(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = GOLDEN / "lx7_sizes.txt"
    if request.config.getoption("--regenerate-golden"):
        lines = []
        for sample in _samples():
            source = tmp_path / "one.S"
            source.write_text(f" .text\n .align 4\n{sample}\n .align 4\ntarget: nop\n")
            lines.append(f"{_listing(source, tmp_path)[0][1]} {sample}")
        path.write_text("\n".join(lines) + "\n")
    golden = [line.split(" ", 1) for line in path.read_text().splitlines()]
    assert [sample for _, sample in golden] == _samples()
    for size, sample in golden:
        program = assemble_text(f" .align 4\n{sample}\n .align 4\ntarget: nop\n")
        assert min(program.instructions.items())[1].size == int(size), sample


def test_a_text_is_laid_out_as_the_real_assembler_does(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    path = GOLDEN / "lx7_layout.txt"
    if request.config.getoption("--regenerate-golden"):
        path.write_text("".join(f"{at} {size}\n" for at, size in _listing(LAYOUT, tmp_path)))
    golden = [tuple(map(int, line.split())) for line in path.read_text().splitlines()]
    program = assemble(LAYOUT)
    start = min(program.instructions)
    ours = []
    for at, instruction in sorted(program.instructions.items()):
        pieces = (3, 3) if instruction.far else (instruction.size,)
        ours += [(at - start + sum(pieces[:n]), size) for n, size in enumerate(pieces)]
    assert ours == golden


# ---- statements ----


def test_comments_separators_and_case() -> None:
    text = """
    # a line, /* not a block
    movi a2, 1 ; movi a3, 2 // ; movi a2, 9
    /* two
       lines ; movi a2, 9 */ ADD A2, a2, A3 /* inside */ # movi a2, 9
    """
    assert _value(text) == 3


def test_local_labels_lead_forwards_and_backwards() -> None:
    text = """
    movi a2, 0
    movi a3, 3
1:  addi a2, a2, 10
    addi a3, a3, -1
    bnez a3, 1b
    j 1f
    movi a2, 99
1:  addi a2, a2, 1
    """
    assert _value(text) == 31


def test_macros_take_arguments_defaults_names_and_a_counter() -> None:
    text = """
    .macro plus to, from=a2, by=5
    addi \\to, \\from, \\by
    .endm
    .macro skip reg:req
    beqz \\reg, .Lskip\\@
    addi a2, a2, 1
.Lskip\\@:
    .endm
    .macro all first, rest:vararg
    addi a2, a2, \\first
    .ifnb \\rest
    all \\rest
    .endif
    .endm
    movi a2, 0
    plus a2
    plus a2, by=7
    plus a2, a2, 3 * 2
    skip a2
    skip a2
    all 1, 2, 4
    """
    assert _value(text) == 5 + 7 + 6 + 2 + 7


def test_repetitions_and_symbols_that_change() -> None:
    text = """
    .set n, 1
    movi a2, 0
    .rept 3
    .if n == 2
    addi a2, a2, 100
    .elseif n > 2
    addi a2, a2, 50
    .else
    addi a2, a2, n
    .endif
    .set n, n + 1
    .endr
    .irp by, 1, 2, (3 + 4)
    addi a2, a2, \\by
    .endr
    .irpc digit, 12
    addi a2, a2, \\digit
    .endr
    """
    assert _value(text) == 1 + 100 + 50 + 10 + 3


def test_conditions_compare_text_and_definitions() -> None:
    text = """
    .equ known, 4
    movi a2, 0
    .ifdef known
    addi a2, a2, 1
    .endif
    .ifndef unknown
    addi a2, a2, 2
    .endif
    .ifc abc, abc
    addi a2, a2, 4
    .endif
    .if 0
    .error "not reached"
    .macro never
    .endm
    .endif
    """
    assert _value(text) == 7


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("1 << 4 | 3", 19),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("~0x0f & 0xff", 0xF0),
        ("2 + 3 == 5", -1),
        ("0b101 + 010 + 'A'", 5 + 8 + 65),
        ("!0 && 3", 1),
        ("3 & 2 + 1", 3),
        ("later - start", 8),
    ],
)
def test_expressions_have_gnu_precedence(text: str, value: int) -> None:
    words = _words(f"start: .word {text}\n .word 0\nlater: .word 1")
    assert words[0] == value & 0xFFFFFFFF


def test_data_directives() -> None:
    text = '.byte 1, -1\n.short 0x1234\n.ascii "ab"\n.asciz "c"\n.space 2, 7\n.balign 4\n.fill 2, 2, 0x5555'
    (section,) = assemble_text(f".section .rodata\n{text}").sections
    assert section.data == b"\x01\xff\x34\x12abc\0\x07\x07\0\0\x55\x55\x55\x55"
    assert not section.writable


def test_constants_that_movi_cannot_hold_are_loaded() -> None:
    assert _value("movi a2, 0x12345678") == 0x12345678
    assert _value("movi a2, -5000") == -5000 & 0xFFFFFFFF
    assert _value(".literal forty_two, 42\n .text\n l32r a2, forty_two") == 42
    assert _value("movi a3, table\n l32i a2, a3, 4\n .data\n.align 4\ntable: .word 1, 77\n .text") == 77


def test_the_preprocessor(tmp_path: Path) -> None:
    (tmp_path / "more.inc").write_text("#define EXTRA 100\n#ifdef HERE\n#error included\n#endif\n")
    (tmp_path / "lines.inc").write_text("    addi a2, a2, 3\n")
    main = tmp_path / "main.S"
    main.write_text(
        '#include "more.inc"\n#define PLUS(to, by) addi to, to, \\\n    by\n#if defined(MODE) && MODE > 1\n'
        "#define BASE 1\n#else\n#define BASE 2\n#endif\n#undef NONE\n#ifndef NONE\n"
        "f: entry a1, 32\n movi a2, BASE\n PLUS(a2, EXTRA)\n"
        '#endif\n .include "lines.inc"\n retw\n'
    )
    assert Core(assemble(main)).call("f").value == 105
    assert Core(assemble(main, {"MODE": 2})).call("f").value == 104


def test_several_files_make_one_program(tmp_path: Path) -> None:
    (tmp_path / "a.S").write_text(
        " .global f\nf: entry a1, 48\n movi a10, 4\n call8 g\n mov a2, a10\n retw\n"
    )
    (tmp_path / "b.S").write_text(" .global g\n .align 4\ng: entry a1, 32\n addi a2, a2, 1\n retw\n")
    program = assemble([tmp_path / "a.S", tmp_path / "b.S"])
    assert program.functions == ("f", "g")
    assert Core(program).call("f").value == 5


def test_a_branch_that_does_not_reach_still_leads_there() -> None:
    body = "beq a4, a5, taken\n" + "nop\n" * 60 + " nop.n\n"
    for equal in (True, False):
        m = Machine()
        m.a[4], m.a[5], m.a[15] = 7, 7 if equal else 8, 5
        assert Bench(body).run(m).a[15] == (1 if equal else 5)


# ---- what is wrong is said with its line ----


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("add a2, a3", "3 operands, not 2"),
        ("addx3 a2, a3, a4", "`addx3` is not known"),
        ("add a2, a3, a16", "`a16` is not an address register"),
        ("ee.zero.q q8", "`q8` is not a vector register"),
        ("l32i a2, a3, 3", "3 is not within 0..1020 in steps of 4"),
        ("ee.vld.128.ip q0, a2, 8", "8 is not within -2048..2032 in steps of 16"),
        ("beqi a2, 9, here\nhere: nop", "9 is not among the constants"),
        ("extui a2, a3, 30, 4", "ends beyond bit 31"),
        ("j nowhere", "`nowhere` is not defined"),
        ("movi a2, 1 +", "`1 +` is not an expression"),
        ("ee.vadds.s8.ld.incp q0, a2, q0, q1, q2", "one register twice"),
        ("ee.srcmb.s8.qacc q0, a2, 1", "1 is not within 0..0"),
        (".frobnicate 3", "`.frobnicate` is not known"),
        (".rept 3\nnop", ".rept without .endr"),
        (".endif", ".endif without .if"),
        (".macro m a:req\n.endm\nm", "argument a is missing"),
        (".if unknown\n.endif", "`unknown` has no value here"),
        ("here:\nhere:", "`here` is defined twice"),
        ('.error "not yet"', "not yet"),
        (".data\nnop", "outside the text section"),
        ("loop a2, end\nnop\nbnez a2, end\nend: nop", "ends a loop"),
        ("loop a2, end\nend: nop", "not after an instruction of its body"),
        (".balign 3", "no power of two"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(AssemblyError, match=r"^f\.S:\d+(: | \(used)") as error:
        assemble_text("\n" + text, "f.S")
    assert said in str(error.value)


def test_a_mistake_in_a_macro_names_both_places() -> None:
    with pytest.raises(AssemblyError) as error:
        assemble_text(".macro m\n addi a2, a2\n.endm\n nop\n m\n", "f.S")
    assert str(error.value).startswith("f.S:2 (used at f.S:5): ")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(AssemblyError, match=r"none\.S cannot be read"):
        assemble("none.S")


def test_macros_that_never_end_are_stopped() -> None:
    with pytest.raises(AssemblyError, match="without end"):
        assemble_text(".macro m\n m\n.endm\n m")


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        ("/* a // b */\nnop\nnop\n/* c */\nnop", 3),
        ("/* a\n // */ nop\nnop // /* not a block\nnop", 3),
        ("nop /* one */ ; nop /* two */ # three\n/*/ nop */ nop", 3),
        ('.error_free = 1\nnop # "quote\nnop\n.ascii ""\n', 2),
        ("nop // */\nnop /**/; nop", 3),
    ],
)
def test_comments_hide_what_is_in_them_and_nothing_else(text: str, instructions: int) -> None:
    assert len(assemble_text(text).instructions) == instructions


def test_files_have_their_own_macros_symbols_and_labels(tmp_path: Path) -> None:
    for name, by in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.S").write_text(
            f" .set by, {by}\n .macro step\n addi a2, a2, by\n .endm\n .balign 16\n .global {name}\n"
            f"{name}: entry a1, 32\n    beqz a2, .Lend\n1:  step\n.Lend: local{by}: retw\nlocal: nop\n"
        )
    program = assemble([tmp_path / "a.S", tmp_path / "b.S"])
    core = Core(program)
    assert [core.call(name, 10).value for name in ("a", "b")] == [11, 12]
    assert program.symbols["b"] % 16 == 0


def test_a_name_is_seen_in_another_file_only_if_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.S").write_text("f: entry a1, 32\n j hidden\n")
    (tmp_path / "b.S").write_text("hidden: retw\n")
    with pytest.raises(AssemblyError, match=r"a\.S:2: `hidden` is not defined"):
        assemble([tmp_path / "a.S", tmp_path / "b.S"])
    (tmp_path / "b.S").write_text(" .global hidden\nhidden: retw\n")
    assemble([tmp_path / "a.S", tmp_path / "b.S"])
    (tmp_path / "a.S").write_text(" .global hidden\nhidden: nop\n")
    with pytest.raises(AssemblyError, match=r"b\.S:2: `hidden` is defined in two files"):
        assemble([tmp_path / "a.S", tmp_path / "b.S"])


@pytest.mark.parametrize(
    "text", [".space", ".fill", ".align", ".section", ".literal", ".p2align", ".space -1", ".space 1 << 40"]
)
def test_a_directive_that_makes_no_sense_is_a_mistake(text: str) -> None:
    with pytest.raises(AssemblyError, match=r"^f\.S:1: "):
        assemble_text(text, "f.S")
