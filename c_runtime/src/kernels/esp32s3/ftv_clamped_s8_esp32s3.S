# void ftv_clamped_s8_esp32s3(const ftv_clamped_args *args)
#
# Whether any byte of some records is 127 or -128.
#
#   records  int8 [16] each, 16-byte aligned, `step` bytes apart; two beyond the last are read
#   found    uint32: 0 if none is
#
# tokens >= 1. Uses q0..q3. Modelled: 3 cycles a record and 38 a call.

    .set ARG_RECORDS, 0
    .set ARG_STEP, 4
    .set ARG_TOKENS, 8
    .set ARG_FOUND, 12

    .section .text.ftv_clamped_s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_clamped_s8_esp32s3
    .type ftv_clamped_s8_esp32s3, @function

ftv_clamped_s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_RECORDS
    l32i a4, a2, ARG_STEP
    l32i a5, a2, ARG_TOKENS
    l32i a6, a2, ARG_FOUND
    ee.vld.128.xp q0, a3, a4
    srli a7, a5, 1
    mv.qr q2, q0 # largest
    mv.qr q3, q0 # smallest
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
    ee.notq q3, q3 # -128 is 127 now
    ee.vmax.s8 q2, q2, q3 # 0 .. 127
    movi a7, 1 # 0x01010101
    slli a8, a7, 8
    or a7, a7, a8
    slli a8, a7, 16
    or a7, a7, a8
    slli a8, a7, 7 # 0x80808080
    movi.n a9, 0
    .irp lane, 0, 1, 2, 3
    ee.movi.32.a q2, a10, \lane
    add a10, a10, a7 # of 127 alone the upper bit is set now
    or a9, a9, a10
    .endr
    and a9, a9, a8
    s32i a9, a6, 0
    retw.n
    .size ftv_clamped_s8_esp32s3, . - ftv_clamped_s8_esp32s3
