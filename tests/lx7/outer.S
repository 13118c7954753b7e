/* int32 outer(const int8_t *x, const int8_t *w, int passes, uint8_t *out): the product that the kernels are built from.
 *
 * QACC[i] += x[k] * w[k][i] over k, sixteen a pass, then QACC as it is: 16 + 4 bytes and 12 of padding, twice.
 * w is read 32 bytes beyond its end, x 16. `outer2` does two passes at once, with two registers for x.
 */
    .text
    .macro  product from, step
    .set    lane, 0
    .rept   8
    ee.vsmulas.s8.qacc.ld.incp q0, a3, q0, \from, lane
    ee.vsmulas.s8.qacc.ld.incp q2, a3, q2, \from, lane + 1
    .set    lane, lane + 2
    .endr
    .endm

    .macro  stored
    ee.st.qacc_l.l.128.ip a5, 16
    ee.st.qacc_l.h.32.ip a5, 16
    ee.st.qacc_h.l.128.ip a5, 16
    ee.st.qacc_h.h.32.ip a5, 16
    .endm

    .align  4
    .global outer
    .type   outer, @function
outer:
    entry   a1, 32
    ee.zero.qacc
    ee.vld.128.ip q1, a2, 16
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q2, a3, 16
    loopgtz a4, .Lone
    product q1
    ee.vld.128.ip q1, a2, 16
.Lone:
    stored
    retw

    .align  4
    .global outer2
    .type   outer2, @function
outer2:
    entry   a1, 32
    srli    a4, a4, 1
    ee.zero.qacc
    ee.vld.128.ip q1, a2, 16
    ee.vld.128.ip q3, a2, 16
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q2, a3, 16
    loopgtz a4, .Ltwo
    product q1
    ee.vld.128.ip q1, a2, 16
    product q3
    ee.vld.128.ip q3, a2, 16
.Ltwo:
    stored
    retw
