//! A saved result of `bench` to compare later results with. The verdict knows the noise: a time is worse only if the rounds of both
//! tell them apart, and if the machine did not slow the native pass as well.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use torvyn_runtime::base::regular_file;

use super::results::Results;
use super::statistics::{self, Spread};
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::output::failure;
use crate::output::run_report::grouped;

/// What the file is.
const FORMAT: &str = "torvyn-bench";
/// The version of the file format.
const VERSION: u32 = 1;
/// The fewest rounds that can be told apart.
pub(crate) const MIN_ROUNDS: u32 = 5;
/// A difference is noise unless it is less probable than this.
const CHANCE: f64 = 0.01;
/// By how much an amplification is greater only because of its rounding.
const ROUNDING: f64 = 1e-9;

/// The result of `bench` in its saved form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    format: String,
    version: u32,
    pipeline: String,
    /// The stages, in the order of the pipeline.
    stages: Vec<String>,
    elements: u64,
    bytes: u64,
    /// `debug` or `release`: of this program.
    profile: String,
    /// The profile of the stages.
    stage_profile: String,
    /// Of each round.
    ns_per_element: Vec<f64>,
    /// The time ÷ that of the native pass, of each round; none if that was not measured.
    times_native: Option<Vec<f64>>,
    amplification: Option<f64>,
}

/// How the results compare with a baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Comparison {
    pub(crate) verdict: Verdict,
    /// The median time for an element ÷ that of the baseline.
    pub(crate) time_ratio: f64,
    /// How probable such a difference in this direction is without a cause.
    pub(crate) time_chance: f64,
    /// The same of the times ÷ those of the native pass; none if one of both has none.
    pub(crate) native_ratio: Option<f64>,
    pub(crate) native_chance: Option<f64>,
    /// The amplification of the baseline, and now.
    pub(crate) amplification: [Option<f64>; 2],
    /// By how much a time may be greater: 0.05 is 5 %.
    pub(crate) tolerance: f64,
}

/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Neither faster nor slower, beyond the noise and the tolerance.
    Same,
    Faster,
    Slower,
    /// Slower, and so is the native pass: the machine is.
    MachineSlower,
    /// More payload bytes are copied.
    CopiesMore,
}

impl Verdict {
    /// Whether the results are worse.
    pub(crate) fn is_regression(self) -> bool {
        matches!(self, Verdict::Slower | Verdict::CopiesMore)
    }
}

impl Baseline {
    /// What is kept of these results.
    pub(crate) fn new(results: &Results) -> Baseline {
        Baseline {
            format: FORMAT.to_string(),
            version: VERSION,
            pipeline: results.pipeline.clone(),
            stages: results.account.stages.iter().map(|stage| stage.name.clone()).collect(),
            elements: results.input.elements,
            bytes: results.input.bytes,
            profile: results.program.profile.to_string(),
            stage_profile: results.program.stage_profile.clone(),
            ns_per_element: results.times(),
            times_native: results.ratios_to_native(),
            amplification: results.account.amplification,
        }
    }

    /// Loads a baseline.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if it does not exist or is not a baseline of `bench`.
    pub(crate) fn load(path: &Path) -> Result<Self, Stop> {
        let again = |verb: &str| format!("{verb} one with `cargo torvyn bench --save-baseline {}`", path.display());
        let text = regular_file::read_to_string(path).map_err(|error| {
            let stop = bad_baseline(format!("cannot read the baseline `{}`: {error}", path.display()));
            if error.kind() == ErrorKind::NotFound { stop.help(again("create")) } else { stop }
        })?;
        let not_one = |why: String| {
            bad_baseline(format!("`{}` is not a baseline of `bench`: {why}", path.display()))
                .help(again("create a new"))
        };
        let baseline: Baseline = serde_json::from_str(&text).map_err(|error| not_one(error.to_string()))?;
        if baseline.format != FORMAT {
            return Err(not_one(format!("expected the format `{FORMAT}`, found `{}`", baseline.format)));
        }
        if baseline.version != VERSION {
            return Err(not_one(format!("expected version {VERSION}, found {}", baseline.version)));
        }
        let times = baseline.ns_per_element.iter().chain(baseline.times_native.iter().flatten());
        if let Some(wrong) = times.clone().find(|time| !(time.is_finite() && **time > 0.0)) {
            return Err(not_one(format!("expected times above 0, found {wrong}")));
        }
        let enough = MIN_ROUNDS as usize;
        if baseline.ns_per_element.len() < enough || baseline.times_native.iter().any(|times| times.len() < enough) {
            let found = baseline.ns_per_element.len();
            return Err(not_one(format!("expected at least {MIN_ROUNDS} rounds, found {found}")));
        }
        Ok(baseline)
    }

