//! A transform that takes its time: it goes over each payload `rounds` times, and writes the digest that it ends with.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Works {
    rounds: u64,
}

impl Stage for Works {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Works { rounds: config.parse("rounds")?.unwrap_or(1) })
    }
}

/// FNV-1a, with the constants of its authors.
fn digest(begin: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(begin, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl PayloadProcessor<Transform> for Works {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        let digest = (0..self.rounds).fold(0xcbf2_9ce4_8422_2325, |begin, _| digest(begin, payload));
        out.write(&digest.to_le_bytes());
        Ok(())
    }
}

torvyn_guest::export!(Works: PayloadProcessor<Transform>);
