//! Three routers in a row, between an input that gives the same bytes again and an output that looks at the first eight: what
//! an element costs must not depend on its size. A call that touches no payload carries as many large elements as small ones.

use wasmtime::Result;

use crate::contenders::Guests;
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload::{Tally, Task};
use crate::pipeline::size;

const LARGE: usize = 64 << 10;
const SMALL: usize = 64;

pub(crate) const TITLE: &str = "three routers";

pub(crate) fn group(guests: &Guests, options: &Options) -> Result<Group> {
    let ours = guests.ours()?;
    let lane = |name: &str, len: usize| {
        let expected = move |elements| {
            let payload: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
            let mut tally = Tally::default();
            (0..elements).for_each(|_| tally.add(Task::Pass, &payload));
            tally
        };
        let mut routers = ours.with_routers(len);
        Lane::of_elements(name, expected, move |elements| Ok(routers(elements)))
    };
    let [large, small] = [LARGE, SMALL].map(size);
    let work = format!("three routers in a row, {large}");
    Ok(Group {
        lanes: vec![lane(&large, LARGE), lane(&small, SMALL)],
        rows: vec![Row::times(&work, &small, &large, &small)],
        ..Group::of_elements(options)
    })
}
