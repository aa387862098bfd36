//! Writes each element between `prefix` and `suffix`, in upper case if `case` is `upper`.

use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

struct Affix {
    prefix: String,
    suffix: String,
    upper: bool,
}

impl Stage for Affix {
    fn new(config: &Config) -> Result<Self, Failure> {
        let text = |name| config.get(name).unwrap_or_default().to_string();
        Ok(Affix { prefix: text("prefix"), suffix: text("suffix"), upper: config.get("case") == Some("upper") })
    }
}

impl PayloadProcessor<Transform> for Affix {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        let mut payload = payload.to_vec();
        if self.upper {
            payload.make_ascii_uppercase();
        }
        out.write(&[self.prefix.as_bytes(), &payload, self.suffix.as_bytes()].concat());
        Ok(())
    }
}

torvyn_guest::export!(Affix: PayloadProcessor<Transform>);
