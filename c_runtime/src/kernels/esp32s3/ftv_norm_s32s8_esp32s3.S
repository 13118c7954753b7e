/* void ftv_norm_s32s8_esp32s3(const ftv_norm_rows_args *args)
 *
 * LayerNorm of Q16 rows to eight-bit codes and token scales, NUMERICS.md, section 4.
 *
 * in     x: int32 [rows][columns], rows `x_row` bytes apart, 16-byte aligned, |x| <= 2^30
 *        gamma, beta: int16 trits [columns + 8], 16-byte aligned (ftv_unpack_trits_t2s16_esp32s3)
 * out    codes: int8 [rows][columns], rows `codes_row` bytes apart, 16-byte aligned; scales: ftv_multiplier [rows]
 *        done: rows that are ready. It stops before the first row whose numbers are too large for its registers:
 *        max|x| > limit, max|x - mean| >= 2^26, or beta's step B > 16383
 * range  columns: a multiple of 16, 32 .. 1024; limit <= (2^31 - 1) / (columns / 8)
 * alias  nothing overlaps; x may lie in slow memory, it is read once
 * scratch row: int32 [columns + 8], 16-byte aligned
 * cycles modelled: 51 for sixteen columns and 387 for a row: 595 for a row of 64, 1002 for 192, 1616 for 384; 11 % more
 *        where max|d| < 2^14
 *
 * A row passes three times: statistics, u, codes. With t = x - 2^15 the 16-bit halves of t are signed numbers
 * w = (x mod 2^16) - 2^15 and h = x >> 16, t = h 2^16 + w, and the variance does not mind the offset:
 *     sum d^2 = sum h^2 2^32 + sum h w 2^17 + sum w^2 - C m^2 - 2 rem m,   m = mean - 2^15
 * modulo 2^64, in which the result fits.
 */

    .set x, 0
    .set x_row, 4
    .set rows, 8
    .set columns, 12
    .set limit, 16
    .set inverse, 20        /* ceil(2^32 / columns) */
    .set inverse16, 24      /* ceil(2^32 / (columns / 16)) */
    .set eps_low, 28        /* columns * eps_q32 */
    .set eps_high, 32
    .set beta_mantissa, 36
    .set beta_exponent, 40
    .set gamma, 44
    .set beta, 48
    .set row, 52
    .set codes, 56
    .set codes_row, 60
    .set scales, 64
    .set done, 68

    /* The frame: constants, then what a row has to remember. */
    .set half, 0            /* 2^15 */
    .set upper, 4           /* selects the upper halves */
    .set lower, 8           /* selects the lower halves */
    .set rounding, 12       /* 128 */
    .set mean, 16
    .set remainder, 20
    .set root_shift, 24     /* z / 2 */
    .set reciprocal, 28     /* r, then R */
    .set power, 32          /* n */
    .set step, 36           /* B */
    .set fraction, 40
    .set eights, 44         /* columns / 8 - 1 */
    .set offset, 48         /* limit * columns / 16 */

/* 64-bit sums: (high:low) += value, -= value. */
.macro ftv_add64 high low value carry
    add     \low, \low, \value
    saltu   \carry, \low, \value
    add     \high, \high, \carry
.endm

.macro ftv_sub64 high low value borrow
    saltu   \borrow, \low, \value
    sub     \low, \low, \value
    sub     \high, \high, \borrow
.endm

/* Statistics of eight columns; q5 is loaded. q0, q1: maximum, minimum; q2, q3: sums; QACC: even lanes w^2, odd lanes
 * h^2; ACCX: h w; a7: where the row is kept. `more`: also load the next q5. */
.macro ftv_statistics more
    ee.vmax.s32.ld.incp q6, a8, q0, q0, q5
    ee.vmin.s32 q1, q1, q5
    ee.vadds.s32.st.incp q5, a7, q2, q2, q5
    ee.xorq q7, q5, q4
    .if \more
    ee.vmax.s32.ld.incp q5, a8, q0, q0, q6
    .else
    ee.vmax.s32 q0, q0, q6
    .endif
    ee.vmin.s32 q1, q1, q6
    ee.vadds.s32.st.incp q6, a7, q3, q3, q6
    ee.xorq q6, q6, q4
    ee.vmulas.s16.qacc q7, q7
    ee.vmulas.s16.qacc q6, q6
    ee.vunzip.16 q7, q6
    ee.vmulas.s16.accx q7, q6
