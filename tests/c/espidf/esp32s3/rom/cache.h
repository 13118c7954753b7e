#include <stdint.h>

uint32_t Cache_Start_DCache_Preload(uint32_t address, uint32_t bytes, uint32_t order);
uint32_t Cache_DCache_Preload_Done(void);
