//! `cargo torvyn bench`: measures a pipeline beside two rivals, and compares the figures with a baseline.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use torvyn_runtime::payload::PoolSettings;

use crate::bench::baseline::{self, Baseline, Comparison};
use crate::bench::measure::{self, Plan};
use crate::bench::results::Results;
use crate::bench::stage_process::InputChoice;
use crate::bench::workload::{Scratch, Workload};
use crate::bench::{page, report};
use crate::cli::{CacheArgs, CargoArgs, MessageFormat};
use crate::config::file_uses::FileUses;
use crate::config::{case_files, units};
use crate::endpoints::Input;
use crate::endpoints::input::generate;
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::manifest::{Manifest, Pipeline};
use crate::output::failure;
use crate::output::programs::refuse_stdout;
use crate::output::result_file::{self, ResultFile};
use crate::output::run_report;
use crate::output::shell::Shell;
use crate::run::components::report_and_stop;
use crate::run::run_pipeline;

/// `--rounds`
const ROUNDS: RangeInclusive<u32> = 1..=1000;
/// `--warm-up`
const WARM_UP: RangeInclusive<u32> = 0..=1000;
/// `--tolerance`, in percent
const TOLERANCE: RangeInclusive<f64> = 0.0..=1000.0;

/// Measure a pipeline beside a native pass and beside one process per stage
///
/// Builds stale components (in the release profile by default) and runs a pipeline of Torvyn.toml many times on its input: a file,
/// or generated elements. In each round the pipeline takes turns with two rivals: native code that passes the same bytes, without
/// a sandbox and without the work of the stages; and one process per stage, connected by pipes. Latencies are measured in rounds of
/// their own. Nothing is written to the outputs of the pipeline: if an output is a file, a temporary file in its folder is written
/// instead. What goes to other outputs is dropped, as are dead letters and what stages print.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn bench                               measure the default pipeline on its input
  cargo torvyn bench --input app.log --rounds 20   measure it on another file, with less noise
  cargo torvyn bench find --generate 1000000x64    measure another one on a million elements of 64 bytes
  cargo torvyn bench --report bench.html           also write a page with plots
  cargo torvyn bench --save-baseline bench.json
  cargo torvyn bench --baseline bench.json         exit with 100 if it has become slower
  cargo torvyn bench --message-format json         print all figures as JSON

Exit codes:
  0    measured
  2    invalid arguments
  96   something must be installed first
  100  slower than the baseline, or over the copy budget
  101  could not be built, started or finished
  129  interrupted by SIGHUP
  130  interrupted by SIGINT
  143  interrupted by SIGTERM")]
