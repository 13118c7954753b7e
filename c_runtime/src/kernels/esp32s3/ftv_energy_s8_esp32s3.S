# void ftv_energy_s8_esp32s3(const ftv_energy_args *args)
#
# The sum of the squares of each row of codes: it bounds what any row of trits can make of it.
#
#   x         int8 [tokens][x_stride], 16-byte aligned, zero beyond the row's own values
#   energies  uint32 [tokens]
#
# tokens >= 1, 1 <= blocks <= 258. Uses q0, q1 and ACCX.
# Loads and multiply-accumulates stay apart: the fused form with ACCX was reported to fail with both cores busy.
# Modelled: 2 cycles for 16 values and 10 a row.

    .set ARG_X, 0
    .set ARG_X_STRIDE, 4
    .set ARG_BLOCKS, 8
    .set ARG_TOKENS, 12
    .set ARG_ENERGIES, 16

    .section .text.ftv_energy_s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_energy_s8_esp32s3
    .type ftv_energy_s8_esp32s3, @function

ftv_energy_s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_X
    l32i a4, a2, ARG_X_STRIDE
    l32i a5, a2, ARG_BLOCKS
    l32i a6, a2, ARG_TOKENS
    l32i a7, a2, ARG_ENERGIES
    slli a8, a5, 4
    sub a4, a4, a8 # from the end of a row to the next
    srli a8, a5, 1
.Ltoken:
    ee.zero.accx
    loopgtz a8, .Lpairs
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a3, 16
    ee.vmulas.s8.accx q0, q0
    ee.vmulas.s8.accx q1, q1
.Lpairs:
    bbci a5, 0, .Leven
    ee.vld.128.ip q0, a3, 16
    ee.vmulas.s8.accx q0, q0
.Leven:
    add a3, a3, a4
    addi a6, a6, -1
    rur.accx_0 a9
    s32i a9, a7, 0
    addi a7, a7, 4
    bnez a6, .Ltoken
    retw.n
    .size ftv_energy_s8_esp32s3, . - ftv_energy_s8_esp32s3
