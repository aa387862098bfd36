//! A sink that reads nothing: counts elements and their bytes, and prints the totals at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use exports::torvyn::streaming::{lifecycle, sink};
use torvyn::streaming::types::{BackpressureSignal, Batch, Columns, Failure, PushFailure};

wit_bindgen::generate!({ path: "../../../wit", world: "metadata-sink", generate_all });

static ELEMENTS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

struct Sink;

impl lifecycle::Guest for Sink {
    fn init(_: Vec<(String, String)>) -> Result<Columns, Failure> {
        Ok(Columns::empty())
    }

    fn teardown() {}
}

impl sink::Guest for Sink {
    fn push(_: &Batch, count: u32, metadata: Vec<u64>) -> Result<BackpressureSignal, PushFailure> {
        ELEMENTS.fetch_add(count.into(), Ordering::Relaxed);
        BYTES.fetch_add(metadata[..count as usize].iter().sum(), Ordering::Relaxed);
        Ok(BackpressureSignal::Ready)
    }

    fn complete() -> Result<(), Failure> {
        let (elements, bytes) = (ELEMENTS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
        println!("{elements} elements, {bytes} bytes");
        Ok(())
    }
}

export!(Sink);
