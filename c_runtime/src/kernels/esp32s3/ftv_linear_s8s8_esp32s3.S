# void ftv_linear_s8s8_esp32s3(const ftv_linear_args *args)
#
# One decoded tile of sixteen channels times all rows of x, requantised as it leaves the accumulators (NUMERICS.md,
# section 2). Decoded tiles and the scales of tokens have their signs changed, which cancels. What an output y = (acc * M >> shift) + bias becomes, args->output says:
#
#   STORE     out = y
#   ADD       out = sat30(out + y)
#   ACTIVATE  values, absmax = GELU(y) (section 6) in 16 bits, as ftv_narrow keeps it
#
#   x        int8 [tokens][x_stride], 16-byte aligned; 32 bytes beyond the last row are read, whatever they hold
#   weights  int8 [16 blocks][16], 16-byte aligned, k-major, and the tail behind them: 16-byte vectors of ones, of
#            -128, biases 0..7 (ADD: twice the bias; ACTIVATE: less 2^17), for per_channel 2^14 - 1, m_n and 2^14 - 1
#            again in halfwords, biases 8..15, for ACTIVATE the constants below, the first two vectors of the weights again
#            (ACTIVATE: the second one first)
#   scales   ftv_token_scale [tokens]
#   out      int32 [tokens][out_stride], ACTIVATE: int16; 16-byte aligned
#   absmax   ACTIVATE: int32, one a token, absmax_stride apart
#   spill    64 bytes, 16-byte aligned; ACTIVATE: and 64 before them
#   records  one a token, 16-byte aligned: int8 [16], acc >> 8 clamped; ADD: and int32 out [16] as it was
#
# Exact where shift >= 1 and acc fits 16 bits, which it does unless its record is -128 or 127. Nothing overlaps. Uses
# q0..q7, QACC and SAR.
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
# GELU works on y - 2^17, so that x, which is min(|y| >> 2, 65535) - 2^15, is min(max(y - 2^17, -y - 2^17), 2^17 - 1)
# >> 2. Its polynomial r is 2 at least and 11137 at most; with -2 as upper half it is r - 2^17 in 32 bits.
#
# Modelled: 17 cycles for 16 k; a token's other cycles: STORE 41, ADD 55, ACTIVATE 134, and 10 more per_channel; a call's:
# 45.

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
    .set ARG_ABSMAX, 44
    .set ARG_ABSMAX_STRIDE, 48
    .set ARG_TAIL_VECTORS, 52
    .set ARG_RECORDS, 56

    .set STORE, 0
    .set ADD, 1

# Registers of the token loop: a3 x, a4 weights and the tail, a5 scales, a6 out, a7 records
# (ACTIVATE: absmax), a8 pairs of blocks, a9 tokens left, a10 spill, a11 from the last vector of the tail to the third of the weights,
# a12 from 16 bytes beyond a row of x to the next row, a13 from the last 16 bytes of an output to the next,
# a14 shifts, a15 8, a2 0. ACTIVATE also uses a8 and keeps two more on the stack.
    .set LOCAL_ABSMAX_STRIDE, 0
    .set LOCAL_PAIRS, 4
    .set LOCAL_RECORDS, 8

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

    .macro copy_in last
    ee.ld.qacc_l.l.128.ip a10, 16
    ee.ld.qacc_h.l.128.ip a10, 16
    ee.ld.qacc_l.h.32.ip a10, 4
    ee.ld.qacc_h.h.32.ip a10, \last
    .endm

