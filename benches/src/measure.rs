//! Contenders that take turns, and ratios of their results with the spread of these.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use wasmtime::Result;

use crate::options::Options;
use crate::payload::Tally;

/// How long a round of one contender takes by default: long compared with a clock reading and a start, short compared
/// with the fluctuations of a machine.
const ROUND: Duration = Duration::from_millis(20);

/// Contenders for the same work, and the rows of the table that compare them.
pub(crate) struct Group {
    /// What the results of its contenders are.
    pub(crate) unit: &'static str,
    pub(crate) rounds: usize,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) rows: Vec<Row>,
}

impl Group {
    /// A group of contenders that run in this process.
    pub(crate) fn of_elements(options: &Options) -> Self {
        Self { unit: "ns/element", rounds: options.rounds.unwrap_or(31), lanes: Vec::new(), rows: Vec::new() }
    }

    /// A group of contenders that are processes. They take longer, so they have fewer rounds.
    pub(crate) fn of_processes(unit: &'static str, options: &Options) -> Self {
        Self { unit, rounds: options.rounds.unwrap_or(9), lanes: Vec::new(), rows: Vec::new() }
    }

    /// Runs all contenders by turns; each round starts with another one. Prints their results, and returns the rows.
    pub(crate) fn run(mut self, title: &str, options: &Options, out: &mut impl Write) -> Result<Vec<Line>> {
        self.lanes.retain(|lane| lane.name.contains(&options.contender));
        for lane in &mut self.lanes {
            lane.warm_up(options)?;
        }
        for round in 0..self.rounds {
            for turn in 0..self.lanes.len() {
                let at = (round + turn) % self.lanes.len();
                self.lanes[at].round()?;
            }
        }
        if !self.lanes.is_empty() {
            self.print(title, out)?;
        }
        Ok(self.rows.iter().filter_map(|row| row.line(&self.lanes)).collect())
    }

    fn print(&self, title: &str, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{title}, {} rounds, {}", self.rounds, self.unit)?;
        writeln!(out, "{:32}{:>9} {:>17} {:>19} {:>10}", "", "median", "quartiles", "range", "elements")?;
        for Lane { name, elements, results, .. } in &self.lanes {
            let [min, lower, median, upper, max] = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(results, share));
            let quartiles = format!("{lower:.1}..{upper:.1}");
            let range = format!("{min:.1}..{max:.1}");
            writeln!(out, "{name:32}{median:>9.1} {quartiles:>17} {range:>19} {elements:>10}")?;
        }
        Ok(())
    }
}

/// A contender and its results.
pub(crate) struct Lane {
    name: String,
    /// Does the work with this many elements and checks what came out. Returns the result in the unit of the group.
    run: Box<dyn FnMut(u64) -> Result<f64>>,
    /// Elements in a round.
    elements: u64,
    /// Whether the number of elements is chosen so that a round takes [`ROUND`].
    is_sized: bool,
    /// One for each round.
    results: Vec<f64>,
}

impl Lane {
    /// A contender that moves elements in this process, and returns what arrived. Its results are nanoseconds per element.
    pub(crate) fn of_elements(
        name: impl Into<String>,
        expected: impl Fn(u64) -> Tally + 'static,
        mut run: impl FnMut(u64) -> Result<Tally> + 'static,
    ) -> Self {
        let name = name.into();
        let (contender, mut known) = (name.clone(), (0, Tally::default()));
        let run = move |elements: u64| {
            let start = Instant::now();
            let tally = run(elements)?;
            let took = start.elapsed();
            if known.0 != elements {
                known = (elements, expected(elements));
            }
            assert_eq!(tally, known.1, "`{contender}` moved other payloads than it should");
            Ok(took.as_nanos() as f64 / elements as f64)
        };
        Self { name, run: Box::new(run), elements: 100, is_sized: true, results: Vec::new() }
    }

    /// A contender that handles this many elements in each round, and says itself what the result is.
    pub(crate) fn of_processes(
        name: impl Into<String>,
        elements: u64,
        mut run: impl FnMut() -> Result<f64> + 'static,
    ) -> Self {
        let run = move |_| run();
        Self { name: name.into(), run: Box::new(run), elements, is_sized: false, results: Vec::new() }
    }

    /// Runs until the speed is stable, and sets the size of the rounds.
    fn warm_up(&mut self, options: &Options) -> Result<()> {
        match options.elements {
            _ if !self.is_sized => _ = (self.run)(self.elements)?,
            Some(elements) => {
                self.elements = elements;
                (self.run)(elements)?;
            }
            None => loop {
                // The fastest of three: one alone may have been interrupted.
                let mut fastest = f64::INFINITY;
                for _ in 0..3 {
                    fastest = fastest.min((self.run)(self.elements)?);
                }
                if fastest * self.elements as f64 >= ROUND.as_nanos() as f64 / 2.0 {
                    break;
                }
                self.elements *= 2;
            },
        }
        Ok(())
    }

