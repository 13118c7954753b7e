/* void ftv_keys_s8_esp32s3(const ftv_keys_args *args)
 *
 * Rows of keys as ftv_scores_s8s8_esp32s3 reads them: channel by channel, sixteen keys side by side, key 2 l + h in
 * byte 8 h + l.
 *
 * in     rows: int8 [16 tiles][16 blocks], 16-byte aligned
 * out    keys: int8 [tiles][16 blocks][16], 16-byte aligned
 * range  tiles >= 1, blocks >= 1
 * alias  nothing overlaps
 * cycles modelled: 321 for sixteen keys of 64 channels and 9 for a call
 */

    .set ARG_ROWS, 0
    .set ARG_KEYS, 4
    .set ARG_TILES, 8
    .set ARG_BLOCKS, 12

/* Eight keys, every other row from a5 on, times sixteen channels to every other eight bytes from a6 on. Three times,
 * zip register i with i + 4 in the new order: transposed. */
.macro ftv_eight_keys
    ee.vld.128.xp q0, a5, a8
    ee.vld.128.xp q1, a5, a8
    ee.vld.128.xp q2, a5, a8
    ee.vld.128.xp q3, a5, a8
    ee.vld.128.xp q4, a5, a8
    ee.vld.128.xp q5, a5, a8
    ee.vld.128.xp q6, a5, a8
    ee.vld.128.xp q7, a5, a8
    ee.vzip.8 q0, q4
    ee.vzip.8 q1, q5
    ee.vzip.8 q2, q6
    ee.vzip.8 q3, q7
    ee.vzip.8 q0, q2
    ee.vzip.8 q4, q6
    ee.vzip.8 q1, q3
    ee.vzip.8 q5, q7
    ee.vzip.8 q0, q1
    ee.vzip.8 q2, q3
    ee.vzip.8 q4, q5
    ee.vzip.8 q6, q7
    .irp q, q0, q1, q2, q3, q4, q5, q6, q7
    ee.vst.l.64.ip \q, a6, 16
    ee.vst.h.64.ip \q, a6, 16
    .endr
.endm

    .text
    .balign 16
    .global ftv_keys_s8_esp32s3
    .type   ftv_keys_s8_esp32s3, @function
ftv_keys_s8_esp32s3:
    entry   a1, 32
    l32i    a3, a2, ARG_ROWS
    l32i    a4, a2, ARG_KEYS
    l32i    a7, a2, ARG_TILES
    l32i    a9, a2, ARG_BLOCKS
    slli    a8, a9, 5                   /* two rows */
    slli    a10, a9, 4                  /* one row */
.Ltile:
    mov     a11, a3
    loopgtz a9, .Lblocks
    mov     a5, a11
    mov     a6, a4
    ftv_eight_keys
    add     a5, a11, a10
    addi    a6, a4, 8
    ftv_eight_keys
    addmi   a4, a4, 256
    addi    a11, a11, 16
.Lblocks:
    slli    a12, a10, 4                 /* sixteen rows */
    add     a3, a3, a12
    addi    a7, a7, -1
    bnez    a7, .Ltile
    retw.n
    .size   ftv_keys_s8_esp32s3, . - ftv_keys_s8_esp32s3