# QACC -> q5, q4: sums of channels 0..7 and 8..15 in 16 bits. In: q1 ones, q0 -128 in every byte, a4 at the bias.
# Out also: q2, q3 the bias of channels 0..3 and 4..7, q6 the multiplier of the token, a14 its shifts.
    .macro sums records, last
    l16ui a14, a5, 2
    copy_out
    ee.srcmb.s8.qacc q4, a15, 0
    copy_in \last
    ee.vst.128.ip q4, \records, 16
    ee.vmulas.s8.qacc.ld.ip q2, a4, 16, q4, q0
    ee.vmulas.s8.qacc.ld.ip q3, a4, 16, q4, q0
    ee.vmulas.s8.qacc.ld.xp q7, a3, a12, q1, q0 # loads nothing of use, but moves on to the next row
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
# With the sign changed that is (-m_t m_n + 2^14 - 1) >> 15.
    .macro scale_by_channel
    ee.ldqa.s16.128.ip a4, 16
    ee.vld.128.ip q0, a4, 16
    ee.vld.128.ip q7, a4, 16
    ee.vmulas.s16.qacc q0, q6
    movi.n a15, 15
    ee.srcmb.s16.qacc q0, a15, 0
    ee.ldqa.s16.128.ip a4, 16
    ee.vmulas.s16.qacc q7, q6
    ee.vmul.s16 q7, q5, q0
    srli a14, a14, 8
    ee.srcmb.s16.qacc q6, a15, 0
    ee.vmul.s16 q1, q4, q6
    ssr a14
    movi.n a15, 8
    ee.vmul.s16.ld.incp q0, a4, q5, q5, q0
    ee.vmul.s16.ld.incp q6, a4, q4, q4, q6
    scaled
    .endm

    .macro scaled
    ee.zero.qacc
    ee.vzip.16 q7, q5
    ee.vzip.16 q1, q4
    .endm

# What is left of a token, with the loads that the next one starts from: weights to q1 and q0, activations to q2.
    .macro finish_store token
    ee.vadds.s32.ld.incp q2, a3, q7, q7, q2
    ee.vadds.s32.st.incp q7, a6, q5, q5, q3
    ee.vadds.s32.st.incp q5, a6, q7, q1, q0
    ee.vld.128.ip q1, a4, 16
    ee.vadds.s32.st.incp q7, a6, q4, q4, q6
    ee.vld.128.xp q0, a4, a11
    ee.vst.128.xp q4, a6, a13
    bnez a9, \token
    retw.n
    .endm

    .macro finish_add token
    ee.vadds.s32.ld.incp q2, a6, q7, q7, q2
    ee.vadds.s32.ld.incp q3, a6, q5, q5, q3
    ee.vadds.s32.ld.incp q0, a6, q1, q1, q0
    ee.vadds.s32.ld.incp q6, a6, q4, q4, q6
    ssai 1
    ee.vadds.s32.st.incp q2, a7, q7, q7, q2
    ee.vadds.s32.ld.incp q2, a3, q7, q7, q2
    ee.vsr.32 q7, q7
    ee.vadds.s32.st.incp q3, a7, q5, q5, q3
    addi a6, a6, -64
    ee.vadds.s32.st.incp q7, a6, q5, q5, q3
    ee.vsr.32 q5, q5
    ee.vadds.s32.st.incp q0, a7, q7, q1, q0
    ee.vst.128.ip q6, a7, 16
    ee.vadds.s32.ld.incp q1, a4, q7, q7, q0
    ee.vsr.32 q7, q7
    ee.vadds.s32.st.incp q5, a6, q4, q4, q6
    ee.vadds.s32.st.incp q7, a6, q4, q4, q6
    ee.vsr.32 q4, q4
    ee.vld.128.xp q0, a4, a11
    ee.vst.128.xp q4, a6, a13
    bnez a9, \token
    retw.n
    .endm

