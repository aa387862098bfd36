//! One component hands payloads to another, which reads all of them: through this runtime, and as one does without it.
//!
//! The first stamps a payload and gives it away, the second adds it up. Without this runtime, the two are composed into one
//! component: the second calls the first for a `list<u8>`, or reads a `stream<u8>` in chunks of one payload.

use wasmtime::Result;

use crate::contenders::native::Direct;
use crate::contenders::{Guests, composed, native, ours};
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload::Task;
use crate::pipeline::{Case, Contender as _, size};

pub(crate) fn title(len: usize) -> String {
    format!("hand over {}", size(len))
}

pub(crate) fn group(len: usize, guests: &Guests, options: &Options) -> Result<Group> {
    let case = Case { task: Task::Pass, len };
    let (mut ours, mut native) = (guests.ours()?.with_two_components(case), Direct::new(case));
    let mut group = Group::of_elements(options);
    let mut lane = |name: &str, run: Box<dyn FnMut(u64) -> Result<crate::payload::Tally>>| {
        group.lanes.push(Lane::of_elements(name, case.expected(), run));
    };
    lane(native::DIRECT, Box::new(move |elements| Ok(native.run(elements))));
    lane(ours::COMPONENTS, Box::new(move |elements| Ok(ours.run(elements))));
    let mut lists = composed::Lists::new(len)?;
    lane(composed::LISTS, Box::new(move |elements| lists.run(elements)));
    #[cfg(feature = "streams")]
    {
        let mut streams = crate::contenders::streamed::Streams::new(len)?;
        lane(composed::STREAMS, Box::new(move |elements| streams.run(elements)));
    }
    let work = format!("{}, write and read", title(len));
    group.rows.push(Row::faster(&work, "two components composed, `list<u8>`", ours::COMPONENTS, composed::LISTS));
    let against = "two components composed, `stream<u8>`";
    group.rows.push(if cfg!(feature = "streams") {
        Row::faster(&work, against, ours::COMPONENTS, composed::STREAMS)
    } else {
        Row::missing(&work, against, "built without the feature `streams`")
    });
    Ok(group)
}