    /// Writes the file, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        atomic_file::write(path, text.as_bytes()).with_context(|| failure::not_written(path, "the baseline "))
    }

    /// Checks that the baseline is one of this pipeline. Call it before anything is measured.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if it is not.
    pub(crate) fn check_pipeline(&self, pipeline: &str) -> Result<(), Stop> {
        self.check_same("the pipeline", &format!("`{}`", self.pipeline), &format!("`{pipeline}`"))
    }

    /// Compares later results with this baseline. A time may be greater by `tolerance`, a fraction.
    ///
    /// # Errors
    ///
    /// A [`Stop`] if other things were measured, so that a difference would mean nothing.
    pub(crate) fn compare(&self, now: &Baseline, tolerance: f64) -> Result<Comparison, Stop> {
        self.check_pipeline(&now.pipeline)?;
        let input = |of: &Baseline| format!("{} elements of {} bytes", grouped(of.elements), grouped(of.bytes));
        self.check_same("the input", &input(self), &input(now))?;
        let stages = |of: &Baseline| format!("`{}`", of.stages.join("`, `"));
        self.check_same("the stages", &stages(self), &stages(now))?;
        let built = |of: &Baseline| format!("a {} build of cargo-torvyn", of.profile);
        self.check_same("the program", &built(self), &built(now))?;
        let profile = |of: &Baseline| format!("the profile `{}`", of.stage_profile);
        self.check_same("the build of the stages", &profile(self), &profile(now))?;

        let time = Change::new(&self.ns_per_element, &now.ns_per_element, tolerance);
        let both = self.times_native.as_ref().zip(now.times_native.as_ref());
        let native = both.map(|(then, now)| Change::new(then, now, tolerance));
        let copies_more =
            now.amplification.unwrap_or_default() > self.amplification.unwrap_or_default() * (1.0 + ROUNDING);
        let verdict = if copies_more {
            Verdict::CopiesMore
        } else if time.is_greater && native.is_none_or(|native| native.is_greater) {
            Verdict::Slower
        } else if time.is_greater {
            Verdict::MachineSlower
        } else if time.is_less && native.is_none_or(|native| native.is_less) {
            Verdict::Faster
        } else {
            Verdict::Same
        };
        Ok(Comparison {
            verdict,
            time_ratio: time.ratio,
            time_chance: time.chance,
            native_ratio: native.map(|native| native.ratio),
            native_chance: native.map(|native| native.chance),
            amplification: [self.amplification, now.amplification],
            tolerance,
        })
    }

    fn check_same(&self, what: &str, then: &str, now: &str) -> Result<(), Stop> {
        if then == now {
            return Ok(());
        }
        let message = format!("{what} of the baseline is another one: expected {then}, found {now}");
        let message =
            if what.ends_with("stages") { message.replace(" is another one", " are others") } else { message };
        Err(bad_baseline(message).help("measure the same again, or save a new baseline with `--save-baseline`"))
    }
}

/// A change of a time.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// The later median ÷ the earlier one.
    ratio: f64,
    /// Of such a change in this direction, without a cause.
    chance: f64,
    is_greater: bool,
    is_less: bool,
}

impl Change {
    fn new(then: &[f64], now: &[f64], tolerance: f64) -> Change {
        let median = |times: &[f64]| Spread::of(times.iter().copied()).map_or(f64::NAN, |spread| spread.median);
        let ratio = median(now) / median(then);
        let [greater, less] = [statistics::chance_of_greater(now, then), statistics::chance_of_greater(then, now)];
        Change {
            ratio,
            chance: if ratio >= 1.0 { greater } else { less },
            is_greater: ratio > 1.0 + tolerance && greater <= CHANCE,
            is_less: ratio < 1.0 / (1.0 + tolerance) && less <= CHANCE,
        }
    }
}

impl Comparison {
    /// The comparison in one sentence.
    pub(crate) fn text(&self) -> String {
        let percent = |ratio: f64| format!("{:+.1} %", 100.0 * (ratio - 1.0));
        let native = self.native_ratio.map(|ratio| format!(", {} against the native pass", percent(ratio)));
        let time = format!("time for an element {}{}", percent(self.time_ratio), native.unwrap_or_default());
        let tolerance = format!("tolerance {:.1} %", 100.0 * self.tolerance);
        let [then, now] =
            self.amplification.map(|times| times.map_or("none".to_string(), |times| format!("{times:.2}×")));
        match self.verdict {
            Verdict::Same => format!("no change beyond the noise: {time} ({tolerance})"),
            Verdict::Faster => format!("faster than the baseline: {time} ({tolerance})"),
            Verdict::Slower => format!("slower than the baseline: {time} ({tolerance})"),
            Verdict::MachineSlower => format!("slower, and so is the native pass: {time} ({tolerance})"),
            Verdict::CopiesMore => {
                format!("more bytes are copied than in the baseline: amplification {then}, now {now}")
            }
        }
    }
}

