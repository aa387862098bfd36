//! A processor that converts elements of at most `longest` bytes to upper case. It forwards longer ones without reading
//! them.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform};

pub struct Upper {
    longest: u64,
}

impl Stage for Upper {
    fn new(config: &Config) -> Result<Self, Failure> {
        let longest = config.parse("longest")?.unwrap_or(80);
        println!("up to {longest} bytes");
        Ok(Upper { longest })
    }
}

impl Processor<Transform> for Upper {
    fn process(&mut self, element: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
        if element.size() > self.longest {
            out.forward();
            return Ok(());
        }
        out.write(&element.read()?.to_ascii_uppercase());
        Ok(())
    }
}

torvyn_guest::export!(Upper: Processor<Transform>);
