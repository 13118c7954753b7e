/* void ftv_mix_s16s16_esp32s3(const ftv_mix_args *args)
 *
 * One query's weighted sum of the values, NUMERICS.md, section 5: sums[c] = sum_j weights[j] * values[j][c].
 *
 * in     weights: int16 [8 eights], 16-byte aligned; the 16 bytes behind them are read
 *        values: int16 [groups][8 eights or more][8], eight channels a group, a group `group` bytes after the last,
 *        16-byte aligned
 * out    sums: int32 [8 groups], 16-byte aligned
 * range  the sums fit int32; eights, groups >= 1
 * alias  nothing overlaps
 * cycles modelled: 9 for eight keys and eight channels, 30 for eight channels (37 where eights is even) and 24 for a
 *        call: 2064 for 197 keys and 64 channels
 */

    .set ARG_WEIGHTS, 0
    .set ARG_VALUES, 4
    .set ARG_GROUP, 8
    .set ARG_SUMS, 12
    .set ARG_EIGHTS, 16
    .set ARG_GROUPS, 20

/* Eight keys, whose weights \w holds; q0 and q1 hold the first two values. `more`: whether values of others follow. */
.macro ftv_keys w more
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, \w, 0
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, \w, 1
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, \w, 2
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, \w, 3
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, \w, 4
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, \w, 5
    .if \more
    ee.vsmulas.s16.qacc.ld.incp q0, a4, q0, \w, 6
    ee.vsmulas.s16.qacc.ld.incp q1, a4, q1, \w, 7
    .else
    ee.vsmulas.s16.qacc q0, \w, 6
    ee.vsmulas.s16.qacc q1, \w, 7
    .endif
.endm

    .text
    .balign 16
    .global ftv_mix_s16s16_esp32s3
    .type   ftv_mix_s16s16_esp32s3, @function
ftv_mix_s16s16_esp32s3:
    entry   a1, 80
    l32i    a4, a2, ARG_VALUES
    l32i    a8, a2, ARG_GROUP
    l32i    a6, a2, ARG_SUMS
    l32i    a7, a2, ARG_EIGHTS
    l32i    a12, a2, ARG_GROUPS
    l32i    a2, a2, ARG_WEIGHTS
    slli    a5, a7, 7
    sub     a8, a8, a5                  /* from the end of a group to the next */
    addi    a7, a7, -1
    extui   a14, a7, 0, 1
    srli    a7, a7, 1
    movi    a9, 16
    movi    a10, 0
    movi    a11, 1
    slli    a3, a11, 15
    s16i    a11, a1, 0
    s16i    a3, a1, 2
    mov     a11, a1
    ee.vldbc.16.ip q6, a11, 2           /* 1 */
    ee.vldbc.16.ip q7, a11, 0           /* -2^15 */
    mov     a3, a2
    mov     a5, a1

.Lgroup:
    ee.vld.128.ip q0, a4, 16
    ee.vld.128.ip q4, a3, 16
    ee.vld.128.ip q5, a3, 16
    ee.vld.128.ip q1, a4, 16
    ee.zero.qacc
    loopgtz a7, .Lpairs
    ftv_keys q4, 1
    ee.vld.128.ip q4, a3, 16
    ftv_keys q5, 1
    ee.vld.128.ip q5, a3, 16
.Lpairs:
    bnez    a14, .Ltwo                  /* eight or sixteen keys are left: eight where there is a class token */
.Lone:
    ftv_keys q4, 0
    add     a4, a4, a8

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
    ee.ld.qacc_h.h.32.ip a5, -36
    ee.vmulas.s16.qacc q1, q7
    ee.vmulas.s16.qacc q1, q7
    ee.vmulas.s16.qacc q6, q7
    mov     a3, a2
    ee.srcmb.s16.qacc q0, a10, 0
    ee.xorq q0, q0, q7
    ee.vzip.16 q0, q1
    addi    a12, a12, -1
    ee.vst.128.ip q0, a6, 16
    ee.vst.128.ip q1, a6, 16
    bnez    a12, .Lgroup
    retw.n

.Ltwo:
    ftv_keys q4, 1
    mv.qr   q4, q5
    j       .Lone
    .size   ftv_mix_s16s16_esp32s3, . - ftv_mix_s16s16_esp32s3
