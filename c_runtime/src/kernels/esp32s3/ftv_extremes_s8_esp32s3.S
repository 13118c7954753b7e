# void ftv_extremes_s8_esp32s3(const ftv_extremes_args *args)
#
# The largest and the smallest of what stands in each of sixteen lanes of some records.
#
#   records   int8 [16] each, 16-byte aligned, `step` bytes apart; two beyond the last are read
#   extremes  int8 [2][16], 16-byte aligned: largest, smallest
#
# tokens >= 1. Uses q0..q3. Modelled: 3 cycles a record.

    .set ARG_RECORDS, 0
    .set ARG_STEP, 4
    .set ARG_TOKENS, 8
    .set ARG_EXTREMES, 12

    .section .text.ftv_extremes_s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_extremes_s8_esp32s3
    .type ftv_extremes_s8_esp32s3, @function

ftv_extremes_s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_RECORDS
    l32i a4, a2, ARG_STEP
    l32i a5, a2, ARG_TOKENS
    l32i a6, a2, ARG_EXTREMES
    ee.vld.128.xp q0, a3, a4
    srli a7, a5, 1
    mv.qr q2, q0
    mv.qr q3, q0
    loopgtz a7, .Lpairs
    ee.vld.128.xp q1, a3, a4
    ee.vmax.s8 q2, q2, q0
    ee.vmin.s8 q3, q3, q0
    ee.vld.128.xp q0, a3, a4
    ee.vmax.s8 q2, q2, q1
    ee.vmin.s8 q3, q3, q1
.Lpairs:
    bbci a5, 0, .Leven
    ee.vmax.s8 q2, q2, q0
    ee.vmin.s8 q3, q3, q0
.Leven:
    ee.vst.128.ip q2, a6, 16
    ee.vst.128.ip q3, a6, 16
    retw.n
    .size ftv_extremes_s8_esp32s3, . - ftv_extremes_s8_esp32s3
