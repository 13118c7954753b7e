/* void ftv_scores_s8s8_esp32s3(const ftv_scores_args *args)
 *
 * Scores of up to four queries against all keys of a head, times the keys' scales: t = (q . k) * scale, NUMERICS.md,
 * section 5.
 *
 * in     queries: int8 [rows][16 blocks], -63 .. 63, 16-byte aligned
 *        keys: int8 [tiles][16 blocks][16], 16-byte aligned: sixteen keys of one channel side by side, key 2 l + h of
 *        the sixteen in byte 8 h + l (ftv_keys_s8_esp32s3 puts them so)
 *        scales: int16 [16 tiles], 0 .. 4095, 16-byte aligned; of a group of tiles in the order l, tile, h
 * out    scores: int32 [4][16 tiles], a row `score_row` bytes after the last, 16-byte aligned; of a group of tiles in
 *        the order of ftv_key_place; rows beyond `rows` are written, with anything
 * range  rows 1 .. 4, tiles >= 1, blocks 1 .. 4: a sum of 64 products is below 2^19 and fits an accumulator's lane
 * alias  nothing overlaps
 * cycles modelled, four queries: 432 for a tile of 64 channels in a group, 449 for one that is left, 286 of either
 *        products, and 140 for a call: 1444 for a query of 197 keys
 *
 * A tile of keys is an outer product: sixteen keys in the sixteen lanes of QACC, one channel of the query an
 * instruction. The lanes' 20 bits lie five bytes to a pair in memory, where no vector instruction can pick them up one
 * by one. So the accumulators go to memory, into the scores' own place, and are loaded again as eight vectors, two
 * halves of QACC from four tiles, and transposed as 16-bit pieces H0 .. H9: from then on the eight lanes hold the same
 * bits of eight different sums. The one to four tiles that are left when all others are in groups of four are done
 * alike, but of four queries together.
 */

    .set ARG_QUERIES, 0
    .set ARG_KEYS, 4
    .set ARG_SCALES, 8
    .set ARG_SCORES, 12
    .set ARG_SCORE_ROW, 16
    .set ARG_ROWS, 20
    .set ARG_TILES, 24
    .set ARG_BLOCKS, 28

/* A query's accumulators of one tile in the 64 bytes of its scores: 16 bytes of QACC_L, 16 of QACC_H, then the last
 * words of both. The scores of the first eight keys end where those words begin. */
    .set TILE, 64
    .set HIGH, 16
    .set WORDS, 32
    .set SPILL, 48

/* The frame: the factors in the order of ftv_four_sums. */
    .set FRAME, 160
    .set FACTORS, 7 * 16

/* Sixteen channels of the query in \q; q0 and q1 hold the keys' next two vectors. `more`: whether two follow. */
.macro ftv_channels q more
    .set channel, 0
    .rept 7
    ee.vsmulas.s8.qacc.ld.incp q0, a3, q0, \q, channel
    .set channel, channel + 1
    ee.vsmulas.s8.qacc.ld.incp q1, a3, q1, \q, channel
    .set channel, channel + 1
    .endr
    .if \more
    ee.vsmulas.s8.qacc.ld.incp q0, a3, q0, \q, 14
    ee.vsmulas.s8.qacc.ld.incp q1, a3, q1, \q, 15
    .else
    ee.vsmulas.s8.qacc q0, \q, 14
    ee.vsmulas.s8.qacc q1, \q, 15
    .endif
.endm

/* Sixteen keys and 64 channels, and the accumulators to memory. */
.macro ftv_tile more
    ee.zero.qacc
    ftv_channels q4, 1
    ftv_channels q5, 1
    ftv_channels q6, 1
    ftv_channels q7, \more
    addi    a7, a7, -1                  /* something between the last product and the stores */
    ee.st.qacc_l.l.128.ip a5, 16
    ee.st.qacc_h.l.128.ip a5, 16
    ee.st.qacc_l.h.32.ip a5, 4
    ee.st.qacc_h.h.32.ip a5, 28
