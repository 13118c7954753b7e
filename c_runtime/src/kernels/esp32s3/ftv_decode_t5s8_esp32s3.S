# void ftv_decode_t5s8_esp32s3(const ftv_decode_args *args)
#
# One tile of trits packed five a byte (IMAGE_FORMAT.md, "matrix, t5") as bytes, with the sign changed:
# 1, 0, -1 for -1, 0, 1.
#
#   tile     uint8 [count][16], 16-byte aligned: byte [g][c] holds k = 5 g .. 5 g + 4 in base 3, first trit first
#   weights  int8 [5 count][16], 16-byte aligned
#   count    groups = ceil(inputs / 5), at least 1; trits beyond the inputs are zeros in the tile already
#
# Nothing overlaps. Uses q0..q7 and SAR.
# The next base-3 digit of a byte is the integer part of three times its fraction: digit = 3 b >> 8, b = 3 b mod 256.
# Three groups go side by side, because the shift of a vector multiplication is a register that both halves need.
# Modelled: 57 cycles for three groups, 0.24 cycle a trit.

    .set ARG_TILE, 0
    .set ARG_WEIGHTS, 4
    .set ARG_COUNT, 8

    .section .text.ftv_decode_t5s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_decode_t5s8_esp32s3
    .type ftv_decode_t5s8_esp32s3, @function

# First digit of three groups. Bytes in q0..q2, threes in q6, ones in q7; trits to q3..q5.
    .macro first_trits
    ssai 8
    ee.vmul.u8 q3, q0, q6
    ee.vmul.u8 q4, q1, q6
    ee.vmul.u8 q5, q2, q6
    next_fractions
    .endm

# A further digit; the stores of the one before ride on it.
    .macro next_trits
    ssai 8
    ee.vmul.u8.st.incp q3, a4, q3, q0, q6
    ee.vmul.u8.st.incp q4, a8, q4, q1, q6
    ee.vmul.u8.st.incp q5, a9, q5, q2, q6
    .endm

    .macro next_fractions
    ssai 0
    ee.vmul.u8 q0, q0, q6
    ee.vmul.u8 q1, q1, q6
    ee.vmul.u8 q2, q2, q6
    from_one
    .endm

    .macro from_one
    ee.vsubs.s8 q3, q7, q3
    ee.vsubs.s8 q4, q7, q4
    ee.vsubs.s8 q5, q7, q5
    .endm

ftv_decode_t5s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_TILE
    l32i a4, a2, ARG_WEIGHTS
    l32i a5, a2, ARG_COUNT

    movi a6, 1 # 0x01010101
    slli a7, a6, 8
    or a6, a6, a7
    slli a7, a6, 16
    or a6, a6, a7
    addx2 a7, a6, a6 # 0x03030303
    .irp lane, 0, 1, 2, 3
    ee.movi.32.q q7, a6, \lane
    ee.movi.32.q q6, a7, \lane
    .endr
    movi a10, 3
    quou a6, a5, a10 # threes of groups
    mull a7, a6, a10
    sub a5, a5, a7
    addi a8, a4, 80 # where the second and the third group of a three go
    addi a9, a8, 80

    loopgtz a6, .Lthrees
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a3, 16
    ee.vld.128.ip q2, a3, 16
    first_trits
    .rept 3
    next_trits
    next_fractions
    .endr
    next_trits
    from_one
    ee.vst.128.ip q3, a4, 176 # past the other two groups
    ee.vst.128.ip q4, a8, 176
    ee.vst.128.ip q5, a9, 176
.Lthrees:

    loopgtz a5, .Lrest
    ee.vld.128.ip q0, a3, 16
    .rept 5
    ssai 8
    ee.vmul.u8 q3, q0, q6
    ssai 0
    ee.vmul.u8 q0, q0, q6
    ee.vsubs.s8 q3, q7, q3
    ee.vst.128.ip q3, a4, 16
    .endr
.Lrest:
    retw.n
    .size ftv_decode_t5s8_esp32s3, . - ftv_decode_t5s8_esp32s3
