/* void ftv_softmax_s32s16_esp32s3(const ftv_softmax_args *args)
 *
 * One query's scores to weights, NUMERICS.md, section 5.
 *
 * in     scores: int32 [16 tiles], as ftv_scores_s8s8_esp32s3 leaves them, 16-byte aligned; used up; the 64 bytes
 *        behind them are read
 *        values: int16 [16 tiles], the values' scales, 0 .. 32767, 16-byte aligned
 *        padding: int16 [16], 0 for the last tile's keys and 32767 beyond them, 16-byte aligned. A key beyond has the
 *        score of a real key, so that it does not change the maximum
 *        constants: FTV_SOFTMAX_CONSTANTS vectors, 16-byte aligned
 * out    weights: int16 [16 tiles], 0 .. 2^13, 16-byte aligned; the 16 bytes before them are overwritten, the 32 behind
 *        them are read
 *        sum: uint32, of the numerators
 * range  multiplier 0 .. 32767, right 0 .. 39: the distance is diff * multiplier >> (right + 16); tiles >= 1
 * alias  nothing overlaps
 * cycles modelled: 66 for sixteen keys and 91 for a call: 949 for 197 keys
 */

    .set ARG_SCORES, 0
    .set ARG_WEIGHTS, 4
    .set ARG_VALUES, 8
    .set ARG_PADDING, 12
    .set ARG_CONSTANTS, 16
    .set ARG_MULTIPLIER, 20
    .set ARG_RIGHT, 24
    .set ARG_TILES, 28
    .set ARG_SUM, 32

/* The constants as seen from the ninth, where those are that the last loop loads on its way. */
    .set POLY3, -128
    .set POLY2, -112
    .set POLY1, -96
    .set POLY0, -80
    .set FRACTION, -64
    .set MINUS2, -48
    .set FOUR, -32
    .set BIT4, -16
    .set BIT1, 0
    .set TWO, 16
    .set BIT2, 32
    .set BELOW8, 48

    .text
    .balign 16
    .global ftv_softmax_s32s16_esp32s3
    .type   ftv_softmax_s32s16_esp32s3, @function
ftv_softmax_s32s16_esp32s3:
    entry   a1, 48
    l32i    a3, a2, ARG_SCORES
    l32i    a5, a2, ARG_TILES
    l32i    a15, a2, ARG_CONSTANTS
    addi    a15, a15, 64
    addi    a15, a15, 64

    /* The largest score. */
    ee.vld.128.ip q1, a3, 16
    ee.vld.128.ip q2, a3, 16
    slli    a6, a5, 1
    addi    a6, a6, -1
    mv.qr   q0, q1
    loopgtz a6, .Lmaximum
    ee.vmax.s32.ld.incp q1, a3, q0, q0, q1
    ee.vmax.s32.ld.incp q2, a3, q0, q0, q2
.Lmaximum:
    ee.vmax.s32 q0, q0, q1
    ee.vmax.s32 q0, q0, q2
    ee.movi.32.a q0, a6, 0
    ee.movi.32.a q0, a7, 1
    ee.movi.32.a q0, a8, 2
    ee.movi.32.a q0, a9, 3
    max     a6, a6, a7
    max     a8, a8, a9
    max     a6, a6, a8

    /* diff = largest - t < 2^32 may not fit int32. Where largest >= 0, (largest - 2^31) - t does, and its top bit is
     * wrong: q5 is largest or largest - 2^31, q6 turns the bit round. */
    movi    a8, -1
    srai    a7, a6, 31
    xor     a7, a7, a8
    slli    a7, a7, 31
    xor     a6, a6, a7
    srli    a8, a7, 16
    or      a8, a8, a7
    l32i    a9, a2, ARG_MULTIPLIER
    s32i    a6, a1, 0
    s32i    a8, a1, 4
    s32i    a9, a1, 8
    mov     a7, a1
    ee.vldbc.32.ip q5, a7, 4
    ee.vldbc.32.ip q6, a7, 4
    ee.vldbc.16.ip q7, a7, 0

    /* u = min(32767, (high * c + (low * c >> 16)) >> right) with diff = high * 2^16 + low, eight lanes of 40 bits. */
    l32i    a3, a2, ARG_SCORES
    l32i    a4, a2, ARG_WEIGHTS
    l32i    a6, a2, ARG_RIGHT
    ssai    16
    addi    a4, a4, -16
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a3, 16
    ee.zero.q q4
    ee.vsubs.s32.ld.incp q2, a3, q0, q5, q0
    ee.vsubs.s32.ld.incp q3, a3, q1, q5, q1
    ee.vunzip.16 q0, q1
    loopgtz a5, .Ldistances
    ee.vmul.u16.st.incp q4, a4, q0, q0, q7      /* the last eight distances to memory */
    ee.xorq q1, q1, q6
    ee.mov.u16.qacc q0
    ee.vmulas.u16.qacc q1, q7
    ee.vsubs.s32.ld.incp q0, a3, q2, q5, q2
    ee.vsubs.s32.ld.incp q1, a3, q3, q5, q3
    ee.vunzip.16 q2, q3
    ee.srcmb.s16.qacc q4, a6, 0
    ee.vmul.u16.st.incp q4, a4, q2, q2, q7
    ee.xorq q3, q3, q6
    ee.mov.u16.qacc q2
    ee.vmulas.u16.qacc q3, q7
    ee.vsubs.s32.ld.incp q2, a3, q0, q5, q0
    ee.vsubs.s32.ld.incp q3, a3, q1, q5, q1
    ee.vunzip.16 q0, q1
    ee.srcmb.s16.qacc q4, a6, 0
