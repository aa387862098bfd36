//! A processor that reads and writes: converts each element to ASCII upper case.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

/// Converts payloads to upper case.
pub struct Upper;

impl Stage for Upper {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Upper)
    }
}

impl PayloadProcessor<Transform> for Upper {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        out.write_mapped(payload, |byte| byte.to_ascii_uppercase());
        Ok(())
    }
}

torvyn_guest::export!(Upper: PayloadProcessor<Transform>);

#[cfg(test)]
mod tests {
    use torvyn_guest::testing;

    use super::*;

    #[test]
    fn converts_each_element_to_upper_case() {
        let payloads = [b"one, Two".as_slice(), b"", "straße".as_bytes()];
        let emitted = testing::process_with_payloads(&mut Upper, &payloads).unwrap();

        let written: Vec<_> = emitted
            .iter()
            .map(|element| element.payload.as_slice())
            .collect();
        assert_eq!(written, [b"ONE, TWO".as_slice(), b"", "STRAßE".as_bytes()]);
        assert!(emitted.iter().all(|element| !element.by_handle));
    }
}
