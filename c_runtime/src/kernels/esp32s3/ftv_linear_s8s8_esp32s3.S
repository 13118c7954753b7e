# void ftv_linear_s8s8_esp32s3(const ftv_linear_args *args)
#
# One decoded tile of sixteen channels times all rows of x, requantised as it leaves the accumulators (NUMERICS.md,
# section 2). What an output y = (acc * M >> shift) + bias becomes, args->output says:
#
#   STORE  out = y
#   ADD    out = sat30(out + y)
#
#   x        int8 [tokens][x_stride], 16-byte aligned; 16 bytes beyond the last row are read, whatever they hold
#   weights  int8 [16 blocks][16], 16-byte aligned, k-major, then the tail (ftv_tail)
#   scales   ftv_token_scale [tokens]
#   out      int32 [tokens][out_stride], 16-byte aligned
#   spill    48 bytes, 16-byte aligned
#
# Exact where every |acc| < 2^15 and shift >= 1 (STORE: >= 0). Nothing overlaps. Uses q0..q7, QACC and SAR.
#
# Sixteen channels are the lanes; a vector of sixteen activations gives one factor after the other. 17 cycles for
# 16 k x 16 channels: a multiply-accumulate that loads the weights after next, sixteen times, and the load of x.
#
# Why sums come out exactly. A lane has 20 bits; only SRCMB reads it, 8 bits at a time with saturation, and it shifts
# the accumulators. So they are copied to memory, h = acc >> 8 is read, the copy comes back, 256 h + 128 is subtracted
# and the rest, acc mod 256 - 128, fits a byte. With bit 7 flipped and h above it, that is acc in 16 bits.
#
# Why y comes out exactly. acc * M < 2^30 fits 32 bits; a vector multiplication returns bits shift .. shift + 15 of a
# product, a second one those from shift + 16 on (31 at most: above are signs): together y without its bias.
#
# Why nothing saturates but ADD's result. shift >= 1: |acc * M >> shift| < 2^29 and |bias| <= 2^29, so y < 2^30.
# ADD computes 2 out + 2 bias + (acc * M >> shift - 1), all of which fits but the last sum; that one saturates where
# out + y leaves 31 bits; half of it, floored, is sat30(out + y).
#
# Modelled, cycles a token beyond the product: see the table in README.md of this folder.

    .set ARG_X, 0
    .set ARG_X_STRIDE, 4
    .set ARG_BLOCKS, 8
    .set ARG_TOKENS, 12
    .set ARG_WEIGHTS, 16
    .set ARG_SCALES, 20
    .set ARG_SPILL, 24
    .set ARG_OUTPUT, 28
    .set ARG_PER_CHANNEL, 32
    .set ARG_OUT, 36
    .set ARG_OUT_STRIDE, 40

    .set STORE, 0
    .set ADD, 1

# Registers of the token loop: a3 x, a4 weights and what follows them, a5 scales, a6 out, a7 15, a8 pairs of blocks,
# a9 tokens left, a10 spill, a11 weights, a12 from the end of a row of x to the next, a13 the same of out,
# a14 shifts, a15 8, a2 0.

# Sixteen k. `now` holds their activations; `next` gets those of the next sixteen.
    .macro block now, next
    ee.vld.128.ip \next, a3, 16
    .irp k, 0, 2, 4, 6, 8, 10, 12, 14
    ee.vsmulas.s8.qacc.ld.incp q1, a4, q1, \now, \k
    ee.vsmulas.s8.qacc.ld.incp q0, a4, q0, \now, \k + 1
    .endr
    .endm

    .macro copy_out
    ee.st.qacc_l.l.128.ip a10, 16
    ee.st.qacc_h.l.128.ip a10, 16
    ee.st.qacc_l.h.32.ip a10, 4
    ee.st.qacc_h.h.32.ip a10, -36
    .endm

    .macro copy_in
    ee.ld.qacc_l.l.128.ip a10, 16
    ee.ld.qacc_h.l.128.ip a10, 16
    ee.ld.qacc_l.h.32.ip a10, 4
    ee.ld.qacc_h.h.32.ip a10, -36
    .endm

# QACC -> q5, q4: sums of channels 0..7 and 8..15 in 16 bits. In: q1 ones, q0 -128 in every byte, a4 at the bias.
# Out also: q2, q3 the bias of channels 0..3 and 4..7, q6 the multiplier of the token, a14 its shifts.
    .macro sums
    l16ui a14, a5, 2
    copy_out
    ee.srcmb.s8.qacc q4, a15, 0
    copy_in
    ee.vmulas.s8.qacc.ld.ip q2, a4, 16, q4, q0
    ee.vmulas.s8.qacc.ld.ip q3, a4, 16, q4, q0
    ee.vmulas.s8.qacc q1, q0
    ee.vldbc.16.ip q6, a5, 4
    ee.srcmb.s8.qacc q5, a2, 0
    ssr a14
    ee.xorq q5, q5, q0
    ee.vzip.8 q5, q4
    .endm

# One multiplier for all channels. q5, q4 -> q7, q5, q1, q4: y without bias of channels 0..3, 4..7, 8..11, 12..15;
# q0, q6 their bias from 8 on.
    .macro scale_by_token
    ee.vmul.s16 q7, q5, q6
    ee.vmul.s16 q1, q4, q6
    srli a14, a14, 8
    ssr a14
    ee.vmul.s16.ld.incp q0, a4, q5, q5, q6
    ee.vmul.s16.ld.incp q6, a4, q4, q4, q6
    scaled
    .endm

