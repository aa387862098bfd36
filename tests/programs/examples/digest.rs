//! A sink that gets payloads. At the end it prints the number of elements and bytes, and the exclusive or of all
//! their bytes.

use torvyn_guest::{BackpressureSignal, Config, DataSink, Element, Failure, PayloadSink, Stage};

struct Digest {
    elements: u64,
    bytes: u64,
    xor: u8,
}

impl Stage for Digest {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Digest { elements: 0, bytes: 0, xor: 0 })
    }
}

impl PayloadSink for Digest {
    fn push(&mut self, _: Element<'_, DataSink>, payload: &[u8]) -> Result<BackpressureSignal, Failure> {
        self.elements += 1;
        self.bytes += payload.len() as u64;
        self.xor = payload.iter().fold(self.xor, |xor, byte| xor ^ byte);
        Ok(BackpressureSignal::Ready)
    }

    fn complete(&mut self) -> Result<(), Failure> {
        println!("elements={} bytes={} xor={}", self.elements, self.bytes, self.xor);
        Ok(())
    }
}

torvyn_guest::export!(Digest: PayloadSink);
