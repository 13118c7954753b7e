# void ftv_extremes_s16_esp32s3(const ftv_extremes_args *args)
#
# The largest and the smallest of what stands in each of eight lanes.
#
#   records   int16 [tokens][16], 16-byte aligned, `step` bytes from one to the next; 32 bytes beyond the last are read
#   extremes  int16 [2][8], 16-byte aligned: largest, smallest
#
# tokens >= 1. Uses q0..q3. Modelled: 5 cycles a token.

    .set ARG_RECORDS, 0
    .set ARG_STEP, 4
    .set ARG_TOKENS, 8
    .set ARG_EXTREMES, 12

    .section .text.ftv_extremes_s16_esp32s3, "ax", @progbits
    .align 16
    .global ftv_extremes_s16_esp32s3
    .type ftv_extremes_s16_esp32s3, @function

ftv_extremes_s16_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_RECORDS
    l32i a4, a2, ARG_STEP
    l32i a5, a2, ARG_TOKENS
    l32i a6, a2, ARG_EXTREMES
    addi a4, a4, -32
    ee.vld.128.ip q0, a3, 16
    mv.qr q2, q0
    mv.qr q3, q0
    loopgtz a5, .Ltokens
    ee.vmax.s16.ld.incp q1, a3, q2, q2, q0
    ee.vmin.s16 q3, q3, q0
    add a3, a3, a4
    ee.vmax.s16.ld.incp q0, a3, q2, q2, q1
    ee.vmin.s16 q3, q3, q1
.Ltokens:
    ee.vst.128.ip q2, a6, 16
    ee.vst.128.ip q3, a6, 16
    retw.n
    .size ftv_extremes_s16_esp32s3, . - ftv_extremes_s16_esp32s3
