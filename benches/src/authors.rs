//! What `torvyn-guest` costs: a stage that is written one element at a time, and the same stage written by hand for a batch,
//! with the bindings alone. Both are between endpoints of the host.

use wasmtime::Result;

use crate::contenders::Guests;
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::pipeline::{Case, Contender as _};

const TRAITS: &str = "torvyn-guest";
const BY_HAND: &str = "by hand";

pub(crate) fn title(case: Case) -> String {
    format!("written by hand: {}", case.title())
}

pub(crate) fn group(case: Case, guests: &Guests, options: &Options) -> Result<Group> {
    let ours = guests.ours()?;
    let lane = |name, mut pipeline: crate::contenders::ours::Pipeline| {
        Lane::of_elements(name, case.expected(), move |elements| Ok(pipeline.run(elements)))
    };
    let lanes = vec![lane(TRAITS, ours.with_host_ends(case)), lane(BY_HAND, ours.with_stage_by_hand(case))];
    let work = format!("{} by the traits of `torvyn-guest`", case.title());
    let row = Row::times(work, "the stage written by hand for batches", TRAITS, BY_HAND);
    Ok(Group { lanes, rows: vec![row], ..Group::of_elements(options) })
}
