//! A sink that prints each element, and fails on those that begin with `!`.

use torvyn_guest::{BackpressureSignal, Config, DataSink, Element, Failure, PayloadSink, Stage};

struct Strict;

impl Stage for Strict {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Strict)
    }
}

impl PayloadSink for Strict {
    fn push(&mut self, _: Element<'_, DataSink>, payload: &[u8]) -> Result<BackpressureSignal, Failure> {
        if payload.starts_with(b"!") {
            return Err(Failure::InvalidInput("it begins with `!`".to_string()));
        }
        println!("{}", String::from_utf8_lossy(payload));
        Ok(BackpressureSignal::Ready)
    }
}

torvyn_guest::export!(Strict: PayloadSink);
