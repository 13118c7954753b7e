# void ftv_token_scales_esp32s3(const ftv_token_scales_args *args)
#
# What section 2 of NUMERICS.md takes of a layer and a token together: the multiplier -((m_t * mantissa + 2^14) >> 15),
# with the sign of decoded tiles, and the shift e_t + exponent, from which the two shifts of a product's halves follow.
#
#   tokens    ftv_multiplier [count], m_t and e_t
#   scales    ftv_token_scale [count]
#   mantissa  of the layer, or 2^15 where every channel has its own
#
# A shift below `least` gives low = 255. count >= 1. Modelled: 18 cycles a token.

    .set ARG_TOKENS, 0
    .set ARG_SCALES, 4
    .set ARG_COUNT, 8
    .set ARG_MANTISSA, 12
    .set ARG_EXPONENT, 16
    .set ARG_LEAST, 20

    .section .text.ftv_token_scales_esp32s3, "ax", @progbits
    .align 16
    .global ftv_token_scales_esp32s3
    .type ftv_token_scales_esp32s3, @function

ftv_token_scales_esp32s3:
    entry a1, 32
    l32i a3, a2, ARG_TOKENS
    l32i a4, a2, ARG_SCALES
    l32i a5, a2, ARG_COUNT
    l32i a6, a2, ARG_MANTISSA
    l32i a7, a2, ARG_EXPONENT
    l32i a8, a2, ARG_LEAST
    movi a9, 31
    movi a10, 1
    slli a10, a10, 14
    movi a11, 255

    loopgtz a5, .Ltokens
    l16ui a12, a3, 0
    l16si a13, a3, 2
    addi a3, a3, 4
    mull a12, a12, a6
    add a13, a13, a7
    sub a2, a13, a8
    add a12, a12, a10
    min a15, a13, a9 # low
    srli a14, a12, 15
    neg a14, a14
    addi a13, a13, 16
    movltz a15, a11, a2
    min a13, a13, a9 # high
    s16i a14, a4, 0
    s8i a15, a4, 2
    s8i a13, a4, 3
    addi a4, a4, 4
.Ltokens:
    retw.n
    .size ftv_token_scales_esp32s3, . - ftv_token_scales_esp32s3