.endm

/* Scores lo, hi (16-bit halves) to memory: eight keys of one query, or two keys of four. */
.macro ftv_put lo hi fours
    ee.vzip.16 \lo, \hi
    .if \fours
    ee.vst.128.ip \lo, a9, 16
    ee.vst.128.ip \hi, a9, 48
    .else
    ee.vst.l.64.ip \lo, a9, 8
    ee.vst.h.64.ip \lo, a10, 8
    ee.vst.l.64.ip \hi, a11, 8
    ee.vst.h.64.ip \hi, a12, 8
    .endif
.endm

/* The next scales: of eight keys, or of two. */
.macro ftv_scale q fours
    .if \fours
    ee.vld.128.ip \q, a8, 16
    .else
    ee.vldbc.32.ip \q, a8, 4
    .endif
.endm

/* Four sums of 20 bits in five pieces q0 .. q4 of 16, lowest first. Each becomes a = sum mod 2^16 and b = sum >> 16,
 * -8 .. 7, and t mod 2^16 = low(a * scale), t >> 16 = high(a * scale) + b * scale.
 * Multiplying by 2^n shifts left (SAR 0) or right by 16 - n (SAR 16); a5 passes over the factors 2^n in the order of
 * their use, q5 holds the first, 2^12. SAR is 0 before and after. */
.macro ftv_four_sums fours
    ftv_scale q7, \fours
    ee.vmul.u16.ld.incp q5, a5, q6, q1, q5  /* sum 0: a = H0, b = the low four bits of H1. q5 = 2^4 */
    ssai    16
    ee.vmul.s16 q6, q6, q5
    ee.vmul.u16 q5, q0, q7
    ssai    0
    ee.vmul.s16 q6, q6, q7
    ee.vmul.u16.ld.incp q7, a5, q0, q0, q7  /* q7 = 2^12 */
    ee.vadds.s16.ld.incp q6, a5, q5, q5, q6 /* q6 = 2^8 */
    ftv_put q0, q5, \fours

    ee.vmul.u16 q0, q2, q7              /* sum 1: a = H2 << 12 | H1 >> 4, b = bits 4 .. 7 of H2 */
    ee.vmul.u16 q5, q2, q6
    ssai    16
    ee.vmul.u16.ld.incp q7, a5, q1, q1, q7  /* q7 = 2^4 */
    ee.vmul.u16 q2, q2, q6
    ee.orq  q0, q0, q1
    ftv_scale q1, \fours
    ee.vmul.s16 q5, q5, q7
    ee.vmul.u16 q7, q0, q1
    ssai    0
    ee.vmul.u16 q0, q0, q1
    ee.vmul.s16.ld.incp q1, a5, q5, q5, q1  /* q1 = 2^4 */
    ee.vmul.u16 q6, q3, q6
    ee.vadds.s16 q7, q7, q5
    ftv_put q0, q7, \fours

    /* sum 2: a = H3 << 8 | H2 >> 8, b = bits 8 .. 11 of H3; sum 3: a = H4 << 4 | H3 >> 12, b = H4 >> 12 */
    ee.vmul.u16 q0, q3, q1
    ee.vmul.u16 q7, q4, q1
    ee.orq  q5, q6, q2
    ssai    16
    ee.vmul.u16 q3, q3, q1
    .if \fours
    ee.vmul.s16.ld.incp q0, a8, q2, q0, q1
    ee.vmul.s16.ld.incp q1, a8, q4, q4, q1
    .else
    ee.vmul.s16 q2, q0, q1
    ee.vmul.s16 q4, q4, q1
    ee.vldbc.32.ip q0, a8, 4
    ee.vldbc.32.ip q1, a8, 4
    .endif
    ee.orq  q7, q7, q3
    ee.vmul.u16 q3, q5, q0
    ee.vmul.u16 q6, q7, q1
    ssai    0
    ee.vmul.s16 q2, q2, q0
    ee.vmul.u16 q5, q5, q0
    ee.vmul.s16 q4, q4, q1
    ee.vadds.s16 q3, q3, q2
    ee.vmul.u16 q7, q7, q1
    ftv_put q5, q3, \fours
    ee.vadds.s16.ld.incp q5, a5, q6, q6, q4 /* q5 = 2^12 */
    ftv_put q7, q6, \fours
