//! A processor that decides by size alone: drops empty elements and forwards the rest. The world
//! lets it neither read nor alter a payload.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

/// Drops empty elements.
pub struct DropEmpty;

impl Stage for DropEmpty {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(DropEmpty)
    }
}

impl Processor<Router> for DropEmpty {
    fn process(
        &mut self,
        element: Element<'_, Router>,
        out: &mut Output<'_, Router>,
    ) -> Result<(), Failure> {
        if element.size() > 0 {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(DropEmpty: Processor<Router>);

#[cfg(test)]
mod tests {
    use torvyn_guest::testing;

    use super::*;

    #[test]
    fn drops_empty_elements_and_forwards_the_rest() {
        let emitted = testing::process(&mut DropEmpty, &[b"one", b"", b"two"]).unwrap();

        let payloads: Vec<_> = emitted
            .iter()
            .map(|element| element.payload.as_slice())
            .collect();
        assert_eq!(payloads, [b"one", b"two"]);
        assert!(emitted.iter().all(|element| element.by_handle));
    }
}
