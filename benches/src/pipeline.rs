//! Source → stage → sink on one machine, by contenders that all move the same payloads.
//!
//! The cases: payloads of 64 B and of 4 KiB; **pass** (the stage forwards the element) and **upper** (the stage reads
//! the payload and writes it in ASCII upper case). In each, the source keeps a payload in its own memory, stamps it
//! with the sequence number and copies it out once per element; the sink copies it into its own memory and adds it up.
//! The sum depends on the order.
//!
//! The cost of totals cannot be measured by leaving them out: they are always kept, and a build without them has
//! another layout, which alone makes a difference of that size. So they are kept several times, in memory that the
//! compiler cannot optimise away, and the additional time is divided by that number. These are the totals of the ledger
//! and of the elements of each call, not what a node adds for each element that it sends, which moves with the element.

use wasmtime::Result;

use crate::contenders::native::{self, Channels, Direct};
use crate::contenders::{Guests, ours, shape};
use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload::{Tally, Task};

/// The task of every contender.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) task: Task,
    /// Bytes in a payload.
    pub(crate) len: usize,
}

impl Case {
    pub(crate) const ALL: [Self; 4] = [
        Self { task: Task::Pass, len: 64 },
        Self { task: Task::Pass, len: 4096 },
        Self { task: Task::Upper, len: 64 },
        Self { task: Task::Upper, len: 4096 },
    ];

    pub(crate) fn title(self) -> String {
        let task = match self.task {
            Task::Pass => "pass",
            Task::Upper => "upper",
        };
        format!("{task} {}", size(self.len))
    }

    /// The tally of a run of this many elements.
    pub(crate) fn expected(self) -> impl Fn(u64) -> Tally + 'static {
        move |elements| Tally::expected(self.task, self.len, elements)
    }
}

/// As people read it.
pub(crate) fn size(bytes: usize) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) }
}

/// One way to run the pipeline.
pub(crate) trait Contender {
    fn name(&self) -> &'static str;

    /// Moves this many elements from a fresh source to a fresh sink, and returns what the sink saw.
    fn run(&mut self, elements: u64) -> Tally;
}

pub(crate) fn group(case: Case, guests: &Guests, options: &Options) -> Result<Group> {
    let (shape, ours) = (guests.shape()?, guests.ours()?);
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Direct::new(case)),
        Box::new(Channels::new(case)),
        Box::new(shape.with_processor(case)?),
        Box::new(ours.with_components(case)),
        Box::new(ours.with_host_ends(case)),
        Box::new(ours.with_records(case)),
        Box::new(ours.with_acknowledgement(case)),
        Box::new(ours.with_totals(case, ours::TOTALS, 0)),
        Box::new(ours.with_totals(case, ours::MORE_TOTALS, ours::MORE)),
    ];
    if case.task == Task::Pass {
        contenders.push(Box::new(shape.with_filter(case)?));
        contenders.push(Box::new(ours.with_all_columns(case)));
    }
    let title = case.title();
    let rows = vec![
        Row::times(format!("{title}, host ends"), "native direct calls", ours::HOST_ENDS, native::DIRECT),
        Row::times(format!("{title}, three components"), "native direct calls", ours::COMPONENTS, native::DIRECT),
        Row::faster(
            format!("{title}, three components"),
            "components of the shape of 0.1.0",
            ours::COMPONENTS,
            shape::PROCESSOR,
        ),
        Row::share(
            format!("{title}, host ends: totals"),
            "without",
            [ours::MORE_TOTALS, ours::TOTALS, ours::HOST_ENDS],
            ours::MORE,
        ),
        Row::more(format!("{title}, host ends: records"), "without", ours::RECORDS, ours::HOST_ENDS),
        Row::more(format!("{title}, host ends: acknowledged"), "without", ours::ACKNOWLEDGED, ours::HOST_ENDS),
    ];
    let lanes = contenders.into_iter().map(|mut contender| {
        Lane::of_elements(contender.name(), case.expected(), move |elements| Ok(contender.run(elements)))
    });
    Ok(Group { lanes: lanes.collect(), rows, ..Group::of_elements(options) })
}
