/* void ftv_unpack_trits_t2s16_esp32s3(const ftv_unpack_args *args)
 *
 * The trits of a LayerNorm as numbers that the vector unit multiplies with.
 *
 * in     codes: w + 1, four a byte, low bits first, 16-byte aligned; whole sixteens of bytes are read
 * out    trits: int16 -1, 0, 1 [64 blocks], 16-byte aligned
 * range  blocks >= 1 of 64 trits; codes 0, 1, 2
 * alias  nothing overlaps
 * cycles modelled: 33 for 64 trits
 */

/* Sixteen codes q\n as bytes become sixteen trits. */
.macro ftv_widen n
    ee.vsubs.s8 \n, \n, q6
    ee.vcmp.lt.s8 q5, \n, q7
    ee.vzip.8 \n, q5            /* beside each byte its sign */
    ee.vst.128.ip \n, a4, 16
    ee.vst.128.ip q5, a4, 16
.endm

    .text
    .balign 16
    .global ftv_unpack_trits_t2s16_esp32s3
    .type   ftv_unpack_trits_t2s16_esp32s3, @function
ftv_unpack_trits_t2s16_esp32s3:
    entry   a1, 48
    l32i    a3, a2, 0           /* codes */
    l32i    a4, a2, 4           /* trits */
    l32i    a5, a2, 8           /* blocks */
    movi    a6, 3
    s32i    a6, a1, 0
    movi    a6, 1
    s32i    a6, a1, 4
    mov     a6, a1
    ee.vldbc.8.ip q4, a6, 4
    ee.vldbc.8.ip q6, a6, 0
    ee.zero.q q7
    ssai    2
    loopgtz a5, .Lunpacked
    ee.vld.128.ip q0, a3, 16
    ee.vsr.32 q1, q0
    ee.andq q0, q0, q4
    ee.vsr.32 q2, q1
    ee.andq q1, q1, q4
    ee.vsr.32 q3, q2
    ee.andq q2, q2, q4
    ee.andq q3, q3, q4
    ee.vzip.8 q0, q1            /* first and second code of each byte */
    ee.vzip.8 q2, q3            /* third and fourth */
    ee.vzip.16 q0, q2
    ee.vzip.16 q1, q3
    ftv_widen q0
    ftv_widen q2
    ftv_widen q1
    ftv_widen q3
.Lunpacked:
    retw.n
    .size   ftv_unpack_trits_t2s16_esp32s3, . - ftv_unpack_trits_t2s16_esp32s3
