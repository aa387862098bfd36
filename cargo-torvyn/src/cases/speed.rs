//! How long an element takes in a case, against how long one takes in another: the only way in which speed can be
//! expected, because times themselves differ from machine to machine.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use torvyn_runtime::Flow;

use super::case::{Case, Named};
use super::plan::Plan;
use super::run::Ends;
use crate::config::ranges;
use crate::config::toml_reader::{Field, Report};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, suggestion};
use crate::output::run_report;

/// Each of the two runs at least so often,
const MIN_ROUNDS: u32 = 5;
/// and as often as it takes for both together to have run so long.
const MIN_TIME: Duration = Duration::from_millis(400);

/// What is expected of the time that an element takes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpectedSpeed {
    /// The case it is compared with.
    pub(super) other: Named,
    /// How many times as long it may take.
    max: f64,
    /// Where that is written.
    span: Range<usize>,
}

/// How long elements took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Speed {
    /// The case it was compared with.
    case: String,
    /// How many times as long an element took as one of that case.
    pub(super) ratio: f64,
    max: f64,
    /// How often each of the two ran.
    rounds: u32,
    /// The time of an element in the quickest run.
    element_ns: f64,
    /// That of the other case.
    other_element_ns: f64,
}

/// What came of the comparison.
pub(super) enum Compared {
    Measured(Speed),
    /// One of the two came to no end, and so there is nothing to compare.
    Unmeasured(Diagnostic),
    Interrupted,
}

/// One run.
enum Run {
    Took(f64),
    Not(String),
    Interrupted,
}

impl ExpectedSpeed {
    /// Reads `speed`: a table of the other case and a number.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<ExpectedSpeed> {
        let table = field.table("what is expected of the speed", &["case", "max"], report)?;
        let other = table
            .need("case", report)
            .and_then(|field| Some(Named { name: field.text(report)?.to_string(), span: field.span }));
        let max = table.need("max", report).and_then(|field| {
            let max = field.ratio(&ranges::RATIO, report)?;
            if max == 0.0 {
                field.wrong(codes::ZERO, "`max` is 0", "has to be more than 0", report);
                return None;
            }
            Some((max, field.span))
        });
        let (other, (max, span)) = (other?, max?);
        Some(ExpectedSpeed { other, max, span })
    }

    /// What is wrong with the case that is named: it is to be another one, which comes to its end.
    fn check(&self, case: &Case, cases: &[Case], known: &HashMap<&str, &Case>) -> Option<Diagnostic> {
        let Named { name, span } = &self.other;
        let wrong =
            |message: String| Diagnostic::error(codes::UNKNOWN_CASE, message).label(case.file(), span.clone(), "");
        match known.get(name.as_str()) {
            Some(other) if other.name == case.name => {
                Some(wrong("a case cannot be compared with itself".to_string()).help("name another case"))
            }
            Some(other) if other.fails.is_some() => {
                let wrong = wrong(format!("`{name}` is to fail, and what fails has no speed"));
                Some(wrong.label(other.file(), other.span.clone(), "this one").help("name a case without `fails`"))
            }
            Some(_) => None,
            None => {
                let names: Vec<_> =
                    cases.iter().map(|case| case.name.as_str()).filter(|name| *name != case.name).collect();
                Some(wrong(format!("there is no case `{name}`")).help(suggestion(name, "other cases", &names)))
            }
        }
    }

    /// What is not as expected.
    pub(super) fn judge(&self, case: &Case, speed: &Speed) -> Option<Diagnostic> {
        if speed.ratio <= self.max {
            return None;
        }
        let message = format!("an element takes {:.2} times as long as in `{}`", speed.ratio, self.other.name);
        let diagnostic = Diagnostic::error(codes::UNEXPECTED_SPEED, message);
        let note = format!(
            "{} for {}: the shortest of {} runs of each",
            time(speed.element_ns),
            time(speed.other_element_ns),
            speed.rounds
        );
        Some(diagnostic.label(case.file(), self.span.clone(), format!("expected at most {}", self.max)).note(note))
    }
}

