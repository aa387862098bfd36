//! Reads every payload into its own memory and adds it up. Its configuration says which task was done.

use std::cell::Cell;

use baseline::streaming::types::{BackpressureSignal, ProcessError, StreamElement};
use exports::baseline::streaming::{lifecycle, payload_sum, sink};
use shape::{Tally, Task};

wit_bindgen::generate!({ path: "wit", world: "data-sink" });

thread_local! {
    static SEEN: Cell<(Task, Tally)> = const { Cell::new((Task::Pass, Tally { elements: 0, bytes: 0, sum: 0 })) };
}

struct Component;

impl sink::Guest for Component {
    fn push(element: StreamElement<'_>) -> Result<BackpressureSignal, ProcessError> {
        let (task, mut tally) = SEEN.get();
        tally.add(task, &element.payload.read_all());
        SEEN.set((task, tally));
        Ok(BackpressureSignal::Ready)
    }

    fn complete() -> Result<(), ProcessError> {
        Ok(())
    }
}

impl lifecycle::Guest for Component {
    fn init(config: String) -> Result<(), ProcessError> {
        let task = match config.as_str() {
            "pass" => Task::Pass,
            "upper" => Task::Upper,
            _ => return Err(ProcessError::InvalidInput("expected `pass` or `upper`".into())),
        };
        SEEN.set((task, Tally::default()));
        Ok(())
    }

    fn teardown() {}
}

impl payload_sum::Guest for Component {
    fn tally_so_far() -> payload_sum::Tally {
        let (_, Tally { elements, bytes, sum }) = SEEN.get();
        payload_sum::Tally { elements, bytes, sum }
    }
}

export!(Component);