.endm

/* Transposes q0 .. q7, eight vectors of eight 16-bit pieces: three times, zip register i with i + 4, in the new
 * order. */
.macro ftv_transpose
    ee.vzip.16 q0, q4
    ee.vzip.16 q1, q5
    ee.vzip.16 q2, q6
    ee.vzip.16 q3, q7
    ee.vzip.16 q0, q2
    ee.vzip.16 q4, q6
    ee.vzip.16 q1, q3
    ee.vzip.16 q5, q7
    ee.vzip.16 q0, q1
    ee.vzip.16 q2, q3
    ee.vzip.16 q4, q5
    ee.vzip.16 q6, q7
.endm

    .text
    .balign 16
    .global ftv_scores_s8s8_esp32s3
    .type   ftv_scores_s8s8_esp32s3, @function
ftv_scores_s8s8_esp32s3:
    entry   a1, FRAME
    movi    a3, 16
    slli    a4, a3, 4
    slli    a5, a3, 8
    s16i    a3, a1, 0
    s16i    a4, a1, 2
    s16i    a5, a1, 4
    mov     a3, a1
    addi    a5, a1, 16
    ee.vldbc.16.ip q0, a3, 2            /* 2^4 */
    ee.vldbc.16.ip q1, a3, 2            /* 2^8 */
    ee.vldbc.16.ip q2, a3, 0            /* 2^12 */
    .irp q, q2, q0, q2, q1, q0, q0, q2
    ee.vst.128.ip \q, a5, 16
    .endr
    l32i    a6, a2, ARG_BLOCKS
    addi    a6, a6, -4
    l32i    a4, a2, ARG_QUERIES
    l32i    a9, a2, ARG_SCORES
    l32i    a13, a2, ARG_ROWS
    l32i    a14, a2, ARG_TILES
    mov     a10, a9

    /* The sums of one query after the other. */
.Lrow:
    l32i    a3, a2, ARG_KEYS
    addi    a7, a14, -1
    mov     a5, a10
    bnez    a6, .Lfew
    ee.vld.128.ip q4, a4, 16
    ee.vld.128.ip q5, a4, 16
    ee.vld.128.ip q6, a4, 16
    ee.vld.128.ip q7, a4, 16
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a3, 16
    extui   a8, a7, 0, 1
    beqz    a7, .Llast
    bnez    a8, .Lodd                   /* pairs of tiles, and one before them if those before the last are odd */
.Lpair:
    ftv_tile 1
.Lodd:
    ftv_tile 1
    bnez    a7, .Lpair
.Llast:
    ftv_tile 0
.Lsummed:
    l32i    a3, a2, ARG_SCORE_ROW
    addi    a13, a13, -1
    add     a10, a10, a3
    bnez    a13, .Lrow

    /* Four tiles of a query at a time, as long as one is left for later. */
    addi    a14, a14, -1
    srli    a10, a14, 2
    beqz    a10, .Lrest
    l32i    a11, a2, ARG_ROWS
    ssai    0
.Lgrouped:
    l32i    a8, a2, ARG_SCALES
    mov     a12, a10
    addi    a13, a9, 64
    addi    a13, a13, 64
