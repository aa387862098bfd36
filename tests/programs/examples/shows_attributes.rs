//! A windowed stage that makes elements in every possible way, and sets `made` at the end: it slices off the first byte
//! of each, forwards a lease of it, joins it with itself, and writes its attributes. The last element is written
//! without lineage.

use torvyn_guest::{Config, Element, Failure, Mode, Output, Processor, Scope, Stage, Windowed, Writer};

struct ShowsAttributes;

impl Stage for ShowsAttributes {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(ShowsAttributes)
    }
}

impl Processor<Windowed> for ShowsAttributes {
    fn process(&mut self, element: Element<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), Failure> {
        let lease = element.lease(Mode::Shared, Scope::Stage)?;
        out.slice(0, 1);
        out.forward_lease(&lease)?;
        out.join([&lease, &lease])?;
        let shown: Vec<_> = element.attributes()?.iter().map(|(name, value)| format!("{name}={value}")).collect();
        out.write(shown.join(" ").as_bytes());
        element.set_attribute("made", "here")
    }

    fn flush(&mut self, out: &mut Writer<Windowed>) -> Result<(), Failure> {
        out.write(b"last");
        Ok(())
    }
}

torvyn_guest::export!(ShowsAttributes: Processor<Windowed>);