# One step of Horner's scheme for both halves: r = (r x >> 15) + c. The next coefficient comes in on the way.
    .macro horner c, next
    ee.vmul.s16.ld.incp \next, a4, q5, q5, q7
    ee.vmul.s16 q4, q4, q1
    ee.vadds.s16 q5, q5, \c
    ee.vadds.s16 q4, q4, \c
    .endm

    .macro finish_activate token
    ee.vadds.s32.ld.incp q2, a4, q7, q7, q2 # -2^18
    ee.vadds.s32.ld.incp q3, a4, q5, q5, q3 # 2^17 - 1
    ee.vadds.s32 q1, q1, q0
    ee.vadds.s32 q4, q4, q6
    ee.vsubs.s32.st.incp q7, a10, q0, q2, q7
    ee.vsubs.s32.st.incp q5, a10, q6, q2, q5
    ee.vmax.s32 q7, q7, q0
    ee.vsubs.s32.st.incp q1, a10, q0, q2, q1
    ee.vmax.s32 q5, q5, q6
    ee.vsubs.s32.st.incp q4, a10, q6, q2, q4
    ee.vmax.s32 q1, q1, q0
    ee.vmax.s32 q4, q4, q6
    ee.vmin.s32.ld.incp q2, a4, q7, q7, q3 # c_9, c_8, c_7
    ee.vmin.s32.ld.incp q0, a4, q5, q5, q3
    ee.vmin.s32.ld.incp q6, a4, q1, q1, q3
    ee.vmin.s32 q4, q4, q3
    ssai 2
    ee.vsr.32 q7, q7
    ee.vsr.32 q5, q5
    ee.vsr.32 q1, q1
    ee.vsr.32 q4, q4
    ssai 15
    ee.vunzip.16 q7, q5 # x of channels 0..7
    ee.vunzip.16 q1, q4 # and 8..15
    ee.vmul.s16.ld.incp q3, a4, q5, q2, q7
    ee.vmul.s16 q4, q2, q1
    ee.vadds.s16 q5, q5, q0
    ee.vadds.s16 q4, q4, q0
    horner q6, q0
    horner q3, q6
    horner q0, q3
    horner q6, q0
    horner q3, q6
    horner q0, q3
    horner q6, q2 # -2^17
    addi a10, a10, -64
    ee.vmul.s16.ld.incp q0, a4, q5, q5, q7 # -2
    ee.vmul.s16.ld.incp q6, a4, q4, q4, q1
    ee.vadds.s16.ld.incp q7, a10, q5, q5, q3
    ee.vadds.s16.ld.incp q1, a10, q4, q4, q3
    ee.vzip.16 q5, q0
    ee.vzip.16 q4, q6
    ee.vmax.s32.ld.incp q3, a10, q7, q7, q2
    ee.vmax.s32 q1, q1, q2
    ee.vsubs.s32.ld.incp q5, a10, q7, q7, q5
    ee.vsubs.s32 q1, q1, q0
    ee.vmax.s32 q3, q3, q2
    ee.vmax.s32 q5, q5, q2
    ee.vsubs.s32 q3, q3, q4
    ee.vsubs.s32 q5, q5, q6 # q7, q1, q3, q5: GELU(y)

    ee.vmax.s32 q0, q7, q1
    ee.vmax.s32 q2, q3, q5
    ee.vmax.s32.ld.incp q0, a4, q4, q0, q2
    ee.vunzip.32 q4, q2
    ee.vmax.s32.ld.incp q2, a3, q4, q4, q2
    ee.movi.32.a q4, a14, 0
    ee.movi.32.a q4, a8, 1
    max a14, a14, a8
    srai a8, a14, 14
    blti a8, 1, .Lsmall\@ # what is below 0 is above -2^14
    nsau a8, a14
.Lscale\@:
    s32i a14, a7, 0
    addi a8, a8, -17
    neg a8, a8 # bits - 15
    ssr a8
    l32i a14, a1, LOCAL_ABSMAX_STRIDE
    ee.vsr.32 q7, q7
    ee.vsr.32 q1, q1
    ee.vsr.32 q3, q3
    ee.vsr.32 q5, q5
    ee.vunzip.16 q7, q1
    ee.vunzip.16 q3, q5
    add a7, a7, a14
    ee.vld.128.xp q1, a4, a11
    l32i a8, a1, LOCAL_PAIRS
    ee.vst.128.ip q7, a6, 16
    ee.vst.128.xp q3, a6, a13
    bnez a9, \token
    retw.n