.Lgroup:
    addi    a5, a1, 16
    ld.qr   q0, a13, -2 * TILE
    ld.qr   q1, a13, -2 * TILE + HIGH
    ld.qr   q2, a13, -TILE
    ld.qr   q3, a13, -TILE + HIGH
    ld.qr   q4, a13, 0
    ld.qr   q5, a13, HIGH
    ld.qr   q6, a13, TILE
    ld.qr   q7, a13, TILE + HIGH
    ftv_transpose
    st.qr   q5, a13, -2 * TILE + SPILL
    ee.vld.128.ip q5, a5, 16
    st.qr   q6, a13, -TILE + SPILL
    st.qr   q7, a13, SPILL
    addi    a9, a13, -2 * TILE
    addi    a15, a13, -2 * TILE + WORDS
    ftv_four_sums 1
    ee.vld.l.64.ip q3, a15, TILE
    ee.vld.h.64.ip q3, a15, TILE
    ee.vld.l.64.ip q4, a15, TILE
    ee.vld.h.64.ip q4, a15, TILE
    ld.qr   q0, a13, -2 * TILE + SPILL
    ld.qr   q1, a13, -TILE + SPILL
    ld.qr   q2, a13, SPILL
    ee.vunzip.16 q3, q4
    addi    a5, a1, 32
    addi    a9, a13, -2 * TILE + WORDS
    ftv_four_sums 1
    addi    a12, a12, -1
    addmi   a13, a13, 4 * TILE
    bnez    a12, .Lgroup
    slli    a15, a10, 8                 /* back to the row's beginning, and to the next row */
    sub     a9, a13, a15
    addi    a9, a9, -2 * TILE
    addi    a11, a11, -1
    add     a9, a9, a3
    bnez    a11, .Lgrouped

    /* The other tiles, of four queries at a time. */
.Lrest:
    l32i    a9, a2, ARG_SCORES
    l32i    a8, a2, ARG_SCALES
    slli    a15, a10, 8
    slli    a5, a10, 7
    add     a9, a9, a15
    add     a8, a8, a5
    slli    a10, a10, 2
    sub     a14, a14, a10
    addi    a14, a14, 1
    add     a10, a9, a3
    add     a11, a10, a3
    add     a12, a11, a3
    ssai    0
.Ltile:
    ld.qr   q0, a9, 0
    ld.qr   q1, a9, HIGH
    ld.qr   q2, a10, 0
    ld.qr   q3, a10, HIGH
    ld.qr   q4, a11, 0
    ld.qr   q5, a11, HIGH
    ld.qr   q6, a12, 0
    ld.qr   q7, a12, HIGH
    addi    a5, a1, 16
    ftv_transpose
    st.qr   q5, a9, SPILL
    ee.vld.128.ip q5, a5, 16
    st.qr   q6, a10, SPILL
    st.qr   q7, a11, SPILL
    ftv_four_sums 0
    ee.vld.l.64.ip q3, a9, 0
    ee.vld.h.64.ip q3, a10, 0
    ee.vld.l.64.ip q4, a11, 0
    ee.vld.h.64.ip q4, a12, 0
    ld.qr   q0, a9, SPILL - WORDS
    ld.qr   q1, a10, SPILL - WORDS
    ld.qr   q2, a11, SPILL - WORDS
    ee.vunzip.16 q3, q4
    addi    a5, a1, 32
    ftv_four_sums 0
    addi    a14, a14, -1
    bnez    a14, .Ltile
    retw.n

    /* Fewer than 64 channels. */
.Lfew:
    ee.vld.128.ip q0, a3, 16
    ee.vld.128.ip q1, a3, 16
    addi    a8, a6, 3                   /* blocks but the last */
    mov     a15, a4
    ee.zero.qacc
    loopgtz a8, .Lbut_one
    ee.vld.128.ip q4, a15, 16
    ftv_channels q4, 1
.Lbut_one:
    ee.vld.128.ip q4, a15, 16
    nop.n
    ftv_channels q4, 0
    addi    a7, a7, -1
    ee.st.qacc_l.l.128.ip a5, 16
    ee.st.qacc_h.l.128.ip a5, 16
    ee.st.qacc_l.h.32.ip a5, 4
    ee.st.qacc_h.h.32.ip a5, 28
    bgez    a7, .Lfew
    mov     a4, a15
    j       .Lsummed
    .size   ftv_scores_s8s8_esp32s3, . - ftv_scores_s8s8_esp32s3
