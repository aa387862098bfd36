//! One pipeline, source → stage → sink on one machine, run by contenders that all move the same payloads and prove it.
//!
//! The cases: payloads of 64 B and of 4 KiB; **pass** (the stage forwards the element) and **upper** (the stage reads
//! the payload and writes it in ASCII upper case). In each, the source keeps a payload in its own memory, stamps it
//! with the sequence number and copies it out once per element; the sink copies it into its own memory and adds it up.
//! The benchmark stops if the tally of a round (elements, bytes, a sum that depends on the order) is not the one
//! computed for the case.
//!
//! | contender | between source and sink |
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
//! All contenders of a case take turns in one process, round by round, and each round starts with another one. A ratio
//! is the median of the ratios within a round, so that a temporary slowdown of the machine affects both sides: `÷
//! direct` is the time of the contender divided by that of native direct calls, `0.1.0 ÷` is the time of the 0.1.0
//! shape divided by that of the contender. The times themselves are valid only for this machine and moment.
//!
//! The cost of totals cannot be measured by leaving them out: they are always kept, and a build without them has
//! another layout, which alone makes a difference of that size. So they are kept several times, in memory that the
//! compiler cannot optimise away, and the additional time is divided by that number. These are the totals of the ledger
//! and of the elements of each call, not what a node adds for each element that it sends, which moves with the element.
//!
//! `cargo bench --bench pipeline -- [--rounds N] [--elements N] [FILTER]`: without `--elements`, a round takes about 20
//! milliseconds; a filter is part of the name of a case or a contender. With `cargo test --benches`, it moves a few
//! elements once, to see that every contender is right.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use self::payload::{Tally, Task};

mod contenders {
    pub(crate) mod guests;
    pub(crate) mod native;
    pub(crate) mod ours;
    pub(crate) mod shape;
}
#[path = "../../tests/shape/src/lib.rs"]
#[expect(unreachable_pub, reason = "the guests use it as a library")]
mod payload;

use self::contenders::native::{self, Channels, Direct};
use self::contenders::ours::{self, Ours};
use self::contenders::shape::{self, Shape};

/// The task of every contender.
#[derive(Clone, Copy)]
struct Case {
    task: Task,
    /// Bytes in a payload.
    len: usize,
}

impl Case {
    const ALL: [Self; 4] = [
        Self { task: Task::Pass, len: 64 },
        Self { task: Task::Pass, len: 4096 },
        Self { task: Task::Upper, len: 64 },
        Self { task: Task::Upper, len: 4096 },
    ];

    fn name(self) -> String {
        let task = match self.task {
            Task::Pass => "pass",
            Task::Upper => "upper",
        };
        format!("{task} {} B", self.len)
    }
}

/// One way to run the pipeline.
trait Contender {
    fn name(&self) -> &'static str;

    /// Moves this many elements from a fresh source to a fresh sink, and returns what the sink saw.
    fn run(&mut self, elements: u64) -> Tally;
}

/// The contenders of a case.
fn contenders(case: Case, shape: &Shape, ours: &Ours) -> wasmtime::Result<Vec<Box<dyn Contender>>> {
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Direct::new(case)),
        Box::new(Channels::new(case)),
        Box::new(shape.with_processor(case)?),
        Box::new(ours.with_components(case)),
        Box::new(ours.with_host_ends(case)),
        Box::new(ours.with_records(case)),
        Box::new(ours.with_totals(case, ours::TOTALS, 0)),
        Box::new(ours.with_totals(case, ours::MORE_TOTALS, ours::MORE)),
    ];
    if case.task == Task::Pass {
        contenders.push(Box::new(shape.with_filter(case)?));
        contenders.push(Box::new(ours.with_all_columns(case)));
    }
    Ok(contenders)
}

fn main() -> wasmtime::Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let (shape, ours) = (Shape::build()?, Ours::build()?);
    let mut out = io::stdout().lock();
    for case in Case::ALL {
        let mut lanes: Vec<Lane> = contenders(case, &shape, &ours)?
            .into_iter()
            .filter(|contender| format!("{}, {}", case.name(), contender.name()).contains(&options.filter))
            .map(|contender| Lane::warmed_up(case, contender, &options))
            .collect();
        for round in 0..options.rounds {
            for turn in 0..lanes.len() {
                let at = (round + turn) % lanes.len();
                lanes[at].round();
            }
        }
        if !lanes.is_empty() {
            print(&mut out, case, &lanes)?;
        }
    }
    Ok(())
}

