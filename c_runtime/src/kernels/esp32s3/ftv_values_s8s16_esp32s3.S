/* void ftv_values_s8s16_esp32s3(const ftv_values_args *args)
 *
 * Rows of values as ftv_mix_s16s16_esp32s3 reads them: int16, eight channels of a key side by side, then the next key.
 *
 * in     rows: int8 [count][16 blocks], 16-byte aligned
 * out    values: int16 [2 blocks][...][8], 16-byte aligned, eight channels `group` bytes after the last eight
 * range  count >= 1, blocks >= 1
 * alias  nothing overlaps
 * cycles modelled: see below
 */

    .set ARG_ROWS, 0
    .set ARG_VALUES, 4
    .set ARG_GROUP, 8
    .set ARG_COUNT, 12
    .set ARG_BLOCKS, 16

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
    slli    a10, a9, 4
    addi    a8, a8, -1
    ee.zero.q q7
.Lblock:
    mov     a11, a3
    mov     a5, a4
    add     a6, a4, a7
    ee.vld.128.xp q0, a11, a10
    addi    a3, a3, 16
    loopgtz a8, .Lrows
    ee.vcmp.lt.s8 q1, q0, q7            /* the sign's byte */
    ee.vzip.8 q0, q1
    ee.vst.128.ip q0, a5, 16
    ee.vld.128.xp q0, a11, a10
    ee.vst.128.ip q1, a6, 16
.Lrows:
    ee.vcmp.lt.s8 q1, q0, q7
    ee.vzip.8 q0, q1
    ee.vst.128.ip q0, a5, 16
    ee.vst.128.ip q1, a6, 16
    addx2   a4, a7, a4
    addi    a9, a9, -1
    bnez    a9, .Lblock
    retw.n
    .size   ftv_values_s8s16_esp32s3, . - ftv_values_s8s16_esp32s3
