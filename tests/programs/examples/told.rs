//! A windowed stage whose payloads are commands, one letter each, executed in order: `f` forwards the element, `w`
//! writes one, `s` slices it, `b` writes one piece by piece, `h` holds it, `j` joins what is held, `l` forwards and
//! releases everything that is held, and `!` fails.

use torvyn_guest::{
    Buffer, Config, Element, Failure, Lease, Mode, Output, Processor, Scope, Stage, Windowed, Writer, export,
};

struct Told {
    held: Vec<Lease>,
}

impl Stage for Told {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Told { held: Vec::new() })
    }
}

impl Told {
    fn follow(&mut self, element: Element<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), Failure> {
        for thing in element.read()? {
            match thing {
                b'f' => out.forward(),
                b'w' => out.write(b"written"),
                b's' => out.slice(0, 1),
                b'b' => {
                    let mut buffer = Buffer::allocate(8)?;
                    buffer.append(b"piece")?;
                    out.freeze(buffer)?;
                }
                b'h' => self.held.push(element.lease(Mode::Shared, Scope::Stage)?),
                b'j' if !self.held.is_empty() => out.join(&self.held)?,
                b'l' => self.held.drain(..).try_for_each(|lease| out.forward_lease(&lease))?,
                b'!' => return Err(Failure::Unavailable("told to fail".to_string())),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Processor<Windowed> for Told {
    fn process(&mut self, element: Element<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), Failure> {
        let held = self.held.len();
        let done = self.follow(element, out);
        if done.is_err() {
            // The host takes back what it held of an element that the stage fails on.
            self.held.truncate(held);
        }
        done
    }

    fn flush(&mut self, out: &mut Writer<Windowed>) -> Result<(), Failure> {
        if self.held.is_empty() { Ok(()) } else { out.join(&self.held) }
    }
}

export!(Told: Processor<Windowed>);
