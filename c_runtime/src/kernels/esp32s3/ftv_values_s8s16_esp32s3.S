/* void ftv_values_s8s16_esp32s3(const ftv_values_args *args)
 *
 * Rows of values as ftv_mix_s16s16_esp32s3 reads them: int16, eight channels of a key side by side, then the next key.
 *
 * in     rows: int8 [count][16 blocks], 16-byte aligned; the row behind them is read
 * out    values: int16 [2 blocks][...][8], 16-byte aligned, eight channels `group` bytes after the last eight. If
 *        `spread`, sixteen rows become every fourth pair of 64 places: row 2 l + h is in place
 *        16 (l mod 4) + 8 (l / 4) + h
 * range  count >= 1, blocks >= 1; count 16 if `spread`
 * alias  nothing overlaps
 * cycles modelled: 5 for sixteen channels of a key: 20 for 64
 */

    .set ARG_ROWS, 0
    .set ARG_VALUES, 4
    .set ARG_GROUP, 8
    .set ARG_COUNT, 12
    .set ARG_BLOCKS, 16
    .set ARG_SPREAD, 20

    .text
    .balign 16
    .global ftv_values_s8s16_esp32s3
    .type   ftv_values_s8s16_esp32s3, @function
ftv_values_s8s16_esp32s3:
    entry   a1, 32
    l32i    a3, a2, ARG_ROWS
    l32i    a4, a2, ARG_VALUES
    l32i    a7, a2, ARG_GROUP
    l32i    a8, a2, ARG_COUNT
    l32i    a9, a2, ARG_BLOCKS
    l32i    a12, a2, ARG_SPREAD
    slli    a10, a9, 4
    movi    a13, 16 * 16 - 16
    movi    a14, 8 * 16 - 64 * 16
    ee.zero.q q7
.Lblock:
    mov     a11, a3
    ee.vld.128.xp q0, a11, a10
    mov     a5, a4
    add     a6, a4, a7
    addi    a3, a3, 16
    bnez    a12, .Lspread
    loopgtz a8, .Lnext
    ee.vcmp.lt.s8 q1, q0, q7            /* the sign's byte */
    ee.vzip.8 q0, q1
    ee.vst.128.ip q0, a5, 16
    ee.vld.128.xp q0, a11, a10
    ee.vst.128.ip q1, a6, 16
.Lnext:
    addi    a9, a9, -1
    addx2   a4, a7, a4
    bnez    a9, .Lblock
    retw.n

.Lspread:
    movi    a15, 2
.Lhalf:
    movi    a2, 4
    loopgtz a2, .Lpairs
    ee.vcmp.lt.s8 q1, q0, q7
    ee.vzip.8 q0, q1
    ee.vst.128.ip q0, a5, 16
    ee.vld.128.xp q0, a11, a10
    ee.vst.128.ip q1, a6, 16
    ee.vcmp.lt.s8 q1, q0, q7
    ee.vzip.8 q0, q1
    ee.vst.128.xp q0, a5, a13
    ee.vld.128.xp q0, a11, a10
    ee.vst.128.xp q1, a6, a13
.Lpairs:
    addi    a15, a15, -1
    add     a5, a5, a14
    add     a6, a6, a14
    bnez    a15, .Lhalf
    j       .Lnext
    .size   ftv_values_s8s16_esp32s3, . - ftv_values_s8s16_esp32s3
