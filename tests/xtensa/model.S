/* The model and its pixels, as files beside the program. */
    .section .rodata
    .balign 64
    .global model_start, model_end, pixels_start
model_start:
    .incbin "model.ftv"
model_end:
    .balign 16
pixels_start:
    .incbin "pixels.rgb"
