//! The speed of this runtime against what one would use instead: one command measures all of it and prints a table.
//!
//! | group | what is compared |
//! |---|---|
//! | `pass …`, `upper …` | one pipeline, source → stage → sink, by all contenders below |
//! | `hand over …` | one component hands payloads to another, against two components composed into one |
//! | `written by hand: …` | stages by the traits of `torvyn-guest`, against stages written by hand for batches |
//! | `three routers` | elements of 64 KiB against elements of 64 B |
//! | `lines → …`, `chunks … → …` | whole processes from file to file, against `tr`, `grep` and `cp` |
//! | `ten lines …` | a whole process that starts, against `wasmtime run` |
//! | `resident memory` | a long input against a short one |
//!
//! | contender of a pipeline | between source and sink |
//! |---|---|
//! | native, direct calls | `bytes::Bytes`, one thread, three calls an element, none inlined; upper makes a new buffer |
//! | native, tokio channels | the same three, each a task, `mpsc` channels of 64, two workers |
//! | 0.1.0 shape | components, one call an element and stage. A processor cannot give away what it was lent, so pass is `clone-into-mutable` and `freeze`: the host shares the bytes, none enters the component, which is faster than to read and write them. Upper is `read-all`, `allocate`, `append`, `freeze` |
//! | 0.1.0 shape, filter | pass by a filter of the extension `torvyn:filtering@0.1.0`, the one stage there that needs no new buffer |
//! | torvyn, components | three components on this runtime, written with `torvyn-guest` one element at a time: a `Source`, for pass a `Processor<Router>`, for upper a `PayloadProcessor<Transform>`, and a `PayloadSink` |
//! | torvyn, host ends | the same stage between an `Input` and an `Output` of the host. The input stamps payloads into blocks of the pool and hands out slices; the output copies as the other sinks do |
//! | torvyn, records | as with host ends, leaving a record of each copy, call and hand-off |
//! | torvyn, totals once; totals 1 + 32 | as with host ends; in the second, all totals are kept 32 times more |
//! | torvyn, all columns | pass between host ends by a router that asks for all metadata and looks at it |
//!
//! Every contender proves what it moved: the benchmark stops if what arrived is not what was computed for the case, or if a
//! file differs in one byte. All contenders of a group take turns, round by round, and each round starts with another one. A
//! ratio is the median of the ratios within a round, so that a temporary slowdown of the machine affects both sides; the last
//! column of the table has their quartiles. The times themselves are valid only for this machine and moment.
//!
//! All of it is built with the profile `release`, the native contenders like the runtime. `cargo compare` is the command, with
//! the options of [`options`]; `tests/table.rs` runs all of it once with a few elements, to see that every contender is right.

use std::io::{self, Write as _};

use wasmtime::Result;

use self::contenders::Guests;
use self::measure::{Group, print_table};
use self::options::Options;
use self::payload::Task;
use self::pipeline::Case;

mod authors;
mod contenders;
mod files;
mod handover;
mod measure;
mod memory;
mod options;
#[path = "../../tests/shape/src/lib.rs"]
#[expect(unreachable_pub, reason = "the guests use it as a library")]
mod payload;
mod pipeline;
mod project;
mod routers;
mod start;

/// The title of a group, and how it is made.
type Entry = (String, Box<dyn Fn(&Guests, &Options) -> Result<Group>>);

/// All groups, in the order of the table.
fn entries() -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for case in Case::ALL {
        entries.push((case.title(), Box::new(move |guests, options| pipeline::group(case, guests, options))));
    }
    for len in [4096, 64 << 10] {
        let group = move |guests: &Guests, options: &Options| handover::group(len, guests, options);
        entries.push((handover::title(len), Box::new(group)));
    }
    for task in [Task::Pass, Task::Upper] {
        let case = Case { task, len: 64 };
        let group = move |guests: &Guests, options: &Options| authors::group(case, guests, options);
        entries.push((authors::title(case), Box::new(group)));
    }
    entries.push((routers::TITLE.to_owned(), Box::new(routers::group)));
    for work in &files::ALL {
        entries.push((work.title.to_owned(), Box::new(move |_, options| files::group(work, options))));
    }
    entries.push((start::TITLE.to_owned(), Box::new(|_, options| start::group(options))));
    entries.push((memory::TITLE.to_owned(), Box::new(|_, options| memory::group(options))));
    entries
}

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let (guests, mut out, mut lines) = (Guests::default(), io::stdout().lock(), Vec::new());
    for (title, group) in entries() {
        if title.contains(&options.filter) {
            lines.extend(group(&guests, &options)?.run(&title, &options, &mut out)?);
            out.flush()?;
        }
    }
    print_table(&lines, &mut out)?;
    Ok(())
}
