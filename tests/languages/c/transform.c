// A processor that reads and writes: each element again, in ASCII upper case. It refuses NUL bytes.

#include <stdlib.h>

#include "transform.h"

bool exports_torvyn_streaming_lifecycle_init(
    transform_list_tuple2_string_string_t *config,
    exports_torvyn_streaming_lifecycle_columns_t *columns,
    exports_torvyn_streaming_lifecycle_failure_t *failure)
{
    (void)failure;
    transform_list_tuple2_string_string_free(config);
    *columns = 0;
    return true;
}

void exports_torvyn_streaming_lifecycle_teardown(void)
{
}

// Makes an output of the first `count` payloads. Each takes over the metadata of the element with its index. No outputs:
// all go to output 0.
static bool make(
    transform_list_u8_t bytes,
    const transform_list_u64_t *metadata,
    uint32_t count,
    torvyn_streaming_types_outcome_t *outcome,
    torvyn_streaming_types_failure_t *failure)
{
    transform_list_u64_t sizes = {metadata->ptr, count};
    transform_list_u32_t lineage = {malloc(count * sizeof(uint32_t)), count}, outputs = {NULL, 0};
    bytes.len = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes.len += sizes.ptr[i];
        lineage.ptr[i] = i;
    }
    outcome->tag = TORVYN_STREAMING_TYPES_OUTCOME_OUTPUT;
    bool made = torvyn_streaming_payload_write_emit_all(
        &bytes, &sizes, &lineage, &outputs, &outcome->val.output, failure);
    free(lineage.ptr);
    return made;
}

// Makes upper case of the payloads. Returns the index of the first that has a NUL byte; `count` if none has.
static uint32_t upper(uint8_t *payload, const uint64_t *sizes, uint32_t count)
{
    for (uint32_t i = 0; i < count; payload += sizes[i], i++) {
        for (uint64_t at = 0; at < sizes[i]; at++) {
            if (payload[at] == 0)
                return i;
            if (payload[at] >= 'a' && payload[at] <= 'z')
                payload[at] -= 'a' - 'A';
        }
    }
    return count;
}

bool exports_torvyn_streaming_processor_process(
    exports_torvyn_streaming_processor_borrow_batch_t batch,
    uint32_t count,
    transform_list_u64_t *metadata,
    exports_torvyn_streaming_processor_outcome_t *outcome,
    exports_torvyn_streaming_processor_process_failure_t *failure)
{
    // What the host refuses is the failure of the whole batch.
    failure->reached.is_some = false;
    transform_list_u8_t bytes;
    bool done = torvyn_streaming_payload_read_read_all(batch, &bytes, &failure->failure);
    // A borrow that is not dropped is a trap when the call returns.
    torvyn_streaming_types_batch_drop_borrow(batch);
    if (done) {
        uint32_t reached = upper(bytes.ptr, metadata->ptr, count);
        done = make(bytes, metadata, reached, outcome, &failure->failure);
        if (done && reached < count) {
            // What was made of the elements before this one goes on.
            failure->failure.tag = TORVYN_STREAMING_TYPES_FAILURE_INVALID_INPUT;
            transform_string_dup(&failure->failure.val.invalid_input, "it has a NUL byte");
            failure->reached.is_some = true;
            failure->reached.val.index = reached;
            failure->reached.val.outcome = *outcome;
            done = false;
        }
        transform_list_u8_free(&bytes);
    }
    transform_list_u64_free(metadata);
    return done;
}

bool exports_torvyn_streaming_processor_flush(
    exports_torvyn_streaming_processor_option_own_output_t *output,
    exports_torvyn_streaming_processor_failure_t *failure)
{
    (void)failure;
    output->is_some = false;
    return true;
}
