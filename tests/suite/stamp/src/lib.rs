//! Adds to each document an `id` of its own and the time, in seconds since the Unix epoch, as `timestamp`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Stamp {
    next: u64,
}

impl Stage for Stamp {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Stamp { next: 1 })
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
        fields.insert("id".to_string(), self.next.to_string().into());
        self.next += 1;
        out.write(document.to_string().as_bytes());
        Ok(())
    }
}

torvyn_guest::export!(Stamp: PayloadProcessor<Transform>);
