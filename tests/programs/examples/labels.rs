//! A sink that prints the attributes of each element, and reads no payload.

use torvyn_guest::{BackpressureSignal, Config, DataSink, Element, Failure, Sink, Stage};

struct Labels;

impl Stage for Labels {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Labels)
    }
}

impl Sink for Labels {
    fn push(&mut self, element: Element<'_, DataSink>) -> Result<BackpressureSignal, Failure> {
        println!("{:?}", element.attributes()?);
        Ok(BackpressureSignal::Ready)
    }
}

torvyn_guest::export!(Labels: Sink);
