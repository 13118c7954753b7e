/* Reset on an emulated Xtensa core without an operating system: a stack, then main, then exit by semihosting.
 * Unexpected exceptions end in the vectors below: exit status 99. */
    .section .reset, "ax"
    .global _start
_start:
    j start

    .section .start, "ax"
    .align 4
start:
    movi a0, 0
    wsr.ps a0
    movi a1, stack_top
    call0 main
    mov a3, a2
    movi a2, 1              /* SYS_exit */
    simcall

    .section .vectors, "ax"
    .rept 256               /* whichever vector it is, it runs on to the end */
    nop.n
    nop.n
    .endr
    movi a3, 99
    movi a2, 1
    simcall

    .text
    .align 4
    .global semihosting_write
semihosting_write:          /* (const void *data, uint32_t bytes) */
    mov a5, a3
    mov a4, a2
    movi a3, 1              /* standard output */
    movi a2, 4              /* SYS_write */
    simcall
    ret
