/* void ftv_quantise_row_s32s8_esp32s3(const ftv_quantise_row_args *args)
 *
 * Rows of Q16 to eight-bit codes, NUMERICS.md, section 1, and their absmax.
 *
 * in     x: int32 [rows][16 groups], |x| <= 2^30; a row begins `x_row` bytes after the last, sixteen columns `x_group`
 *        bytes after the last sixteen (64: side by side); all multiples of 16, x 16-byte aligned
 * out    codes: int8, -levels .. levels, in the same way with `codes_row` and `codes_group`, 16-byte aligned
 *        absmax: int32 [rows], max(1, max|x|)
 * range  rows >= 1, groups >= 1, levels <= 127 (levels_q21 = levels << 21)
 * alias  a row's codes may lie where rows of x before it lay, up to its own beginning; else codes and x do not overlap
 * cycles modelled: 24 for sixteen columns and 55 for a row: 151 for a row of 64, 343 for 192, 631 for 384
 */

/* Sixteen columns into the running maximum q6 and minimum q7; q0 is loaded. `more`: also load the next q0. */
.macro ftv_scan more
    ee.vmax.s32.ld.incp q1, a11, q6, q6, q0
    ee.vmin.s32.ld.incp q2, a11, q7, q7, q0
    .if \more
    ee.vld.128.xp q3, a11, a5
    ee.vmax.s32.ld.incp q0, a11, q6, q6, q1
    .else
    ee.vmax.s32.ld.incp q3, a11, q6, q6, q1
    .endif
    ee.vmin.s32 q7, q7, q1
    ee.vmax.s32 q6, q6, q2
    ee.vmin.s32 q7, q7, q2
    ee.vmax.s32 q6, q6, q3
    ee.vmin.s32 q7, q7, q3
.endm

/* Sixteen columns q0..q3 to codes. y = x shifted by a13, w = (y * R) >> 13, and as floors compose
 * (y * R + 2^20) >> 21 = (w + 128) >> 8: the high bytes. |w| + 128 <= 32642 fits. `more`: also load the next q0..q3. */
.macro ftv_codes shift more
    ssr     a13
    \shift  q6, q0
    \shift  q7, q1
    ee.vunzip.16 q6, q7
    \shift  q7, q2
    \shift  q2, q3
    ee.vunzip.16 q7, q2
    ssr     a14
    .if \more
    ee.vmul.s16.ld.incp q0, a11, q6, q6, q4
    ee.vmul.s16.ld.incp q1, a11, q7, q7, q4
    ee.vadds.s16.ld.incp q2, a11, q6, q6, q5
    ee.vld.128.xp q3, a11, a5
    .else
    ee.vmul.s16 q6, q6, q4
    ee.vmul.s16 q7, q7, q4
    ee.vadds.s16 q6, q6, q5
    .endif
    ee.vadds.s16 q7, q7, q5
    ee.vunzip.8 q6, q7
    ee.vst.128.xp q7, a12, a8
.endm

    .text
    .balign 16
    .global ftv_quantise_row_s32s8_esp32s3
    .type   ftv_quantise_row_s32s8_esp32s3, @function
ftv_quantise_row_s32s8_esp32s3:
    entry   a1, 80
    l32i    a3, a2, 0           /* x */
    l32i    a5, a2, 8
    l32i    a9, a2, 12          /* rows to do */
    l32i    a4, a2, 16          /* sixteens but the last */
    l32i    a6, a2, 20          /* levels << 21 */
    l32i    a7, a2, 24          /* codes */
    l32i    a8, a2, 32
    l32i    a10, a2, 36         /* absmax */
    addi    a4, a4, -1
    addi    a5, a5, -48         /* from the last quarter of sixteen columns to the next sixteen */
    movi    a14, 13
    movi    a15, 128
    s32i    a15, a1, 0
    ee.vldbc.16.ip q5, a1, 0

.Lrow:
    mov     a11, a3
    ee.vld.128.ip q0, a11, 16
    ee.zero.q q6
    ee.zero.q q7
    loopgtz a4, .Lscanned
    ftv_scan 1
.Lscanned:
    ftv_scan 0
    /* One number of eight: the larger of maximum and -minimum. And the first columns once more. */
    ee.zero.q q1
    mov     a11, a3
    ee.vsubs.s32.ld.incp q0, a11, q7, q1, q7
    movi    a15, 1
    ee.vmax.s32.ld.incp q1, a11, q6, q6, q7
    ee.movi.32.a q6, a12, 0
    ee.movi.32.a q6, a13, 1
    max     a15, a15, a12
    ee.movi.32.a q6, a12, 2
    max     a15, a15, a13
    ee.movi.32.a q6, a13, 3
    max     a15, a15, a12
    max     a15, a15, a13
    s32i    a15, a10, 0
    nsau    a13, a15
    addi    a13, a13, -17       /* k = 15 - bits(a) */
    addi    a10, a10, 4
    mov     a12, a7
    bgez    a13, .Lsmall
    neg     a13, a13
    ssr     a13
    srl     a15, a15
    quou    a15, a6, a15
    ee.vld.128.ip q2, a11, 16
    s32i    a15, a1, 0
    ee.vld.128.xp q3, a11, a5
    ee.vldbc.16.ip q4, a1, 0
    loopgtz a4, .Lrights
    ftv_codes ee.vsr.32, 1
.Lrights:
    ftv_codes ee.vsr.32, 0
.Lnext:
    l32i    a12, a2, 4
    l32i    a13, a2, 28
    add     a3, a3, a12
    add     a7, a7, a13
    addi    a9, a9, -1
    bnez    a9, .Lrow
    retw.n

.Lsmall:
    /* Small rows: y = x << k. */
    ssl     a13
    sll     a15, a15
    quou    a15, a6, a15
    ee.vld.128.ip q2, a11, 16
    s32i    a15, a1, 0
    ee.vld.128.xp q3, a11, a5
    ee.vldbc.16.ip q4, a1, 0
    loopgtz a4, .Llefts
    ftv_codes ee.vsl.32, 1
.Llefts:
    ftv_codes ee.vsl.32, 0
    j       .Lnext
    .size   ftv_quantise_row_s32s8_esp32s3, . - ftv_quantise_row_s32s8_esp32s3