.endm

/* One half of QACC onto (a8:a7): lanes of 40 bits w^2, h^2, w^2, h^2; of h^2 only 32 bits are left modulo 2^64. */
.macro ftv_squares half
    rur.qacc_\half\()_0 a11
    rur.qacc_\half\()_1 a12
    rur.qacc_\half\()_2 a13
    rur.qacc_\half\()_3 a14
    ftv_add64 a8, a7, a11, a15
    extui   a15, a12, 0, 8
    add     a8, a8, a15
    extui   a15, a14, 16, 8
    add     a8, a8, a15
    ssai    8
    src     a12, a13, a12
    add     a8, a8, a12
    ssai    16
    src     a13, a14, a13
    ftv_add64 a8, a7, a13, a15
    rur.qacc_\half\()_4 a15
    ssai    24
    src     a14, a15, a14
    add     a8, a8, a14
.endm

/* a11 = floor(sqrt(a8:a7)) for 2^62 <= (a8:a7) < 2^64; changes a12, a13, a14. */
.macro ftv_root
    /* The root x of the upper word, t = word / 2^32: a parabola, 16992 + (68945 - 20731 t) t, within 0.51 %, and one
     * Newton step: never too small, at most 1 too large (seen for every word from 2^30 on). */
    movi    a11, 20731
    movi    a12, 68945
    movi    a13, 16992
    muluh   a11, a8, a11
    movi    a14, -1
    sub     a11, a12, a11
    muluh   a11, a8, a11
    extui   a14, a14, 0, 16
    add     a11, a11, a13
    quou    a12, a8, a11
    add     a11, a11, a12
    srli    a11, a11, 1
    minu    a11, a11, a14
    mull    a12, a11, a11
    slli    a14, a11, 1
    bgeu    a8, a12, .Lroot\@
    sub     a12, a12, a14
    addi    a12, a12, 1
    addi    a11, a11, -1
.Lroot\@:
    /* The other half by one division (P. Zimmermann, Karatsuba Square Root, 1999): with the remainder r of x and the
     * lower word's halves n1, n0: y, u = divmod(r 2^16 + n1, 2 x); q = x 2^16 + y, less 1 if u 2^16 + n0 < y^2. */
    sub     a12, a8, a12
    extui   a14, a7, 17, 15
    slli    a13, a12, 15
    add     a13, a13, a14
    quou    a13, a13, a11
    extui   a14, a7, 16, 16
    slli    a12, a12, 16
    add     a12, a12, a14
    mull    a14, a11, a13
    slli    a11, a11, 16
    add     a11, a11, a13
    slli    a14, a14, 1
    sub     a12, a12, a14       /* u < 2^17 */
    srli    a14, a12, 16
    bnez    a14, .Lexact\@
    bbsi    a13, 16, .Lless\@     /* y = 2^16 */
    mull    a13, a13, a13
    extui   a14, a7, 0, 16
    slli    a12, a12, 16
    add     a12, a12, a14
    bgeu    a12, a13, .Lexact\@
.Lless\@:
    addi    a11, a11, -1
.Lexact\@:
.endm

/* u = gamma d14 + beta B of a row: q0 mean, q1 B, q2 and q3 the maximum and minimum of u; a7 row, a8 gamma, a9 beta,
 * a11 u, in place of the row, which is read ahead of it. SAR: what d is shifted by. */
.macro ftv_affine shift left
    ee.vld.128.ip q4, a7, 16
    ee.vld.128.ip q5, a7, 16
    ee.vsubs.s32.ld.incp q6, a8, q4, q4, q0
    \shift  q4, q4
    loopgtz a12, 1f
    ee.vsubs.s32.ld.incp q7, a9, q5, q5, q0
    \shift  q5, q5
    ee.zero.qacc
    ee.vunzip.16 q4, q5
    .if \left
    ee.vldbc.16.ip q5, a15, 0
    ee.vsubs.s16 q4, q4, q5
    .endif
    ee.vmulas.s16.qacc.ld.ip q4, a7, 16, q4, q6
    ee.vmulas.s16.qacc.ld.ip q5, a7, 16, q7, q1
    ee.vsubs.s32.ld.incp q6, a8, q4, q4, q0
    \shift  q4, q4
    ee.srcmb.s16.qacc q7, a13, 0
    ee.vmax.s16 q2, q2, q7
    ee.vmin.s16.st.incp q7, a11, q3, q3, q7
