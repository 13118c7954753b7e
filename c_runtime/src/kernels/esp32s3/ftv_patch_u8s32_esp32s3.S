/* void ftv_patch_u8s32_esp32s3(const ftv_patch_args *args)
 *
 * One patch of an RGB picture in Q16, in the order colour, y, x: NUMERICS.md, section 3.
 *
 * in     pixels: uint8, the patch's first pixel, lines `line_bytes` bytes apart
 * out    row: int32 [3][side][4 fours], (pixel * scale + offset) >> 8
 * range  side = 4 fours, at least 4; offset with the rounding's 128 in it
 * alias  nothing overlaps
 * cycles modelled: 5.5 a value and 9 a line: 97 for a line of 16, 4700 for a patch of 16 x 16
 */

    .set pixels, 0
    .set line_bytes, 4
    .set side, 8
    .set row, 12
    .set scale, 16              /* and offset, of each colour */
    .set colours, 3

    .text
    .balign 16
    .global ftv_patch_u8s32_esp32s3
    .type   ftv_patch_u8s32_esp32s3, @function
ftv_patch_u8s32_esp32s3:
    entry   a1, 32
    l32i    a7, a2, side
    l32i    a6, a2, row
    l32i    a15, a2, line_bytes
    srli    a7, a7, 2
    movi    a13, 0              /* colour */
.Lcolour:
    l32i    a3, a2, pixels
    addx8   a9, a13, a2
    l32i    a4, a9, scale
    l32i    a5, a9, scale + 4
    l32i    a14, a2, side
    add     a12, a3, a13
.Lline:
    mov     a3, a12
    loopgtz a7, .Lpixels
    l8ui    a8, a3, 0
    l8ui    a9, a3, 3
    l8ui    a10, a3, 6
    l8ui    a11, a3, 9
    mull    a8, a8, a4
    mull    a9, a9, a4
    mull    a10, a10, a4
    mull    a11, a11, a4
    add     a8, a8, a5
    add     a9, a9, a5
    add     a10, a10, a5
    add     a11, a11, a5
    srai    a8, a8, 8
    srai    a9, a9, 8
    srai    a10, a10, 8
    srai    a11, a11, 8
    s32i    a8, a6, 0
    s32i    a9, a6, 4
    s32i    a10, a6, 8
    s32i    a11, a6, 12
    addi    a3, a3, 12
    addi    a6, a6, 16
.Lpixels:
    add     a12, a12, a15
    addi    a14, a14, -1
    bnez    a14, .Lline
    addi    a13, a13, 1
    bnei    a13, colours, .Lcolour
    retw.n
    .size   ftv_patch_u8s32_esp32s3, . - ftv_patch_u8s32_esp32s3
