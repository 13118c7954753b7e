/* Calls the caller's hook with intermediate values. */
#include "ftv_engine.h"

void ftv_trace_s8(const ftv_pass *pass, ftv_site site, uint32_t block, ftv_rows rows, uint32_t count,
                  uint32_t columns) {
    if (pass->trace != NULL) {
        pass->trace(pass->trace_context, site, block, rows.codes, count, columns, 1, rows.stride);
    }
}

void ftv_trace_s32(const ftv_pass *pass, ftv_site site, uint32_t block, const int32_t *data, uint32_t count,
                   uint32_t columns, uint32_t stride) {
    if (pass->trace != NULL) {
        pass->trace(pass->trace_context, site, block, data, count, columns, 4, stride * 4U);
    }
}
