//! A router with two outputs: elements whose attribute `name` has the value `is` go to output 0, others to output 1, and
//! all of them get the attribute `routed`.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage};

struct ByAttribute {
    name: String,
    is: String,
}

impl Stage for ByAttribute {
    fn new(config: &Config) -> Result<Self, Failure> {
        let setting = |name: &str| config.get(name).unwrap_or_default().to_string();
        Ok(ByAttribute { name: setting("name"), is: setting("is") })
    }
}

impl Processor<Router> for ByAttribute {
    fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
        let found = element.attribute(&self.name)?;
        let port = u32::from(found.as_deref() != Some(&*self.is));
        // After it is forwarded: the attributes that the element has when the call returns count.
        out.forward_to(port);
        element.set_attribute("routed", if port == 0 { "yes" } else { "no" })
    }
}

torvyn_guest::export!(ByAttribute: Processor<Router>);
