/* void ftv_quantise_narrow_esp32s3(const ftv_quantise_narrow_args *args)
 *
 * Narrow rows (ftv_narrow) to eight-bit codes and token scales, L = 127, NUMERICS.md, section 1.
 *
 * in     values: int16 [rows][16 groups], rows `values_row` bytes apart, 16-byte aligned: y >> max(0, bits(a) - 15)
 *        absmax: int32 [rows][groups], rows `absmax_row` bytes apart: a of each sixteen, 0 .. 2^30
 * out    codes: int8, rows `codes_row` bytes apart, 16-byte aligned; scales: ftv_multiplier [rows]
 * range  rows >= 1, groups >= 1
 * alias  codes may be values, row by row in place
 * cycles modelled: 13 for sixteen columns and 85 for a row: 397 for a row of 384, 1333 for 1536; 6.5 and 76 where
 *        k >= 0
 *
 * Where k = 15 - bits(a) of the row is negative, a sixteen with the absmax a16 has y = value >> t with
 * t = -k - max(0, bits(a16) - 15) = 0 .. 16: that is (value 2^(13 - t)) >> 13, and 0 for t >= 14, where all codes are
 * 0. So one shift amount, 13, serves both products: y, and w = (y R) >> 13, whose high byte after adding 128 is the
 * code.
 */

    .set values, 0
    .set values_row, 4
    .set absmax, 8
    .set absmax_row, 12
    .set rows, 16
    .set groups, 20
    .set codes, 24
    .set codes_row, 28
    .set scales, 32

    /* The frame: 2^(13 - t) for t = 0 .. 17 as int16, constants. */
    .set powers, 0
    .set reciprocal, 36
    .set rounding, 40

/* Sixteen values q0, q1 with their 2^(13 - t) in q4, to codes in `now`. `last`: codes to store meanwhile, or `none`.
 * `more`: load what the next sixteen need; their absmax is `more` bytes after a9. */
.macro ftv_wide last now more
    .if \more >= 0
    ee.vmul.s16.ld.incp q0, a10, q5, q0, q4
    .else
    ee.vmul.s16 q5, q0, q4
    .endif
    .ifc \last, none
    ee.vmul.s16 \now, q1, q4
    .else
    ee.vmul.s16.st.incp \last, a11, \now, q1, q4
    .endif
    .if \more >= 0
    l32i    a13, a9, \more
    ee.vmul.s16.ld.incp q1, a10, q5, q5, q2
    .else
    ee.vmul.s16 q5, q5, q2
    .endif
    ee.vmul.s16 \now, \now, q2
    .if \more >= 0
    nsau    a13, a13
    ee.vadds.s16 q5, q5, q3
    min     a13, a13, a14
    addx2   a13, a13, a12
    ee.vadds.s16 \now, \now, q3
    ee.vldbc.16.ip q4, a13, 0
    .else
    ee.vadds.s16 q5, q5, q3
    ee.vadds.s16 \now, \now, q3
    .endif
    ee.vunzip.8 q5, \now
.endm

/* Sixteen values q0, q1 of a row with k >= 0: y R >> 13 = value R >> (13 - k), SAR = 13 - k. */
.macro ftv_small more
    .if \more
    ee.vmul.s16.ld.incp q0, a10, q5, q0, q2
    ee.vmul.s16.ld.incp q1, a10, q6, q1, q2
    .else
    ee.vmul.s16 q5, q0, q2
    ee.vmul.s16 q6, q1, q2
    .endif
    ee.vadds.s16 q5, q5, q3
    ee.vadds.s16 q6, q6, q3
    ee.vunzip.8 q5, q6
    ee.vst.128.ip q6, a11, 16
.endm

    .text
    .balign 16
    .global ftv_quantise_narrow_esp32s3
    .type   ftv_quantise_narrow_esp32s3, @function
ftv_quantise_narrow_esp32s3:
    entry   a1, 96
    l32i    a3, a2, values
    l32i    a4, a2, absmax
    l32i    a5, a2, codes
    l32i    a6, a2, scales
    l32i    a7, a2, groups
    l32i    a8, a2, rows
    movi    a9, 0x8001
    slli    a9, a9, 13          /* 2^13 and, in the upper half, 2^12 */
    mov     a10, a1
    movi    a11, 7
    loopgtz a11, .Lpowers
    s32i    a9, a10, 0
    addi    a10, a10, 4
    srli    a9, a9, 2
.Lpowers:
    movi    a9, 0
    s32i    a9, a1, powers + 28
    s32i    a9, a1, powers + 32
    movi    a9, 128
    s32i    a9, a1, rounding