/// A baseline that cannot be used.
fn bad_baseline(message: impl Into<String>) -> Stop {
    Stop::new(Exit::Failed, message).code(failure::BAD_BASELINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(times: [f64; 5], native: Option<[f64; 5]>) -> Baseline {
        Baseline {
            format: FORMAT.to_string(),
            version: VERSION,
            pipeline: "main".to_string(),
            stages: vec!["upper".to_string()],
            elements: 1000,
            bytes: 64_000,
            profile: "release".to_string(),
            stage_profile: "release".to_string(),
            ns_per_element: times.to_vec(),
            times_native: native.map(|times| times.to_vec()),
            amplification: Some(2.0),
        }
    }

    const TIMES: [f64; 5] = [100.0, 101.0, 99.0, 102.0, 98.0];

    fn verdict(then: &Baseline, now: &Baseline) -> Verdict {
        then.compare(now, 0.05).unwrap().verdict
    }

    #[test]
    fn is_slower_only_beyond_noise_and_tolerance() {
        let then = baseline(TIMES, None);
        for (factor, expected) in [
            (1.0, Verdict::Same),
            (1.045, Verdict::Same),
            (1.2, Verdict::Slower),
            (0.8, Verdict::Faster),
            (0.97, Verdict::Same),
        ] {
            assert_eq!(verdict(&then, &baseline(TIMES.map(|time| time * factor), None)), expected, "{factor}");
        }
        // The median is 20 % greater, but two rounds are as fast as before.
        assert_eq!(verdict(&then, &baseline([120.0, 121.0, 122.0, 99.5, 98.5], None)), Verdict::Same);
    }

    #[test]
    fn blames_the_machine_if_the_native_pass_is_slower_too() {
        let then = baseline(TIMES, Some([2.0, 2.01, 1.99, 2.02, 1.98]));
        let slower = TIMES.map(|time| time * 1.5);
        let same_ratio = baseline(slower, Some([2.005, 2.0, 1.995, 2.01, 1.99]));
        assert_eq!(verdict(&then, &same_ratio), Verdict::MachineSlower);
        let worse = baseline(slower, Some([3.0, 3.01, 2.99, 3.02, 2.98]));
        assert_eq!(verdict(&then, &worse), Verdict::Slower);
        assert_eq!(verdict(&then, &baseline(slower, None)), Verdict::Slower, "nothing else can be compared");
    }

    #[test]
    fn more_copies_have_no_noise() {
        let then = baseline(TIMES, None);
        let more = Baseline { amplification: Some(2.001), ..then.clone() };
        assert_eq!(verdict(&then, &more), Verdict::CopiesMore);
        assert_eq!(verdict(&more, &then), Verdict::Same);
        let first = Baseline { amplification: None, ..then.clone() };
        assert_eq!(verdict(&first, &then), Verdict::CopiesMore);
    }

    #[test]
    fn refuses_to_compare_what_is_not_the_same() {
        let then = baseline(TIMES, None);
        let refused = |now: Baseline| then.compare(&now, 0.05).unwrap_err().to_string();
        assert_eq!(
            refused(Baseline { elements: 2000, ..then.clone() }),
            "the input of the baseline is another one: expected 1,000 elements of 64,000 bytes, \
             found 2,000 elements of 64,000 bytes"
        );
        assert!(
            refused(Baseline { pipeline: "other".into(), ..then.clone() }).contains("expected `main`, found `other`")
        );
        assert!(refused(Baseline { profile: "debug".into(), ..then.clone() }).contains("a debug build"));
        assert!(
            refused(Baseline { stages: Vec::new(), ..then.clone() }).contains("the stages of the baseline are others")
        );
        assert!(refused(Baseline { stage_profile: "dev".into(), ..then.clone() }).contains("the profile `dev`"));
    }

    #[test]
    fn loads_what_it_saved_and_rejects_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("baseline.json");
        let saved = baseline(TIMES, Some(TIMES));
        saved.save(&path).unwrap();
        assert_eq!(Baseline::load(&path).unwrap(), saved);
        let text = std::fs::read_to_string(&path).unwrap();
        for (from, to, expected) in [
            ("{", "", "is not a baseline of `bench`: "),
            ("torvyn-bench", "other", "expected the format `torvyn-bench`, found `other`"),
            ("\"version\": 1", "\"version\": 2", "expected version 1, found 2"),
            ("101.0", "-1.0", "expected times above 0, found -1"),
            ("101.0,", "", "expected at least 5 rounds"),
            ("\"pipeline\"", "\"x\": 1, \"pipeline\"", "unknown field `x`"),
        ] {
            std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let error = Baseline::load(&path).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.help.unwrap().contains("cargo torvyn bench --save-baseline"));
        }
        let missing = Baseline::load(&folder.path().join("none.json")).unwrap_err();
        assert!(missing.help.unwrap().starts_with("create one with"));
    }
}
