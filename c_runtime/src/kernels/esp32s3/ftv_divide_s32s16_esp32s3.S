/* void ftv_divide_s32s16_esp32s3(const ftv_divide_args *args)
 *
 * One query's sums divided by the sum of its numerators, NUMERICS.md, section 5, to narrow rows (ftv.h):
 * y = o * factor >> shift, absmax = max|y| of sixteen columns, value = y >> max(0, bits(absmax) - 15).
 *
 * in     sums: int32 [16 tiles], 16-byte aligned
 * out    values: int16 [16 tiles], 16-byte aligned
 *        absmax: int32 [tiles]
 * range  factor 0 .. 32767, shift 0 .. 31, |y| < 2^30, and |o| < 2^(15 + shift): the caller's to prove; tiles >= 1
 * alias  nothing overlaps
 * cycles modelled: 51 for sixteen columns and 21 for a call: 225 for 64
 */

    .set ARG_SUMS, 0
    .set ARG_VALUES, 4
    .set ARG_ABSMAX, 8
    .set ARG_FACTOR, 12
    .set ARG_SHIFT, 16
    .set ARG_TILES, 20

    .text
    .balign 16
    .global ftv_divide_s32s16_esp32s3
    .type   ftv_divide_s32s16_esp32s3, @function
ftv_divide_s32s16_esp32s3:
    entry   a1, 48
    l32i    a6, a2, ARG_FACTOR
    l32i    a7, a2, ARG_SHIFT
    l32i    a3, a2, ARG_SUMS
    l32i    a4, a2, ARG_VALUES
    l32i    a5, a2, ARG_ABSMAX
    l32i    a2, a2, ARG_TILES
    s32i    a6, a1, 0
    mov     a8, a1
    ee.vldbc.16.ip q7, a8, 0
    /* Where shift < 16, o moves left so that 16 bits of the product go in any case. */
    movi    a8, 16
    sub     a8, a8, a7
    neg     a9, a8
    movi    a10, 0
    max     a8, a8, a10
    max     a9, a9, a10                 /* what is left to shift; a14 - 32 + bits(absmax): with what narrow rows need */
    addi    a14, a9, 17

    loopgtz a2, .Ltiles
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a3, 16
    ee.vld.128.ip q2, a3, 16
    ee.vld.128.ip q3, a3, 16
    ee.vmax.s32 q4, q0, q1
    ee.vmin.s32 q5, q0, q1
    ee.vmax.s32 q4, q4, q2
    ee.vmin.s32 q5, q5, q2
    ee.vmax.s32 q4, q4, q3
    ee.vmin.s32 q5, q5, q3
    ee.vunzip.32 q4, q5                 /* two lanes of either are left, below and above */
    ee.vmax.s32 q6, q4, q5
    ee.vmin.s32 q5, q4, q5

    /* y grows with o: its extremes are those of the extreme sums. */
    ee.movi.32.a q6, a10, 0
    ee.movi.32.a q6, a11, 1
    ee.movi.32.a q5, a12, 2
    ee.movi.32.a q5, a13, 3
    max     a10, a10, a11
    min     a11, a12, a13
    mull    a12, a10, a6
    mulsh   a10, a10, a6
    mull    a13, a11, a6
    mulsh   a11, a11, a6
    ssr     a7
    src     a12, a10, a12
    src     a13, a11, a13
    neg     a13, a13
    max     a12, a12, a13
    s32i    a12, a5, 0
    nsau    a12, a12
    sub     a12, a14, a12
    max     a12, a12, a9

    ssr     a8
    ee.vsl.32 q0, q0
    ee.vsl.32 q1, q1
    ee.vsl.32 q2, q2
    ee.vsl.32 q3, q3
    ee.vunzip.16 q0, q1
    ee.vunzip.16 q2, q3
    ssai    16
    ee.vmul.u16 q0, q0, q7
    ee.vmul.u16 q2, q2, q7
    ee.mov.u16.qacc q0
    ee.vmulas.s16.qacc q1, q7
    addi    a5, a5, 4
    ee.srcmb.s16.qacc q0, a12, 0
    ee.mov.u16.qacc q2
    ee.vmulas.s16.qacc q3, q7
    ee.vst.128.ip q0, a4, 16
    ee.srcmb.s16.qacc q2, a12, 0
    ee.vst.128.ip q2, a4, 16
.Ltiles:
    retw.n
    .size   ftv_divide_s32s16_esp32s3, . - ftv_divide_s32s16_esp32s3