    fn round(&mut self) -> Result<()> {
        self.results.push((self.run)(self.elements)?);
        Ok(())
    }
}

/// A row of the table: work, and what it is compared with.
pub(crate) struct Row {
    work: String,
    against: String,
    value: Value,
}

enum Value {
    /// The result of the first divided by that of the second.
    Times(String, String),
    /// The result of the second divided by that of the first.
    Faster(String, String),
    /// What the first costs more than the second, in percent.
    More(String, String),
    /// The difference of the first two, divided by the number and by the result of the third, in percent.
    Share(String, String, f64, String),
    /// Why nothing was measured.
    Missing(String),
}

impl Row {
    /// How many times as much `ours` takes as `rival`. Both are names of contenders, as in all rows.
    pub(crate) fn times(work: impl Into<String>, against: impl Into<String>, ours: &str, rival: &str) -> Self {
        Self { work: work.into(), against: against.into(), value: Value::Times(ours.into(), rival.into()) }
    }

    /// How many times faster `ours` is than `rival`.
    pub(crate) fn faster(work: impl Into<String>, against: impl Into<String>, ours: &str, rival: &str) -> Self {
        Self { work: work.into(), against: against.into(), value: Value::Faster(ours.into(), rival.into()) }
    }

    /// What `with` costs more than `without`.
    pub(crate) fn more(work: impl Into<String>, against: impl Into<String>, with: &str, without: &str) -> Self {
        Self { work: work.into(), against: against.into(), value: Value::More(with.into(), without.into()) }
    }

    /// What `more` costs more than `once`, which does it `times` times less, as a share of what `plain` takes.
    pub(crate) fn share(
        work: impl Into<String>,
        against: impl Into<String>,
        [more, once, plain]: [&str; 3],
        times: u32,
    ) -> Self {
        let value = Value::Share(more.into(), once.into(), times.into(), plain.into());
        Self { work: work.into(), against: against.into(), value }
    }

    /// A row whose other side cannot be had here.
    pub(crate) fn missing(work: impl Into<String>, against: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { work: work.into(), against: against.into(), value: Value::Missing(reason.into()) }
    }

    /// The row with its results; `None` if one of its contenders was not selected.
    fn line(&self, lanes: &[Lane]) -> Option<Line> {
        let results = |name: &str| lanes.iter().find(|lane| lane.name == name).map(|lane| lane.results.as_slice());
        let each = |a: &str, b: &str, value: fn(f64, f64) -> f64| {
            Some(results(a)?.iter().zip(results(b)?).map(|(a, b)| value(*a, *b)).collect::<Vec<_>>())
        };
        let (values, unit) = match &self.value {
            Value::Times(ours, rival) => (each(ours, rival, |ours, rival| ours / rival)?, " ×"),
            Value::Faster(ours, rival) => (each(ours, rival, |ours, rival| rival / ours)?, " times faster"),
            Value::More(with, without) => (each(with, without, |with, without| 100.0 * (with / without - 1.0))?, " %"),
            Value::Share(more, once, times, plain) => {
                let more = each(more, once, |more, once| more - once)?;
                let share = |(more, plain): (f64, &f64)| 100.0 * more / times / plain;
                (more.into_iter().zip(results(plain)?).map(share).collect(), " %")
            }
            Value::Missing(reason) => {
                return Some(self.with(format!("not measured: {reason}"), String::new()));
            }
        };
        // Two digits after the point, or three in all.
        let number = |value: f64| if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") };
        let [lower, median, upper] = [0.25, 0.5, 0.75].map(|share| number(quantile(&values, share)));
        Some(self.with(format!("{median}{unit}"), format!("{lower} to {upper}")))
    }

    fn with(&self, ratio: String, spread: String) -> Line {
        Line { cells: [self.work.clone(), self.against.clone(), ratio, spread] }
    }
}

/// A printed row: the work, what it is compared with, the median of the ratios within a round, and their quartiles.
pub(crate) struct Line {
    cells: [String; 4],
}

/// Prints the table, as Markdown.
pub(crate) fn print_table(lines: &[Line], out: &mut impl Write) -> io::Result<()> {
    let head = Line { cells: ["work", "against", "ratio", "half of the rounds"].map(String::from) };
    let widths: [usize; 4] = std::array::from_fn(|column| {
        let cells = lines.iter().chain([&head]).map(|line| line.cells[column].chars().count());
        cells.max().unwrap_or_default()
    });
    writeln!(out)?;
    for (index, line) in [&head].into_iter().chain(lines).enumerate() {
        let cells = line.cells.iter().zip(widths).map(|(cell, width)| format!("| {cell:width$} "));
        writeln!(out, "{}|", cells.collect::<String>())?;
        if index == 0 {
            writeln!(out, "{}|", widths.map(|width| format!("|{}", "-".repeat(width + 2))).concat())?;
        }
    }
    Ok(())
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}