1:
.endm

/* Codes of sixteen u, w = (u R) >> SAR, code = (w + 128) >> 8: the high bytes (floors compose). q0, q1: u, q4: R,
 * q5: 128; the next u are loaded. The codes stay in `now`, and those of the last time are stored. */
.macro ftv_first_codes now
    ee.vmul.s16.ld.incp q0, a7, q6, q0, q4
    ee.vmul.s16.ld.incp q1, a7, \now, q1, q4
    ee.vadds.s16 q6, q6, q5
    ee.vadds.s16 \now, \now, q5
    ee.vunzip.8 q6, \now
.endm

.macro ftv_more_codes last now
    ee.vmul.s16.ld.incp q0, a7, q6, q0, q4
    ee.vmul.s16.st.incp \last, a8, \now, q1, q4
    ee.vadds.s16.ld.incp q1, a7, q6, q6, q5
    ee.vadds.s16 \now, \now, q5
    ee.vunzip.8 q6, \now
.endm

    .text
    .balign 16
    .global ftv_norm_s32s8_esp32s3
    .type   ftv_norm_s32s8_esp32s3, @function
ftv_norm_s32s8_esp32s3:
    entry   a1, 112
    l32i    a3, a2, x
    l32i    a4, a2, codes
    l32i    a5, a2, scales
    l32i    a6, a2, rows        /* still to do */
    movi    a7, 1
    s32i    a7, a1, lower
    slli    a8, a7, 15
    s32i    a8, a1, half
    slli    a8, a7, 16
    s32i    a8, a1, upper
    movi    a8, 128
    s32i    a8, a1, rounding
    l32i    a8, a2, columns
    srli    a8, a8, 3
    addi    a9, a8, -1
    s32i    a9, a1, eights
    l32i    a9, a2, limit
    srli    a8, a8, 1
    mull    a8, a8, a9
    s32i    a8, a1, offset

.Lrow:
    /* ---- statistics ---- */
    mov     a8, a3
    ee.vld.128.ip q5, a8, 16
    l32i    a7, a2, row
    l32i    a12, a1, eights
    addi    a15, a1, half
    ee.vldbc.32.ip q4, a15, 4
    ee.zero.q q2
    ee.zero.q q3
    ee.zero.accx
    ee.zero.qacc
    mv.qr   q0, q5
    mv.qr   q1, q5
    loopgtz a12, .Lseen
    ftv_statistics 1
