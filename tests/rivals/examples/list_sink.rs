//! Takes payloads from the other component, one a call, and adds them up.

use composed::streaming::lists;
use exports::composed::streaming::payload_sum;
use shape::{Tally, Task};

wit_bindgen::generate!({ path: "wit", world: "list-sink" });

struct Component;

impl payload_sum::Guest for Component {
    fn take(len: u32, elements: u64) -> payload_sum::Tally {
        lists::open(len);
        let mut seen = Tally::default();
        for _ in 0..elements {
            seen.add(Task::Pass, &lists::pull());
        }
        payload_sum::Tally { elements: seen.elements, bytes: seen.bytes, sum: seen.sum }
    }
}

export!(Component);
