#define IRAM_ATTR
#define EXT_RAM_BSS_ATTR  __attribute__((section(".ext_ram.bss")))
#define WORD_ALIGNED_ATTR __attribute__((aligned(4)))