pub(crate) struct BenchArgs {
    /// The pipeline to measure [default: the only one, or `default` in Torvyn.toml, or `main`]
    pub(crate) pipeline: Option<String>,
    /// Read this file instead of the pipeline's input
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Option<PathBuf>,
    /// Generate elements instead of the pipeline's input: how many, and how many bytes each has, as in `100000x64` or `1000x64KiB`
    #[arg(long, value_name = "COUNT×SIZE", value_parser = generated, conflicts_with = "input")]
    pub(crate) generate: Option<Generated>,
    /// How many rounds to measure, from 1 to 1000
    #[arg(long, value_name = "N", default_value = "5", allow_negative_numbers = true, value_parser = rounds)]
    pub(crate) rounds: u32,
    /// How many rounds to run before, from 0 to 1000
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = warm_up)]
    pub(crate) warm_up: u32,
    /// Measure only the pipeline, and not its rivals
    #[arg(long)]
    pub(crate) alone: bool,
    /// Fail if the pipeline is slower than in this baseline, or copies more
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Save the figures as a baseline
    #[arg(long, value_name = "FILE")]
    pub(crate) save_baseline: Option<PathBuf>,
    /// By how many percent the time may exceed that of the baseline, from 0 to 1000
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "5",
        allow_negative_numbers = true,
        value_parser = tolerance,
        requires = "baseline"
    )]
    pub(crate) tolerance: f64,
    /// Write a page with figures and plots to FILE, as HTML
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Do not enforce copy budgets: measure even a pipeline that is over its budget
    #[arg(long)]
    pub(crate) ignore_budget: bool,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` tables on stderr; `json` an object on the last line of stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

/// How many elements to generate, and the bytes of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generated {
    count: u64,
    size: usize,
}

/// The fields of the last line of `bench --message-format json`, besides the outcome.
#[derive(Debug, Default, Serialize)]
struct Summary<'a> {
    /// The name of the pipeline; none if no pipeline could be selected.
    pipeline: Option<&'a str>,
    /// None if the rounds did not come to their end.
    measured: Option<&'a Results>,
    /// None without `--baseline`.
    comparison: Option<&'a Comparison>,
}

pub(crate) fn exec(args: BenchArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    shell.summary(&Summary::default())?;
    refuse_streams(&args, shell)?;
    check_rounds(&args)?;
    let then = args.baseline.as_deref().map(Baseline::load).transpose()?;
    let (pipeline, pool) = select(&args, shell)?;
    shell.summary(&Summary { pipeline: Some(&pipeline.name), ..Summary::default() })?;
    then.iter().try_for_each(|then| then.check_pipeline(&pipeline.name))?;
    pipeline.input.as_deref().map_or(Ok(()), check_input)?;
    let found = pipeline.check_paths();
    if !found.is_empty() {
        return report_and_stop(&found, shell);
    }
    let mut uses = pipeline.declared_file_uses();
    case_files::beside(&pipeline.file).iter().for_each(|path| _ = uses.read("a file of cases", path));
    add_results(&args, &mut uses);
    uses.refuse()?;
    check_results(&args)?;

    let mut names: Vec<_> = pipeline.outputs.iter().map(|output| output.output.name()).collect();
    let (pipeline, scratch) = replace_outputs(pipeline)?;
    let mut workload = Workload::new(pipeline, pool, &args.cargo, &args.cache, !args.ignore_budget, shell)?;
    names.extend(workload.drop_stdout());
    // An input that the manifest does not name is known only now.
    workload.input().map_or(Ok(()), check_input)?;
    uses.extend(workload.files.clone());
    uses.write_messages().refuse()?;
    shell.status("Benching", format_args!("pipeline `{}`", workload.pipeline.name))?;
    let plan = Plan {
        rounds: args.rounds,
        warm_up: args.warm_up,
        has_rivals: !args.alone,
        from: from(&args),
        no_cache: args.cache.no_cache,
        stage_profile: args.cargo.profile().to_string(),
        outputs: names,
    };
    let results = measure::measure(&workload, &plan, shell)?;
    drop(scratch);
    finish(&args, then.as_ref(), &results, shell)
}

/// Prints the results, writes their files and compares them.
fn finish(args: &BenchArgs, then: Option<&Baseline>, results: &Results, shell: &mut Shell) -> anyhow::Result<Exit> {
    let now = Baseline::new(results);
    let comparison = then.map(|then| then.compare(&now, args.tolerance / 100.0)).transpose()?;
    let comparison = comparison.as_ref();
    match args.message_format {
        MessageFormat::Human => print(results, shell)?,
        MessageFormat::Json => {
            shell.summary(&Summary { pipeline: Some(&results.pipeline), measured: Some(results), comparison })?;
        }
    }
    if let Some(path) = &args.report {
        result_file::write_page(path, &page::text(results, comparison))?;
        shell.status("Reported", format_args!("to `{}`", path.display()))?;
    }
    if let Some(path) = &args.save_baseline {
        now.save(path)?;
        shell.status("Saved", format_args!("the baseline `{}`", path.display()))?;
    }
    let Some(comparison) = comparison else { return Ok(Exit::Ok) };
    if comparison.verdict.is_regression() {
        let message = format!("`{}` is {}", results.pipeline, comparison.text());
        let message = message.replace("is more bytes are copied", "copies more bytes");
        let stop = Stop::new(Exit::Findings, message).code(failure::SLOWER_THAN_BASELINE);
        return Err(stop.help("undo the change, or save a new baseline with `--save-baseline`").into());
    }
    shell.status("Compared", comparison.text())?;
    Ok(Exit::Ok)
}

fn print(results: &Results, shell: &mut Shell) -> anyhow::Result<()> {
    shell.status("Measured", report::summary(results))?;
    shell.tables(&report::tables(results))?;
    shell.status("Median", "round, as `run` reports it:")?;
    shell.tables(&[run_report::text(&results.account).trim_end().to_string()])?;
    report::notes(results).iter().try_for_each(|note| shell.note(note))?;
    Ok(())
}

/// The selected pipeline with its input, and the settings of the pool.
fn select(args: &BenchArgs, shell: &mut Shell) -> anyhow::Result<(Pipeline, PoolSettings)> {
    let manifest = Manifest::load(&run_pipeline::manifest_path(&args.cargo), &mut shell.sources);
    let manifest = manifest.or_else(|found| report_and_stop(&found, shell))?;
    let selected = manifest.select(args.pipeline.as_deref());
    let pipeline = selected.cloned().or_else(|found| report_and_stop(&found, shell))?;
    let pipeline = match from(args).input(pipeline.input.as_deref()) {
        Some(input) => pipeline.with_input(input),
        None => pipeline,
    };
    Ok((pipeline, manifest.runtime.pool.settings))
}

fn from(args: &BenchArgs) -> InputChoice {
    match (&args.input, args.generate) {
        (_, Some(Generated { count, size })) => InputChoice::Generated(count, size),
        (Some(path), None) => InputChoice::File(path.clone()),
        (None, None) => InputChoice::Manifest,
    }
}

/// Refuses an input that cannot be read in every round.
fn check_input(input: &dyn Input) -> Result<(), Stop> {
    let is_stream = |path: &Path| fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    if input.is_repeatable() && !input.path().is_some_and(is_stream) {
        return Ok(());
    }
    let message = format!("{} can be read only once, but each round reads the input", input.name());
    let help = "name a file with `--input FILE`, or generate elements with `--generate 100000x64`";
    Err(Stop::new(Exit::Usage, message).help(help))
}

/// The pipeline with outputs that do not matter.
fn replace_outputs(mut pipeline: Pipeline) -> anyhow::Result<(Pipeline, Scratch)> {
    let mut scratch = Scratch::default();
    for output in &mut pipeline.outputs {
        output.output = scratch.replace(&*output.output)?;
    }
    Ok((pipeline, scratch))
}

/// Refuses a baseline of fewer rounds than can be told apart.
fn check_rounds(args: &BenchArgs) -> Result<(), Stop> {
    let has_baseline = args.baseline.is_some() || args.save_baseline.is_some();
    if !has_baseline || args.rounds >= baseline::MIN_ROUNDS {
        return Ok(());
    }
    let (least, found) = (baseline::MIN_ROUNDS, args.rounds);
    let message = format!("a baseline needs at least {least} rounds to tell a change from noise, found {found}");
    Err(Stop::new(Exit::Usage, message).help(format!("use `--rounds {least}` or more")))
}

/// Refuses to write anything else to standard output if a program reads the figures there.
fn refuse_streams(args: &BenchArgs, shell: &Shell) -> Result<(), Stop> {
    let files = [(&args.report, result_file::PAGE), (&args.save_baseline, "the baseline")];
    let files = files.into_iter().filter_map(|(path, what)| Some((path.as_deref()?, what)));
    if !shell.is_for_programs() {
        return Ok(());
    }
    files.into_iter().try_for_each(|(path, what)| refuse_stdout(path, what, "name another file"))
}

fn add_results(args: &BenchArgs, uses: &mut FileUses) {
    args.report.iter().for_each(|path| _ = uses.write(result_file::PAGE, path));
    args.save_baseline.iter().for_each(|path| _ = uses.write("the baseline", path));
}

/// Checks, before the rounds, that the files of the results can be written.
fn check_results(args: &BenchArgs) -> anyhow::Result<()> {
    args.report.as_deref().map_or(Ok(()), result_file::check_page)?;
    let Some(path) = &args.save_baseline else { return Ok(()) };
    ResultFile::BenchBaseline.check_replaceable(path)?;
    atomic_file::check_and_hold(path).with_context(|| failure::not_written(path, "the baseline "))
}

fn rounds(text: &str) -> Result<u32, String> {
    number(text, &ROUNDS)
}

fn warm_up(text: &str) -> Result<u32, String> {
    number(text, &WARM_UP)
}

fn number(text: &str, range: &RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

fn tolerance(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| TOLERANCE.contains(percent));
    percent.ok_or_else(|| format!("must be a number from {} to {}, in percent", TOLERANCE.start(), TOLERANCE.end()))
}

fn generated(text: &str) -> Result<Generated, String> {
    let (count, size) = text.split_once(['×', 'x', 'X', '*']).ok_or("write COUNT×SIZE, as in `100000x64`")?;
    let count = count.trim().parse().ok().filter(|count| *count > 0 && generate::COUNT.contains(count));
    let count = count.ok_or_else(|| format!("COUNT must be a whole number from 1 to {}", generate::COUNT.end()))?;
    let size = size.trim();
    let beyond = || format!("SIZE must be from 0 to {}", units::format_size(*generate::SIZE.end()));
    let size = match size.parse() {
        Ok(size) => size,
        Err(_) if !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit()) => return Err(beyond()),
        Err(_) => units::size(size).map_err(|wrong| wrong.map_or_else(beyond, |wrong| format!("SIZE: {wrong}")))?,
    };
    let size = Some(size).filter(|size| generate::SIZE.contains(size)).and_then(|size| usize::try_from(size).ok());
    Ok(Generated { count, size: size.ok_or_else(beyond)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_to_generate() {
        for (text, count, size) in [
            ("100000x64", 100_000, 64),
            ("1×0", 1, 0),
            ("3 X 64KiB", 3, 65_536),
            ("2*1MB", 2, 1_000_000),
            ("9007199254740992x1", 1 << 53, 1),
        ] {
            assert_eq!(generated(text), Ok(Generated { count, size }), "{text}");
        }
        for (text, expected) in [
            ("100", "write COUNT×SIZE"),
            ("0x64", "COUNT must be a whole number from 1 to"),
            ("-1x64", "COUNT must be"),
            ("9007199254740993x1", "COUNT must be"),
            ("1e6x64", "COUNT must be"),
            ("1x", "SIZE: "),
            ("1x-1", "SIZE: "),
            ("1x64KB", "SIZE: did you mean `kB`?"),
            ("1x99999999999999999999", "SIZE must be from 0 to"),
            ("1x99GiB", "SIZE must be from 0 to"),
        ] {
            assert!(generated(text).unwrap_err().starts_with(expected), "{text}: {:?}", generated(text));
        }
    }

    #[test]
    fn numbers_have_ranges() {
        assert_eq!((rounds("1"), warm_up("0"), tolerance("2.5")), (Ok(1), Ok(0), Ok(2.5)));
        for wrong in ["0", "1001", "-1", "x", ""] {
            assert_eq!(rounds(wrong).unwrap_err(), "must be a whole number from 1 to 1000", "{wrong}");
        }
        for wrong in ["-1", "NaN", "inf", "1001"] {
            assert!(tolerance(wrong).is_err(), "{wrong}");
        }
    }
}
