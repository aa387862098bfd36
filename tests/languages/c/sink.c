// A sink that reads nothing: counts elements and their bytes, and prints the totals at the end.

#include <inttypes.h>
#include <stdio.h>

#include "metadata_sink.h"

static uint64_t elements, bytes;

bool exports_torvyn_streaming_lifecycle_init(
    metadata_sink_list_tuple2_string_string_t *config,
    exports_torvyn_streaming_lifecycle_columns_t *columns,
    exports_torvyn_streaming_lifecycle_failure_t *failure)
{
    (void)failure;
    metadata_sink_list_tuple2_string_string_free(config);
    *columns = 0;
    return true;
}

void exports_torvyn_streaming_lifecycle_teardown(void)
{
}

bool exports_torvyn_streaming_sink_push(
    exports_torvyn_streaming_sink_borrow_batch_t batch,
    uint32_t count,
    metadata_sink_list_u64_t *metadata,
    exports_torvyn_streaming_sink_backpressure_signal_t *signal,
    exports_torvyn_streaming_sink_push_failure_t *failure)
{
    (void)failure;
    elements += count;
    for (uint32_t i = 0; i < count; i++)
        bytes += metadata->ptr[i];
    metadata_sink_list_u64_free(metadata);
    // A borrow that is not dropped is a trap when the call returns.
    torvyn_streaming_types_batch_drop_borrow(batch);
    *signal = TORVYN_STREAMING_TYPES_BACKPRESSURE_SIGNAL_READY;
    return true;
}

bool exports_torvyn_streaming_sink_complete(exports_torvyn_streaming_sink_failure_t *failure)
{
    (void)failure;
    printf("%" PRIu64 " elements, %" PRIu64 " bytes\n", elements, bytes);
    return true;
}
