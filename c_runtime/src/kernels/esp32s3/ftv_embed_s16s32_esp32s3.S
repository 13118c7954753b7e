/* void ftv_embed_s16s32_esp32s3(const ftv_embed_args *args)
 *
 * Embeddings added to rows of Q16: x = sat30(x + (values << shift)), NUMERICS.md, section 3.
 *
 * in     values: int16 [rows][8 eights], not 16-byte aligned (one vector more is read, of which some bytes count)
 * inout  x: int32 [rows][8 eights], rows `x_row` bytes apart, 16-byte aligned, -2^30 .. 2^30 - 1
 * range  rows, eights >= 1; shift 0 .. 14
 * alias  nothing overlaps
 * cycles modelled: 16 for eight values and 11 for a row
 */

    .set x, 0
    .set x_row, 4
    .set values, 8
    .set rows, 12
    .set eights, 16
    .set shift, 20

    .text
    .balign 16
    .global ftv_embed_s16s32_esp32s3
    .type   ftv_embed_s16s32_esp32s3, @function
ftv_embed_s16s32_esp32s3:
    entry   a1, 48
    l32i    a3, a2, x
    l32i    a4, a2, values
    l32i    a5, a2, eights
    l32i    a6, a2, rows
    l32i    a7, a2, x_row
    l32i    a8, a2, shift
    movi    a9, 1
    slli    a9, a9, 30
    neg     a10, a9
    addi    a9, a9, -1
    s32i    a9, a1, 0
    s32i    a10, a1, 4
    mov     a9, a1
    ee.vldbc.32.ip q6, a9, 4    /* the largest value */
    ee.vldbc.32.ip q7, a9, 0    /* the smallest */
    ee.zero.q q5
    ssr     a8
    /* Rows of values follow each other: q0 is what the last vector had of them. */
    ee.ld.128.usar.ip q0, a4, 16
    srli    a4, a4, 4
    slli    a4, a4, 4
.Lrow:
    mov     a8, a3
    loopgtz a5, .Leights
    ee.vld.128.ip q1, a4, 16
    ee.vld.128.ip q2, a8, 16
    ee.src.q.qup q4, q0, q1     /* eight values; q0 becomes q1 */
    ee.vld.128.ip q3, a8, -16
    ee.vcmp.lt.s16 q1, q4, q5
    ee.vzip.16 q4, q1           /* with their signs: 32 bits */
    ee.vsl.32 q4, q4
    ee.vsl.32 q1, q1
    ee.vadds.s32 q4, q4, q2
    ee.vadds.s32 q1, q1, q3
    ee.vmin.s32 q4, q4, q6
    ee.vmin.s32 q1, q1, q6
    ee.vmax.s32 q4, q4, q7
    ee.vmax.s32 q1, q1, q7
    ee.vst.128.ip q4, a8, 16
    ee.vst.128.ip q1, a8, 16
.Leights:
    add     a3, a3, a7
    addi    a6, a6, -1
    bnez    a6, .Lrow
    retw.n
    .size   ftv_embed_s16s32_esp32s3, . - ftv_embed_s16s32_esp32s3
