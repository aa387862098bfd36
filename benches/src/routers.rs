//! Three routers in a row, between an input that gives the same bytes again and an output that looks at the first eight: what
//! an element costs must not depend on its size.
//!
//! An input ends a pull at 128 KiB, so a call carries two of the large elements, and up to 256 of the small ones. A contender
//! has two small ones in a call: what is left of the difference then is that of the size.

use torvyn_runtime::Stage;
use wasmtime::Result;

use crate::contenders::Guests;
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload::{Tally, Task};
use crate::pipeline::size;

const LARGE: usize = 64 << 10;
const SMALL: usize = 64;
/// As many of the large ones are in a call.
const FEW: usize = 2;

pub(crate) const TITLE: &str = "three routers";

pub(crate) fn group(guests: &Guests, options: &Options) -> Result<Group> {
    let ours = guests.ours()?;
    let lane = |name: &str, len: usize, batch: usize| {
        let expected = move |elements| {
            let payload: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
            let mut tally = Tally::default();
            (0..elements).for_each(|_| tally.add(Task::Pass, &payload));
            tally
        };
        let mut routers = ours.with_routers(len, batch);
        Lane::of_elements(name, expected, move |elements| Ok(routers(elements)))
    };
    let [large, small] = [LARGE, SMALL].map(size);
    let few = format!("{small}, {FEW} in a call");
    let work = format!("three routers in a row, {large}");
    Ok(Group {
        lanes: vec![
            lane(&large, LARGE, Stage::MAX_BATCH),
            lane(&few, SMALL, FEW),
            lane(&small, SMALL, Stage::MAX_BATCH),
        ],
        rows: vec![Row::times(&work, &few, &large, &few), Row::times(&work, &small, &large, &small)],
        ..Group::of_elements(options)
    })
}
