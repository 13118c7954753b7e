/* One sentence for each status. */
#include "ftv.h"

const char *ftv_status_text(ftv_status status) {
    switch (status) {
    case FTV_OK:
        return "All is well.";
    case FTV_ERR_ARGUMENT:
        return "An argument is null or out of range.";
    case FTV_ERR_ALIGN:
        return "The image or the arena does not start at a multiple of 16 bytes.";
    case FTV_ERR_TRUNCATED:
        return "The image is shorter than its header says.";
    case FTV_ERR_MAGIC:
        return "This is no ftervit image.";
    case FTV_ERR_VERSION:
        return "The image has a version that this program does not read.";
    case FTV_ERR_LENGTH:
        return "The image is longer than its header says, or has an impossible length.";
    case FTV_ERR_HASH:
        return "The image is damaged: its SHA-256 does not fit its content.";
    case FTV_ERR_ENCODING:
        return "The image has an unknown encoding.";
    case FTV_ERR_ARCHITECTURE:
        return "The image describes a model that is impossible or too large.";
    case FTV_ERR_SCALE:
        return "A scale, multiplier or shift in the image is out of range.";
    case FTV_ERR_PADDING:
        return "Bytes that must be zero are not.";
    case FTV_ERR_TABLE:
        return "The image's table does not fit its architecture or its length.";
    case FTV_ERR_TEXT:
        return "The image's labels or meta data cannot be read.";
    case FTV_ERR_CODE:
        return "A weight in the image is none of -1, 0, 1, or is not 0 where it only pads.";
    case FTV_ERR_ARENA:
        return "The arena is smaller than the model needs.";
    case FTV_ERR_PLAN:
        return "The memory plan does not fit the model, the kernels or the number of workers.";
    }
    return "This is no status of ftv.";
}
