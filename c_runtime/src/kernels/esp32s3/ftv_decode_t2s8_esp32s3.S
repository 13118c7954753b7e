# void ftv_decode_t2s8_esp32s3(const ftv_decode_args *args)
#
# One tile of two-bit trits (IMAGE_FORMAT.md, "matrix, t2") as bytes -1, 0, +1.
#
#   tile     uint8 [blocks][4][16], 16-byte aligned: byte [b][j][c], bits 2s..2s+1 hold trit + 1 of k = 16 b + 4 s + j
#   weights  int8 [16 blocks][16], 16-byte aligned; the 16 bytes before it are overwritten too
#   count    blocks = ceil(inputs / 16), at least 1; trits beyond the inputs are zeros in the tile already
#
# Nothing overlaps. Uses q0..q7 and SAR.
# Modelled: 48 cycles a block and 34 a call, 0.19 cycle a trit.

    .set ARG_TILE, 0
    .set ARG_WEIGHTS, 4
    .set ARG_COUNT, 8

    .section .text.ftv_decode_t2s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_decode_t2s8_esp32s3
    .type ftv_decode_t2s8_esp32s3, @function

ftv_decode_t2s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_TILE
    l32i a4, a2, ARG_WEIGHTS
    l32i a5, a2, ARG_COUNT
    addi a4, a4, -16 # every store is that of the vector before

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
    ee.zero.q q5
    ssai 2

    loopgtz a5, .Lblocks
    .irp codes, q0, q1, q2, q3
    ee.vld.128.ip \codes, a3, 16
    .endr
    .rept 3
    .irp codes, q0, q1, q2, q3
    ee.andq q4, \codes, q6
    ee.vsubs.s8.st.incp q5, a4, q5, q4, q7
    ee.vsr.32 \codes, \codes # bits of the byte above come in; the mask drops them
    .endr
    .endr
    .irp codes, q0, q1, q2, q3
    ee.andq q4, \codes, q6
    ee.vsubs.s8.st.incp q5, a4, q5, q4, q7
    .endr
.Lblocks:
    ee.vst.128.ip q5, a4, 16
    retw.n
    .size ftv_decode_t2s8_esp32s3, . - ftv_decode_t2s8_esp32s3