.Lsmall\@: # the largest is below 2^14: is the smallest farther from 0? Nothing is shifted then
    ee.vmin.s32 q4, q7, q1
    ee.vmin.s32 q6, q3, q5
    ee.vmin.s32 q4, q4, q6
    ee.zero.q q6
    ee.vsubs.s32 q4, q6, q4
    ee.vunzip.32 q4, q6
    ee.vmax.s32 q4, q4, q6
    ee.movi.32.a q4, a8, 0
    max a14, a14, a8
    ee.movi.32.a q4, a8, 1
    max a14, a14, a8
    movi.n a8, 17
    j .Lscale\@
    .endm

# All tokens. Before the first: q1, q0 the first two vectors of weights, q2 the first activations, QACC 0.
    .macro tokens odd, scale, finish
    j .Ltoken\@ # behind a jump the assembler aligns loops without a nop for every token
.Ltoken\@:
    loopgtz a8, .Lpairs\@
    block q2, q3
    block q3, q2
.Lpairs\@:
    .if \odd
    block q2, q3
    .endif
    .ifc \finish, finish_activate
    l32i a8, a1, LOCAL_RECORDS
    sums a8, -100 # y goes below the copy
    s32i a8, a1, LOCAL_RECORDS
    .else
    sums a7, -36
    .endif
    \scale
    addi a9, a9, -1
    moveqz a3, a10, a9 # no row follows the last one: read something else in its place
    \finish .Ltoken\@
    .endm

    .macro both_parities scale, finish
    bnez a2, .Lodd\@
    tokens 0, \scale, \finish
.Lodd\@:
    movi.n a2, 0
    tokens 1, \scale, \finish
    .endm

    .macro every_output scale
    beqi a14, ADD, .Ladd\@
    bgei a14, ADD, .Lactivate\@
    both_parities \scale, finish_store
.Ladd\@:
    both_parities \scale, finish_add
.Lactivate\@:
    both_parities \scale, finish_activate
    .endm

    .section .text.ftv_linear_s8s8_esp32s3, "ax", @progbits
    .align 16
    .global ftv_linear_s8s8_esp32s3
    .type ftv_linear_s8s8_esp32s3, @function

ftv_linear_s8s8_esp32s3:
    entry a1, 48
    l32i a3, a2, ARG_X
    l32i a12, a2, ARG_X_STRIDE
    l32i a8, a2, ARG_BLOCKS
    l32i a9, a2, ARG_TOKENS
    l32i a4, a2, ARG_WEIGHTS
    l32i a5, a2, ARG_SCALES
    l32i a10, a2, ARG_SPILL
    l32i a6, a2, ARG_OUT
    l32i a13, a2, ARG_OUT_STRIDE
    l32i a14, a2, ARG_OUTPUT
    l32i a15, a2, ARG_ABSMAX_STRIDE
    l32i a11, a2, ARG_TAIL_VECTORS
    s32i a15, a1, LOCAL_ABSMAX_STRIDE
    l32i a7, a2, ARG_RECORDS
    s32i a7, a1, LOCAL_RECORDS
    slli a15, a8, 4
    sub a12, a12, a15
    addi a12, a12, -16
    add a11, a11, a15 # vectors of weights and tail; from the last one 3 less back
    addi a11, a11, -3
    slli a11, a11, 4
    neg a11, a11
    ee.vld.128.ip q1, a4, 16
    ee.vld.128.ip q0, a4, 16
    ee.vld.128.ip q2, a3, 16
    ee.zero.qacc
    addi a13, a13, -48
    blti a14, ADD + 1, .Lwords
    addi a13, a13, 32
    l32i a7, a2, ARG_ABSMAX
.Lwords:
    l32i a15, a2, ARG_PER_CHANNEL
    extui a2, a8, 0, 1
    srli a8, a8, 1
    s32i a8, a1, LOCAL_PAIRS
    beqz a15, .Lone_multiplier
    movi.n a15, 8
    every_output scale_by_channel
.Lone_multiplier:
    movi.n a15, 8
    every_output scale_by_token
    .size ftv_linear_s8s8_esp32s3, . - ftv_linear_s8s8_esp32s3
