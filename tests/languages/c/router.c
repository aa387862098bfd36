// A processor that decides by size alone: drops empty elements and forwards the rest.

#include <stdlib.h>

#include "router.h"

bool exports_torvyn_streaming_lifecycle_init(
    router_list_tuple2_string_string_t *config,
    exports_torvyn_streaming_lifecycle_columns_t *columns,
    exports_torvyn_streaming_lifecycle_failure_t *failure)
{
    (void)failure;
    router_list_tuple2_string_string_free(config);
    *columns = 0;
    return true;
}

void exports_torvyn_streaming_lifecycle_teardown(void)
{
}

bool exports_torvyn_streaming_processor_process(
    exports_torvyn_streaming_processor_borrow_batch_t batch,
    uint32_t count,
    router_list_u64_t *metadata,
    exports_torvyn_streaming_processor_outcome_t *outcome,
    exports_torvyn_streaming_processor_process_failure_t *failure)
{
    (void)failure;
    // Bit 0 stands for output 0; no bit drops the element. The bindings free the routes.
    uint32_t *routes = malloc(count * sizeof *routes);
    for (uint32_t i = 0; i < count; i++)
        routes[i] = metadata->ptr[i] > 0 ? 1 : 0;
    outcome->tag = TORVYN_STREAMING_TYPES_OUTCOME_ROUTES;
    outcome->val.routes.ptr = routes;
    outcome->val.routes.len = count;

    router_list_u64_free(metadata);
    // A borrow that is not dropped is a trap when the call returns.
    torvyn_streaming_types_batch_drop_borrow(batch);
    return true;
}

bool exports_torvyn_streaming_processor_flush(
    exports_torvyn_streaming_processor_option_own_output_t *output,
    exports_torvyn_streaming_processor_failure_t *failure)
{
    (void)failure;
    output->is_some = false;
    return true;
}
