# void ftv_decode_t2s8_esp32s3(const ftv_decode_args *args)
#
# One tile of two-bit trits (IMAGE_FORMAT.md, "matrix, t2") as bytes, with the sign changed: 1, 0, -1 for -1, 0, 1.
#
#   tile     uint8 [blocks][4][16], 16-byte aligned: byte [b][j][c], bits 2s..2s+1 hold trit + 1 of k = 16 b + 4 s + j
#   weights  int8 [16 blocks][16], 16-byte aligned
#   count    blocks = ceil(inputs / 16), at least 1; trits beyond the inputs are zeros in the tile already
#
# Nothing overlaps. Uses q0..q7 and SAR.
#
# The codes 0, 1, 2 with their lower bit flipped are 1, 0, -1 in two bits, two's complement. The two upper bits of a byte
# come out of a multiplication by 1 that shifts right by 6; the next ones move up by a multiplication of halfwords by
# 256 with the same shift, and what crosses from byte to byte stays below them.
# Modelled: 40 cycles a block and 36 a call, 0.16 cycle a trit.

    .set ARG_TILE, 0
    .set ARG_WEIGHTS, 4
    .set ARG_COUNT, 8

    .section .text.ftv_decode_t2s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_decode_t2s8_esp32s3
    .type ftv_decode_t2s8_esp32s3, @function

# The upper trits of a vector of codes to q4, whose former content is stored.
    .macro take codes
    ee.vmul.s8.st.incp q4, a4, q4, \codes, q7
    .endm

# The next trits of a vector become the upper ones.
    .macro raise codes
    ee.vmul.s16 \codes, \codes, q5
    .endm

# Rows 12..15, 8..11, 4..7 of a block of sixteen, and the first trits of rows 0..3; those of rows 12..15 are taken.
    .macro three_quarters
    .rept 3
    raise q0
    take q1
    raise q1
    take q2
    raise q2
    take q3
    raise q3
    take q0
    addi a4, a4, -128
    .endr
    .endm

ftv_decode_t2s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_TILE
    l32i a4, a2, ARG_WEIGHTS
    l32i a5, a2, ARG_COUNT

    movi a6, 1 # 0x01010101
    slli a7, a6, 8
    or a6, a6, a7
    slli a7, a6, 16
    or a6, a6, a7
    addx4 a8, a6, a6
    slli a9, a8, 4
    or a8, a8, a9 # 0x55555555
    movi a9, 256
    slli a10, a9, 16
    or a9, a9, a10 # 0x01000100
    .irp lane, 0, 1, 2, 3
    ee.movi.32.q q7, a6, \lane
    ee.movi.32.q q6, a8, \lane
    ee.movi.32.q q5, a9, \lane
    .endr
    ssai 6
    movi a11, 384 # from row 4 of a block to row 12 of the next
    addi a4, a4, 96
    addi a4, a4, 96
    addi a5, a5, -1

    .irp codes, q0, q1, q2, q3
    ee.vld.128.ip \codes, a3, 16
    .endr
    .irp codes, q0, q1, q2, q3
    ee.xorq \codes, \codes, q6
    .endr
    ee.vmul.s8 q4, q0, q7

    loopgtz a5, .Lblocks
    three_quarters
    ee.vld.128.ip q0, a3, 16
    take q1
    ee.vld.128.ip q1, a3, 16
    take q2
    ee.vld.128.ip q2, a3, 16
    take q3
    ee.vld.128.ip q3, a3, 16
    ee.xorq q0, q0, q6
    ee.xorq q1, q1, q6
    ee.xorq q2, q2, q6
    take q0
    add a4, a4, a11
    ee.xorq q3, q3, q6
.Lblocks:
    three_quarters
    take q1
    take q2
    take q3
    ee.vst.128.ip q4, a4, 16
    retw.n
    .size ftv_decode_t2s8_esp32s3, . - ftv_decode_t2s8_esp32s3
