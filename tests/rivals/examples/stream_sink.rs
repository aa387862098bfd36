//! Reads a stream in chunks of one payload, each into the same memory, and adds them up.

use composed::streaming::streams;
use exports::composed::streaming::awaited_payload_sum;
use shape::{Tally, Task};

wit_bindgen::generate!({ path: "wit", world: "stream-sink" });

struct Component;

impl awaited_payload_sum::Guest for Component {
    async fn take(len: u32, elements: u64) -> awaited_payload_sum::Tally {
        let mut reader = streams::open(len, elements).await;
        let mut seen = Tally::default();
        let mut payload = Vec::with_capacity(len as usize);
        while seen.elements < elements {
            let (_, read) = reader.read(payload).await;
            seen.add(Task::Pass, &read);
            payload = read;
            payload.clear();
        }
        awaited_payload_sum::Tally { elements: seen.elements, bytes: seen.bytes, sum: seen.sum }
    }
}

export!(Component);
