/* Text whose layout depends on choices of the assembler; tests/golden/lx7_layout.txt has what GNU as makes of it. */
#define COUNT 5
    .text
    .align  4
    .global narrow
    .type   narrow, @function
narrow:
    entry   a1, 32
    addi    a2, a2, 1
    addi    a2, a2, 16
    addi    a2, a2, -1
    addi    a2, a2, 1000
    addi    a3, a2, 0
    mov     a4, a3
    or      a5, a4, a4
    _mov    a6, a5
    add     a7, a6, a2
    movi    a8, -32
    movi    a8, 96
    movi    a8, 0xffffffe0
    movi    a8, 2047
    l32i    a9, a1, 0
    l32i    a9, a1, 64
    s32i    a9, a1, 60
    nop
    retw

    .align  4
    .global loops
loops:
    entry   a1, 32
    loopgtz a3, 1f
    ee.vld.128.ip q0, a2, 16
    ee.vst.128.ip q0, a4, 16
1:
    mov     a5, a6
    movi    a7, 1
    loopnez a3, 2f
    ee.vadds.s8.ld.incp q1, a2, q2, q0, q1
    ee.vst.128.ip q2, a4, 16
2:
    ee.zero.q q3
    loop    a3, 3f
    ee.vadds.s8.ld.incp q1, a2, q2, q0, q1
    nop
3:
    ee.zero.q q3
    loop    a3, 4f
    add     a2, a2, a3
    nop
4:
    retw

    .align  4
    .global branches
branches:
    entry   a1, 32
    beqz    a2, 1f
    bnez    a3, far
    addi    a2, a2, COUNT
    bge     a2, a3, near
    j       1f
near:
    .rept   50
    ee.zero.qacc
    .endr
1:
    bgez    a4, branches
    beqz    a5, 1b
    movi    a6, 0x12345
    blt     a2, a3, near
far:
    retw