.Lrow:
    /* ---- a, the largest of the sixteens' ---- */
    mov     a9, a4
    movi    a10, 1
    extui   a12, a7, 0, 2       /* four at a time where they come in aligned fours */
    extui   a11, a4, 0, 4
    or      a11, a11, a12
    bnez    a11, .Lone_by_one
    srli    a11, a7, 2
    addi    a11, a11, -1
    ee.zero.q q1
    ee.vld.128.ip q0, a9, 16
    loopgtz a11, .Lfours
    ee.vmax.s32.ld.incp q0, a9, q1, q1, q0
.Lfours:
    ee.vmax.s32 q1, q1, q0
    ee.movi.32.a q1, a11, 0
    ee.movi.32.a q1, a12, 1
    max     a10, a10, a11
    ee.movi.32.a q1, a11, 2
    max     a10, a10, a12
    ee.movi.32.a q1, a12, 3
    max     a10, a10, a11
    max     a10, a10, a12
    j       .Labsmax
.Lone_by_one:
    loopgtz a7, .Labsmax
    l32i    a11, a9, 0
    addi    a9, a9, 4
    max     a10, a10, a11
.Labsmax:

    /* ---- k, a15, R ---- */
    nsau    a12, a10
    addi    a13, a12, -17       /* k */
    movi    a9, 127
    slli    a9, a9, 21
    mov     a11, a5
    bgez    a13, .Lsmall
    neg     a14, a13
    ssr     a14
    srl     a14, a10
    quou    a9, a9, a14
    slli    a13, a13, 16
    or      a13, a13, a14
    s32i    a13, a6, 0          /* mantissa a15, exponent k */
    s32i    a9, a1, reciprocal
    mov     a10, a3
    ee.vld.128.ip q0, a10, 16
    mov     a9, a4
    l32i    a13, a9, 0
    addi    a9, a9, 4
    movi    a14, 17
    nsau    a13, a13
    min     a13, a13, a14
    /* t = min(nsau(a16), 17) - nsau(a): a pointer into the powers. */
    slli    a12, a12, 1
    sub     a12, a1, a12
    addx2   a13, a13, a12
    ee.vldbc.16.ip q4, a13, 0
    addi    a15, a1, reciprocal
    ee.vldbc.16.ip q2, a15, rounding - reciprocal
    ee.vld.128.ip q1, a10, 16
    ee.vldbc.16.ip q3, a15, 0
    movi    a13, 13
    ssr     a13
    addi    a15, a7, -2
    bltz    a15, .Lonly
    ftv_wide none, q6, 0
    addi    a9, a9, 4
    srli    a15, a15, 1
    loopgtz a15, .Lpairs
    ftv_wide q6, q7, 0
    ftv_wide q7, q6, 4
    addi    a9, a9, 8
.Lpairs:
    bbci    a7, 0, .Leven
    ftv_wide q6, q7, 0
    ftv_wide q7, q6, -1
    ee.vst.128.ip q6, a11, 16
    j       .Lnext
.Leven:
    ftv_wide q6, q7, -1
    ee.vst.128.ip q7, a11, 16
    j       .Lnext
.Lonly:
    ftv_wide none, q6, -1
    ee.vst.128.ip q6, a11, 16
    j       .Lnext

.Lsmall:
    ssl     a13
    sll     a14, a10
    quou    a9, a9, a14
    slli    a15, a13, 16
    or      a15, a15, a14
    s32i    a15, a6, 0
    movi    a14, 13
    sub     a14, a14, a13
    bgez    a14, .Lscaled
    slli    a9, a9, 1           /* k = 14 goes into R */
    movi    a14, 0
.Lscaled:
    s32i    a9, a1, reciprocal
    mov     a10, a3
    ee.vld.128.ip q0, a10, 16
    addi    a15, a1, reciprocal
    ee.vldbc.16.ip q2, a15, rounding - reciprocal
    ee.vld.128.ip q1, a10, 16
    ee.vldbc.16.ip q3, a15, 0
    ssr     a14
    addi    a15, a7, -1
    loopgtz a15, .Lsmalls
    ftv_small 1
.Lsmalls:
    ftv_small 0

.Lnext:
    l32i    a9, a2, values_row
    l32i    a10, a2, absmax_row
    l32i    a11, a2, codes_row
    add     a3, a3, a9
    add     a4, a4, a10
    add     a5, a5, a11
    addi    a6, a6, 4
    addi    a8, a8, -1
    bnez    a8, .Lrow
    retw.n
    .size   ftv_quantise_narrow_esp32s3, . - ftv_quantise_narrow_esp32s3
