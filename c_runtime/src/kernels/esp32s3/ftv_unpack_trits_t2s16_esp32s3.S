/* void ftv_unpack_trits_t2s16_esp32s3(const ftv_unpack_trits_args *args)
 *
 * The trits of a LayerNorm as numbers that the vector unit multiplies with.
 *
 * in     codes: w + 1, four a byte, low bits first, 2-byte aligned
 * out    trits: int16 -1, 0, 1 [16 sixteens], 16-byte aligned
 * range  sixteens >= 1; codes 0, 1, 2
 * alias  nothing overlaps
 * cycles modelled: 9 for sixteen trits and 25 for a call
 */

    .text
    .balign 16
    .global ftv_unpack_trits_t2s16_esp32s3
    .type   ftv_unpack_trits_t2s16_esp32s3, @function
ftv_unpack_trits_t2s16_esp32s3:
    entry   a1, 48
    l32i    a3, a2, 0           /* codes */
    l32i    a4, a2, 4           /* trits */
    l32i    a5, a2, 8           /* sixteens */
    /* Lane i of a broadcast half word, times 2^(14 - 2i) and shifted right by 14, has its own code lowest. */
    movi    a6, 0x10004000
    ee.movi.32.q q4, a6, 0
    srli    a6, a6, 4
    ee.movi.32.q q4, a6, 1
    srli    a6, a6, 4
    ee.movi.32.q q4, a6, 2
    srli    a6, a6, 4
    ee.movi.32.q q4, a6, 3
    movi    a6, 3
    s32i    a6, a1, 0
    movi    a6, 1
    s32i    a6, a1, 4
    mov     a6, a1
    ee.vldbc.16.ip q5, a6, 4
    ee.vldbc.16.ip q6, a6, 0
    ssai    14
    loopgtz a5, .Lunpacked
    ee.vldbc.16.ip q0, a3, 2
    ee.vldbc.16.ip q1, a3, 2
    ee.vmul.u16 q0, q0, q4
    ee.vmul.u16 q1, q1, q4
    ee.andq q0, q0, q5
    ee.andq q1, q1, q5
    ee.vsubs.s16 q0, q0, q6
    ee.vsubs.s16.st.incp q0, a4, q1, q1, q6
    ee.vst.128.ip q1, a4, 16
.Lunpacked:
    retw.n
    .size   ftv_unpack_trits_t2s16_esp32s3, . - ftv_unpack_trits_t2s16_esp32s3
