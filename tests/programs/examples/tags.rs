//! An inspector that sets attributes: each word `name=value` of the payload sets one, and `-name` removes one.

use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage};

struct Tags;

impl Stage for Tags {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Tags)
    }
}

impl PayloadProcessor<Inspector> for Tags {
    fn process(
        &mut self,
        element: Element<'_, Inspector>,
        payload: &[u8],
        out: &mut Output<'_, Inspector>,
    ) -> Result<(), Failure> {
        for word in String::from_utf8_lossy(payload).split_whitespace() {
            if let Some((name, value)) = word.split_once('=') {
                element.set_attribute(name, value)?;
            } else if let Some(name) = word.strip_prefix('-') {
                element.remove_attribute(name)?;
            }
        }
        out.forward();
        Ok(())
    }
}

torvyn_guest::export!(Tags: PayloadProcessor<Inspector>);