# The same where every channel has its own: M = (m_t m_n + 2^14) >> 15 by way of the accumulators, which are free now.
    .macro scale_by_channel
    ee.ldqa.s16.128.ip a4, 16
    ee.vld.128.ip q0, a4, 16
    ee.vld.128.ip q7, a4, 16
    ee.vmulas.s16.qacc q0, q6
    nop.n
    ee.srcmb.s16.qacc q0, a7, 0
    ee.ldqa.s16.128.ip a4, 16
    ee.vmulas.s16.qacc q7, q6
    ee.vmul.s16 q7, q5, q0
    nop.n
    ee.srcmb.s16.qacc q6, a7, 0
    ee.vmul.s16 q1, q4, q6
    srli a14, a14, 8
    ssr a14
    ee.vmul.s16.ld.incp q0, a4, q5, q5, q0
    ee.vmul.s16.ld.incp q6, a4, q4, q4, q6
    scaled
    .endm

    .macro scaled
    ee.zero.qacc
    ee.vzip.16 q7, q5
    ee.vzip.16 q1, q4
    mov.n a4, a11
    .endm

    .macro finish_store
    ee.vadds.s32.ld.incp q2, a3, q7, q7, q2
    ee.vadds.s32.st.incp q7, a6, q5, q5, q3
    ee.vadds.s32.st.incp q5, a6, q7, q1, q0
    ee.vld.128.ip q1, a4, 16
    ee.vadds.s32.st.incp q7, a6, q4, q4, q6
    ee.vld.128.ip q0, a4, 16
    ee.vst.128.ip q4, a6, 16
    .endm

    .macro finish_add
    ee.vadds.s32.ld.incp q2, a6, q7, q7, q2
    ee.vadds.s32.ld.incp q3, a6, q5, q5, q3
    ee.vadds.s32.ld.incp q0, a6, q1, q1, q0
    ee.vadds.s32.ld.incp q6, a6, q4, q4, q6
    ssai 1
    ee.vadds.s32 q7, q7, q2
    ee.vadds.s32.ld.incp q2, a3, q7, q7, q2
    ee.vsr.32 q7, q7
    ee.vadds.s32 q5, q5, q3
    addi a6, a6, -64
    ee.vadds.s32.st.incp q7, a6, q5, q5, q3
    ee.vsr.32 q5, q5
    ee.vadds.s32 q7, q1, q0
    ee.vadds.s32.ld.incp q1, a4, q7, q7, q0
    ee.vsr.32 q7, q7
    ee.vadds.s32.st.incp q5, a6, q4, q4, q6
    ee.vadds.s32.st.incp q7, a6, q4, q4, q6
    ee.vsr.32 q4, q4
    ee.vld.128.ip q0, a4, 16
    ee.vst.128.ip q4, a6, 16
    .endm

# All tokens. Before the first: q1, q0 the first two vectors of weights, q2 the first activations, QACC 0.
    .macro tokens odd, scale, finish
.Ltoken\@:
    loopgtz a8, .Lpairs\@
    block q2, q3
    block q3, q2
.Lpairs\@:
    .if \odd
    block q2, q3
    .endif
    sums
    \scale
    add a3, a3, a12
    \finish
    addi a9, a9, -1
    add a6, a6, a13
    bnez a9, .Ltoken\@
    retw.n
    .endm

    .macro both_parities scale, finish
    bbsi a5, 0, .Lodd\@
    l32i a5, a2, ARG_SCALES
    movi.n a2, 0
    tokens 0, \scale, \finish
.Lodd\@:
    l32i a5, a2, ARG_SCALES
    movi.n a2, 0
    tokens 1, \scale, \finish
    .endm

    .section .text.ftv_linear_s8s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_linear_s8s8_esp32s3
    .type ftv_linear_s8s8_esp32s3, @function

ftv_linear_s8s8_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_X
    l32i a12, a2, ARG_X_STRIDE
    l32i a5, a2, ARG_BLOCKS
    l32i a9, a2, ARG_TOKENS
    l32i a11, a2, ARG_WEIGHTS
    l32i a10, a2, ARG_SPILL
    l32i a6, a2, ARG_OUT
    l32i a13, a2, ARG_OUT_STRIDE
    l32i a14, a2, ARG_OUTPUT
    l32i a15, a2, ARG_PER_CHANNEL
    mov.n a4, a11
    ee.vld.128.ip q1, a4, 16
    ee.vld.128.ip q0, a4, 16
    ee.vld.128.ip q2, a3, 16
    ee.zero.qacc
    srli a8, a5, 1
    addi a13, a13, -64
    slli a7, a5, 4 # after its last block a3 is 32 bytes beyond the row's first load, 16 beyond its end
    sub a12, a12, a7
    addi a12, a12, -16
    movi.n a7, 15
    beqz a15, .Lone_multiplier
    movi.n a15, 8
    beqi a14, ADD, .Ladd_by_channel
    both_parities scale_by_channel, finish_store
.Ladd_by_channel:
    both_parities scale_by_channel, finish_add
.Lone_multiplier:
    movi.n a15, 8
    beqi a14, ADD, .Ladd
    both_parities scale_by_token, finish_store
.Ladd:
    both_parities scale_by_token, finish_add
    .size ftv_linear_s8s8_esp32s3, . - ftv_linear_s8s8_esp32s3