.Lseen:
    ftv_statistics 0
    ee.vldbc.32.ip q6, a15, 4
    ee.vldbc.32.ip q7, a15, 4
    rur.accx_0 a11
    rur.accx_1 a12
    ee.zero.accx
    ee.zero.q q4
    ee.vsubs.s32 q1, q4, q1
    ee.vmulas.s16.accx q2, q6
    ee.vmulas.s16.accx q3, q6
    ee.vzip.32 q0, q1           /* maximum and -minimum in turn */
    ee.vmax.s32 q0, q0, q1
    rur.accx_0 a13              /* sum of the sums' upper halves */
    ee.zero.accx
    ee.vmulas.u16.accx q2, q7
    ee.vmulas.u16.accx q3, q7
    ee.movi.32.a q0, a9, 0
    ee.movi.32.a q0, a14, 2
    max     a9, a9, a14
    ee.movi.32.a q0, a10, 1
    ee.movi.32.a q0, a14, 3
    max     a10, a10, a14
    l32i    a15, a2, limit
    max     a14, a9, a10
    sub     a14, a15, a14
    bltz    a14, .Lleave        /* bltz reaches farther than blt */
    slli    a7, a11, 17         /* (a8:a7) = sum h w 2^17 */
    sext    a12, a12, 7
    ssai    15
    src     a8, a12, a11
    rur.accx_0 a12              /* sum of the sums' lower halves */
    /* mean = floor(sum / C) = floor((sum >> 4) / (C / 16)). Of g = (sum >> 4) + limit C / 16 = 0 .. 2^31 the product
     * with the inverse is the quotient or 1 more, and the quotient is mean + limit. rem < C needs the low word only. */
    slli    a11, a13, 16
    add     a11, a11, a12
    add     a9, a9, a15
    sub     a10, a10, a15
    l32i    a14, a1, offset
    slli    a13, a13, 12
    srli    a12, a12, 4
    add     a14, a14, a13
    l32i    a15, a2, inverse16
    add     a14, a14, a12       /* g */
    l32i    a13, a2, columns
    muluh   a12, a14, a15
    srli    a15, a13, 4
    mull    a15, a12, a15
    l32i    a13, a2, limit
    sub     a14, a14, a15
    srai    a14, a14, 31
    add     a12, a12, a14
    sub     a9, a9, a12
    add     a10, a10, a12
    max     a9, a9, a10         /* max|d| = max(max - mean, mean - min) */
    nsau    a10, a9
    addi    a14, a10, -6
    bltz    a14, .Lleave
    sub     a12, a12, a13
    l32i    a13, a2, columns
    s32i    a12, a1, mean
    mull    a14, a12, a13
    addmi   a12, a12, -32768    /* m */
    sub     a11, a11, a14
    /* V = sum d^2 - floor(rem^2 / C) + C eps; rem^2 < 2^20, where the inverse is exact. */
    mull    a15, a11, a11
    l32i    a14, a2, inverse
    s32i    a11, a1, remainder
    muluh   a15, a15, a14
    slli    a11, a11, 1
    mull    a14, a12, a11
    ftv_sub64 a8, a7, a15, a9
    mulsh   a15, a12, a11
    ftv_sub64 a8, a7, a14, a9
    mull    a11, a12, a12
    sub     a8, a8, a15
    mulsh   a15, a12, a12
    muluh   a14, a11, a13
    mull    a15, a15, a13
    mull    a11, a11, a13
    sub     a8, a8, a14
    l32i    a12, a2, eps_low
    sub     a8, a8, a15
    ftv_sub64 a8, a7, a11, a9
    l32i    a15, a2, eps_high
    ftv_add64 a8, a7, a12, a9
    add     a8, a8, a15
    ftv_squares l
    ftv_squares h

    /* ---- q = isqrt(V << z) ---- */
    nsau    a11, a8
    beqz    a8, .Lone_word
.Lnormalise:
    srli    a12, a11, 1
    s32i    a12, a1, root_shift
    slli    a12, a12, 1
    ssl     a12
    src     a8, a8, a7
    sll     a7, a7
    ftv_root
    /* r = min(32767, floor(2^46 / q)): floor(2^30 / (q >> 16)) is r or r + 1. */
    extui   a12, a11, 16, 16
    movi    a14, 1
    slli    a13, a14, 30
    quou    a13, a13, a12
    mull    a12, a13, a11
    muluh   a15, a13, a11
    minu    a12, a12, a14       /* 1 if the lower word is not 0 */
    slli    a14, a14, 14
    add     a15, a15, a12       /* r q / 2^32 rounded up: more than 2^14? */
    sub     a15, a14, a15
    srai    a15, a15, 31
    add     a13, a13, a15
    slli    a14, a14, 1
    addi    a14, a14, -1
    min     a13, a13, a14
    s32i    a13, a1, reciprocal
    /* B = round_shift(q m_b, e_b + z / 2 - n), where q m_b < 2^47. */
    l32i    a14, a2, beta_mantissa
    l32i    a15, a2, beta_exponent
    l32i    a13, a1, root_shift
    addi    a12, a10, -32
    addi    a10, a10, -18       /* n = 14 - bits(a) */
    moveqz  a10, a12, a12       /* or 0 where all d are 0 */
    mull    a12, a14, a11
    s32i    a10, a1, power
    muluh   a14, a14, a11
    add     a15, a15, a13
    sub     a15, a15, a10
    addi    a15, a15, -32
    bltz    a15, .Lleave
    ssai    31
    src     a14, a14, a12
    movi    a13, 31
    min     a15, a15, a13
    ssr     a15
    srl     a14, a14
    addi    a14, a14, 1
    srli    a14, a14, 1
    s32i    a14, a1, step
    srli    a14, a14, 14
    bnez    a14, .Lleave

    /* ---- u ---- */
    addi    a15, a1, mean
    ee.vldbc.32.ip q0, a15, step - mean
    ee.vldbc.16.ip q1, a15, 0
    l32i    a7, a2, row
    l32i    a8, a2, gamma
    l32i    a9, a2, beta
    mov     a11, a7
    l32i    a12, a1, eights
    addi    a12, a12, 1
    movi    a13, 0
    ee.zero.q q2
    ee.zero.q q3
    bgez    a10, .Lsmall
    neg     a14, a10
    ssr     a14
    ftv_affine ee.vsr.32, 0
