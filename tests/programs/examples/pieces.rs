//! A windowed stage that writes piece by piece: it makes one payload of those of `each` elements, over any number of
//! calls. The payload begins with a byte that is written last: the number of elements.

use torvyn_guest::{Buffer, Config, Element, Failure, Output, Processor, Stage, Windowed, Writer};

struct Pieces {
    each: u8,
    capacity: u64,
    begun: Option<(Buffer, u8)>,
}

impl Stage for Pieces {
    fn new(config: &Config) -> Result<Self, Failure> {
        let each = config.parse("each")?.unwrap_or(3);
        Ok(Pieces { each, capacity: config.parse("capacity")?.unwrap_or(1 << 20), begun: None })
    }
}

impl Processor<Windowed> for Pieces {
    fn process(&mut self, element: Element<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), Failure> {
        let (mut buffer, mut count) = match self.begun.take() {
            Some(begun) => begun,
            None => {
                let mut buffer = Buffer::allocate(self.capacity)?;
                buffer.append(b"?")?;
                (buffer, 0)
            }
        };
        buffer.append(&element.read()?)?;
        count += 1;
        if count < self.each {
            self.begun = Some((buffer, count));
            return Ok(());
        }
        buffer.write_at(0, &[b'0' + count])?;
        out.freeze(buffer)
    }

    fn flush(&mut self, out: &mut Writer<Windowed>) -> Result<(), Failure> {
        match self.begun.take() {
            Some((mut buffer, count)) => {
                buffer.write_at(0, &[b'0' + count])?;
                out.freeze(buffer)
            }
            None => Ok(()),
        }
    }
}

torvyn_guest::export!(Pieces: Processor<Windowed>);
