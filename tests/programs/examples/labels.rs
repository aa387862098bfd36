//! A sink that prints the attributes of each element, and reads no payload.

use torvyn_guest::{BackpressureSignal, Config, Element, Failure, MetadataSink, Sink, Stage};

struct Labels;

impl Stage for Labels {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Labels)
    }
}

impl Sink<MetadataSink> for Labels {
    fn push(&mut self, element: Element<'_, MetadataSink>) -> Result<BackpressureSignal, Failure> {
        println!("{:?}", element.attributes()?);
        Ok(BackpressureSignal::Ready)
    }
}

torvyn_guest::export!(Labels: Sink<MetadataSink>);
