//! Three routers in a row, between an input that gives the same bytes again and an output that looks at the first eight: what
//! an element costs must not depend on its size.

use wasmtime::Result;

use crate::contenders::Guests;
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload::{Tally, Task};
use crate::pipeline::size;

const LENS: [usize; 2] = [64, 64 << 10];

pub(crate) const TITLE: &str = "three routers";

pub(crate) fn group(guests: &Guests, options: &Options) -> Result<Group> {
    let ours = guests.ours()?;
    let lane = |len: usize| {
        let expected = move |elements| {
            let payload: Vec<u8> = (b'a'..=b'z').cycle().take(len).collect();
            let mut tally = Tally::default();
            (0..elements).for_each(|_| tally.add(Task::Pass, &payload));
            tally
        };
        let mut routers = ours.with_routers(len);
        Lane::of_elements(size(len), expected, move |elements| Ok(routers(elements)))
    };
    let [small, large] = LENS.map(size);
    let row = Row::times(format!("three routers in a row, {large}"), &small, &large, &small);
    Ok(Group { lanes: LENS.map(lane).into(), rows: vec![row], ..Group::of_elements(options) })
}