impl Case {
    /// Cases by their names.
    pub(crate) fn by_name(cases: &[Case]) -> HashMap<&str, &Case> {
        cases.iter().map(|case| (case.name.as_str(), case)).collect()
    }

    /// What is wrong with the one of `cases` that it is compared with: it is none, or cannot be.
    pub(crate) fn check_other(&self, cases: &[Case], known: &HashMap<&str, &Case>) -> Option<Diagnostic> {
        self.speed.as_ref()?.check(self, cases, known)
    }

    /// The name of the case that it is compared with.
    pub(crate) fn other(&self) -> Option<&str> {
        self.speed.as_ref().map(|speed| speed.other.name.as_str())
    }
}

impl Plan<'_> {
    /// Runs it and the other by turns, until both have run often and long enough.
    pub(super) fn compare(&self, expected: &ExpectedSpeed, other: &Plan<'_>, ends: Ends<'_>) -> Compared {
        let began = Instant::now();
        let (mut rounds, mut shortest) = (0, [f64::INFINITY; 2]);
        while rounds < MIN_ROUNDS || began.elapsed() < MIN_TIME {
            for (plan, shortest) in [self, other].iter().zip(&mut shortest) {
                match plan.timed(ends) {
                    Run::Took(ns) => *shortest = shortest.min(ns),
                    Run::Interrupted => return Compared::Interrupted,
                    Run::Not(why) => {
                        let message = format!("it cannot be compared with `{}`: {why}", expected.other.name);
                        let diagnostic = Diagnostic::error(codes::UNEXPECTED_SPEED, message);
                        let label = format!("`{}` has no speed", plan.case.name);
                        let place = expected.other.span.clone();
                        return Compared::Unmeasured(diagnostic.label(self.case.file(), place, label));
                    }
                }
            }
            rounds += 1;
        }
        let [element_ns, other_element_ns] = shortest;
        Compared::Measured(Speed {
            case: expected.other.name.clone(),
            ratio: element_ns / other_element_ns,
            max: expected.max,
            rounds,
            element_ns,
            other_element_ns,
        })
    }

    /// The time of an element, from when all stages have started. Nothing that comes out is kept.
    fn timed(&self, ends: Ends<'_>) -> Run {
        if !self.over_budget.is_empty() {
            return Run::Not("it is over its copy budget".to_string());
        }
        let (bodies, _) = match self.bodies(&self.injections(), false) {
            Ok(bodies) => bodies,
            Err(error) => return Run::Not(format!("{error:#}")),
        };
        let control = self.control(Arc::new(|_| {}), ends, Instant::now());
        let flow = match Flow::start(&self.wiring.graph, bodies, control) {
            Ok(flow) => flow,
            Err(_) if ends.cancel.load(Ordering::Relaxed) => return Run::Interrupted,
            Err(error) => return Run::Not(format!("{:#}", anyhow::Error::from(error))),
        };
        let began = Instant::now();
        match flow.run_until(began + self.case.timeout) {
            Ok(Some(account)) if account.cancelled => Run::Interrupted,
            Ok(Some(account)) if account.elements.entered == 0 => Run::Not("no element went through it".to_string()),
            Ok(Some(account)) => Run::Took(began.elapsed().as_nanos() as f64 / account.elements.entered as f64),
            Ok(None) if ends.cancel.load(Ordering::Relaxed) => Run::Interrupted,
            Ok(None) => Run::Not(format!("it did not come to its end within {:?}", self.case.timeout)),
            Err(error) => Run::Not(format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

#[cfg(test)]
impl Speed {
    /// Of an element that took so many times as long as a microsecond.
    pub(super) fn of(case: &str, ratio: f64, max: f64) -> Speed {
        let (element_ns, other_element_ns) = (1000.0 * ratio, 1000.0);
        Speed { case: case.to_string(), ratio, max, rounds: MIN_ROUNDS, element_ns, other_element_ns }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} times `{}`", self.ratio, self.case)
    }
}

fn time(ns: f64) -> String {
    if ns < 1000.0 { format!("{ns:.1} ns") } else { run_report::time(ns as u64) }
}