.Lcodes:
    /* ---- codes ---- */
    ee.zero.q q4
    ee.vsubs.s16 q3, q4, q3
    ee.vmax.s16 q2, q2, q3
    mv.qr   q3, q2
    ee.vunzip.16 q2, q3
    ee.vmax.s16 q2, q2, q3
    mv.qr   q3, q2
    ee.vunzip.16 q2, q3
    ee.vmax.s16 q2, q2, q3      /* two lanes are left of eight */
    movi    a8, 1
    ee.movi.32.a q2, a9, 0
    extui   a11, a9, 16, 16
    extui   a9, a9, 0, 16
    max     a9, a9, a8
    max     a9, a9, a11         /* max(1, max|u|) < 2^15 */
    nsau    a8, a9
    addi    a8, a8, -17         /* k = 0 .. 14 */
    ssl     a8
    sll     a9, a9              /* a15 */
    movi    a11, 127
    slli    a11, a11, 21
    l32i    a12, a1, reciprocal
    quou    a11, a11, a9        /* R <= 127 * 2^7 */
    /* w = ((u << k) R) >> 13 = (u R) >> (13 - k): k = 14 goes into R. */
    movi    a14, 13
    sub     a14, a14, a8
    bltz    a14, .Lone_step
.Lscaled:
    /* The token scale: p = a15 r < 2^30, rounded to 15 bits. */
    mull    a12, a12, a9
    s32i    a11, a1, reciprocal
    l32i    a11, a1, power
    l32i    a15, a1, root_shift
    extui   a13, a12, 29, 1     /* x - 14 */
    add     a8, a8, a11
    sub     a8, a8, a15
    sub     a8, a8, a13
    addi    a8, a8, 32          /* e = k + n + 46 - z / 2 - x */
    slli    a8, a8, 16
    addi    a13, a13, 13
    ssr     a13
    srl     a12, a12
    movi    a15, 32767
    addi    a12, a12, 1
    srli    a12, a12, 1
    min     a12, a12, a15
    or      a12, a12, a8
    s32i    a12, a5, 0
    l32i    a7, a2, row
    l32i    a12, a2, columns
    mov     a8, a4
    addi    a15, a1, reciprocal
    ee.vldbc.16.ip q4, a15, 0
    addi    a15, a1, rounding
    ee.vld.128.ip q0, a7, 16
    ee.vldbc.16.ip q5, a15, 0
    ee.vld.128.ip q1, a7, 16
    ssr     a14
    addi    a13, a12, -16
    srli    a13, a13, 5
    bbci    a12, 4, .Leven
    ftv_first_codes q7
    j       .Lpairs
.Leven:
    ftv_first_codes q2
    ftv_more_codes q2, q7
.Lpairs:
    loopgtz a13, .Llast
    ftv_more_codes q7, q2
    ftv_more_codes q2, q7
.Llast:
    ee.vst.128.ip q7, a8, 16

    l32i    a7, a2, x_row
    l32i    a8, a2, codes_row
    add     a3, a3, a7
    add     a4, a4, a8
    addi    a5, a5, 4
    addi    a6, a6, -1
    bnez    a6, .Lrow
.Lleave:
    l32i    a7, a2, rows
    l32i    a8, a2, done
    sub     a7, a7, a6
    s32i    a7, a8, 0
    retw.n

    /* What seldom happens stands apart, so that branches fall through. */
.Lone_word:
    movi    a8, 1
    maxu    a8, a7, a8          /* V >= 1, shifted by 32 */
    movi    a7, 0
    nsau    a11, a8
    addi    a11, a11, 32
    j       .Lnormalise
.Lsmall:
    /* Small deviations: d14 = (d << n) - floor((rem << n) / C). */
    l32i    a14, a1, remainder
    l32i    a15, a2, columns
    ssl     a10
    sll     a14, a14
    quou    a14, a14, a15
    s32i    a14, a1, fraction
    addi    a15, a1, fraction
    ssr     a10
    ftv_affine ee.vsl.32, 1
    j       .Lcodes
.Lone_step:
    slli    a11, a11, 1
    movi    a14, 0
    j       .Lscaled
    .size   ftv_norm_s32s8_esp32s3, . - ftv_norm_s32s8_esp32s3