.Ldistances:
    /* Keys beyond the last get the largest distance, which makes their numerator 0. */
    l32i    a7, a2, ARG_PADDING
    ee.vld.128.ip q0, a7, 16
    ee.vld.128.ip q1, a7, 16
    ee.orq  q1, q1, q4
    ld.qr   q2, a4, -16
    st.qr   q1, a4, 0
    ee.orq  q0, q0, q2
    st.qr   q0, a4, -16

    /* E = exp2_poly(f) of the low eleven bits, f = 16 times them: the products are shifted by 11 instead of 15. */
    l32i    a3, a2, ARG_WEIGHTS
    l32i    a4, a2, ARG_SCORES
    ssai    11
    ld.qr   q3, a15, POLY3
    ld.qr   q4, a15, POLY2
    ld.qr   q5, a15, POLY1
    ld.qr   q6, a15, POLY0
    ld.qr   q1, a15, FRACTION
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q2, a3, 16
    loopgtz a5, .Lpolynomials
    ee.andq q0, q0, q1
    ee.andq q2, q2, q1
    ee.vmul.s16 q1, q0, q3
    ee.vmul.s16 q7, q2, q3
    ee.vadds.s16 q1, q1, q4
    ee.vadds.s16 q7, q7, q4
    ee.vmul.s16 q1, q0, q1
    ee.vmul.s16 q7, q2, q7
    ee.vadds.s16 q1, q1, q5
    ee.vadds.s16 q7, q7, q5
    ee.vmul.s16.ld.incp q0, a3, q1, q0, q1
    ee.vmul.s16.ld.incp q2, a3, q7, q2, q7
    ee.vadds.s16 q1, q1, q6
    ee.vadds.s16.st.incp q1, a4, q7, q7, q6
    ld.qr   q1, a15, FRACTION
    ee.vst.128.ip q7, a4, 16
.Lpolynomials:

    /* e = E >> i, i = u >> 11. No lane shifts by its own amount, so e = E * 2^(15 - i) >> 15, and 2^(15 - i) is made of
     * i's bits in bytes, sixteen lanes at a time: 2^(7 - (i & 7)) is 16 or 1, times 4 or 1, times 2 or 1, from the bits
     * that are not set; it is the low byte where i >= 8, else the high one.
     * Then the sum of -2 e, and w = (e * mv + 2^16) >> 17 = ((e * mv >> 15) + 2) >> 2, computed as
     * (-2 - (e * mv >> 15)) * -2 >> 3, because the positive sum may not fit.
     * The loop begins with distances in q4 and q0, and constants in q1 and q3. */
    l32i    a3, a2, ARG_WEIGHTS
    l32i    a7, a2, ARG_SCORES
    l32i    a6, a2, ARG_VALUES
    mov     a4, a3
    addi    a8, a15, BIT2
    ee.zero.accx
    ssai    3
    ee.vld.128.ip q4, a3, 16
    ee.vld.128.ip q0, a3, 16
    ld.qr   q5, a15, FOUR
    ld.qr   q6, a15, BIT4
    ld.qr   q7, a15, MINUS2
    ld.qr   q3, a15, TWO
    ld.qr   q1, a15, BELOW8
    loopgtz a5, .Lweights
    ee.vunzip.8 q4, q0                  /* q0: bytes 0iiiifff */
    ee.notq q4, q0
    ee.vcmp.gt.s8 q0, q0, q1
    ee.andq q2, q4, q6
    ee.vmax.s8.ld.incp q3, a8, q2, q2, q3       /* 32 or 2; q3 = BIT2 */
    mov     a8, a15
    ee.andq q3, q4, q3
    ee.vmax.s8.ld.incp q1, a8, q3, q3, q5       /* 16 or 4; q1 = BIT1 */
    ee.vmul.u8.ld.incp q3, a7, q2, q2, q3       /* q3 = E */
    ee.andq q4, q4, q1
    ee.vadds.s8.ld.incp q1, a7, q4, q4, q1      /* 16 or 8; q1 = E */
    ee.vmul.u8.ld.incp q4, a6, q2, q2, q4       /* q4 = mv */
    ssai    15
    ee.andq q0, q0, q2
    ee.xorq q2, q2, q0
    ee.vzip.8 q0, q2
    ee.vmul.u16.ld.incp q3, a6, q0, q0, q3      /* e; q3 = mv */
    ee.vmul.u16 q2, q2, q1
    ee.vmulas.s16.accx q0, q7
    ee.vmul.s16.ld.incp q4, a3, q0, q0, q4      /* q4 = the next distances */
    ee.vmulas.s16.accx q2, q7
    ee.vmul.s16.ld.incp q3, a8, q2, q2, q3      /* q3 = TWO */
    ssai    3
    ee.vsubs.s16 q0, q7, q0
    ee.vsubs.s16 q2, q7, q2
    ee.vmul.s16 q1, q0, q7
    ee.vmul.s16.ld.incp q0, a3, q2, q2, q7      /* q0 = the next distances */
    ee.vst.128.ip q1, a4, 16
    ld.qr   q1, a15, BELOW8
    ee.vst.128.ip q2, a4, 16
.Lweights:
    l32i    a3, a2, ARG_SUM
    rur.accx_0 a4
    neg     a4, a4
    srli    a4, a4, 1
    s32i    a4, a3, 0
    retw.n
    .size   ftv_softmax_s32s16_esp32s3, . - ftv_softmax_s32s16_esp32s3
