/* void ftv_mix_s16s16_esp32s3(const ftv_mix_args *args)
 *
 * One query's weighted sum of the values, NUMERICS.md, section 5: sums[c] = sum_j weights[j] * values[j][c].
 *
 * in     weights: int16 [16 tiles], 16-byte aligned
 *        values: int16 [groups][16 tiles][8], eight channels a group, 16-byte aligned
 * out    sums: int32 [8 groups], 16-byte aligned
 * range  the sums fit int32; tiles, groups >= 1
 * alias  nothing overlaps
 * cycles modelled: see below
 */

    .set ARG_WEIGHTS, 0
    .set ARG_VALUES, 4
    .set ARG_SUMS, 8
    .set ARG_TILES, 12
    .set ARG_GROUPS, 16

/* Sixteen keys; q0 and q1 hold the first two values, q4 and q5 the weights. `more`: whether a tile follows. */
.macro ftv_keys more
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q4, 0
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q4, 1
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q4, 2
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q4, 3
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q4, 4
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q4, 5
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q4, 6
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q4, 7
    .if \more
    ee.vld.128.ip q4, a3, 16
    .endif
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q5, 0
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q5, 1
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q5, 2
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q5, 3
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q5, 4
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q5, 5
    .if \more
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, q5, 6
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, q5, 7
    ee.vld.128.ip q5, a3, 16
    .else
    ee.vsmulas.s16.qacc q0, q5, 6
    ee.vsmulas.s16.qacc q1, q5, 7
    .endif
.endm

    .text
    .balign 16
    .global ftv_mix_s16s16_esp32s3
    .type   ftv_mix_s16s16_esp32s3, @function
ftv_mix_s16s16_esp32s3:
    entry   a1, 80
    l32i    a4, a2, ARG_VALUES
    l32i    a6, a2, ARG_SUMS
    l32i    a7, a2, ARG_TILES
    l32i    a8, a2, ARG_GROUPS
    addi    a7, a7, -1
    movi    a9, 16
    movi    a10, 0
    movi    a11, 1
    slli    a12, a11, 15
    s32i    a11, a1, 0
    s32i    a12, a1, 4
    mov     a11, a1
    ee.vldbc.16.ip q6, a11, 4           /* 1 */
    ee.vldbc.16.ip q7, a11, 0           /* -2^15 */

.Lgroup:
    l32i    a3, a2, ARG_WEIGHTS
    ee.vld.128.ip q0, a4, 16
    ee.vld.128.ip q4, a3, 16
    ee.vld.128.ip q5, a3, 16
    ee.vld.128.ip q1, a4, 16
    ee.zero.qacc
    loopgtz a7, .Lbut_one
    ftv_keys 1
.Lbut_one:
    ftv_keys 0
    mov     a5, a1
    addi    a8, a8, -1

    /* o in two halves: the high one is taken out, which leaves o >> 16 behind; so o is put back, less the high half
     * and 2^15, which fits and is the low half with its top bit turned. */
    ee.st.qacc_l.l.128.ip a5, 16
    ee.st.qacc_h.l.128.ip a5, 16
    ee.st.qacc_l.h.32.ip a5, 4
    ee.st.qacc_h.h.32.ip a5, -36
    ee.srcmb.s16.qacc q1, a9, 0
    ee.ld.qacc_l.l.128.ip a5, 16
    ee.ld.qacc_h.l.128.ip a5, 16
    ee.ld.qacc_l.h.32.ip a5, 4
    ee.ld.qacc_h.h.32.ip a5, 0
    ee.vmulas.s16.qacc q1, q7
    ee.vmulas.s16.qacc q1, q7
    ee.vmulas.s16.qacc q6, q7
    nop.n
    ee.srcmb.s16.qacc q0, a10, 0
    ee.xorq q0, q0, q7
    ee.vzip.16 q0, q1
    ee.vst.128.ip q0, a6, 16
    ee.vst.128.ip q1, a6, 16
    bnez    a8, .Lgroup
    retw.n
    .size   ftv_mix_s16s16_esp32s3, . - ftv_mix_s16s16_esp32s3
