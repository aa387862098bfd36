//! Adds to each document a random `id`, a UUID of version 4, and the time, in seconds since the Unix epoch, as `timestamp`.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Stamp;

impl Stage for Stamp {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Stamp)
    }
}

impl PayloadProcessor<Transform> for Stamp {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        let document = serde_json::from_slice::<Value>(payload);
        let mut document = document.map_err(|error| Failure::InvalidInput(error.to_string()))?;
        let fields = document.as_object_mut().ok_or(Failure::InvalidInput("it is no object".to_string()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| Failure::Internal(error.to_string()))?;
        fields.insert("timestamp".to_string(), now.as_secs().into());
        fields.insert("id".to_string(), id().into());
        out.write(document.to_string().as_bytes());
        Ok(())
    }
}

/// The standard library draws random numbers for its hash maps.
fn id() -> String {
    let random = RandomState::new();
    let bits = u128::from(random.hash_one(0)) << 64 | u128::from(random.hash_one(1));
    // The version, and the variant, have their places in it: RFC 9562, section 5.4.
    let bits = bits & !(0xf000 << 64 | 0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

torvyn_guest::export!(Stamp: PayloadProcessor<Transform>);
