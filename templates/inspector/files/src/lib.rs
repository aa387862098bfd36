//! A processor that reads: forwards the elements that contain the configured `needle`. It forwards
//! them by handle; the world does not let it alter a payload.

use memchr::memmem::Finder;
use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage};

/// Forwards the elements that contain the needle.
pub struct Find {
    needle: Finder<'static>,
}

impl Stage for Find {
    fn new(config: &Config) -> Result<Self, Failure> {
        match config.require("needle")? {
            "" => Err(Failure::InvalidInput(
                "config `needle` is empty".to_string(),
            )),
            needle => Ok(Find {
                needle: Finder::new(needle).into_owned(),
            }),
        }
    }
}

impl PayloadProcessor<Inspector> for Find {
    fn process(
        &mut self,
        _: Element<'_, Inspector>,
        payload: &[u8],
        out: &mut Output<'_, Inspector>,
    ) -> Result<(), Failure> {
        if self.needle.find(payload).is_some() {
            out.forward();
        }
        Ok(())
    }
}

torvyn_guest::export!(Find: PayloadProcessor<Inspector>);

#[cfg(test)]
mod tests {
    use torvyn_guest::testing;

    use super::*;

    #[test]
    fn forwards_elements_that_contain_the_needle() {
        let mut stage = Find::new(&Config::from([("needle", "ERROR")])).unwrap();
        let payloads: [&[u8]; 4] = [b"ERROR: disk full", b"all is well", b"", b"an ERROR"];
        let emitted = testing::process_with_payloads(&mut stage, &payloads).unwrap();

        let found: Vec<_> = emitted
            .iter()
            .map(|element| element.payload.as_slice())
            .collect();
        assert_eq!(found, [payloads[0], payloads[3]]);
        assert!(emitted.iter().all(|element| element.by_handle));
    }

    #[test]
    fn rejects_a_missing_or_empty_needle() {
        assert!(Find::new(&Config::default()).is_err());
        assert!(Find::new(&Config::from([("needle", "")])).is_err());
    }
}