struct Options {
    rounds: usize,
    /// Elements in a round; if `None`, as many as fill [`ROUND`].
    elements: Option<u64>,
    filter: String,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> wasmtime::Result<Self> {
        let (mut rounds, mut elements, mut filter, mut measure) = (None, None, String::new(), false);
        while let Some(arg) = args.next() {
            let mut number = || match args.next().map(|number| number.parse::<u64>()) {
                Some(Ok(number)) if number > 0 => Ok(number),
                _ => wasmtime::bail!("`{arg}` needs a number"),
            };
            match arg.as_str() {
                "--rounds" => rounds = Some(usize::try_from(number()?)?),
                "--elements" => elements = Some(number()?),
                // `cargo bench` passes this argument, and `cargo test` does not.
                "--bench" => measure = true,
                option if option.starts_with('-') => {
                    wasmtime::bail!("unknown option `{option}`: there are `--rounds`, `--elements` and a filter")
                }
                _ => filter = arg,
            }
        }
        let (few_rounds, few_elements) = if measure { (31, None) } else { (1, Some(100)) };
        Ok(Self { rounds: rounds.unwrap_or(few_rounds), elements: elements.or(few_elements), filter })
    }
}

/// How long a round of one contender takes by default: long compared with a clock reading and a start, short compared
/// with the fluctuations of a machine.
const ROUND: Duration = Duration::from_millis(20);

/// A contender and its results.
struct Lane {
    contender: Box<dyn Contender>,
    elements: u64,
    expected: Tally,
    /// Nanoseconds per element, one for each round.
    times: Vec<f64>,
}

impl Lane {
    /// Runs a contender until its speed is stable, and sets the size of its rounds.
    fn warmed_up(case: Case, contender: Box<dyn Contender>, options: &Options) -> Self {
        let expected = |elements| Tally::expected(case.task, case.len, elements);
        let mut lane = Self { contender, elements: 100, expected: expected(100), times: Vec::new() };
        if let Some(elements) = options.elements {
            (lane.elements, lane.expected) = (elements, expected(elements));
            lane.round();
        } else {
            let mut took = lane.round();
            while took < ROUND / 2 {
                lane.elements *= 2;
                lane.expected = expected(lane.elements);
                took = lane.round();
            }
        }
        lane.times.clear();
        lane
    }

    /// Runs one round and checks the result.
    fn round(&mut self) -> Duration {
        let start = Instant::now();
        let tally = self.contender.run(self.elements);
        let took = start.elapsed();
        assert_eq!(tally, self.expected, "`{}` moved other payloads than it should", self.contender.name());
        self.times.push(took.as_nanos() as f64 / self.elements as f64);
        took
    }
}

/// A row for each contender: the times, and the two ratios, where their other side has run.
fn print(out: &mut impl Write, case: Case, lanes: &[Lane]) -> io::Result<()> {
    let times_of = |name| lanes.iter().find(|lane| lane.contender.name() == name).map(|lane| lane.times.as_slice());
    let (direct, shape) = (times_of(native::DIRECT), times_of(shape::PROCESSOR));
    writeln!(out, "\n{}, {} rounds, ns/element", case.name(), lanes[0].times.len())?;
    writeln!(
        out,
        "{:24}{:>9} {:>15} {:>19} {:>10} {:>10} {:>11}",
        "", "median", "quartiles", "range", "elements", "÷ direct", "0.1.0 ÷"
    )?;
    for Lane { contender, elements, times, .. } in lanes {
        let [min, lower, median, upper, max] = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(times.clone(), share));
        let slower = direct.map_or(String::from("-"), |direct| format!("{:.2}", ratio(times, direct)));
        let faster = shape.map_or(String::from("-"), |shape| format!("{:.2}", ratio(shape, times)));
        let quartiles = format!("{lower:.1}..{upper:.1}");
        let range = format!("{min:.1}..{max:.1}");
        writeln!(
            out,
            "{:24}{median:>9.1} {quartiles:>15} {range:>19} {elements:>10} {slower:>10} {faster:>11}",
            contender.name()
        )?;
    }
    let Some(plain) = times_of(ours::HOST_ENDS) else { return Ok(()) };
    if let (Some(once), Some(more)) = (times_of(ours::TOTALS), times_of(ours::MORE_TOTALS)) {
        let each: Vec<_> = more.iter().zip(once).map(|(more, once)| (more - once) / f64::from(ours::MORE)).collect();
        writeln!(out, "totals cost {:.2} % of host ends", 100.0 * ratio(&each, plain))?;
    }
    if let Some(records) = times_of(ours::RECORDS) {
        writeln!(out, "records cost {:.1} % of host ends", 100.0 * (ratio(records, plain) - 1.0))?;
    }
    Ok(())
}

/// The median of the ratios within each round.
fn ratio(of: &[f64], to: &[f64]) -> f64 {
    quantile(of.iter().zip(to).map(|(of, to)| of / to).collect(), 0.5)
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
