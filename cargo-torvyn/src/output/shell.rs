//! The terminal. Everything the program says goes through here: for people to stderr, in cargo's manner, and for
//! pipes to stdout.

use std::error::Error;
use std::fmt::{self, Display, Formatter, Write as _};
use std::io::{self, ErrorKind, IsTerminal as _, Stdout, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anstyle::Style;
use anyhow::Context as _;
use cargo_metadata::Message;
use cargo_metadata::diagnostic::DiagnosticLevel;
use clap_cargo::style;
use serde::Serialize;
use torvyn_runtime::base::plural::{counted, noun};
use torvyn_runtime::base::text;
use torvyn_runtime::endpoint::{InterruptibleFile, share_to_write};
use torvyn_runtime::flow::account::Elements;
use torvyn_runtime::{Account, Cut};

use crate::exit::{Exit, Stop};
use crate::fs::{paths, standard_streams};
use crate::output::console::Console;
use crate::output::diagnostic::{Diagnostics, Sources};
use crate::output::failure::{self, FailureRecord};
use crate::output::findings::Results;
use crate::output::printable::{LONGEST_ERROR, printable};
use crate::output::programs::{Asked, Ending, is_object};
use crate::output::viewpoint::Viewpoint;
use crate::output::{junit, run_report};
use crate::process::interrupt;

/// Letters that are shown of a line of status, a note or a warning.
const LONGEST_LINE: usize = 4000;

/// How often is looked whether the end can be told.
const LOOK: Duration = Duration::from_millis(2);

/// How much to say on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Status, notes and warnings too.
    Normal,
    /// Also the commands that are run.
    Verbose,
}

/// Stdout and stderr of this process.
pub(crate) struct Shell {
    out: AutoStream<Stdout>,
    err: LogPrinter,
    color: ColorChoice,
    verbosity: Verbosity,
    /// Shared with [`LastWords`]. Locked while a line is written for a program, so that none is torn.
    ending: Arc<Mutex<Ending>>,
    /// Whether whoever read stdout has closed it.
    is_out_closed: bool,
}

/// Writes what stages print: each line with its stage, and in the colours of the shell.
#[derive(Clone)]
pub(crate) struct LogPrinter {
    pub(crate) console: Console,
    has_colors: bool,
}

impl LogPrinter {
    /// Prints a line without its end, or drops it where too much of the stage waits to be written.
    pub(crate) fn print(&self, stage: &str, line: &str) {
        self.console.log(stage, self.plain_or_not(&log_line(stage, line)));
    }

    fn plain_or_not(&self, text: &str) -> Vec<u8> {
        if self.has_colors { text.into() } else { anstream::adapter::strip_str(text).to_string().into() }
    }
}

fn log_line(stage: &str, line: &str) -> String {
    let dim = style::TRANSIENT;
    format!("{dim}{:>12}{dim:#} {line}\n", text::name(stage))
}

impl Shell {
    /// Colours where `color` says so; `Auto` asks the terminal and the environment. `asked` is for programs.
    pub(crate) fn new(color: ColorChoice, verbosity: Verbosity, asked: Asked) -> Self {
        let choice = match color {
            ColorChoice::Auto => AutoStream::choice(&io::stderr()),
            choice => choice,
        };
        let err = LogPrinter { console: Console::default(), has_colors: choice != ColorChoice::Never };
        let out = AutoStream::new(io::stdout(), color);
        Shell { out, err, color, verbosity, ending: Arc::new(Mutex::new(Ending::new(asked))), is_out_closed: false }
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be said where the process ends before the command does.
    pub(crate) fn last_words(&self) -> LastWords {
        LastWords { ending: self.ending.clone(), printer: self.err.clone() }
    }

    /// Whether a program reads stdout, so that nothing else may be on it.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.ending().audience().is_some()
    }

    /// What prints for stages.
    pub(crate) fn log_printer(&self) -> LogPrinter {
        self.err.clone()
    }

    /// A flow begins: where nobody reads stderr, that is not waited for any more, unless it is a terminal.
    pub(crate) fn hurry(&self) {
        self.err.console.hurry();
    }

    /// Waits until everything is written that can be.
    pub(crate) fn finish(&self) {
        self.err.console.finish();
    }

    /// The choice that a program run from here should be told.
    pub(crate) fn color(&self) -> ColorChoice {
        self.color
    }

    /// How much to say.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether a person can be asked: stdin and stderr are both terminals.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks on stderr and returns the line that was typed, without surrounding white space; `None` at the end of input.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        self.say(Verbosity::Quiet, &format!("{question} "))?;
        let mut line = String::new();
        let waiting = interrupt::nothing_to_end();
        let typed = io::stdin().read_line(&mut line)?;
        drop(waiting);
        Ok((typed > 0).then(|| line.trim().to_owned()))
    }

    /// Says what is being done or was done: a verb, right-aligned and green, and its object.
    pub(crate) fn status(&mut self, verb: &str, object: impl Display) -> io::Result<()> {
        self.say(Verbosity::Normal, &format!("{}{verb:>12}{:#} {}\n", style::GOOD, style::GOOD, on_a_line(object)))
    }

    /// As [`Shell::status`], of what went wrong.
    pub(crate) fn failure(&mut self, verb: &str, object: impl Display) -> io::Result<()> {
        self.say(Verbosity::Quiet, &format!("{}{verb:>12}{:#} {}\n", style::ERROR, style::ERROR, on_a_line(object)))
    }

    /// Shows what stages printed, each line with its stage, after `before` that are not shown.
    pub(crate) fn log(&mut self, lines: &[(String, String)], before: u64) -> io::Result<()> {
        if before > 0 {
            let lines = counted(before, "earlier line");
            self.say(Verbosity::Quiet, &format!("not shown: {lines} that stages printed\n"))?;
        }
        lines.iter().try_for_each(|(stage, line)| {
            self.say(Verbosity::Quiet, &log_line(stage, &text::visible(line, LONGEST_ERROR, false)))
        })
    }

    /// As [`Shell::status`], when asked to say more.
    pub(crate) fn verbose(&mut self, verb: &str, object: impl Display) -> io::Result<()> {
        self.say(Verbosity::Verbose, &format!("{}{verb:>12}{:#} {}\n", style::GOOD, style::GOOD, on_a_line(object)))
    }

    /// Says what is good to know.
    pub(crate) fn note(&mut self, text: impl Display) -> io::Result<()> {
        self.say(Verbosity::Normal, &labelled(style::NOTE, "note", on_a_line(text)))
    }

    /// Says what may be wrong.
    pub(crate) fn warn(&mut self, text: impl Display) -> io::Result<()> {
        self.say(Verbosity::Normal, &labelled(style::WARN, "warning", on_a_line(text)))
    }

    /// Says what went wrong, what caused it, and what to type.
    pub(crate) fn error(&mut self, error: &anyhow::Error) -> io::Result<()> {
        let stop = error.downcast_ref::<Stop>();
        let failure = FailureRecord::of(error);
        let text = rendered(error, &failure);
        if !stop.is_some_and(Stop::is_recorded) {
            self.ending().add(failure);
        }
        if stop.is_some_and(Stop::is_silent) {
            return Ok(());
        }
        self.say(Verbosity::Quiet, &text)
    }

    /// Says what is wrong with people's files. What of it is an error is among the failures of the summary.
    pub(crate) fn diagnostics(&mut self, found: &Diagnostics, sources: &Sources) -> io::Result<()> {
        self.record_all(found, sources, &Viewpoint::default());
        let text = match self.verbosity {
            Verbosity::Quiet => found.only_errors().render(sources, true),
            Verbosity::Normal | Verbosity::Verbose => found.render(sources, true),
        };
        self.say(Verbosity::Quiet, &text)
    }

    /// Parts what comes from what was said, where more than errors is said.
    pub(crate) fn space(&mut self) -> io::Result<()> {
        self.say(Verbosity::Normal, "\n")
    }

    /// Shows tables, an empty line before and after each.
    pub(crate) fn tables(&mut self, tables: &[String]) -> io::Result<()> {
        let text: String = tables.iter().map(|table| format!("\n{table}\n")).collect();
        self.say(Verbosity::Normal, &(text + "\n"))
    }

    /// Shows the account of a flow.
    pub(crate) fn report(&mut self, pipeline: &str, account: &Account) -> io::Result<()> {
        let Elements { entered, left, dropped, .. } = account.elements;
        let [left, dropped] = [left, dropped].map(run_report::grouped);
        let time = run_report::time(account.wall_ns);
        let entered = format!("{} {}", run_report::grouped(entered), noun(entered, "element"));
        let summary = format_args!("`{pipeline}` in {time}: {entered} in, {left} out, {dropped} dropped");
        let verb = if account.cut_off.is_some() { "Cut off" } else { "Finished" };
        self.status(verb, summary)?;
        self.say(Verbosity::Normal, &format!("\n{}", run_report::text(account)))
    }

    fn say(&mut self, from: Verbosity, text: &str) -> io::Result<()> {
        if self.verbosity < from {
            return Ok(());
        }
        // Whatever names are in it, and however they came there.
        self.err.console.say(self.err.plain_or_not(&text::with_colors(text)));
        Ok(())
    }

    /// Writes a line of the result to stdout, for people.
    ///
    /// # Errors
    ///
    /// [`StdoutClosed`] where nobody reads any more.
    pub(crate) fn result(&mut self, line: impl Display) -> anyhow::Result<()> {
        self.check_stdout()?;
        let line = line.to_string();
        let shown = if io::stdout().is_terminal() { text::with_colors(&line) } else { line.as_str().into() };
        match writeln!(self.out, "{shown}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
            written => written.with_context(stdout_failed),
        }
    }

    /// Writes a line of JSON to stdout. Where nobody reads any more it is dropped: the exit code still says what happened.
    ///
    /// # Errors
    ///
    /// Where it cannot be written for another reason.
    pub(crate) fn json(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(line)?;
        self.machine(&line)
    }

    /// Refuses to work for a program that cannot be told of it, once.
    ///
    /// # Errors
    ///
    /// Where standard output was closed from the beginning.
    pub(crate) fn check_stdout(&mut self) -> anyhow::Result<()> {
        let open = standard_streams::check_stdout();
        self.is_out_closed |= open.is_err();
        open.with_context(stdout_failed)
    }

    /// As [`Shell::json`], of a line that is JSON already.
    pub(crate) fn machine(&mut self, line: &str) -> anyhow::Result<()> {
        // No lock of a field, because the shell is borrowed as a whole below.
        let ending = self.ending.clone();
        let ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
        self.machine_while(&ending, line)
    }

    /// As [`Shell::machine`], with the end locked.
    fn machine_while(&mut self, _: &MutexGuard<'_, Ending>, line: &str) -> anyhow::Result<()> {
        if self.is_out_closed {
            return Ok(());
        }
        self.check_stdout()?;
        // Not through what takes colours out: it would take more out of a text than those.
        let mut out = io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_out_closed = true,
            written => written.with_context(stdout_failed)?,
        }
        Ok(())
    }

    /// Takes a line of what cargo prints for programs, where one reads: it is passed on, or what is in it for people is
    /// said. An error of the compiler is among the failures of the summary. The compiler sees files from `root`, the folder of
    /// the workspace.
    ///
    /// # Errors
    ///
    /// As [`Shell::json`].
    pub(crate) fn cargo_line(&mut self, line: &str, root: &Path) -> anyhow::Result<()> {
        let Some(audience) = self.ending().audience() else { return Ok(()) };
        let message = match serde_json::from_str(line) {
            Ok(Message::CompilerMessage(message)) => Some(message.message),
            _ => None,
        };
        let is_error = |message: &&cargo_metadata::diagnostic::Diagnostic| message.level == DiagnosticLevel::Error;
        if let Some(error) = message.as_ref().filter(is_error).filter(|error| !error.spans.is_empty()) {
            let mut failure = FailureRecord::of_compiler(error);
            if let Some(place) = failure.place.as_mut().filter(|_| !audience.sees_workspace) {
                place.file = paths::from_here(&root.join(&place.file)).to_string_lossy().into_owned();
            }
            self.ending().add(failure);
        }
        if audience.reads_cargo && is_object(line) {
            return self.machine(line);
        }
        if let Some(rendered) = message.and_then(|message| message.rendered) {
            self.say(Verbosity::Quiet, &rendered)?;
        } else if !is_object(line) {
            // Macros and build scripts can print what they like.
            self.say(Verbosity::Quiet, &format!("{line}\n"))?;
        }
        Ok(())
    }

    /// Sets the fields of the summary that are the command's own. What was set before is replaced.
    ///
    /// # Errors
    ///
    /// Where they are not an object, which would be an internal error.
    pub(crate) fn summary(&mut self, fields: &impl Serialize) -> anyhow::Result<()> {
        self.ending().set_fields(fields)
    }

    /// Sets what was found, for SARIF.
    pub(crate) fn sarif(&mut self, results: Results) {
        self.ending().set_results(results);
    }

    /// Adds a reason why the command does not succeed to its summary; people are told elsewhere.
    pub(crate) fn record(&mut self, failure: FailureRecord) {
        self.ending().add(failure);
    }

    /// As [`Shell::record`], of all errors among what was found.
    pub(crate) fn record_all(&mut self, found: &Diagnostics, sources: &Sources, seen: &Viewpoint) {
        let failures = found.iter().filter_map(|diagnostic| FailureRecord::of_diagnostic(diagnostic, sources, seen));
        failures.for_each(|failure| self.ending().add(failure));
    }

    /// The JUnit report is written, or about to be: none has to be made of the failures.
    pub(crate) fn junit_is_done(&mut self) {
        self.ending().take_junit();
    }

    /// Ends what programs read with the summary or the log, and writes the JUnit report of cases that could not run. The
    /// exit, which is another where that cannot be done.
    pub(crate) fn end(&mut self, exit: Exit) -> Exit {
        let mut exit = exit;
        let junit = self.ending().take_junit();
        if let Some((path, failures, began)) = junit
            && let Err(error) = junit::write_failures(&path, exit, &failures, began)
        {
            exit = self.failed_to_end(exit, &error);
        }
        // Nobody else writes it in between.
        let ending = self.ending.clone();
        let mut ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
        let text = ending.text(exit);
        let written = text.and_then(|text| text.map_or(Ok(()), |text| self.machine_while(&ending, &text)));
        drop(ending);
        match written {
            Ok(()) => exit,
            Err(error) => self.failed_to_end(exit, &error),
        }
    }

    fn failed_to_end(&mut self, exit: Exit, error: &anyhow::Error) -> Exit {
        // Where stderr is gone too, the exit code is all that can still be said.
        self.error(error).ok();
        match exit {
            Exit::Ok | Exit::Findings | Exit::NothingSelected => Exit::Failed,
            exit => exit,
        }
    }
}

/// Ends what programs and people read, in place of a command that does not end in time.
pub(crate) struct LastWords {
    ending: Arc<Mutex<Ending>>,
    printer: LogPrinter,
}

impl LastWords {
    /// Says that the command ends with `error`, unless it has said itself how it ends. Nothing is waited for beyond `until`
    /// on standard output.
    pub(crate) fn say(&self, exit: Exit, error: &anyhow::Error, until: Instant) {
        let Some(mut ending) = self.ending_before(until) else { return };
        if ending.is_made() {
            return;
        }
        let failure = FailureRecord::of(error);
        let shown = rendered(error, &failure);
        if !ending.has(failure.code) {
            ending.add(failure);
        }
        let (junit, text) = (ending.take_junit(), ending.text(exit));
        // Whatever of this fails, the exit code says the same.
        if let Ok(Some(text)) = text {
            self.write(&text, until).ok();
        }
        if let Some((path, failures, began)) = junit {
            junit::write_failures(&path, exit, &failures, began).ok();
        }
        self.printer.console.say(self.printer.plain_or_not(&text::with_colors(&shown)));
    }

    /// Locks the end. Whoever has it locked for so long writes a line that nobody reads.
    fn ending_before(&self, until: Instant) -> Option<MutexGuard<'_, Ending>> {
        loop {
            match self.ending.try_lock() {
                Ok(ending) => return Some(ending),
                Err(TryLockError::Poisoned(ending)) => return Some(ending.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }

    fn write(&self, text: &str, until: Instant) -> io::Result<()> {
        standard_streams::check_stdout()?;
        let mut out = InterruptibleFile::new(share_to_write(io::stdout().as_fd())?);
        out.give_up_at(&Cut::default().at(until));
        out.write_all(format!("{text}\n").as_bytes())
    }
}

pub(crate) fn stdout_failed() -> Stop {
    Stop::new(Exit::Failed, "could not write to stdout").code(failure::STDOUT_FAILED)
}

/// A text on one line, whatever names are in it.
fn on_a_line(text: impl Display) -> String {
    text::visible(&text.to_string(), LONGEST_LINE, false).into_owned()
}

/// Lines after the first that are indented: none that a name brings looks like one of ours.
fn indented(text: &str) -> String {
    let line = |(index, line): (usize, &str)| match index == 0 || line.is_empty() || line.starts_with(' ') {
        true => line.to_string(),
        false => format!("  {line}"),
    };
    let lines: Vec<_> = text.split('\n').enumerate().map(line).collect();
    lines.join("\n")
}

fn labelled(style: Style, label: impl Display, text: impl Display) -> String {
    format!("{style}{label}{style:#}{bold}:{bold:#} {text}\n", bold = style::NOP.bold())
}

/// An error as cargo writes it.
fn rendered(error: &anyhow::Error, failure: &FailureRecord) -> String {
    let label = failure.shown_code().map_or_else(|| "error".to_string(), |code| format!("error[{code}]"));
    let mut text = labelled(style::ERROR, label, indented(&printable(&error.to_string(), true)));
    let mut causes = error.chain().skip(1).peekable();
    let separator = if causes.peek().is_some() { "\n" } else { "" };
    for cause in causes {
        text.push_str("\nCaused by:\n");
        for line in printable(&cause.to_string(), true).lines() {
            // Writing to a string cannot fail.
            writeln!(text, "  {line}").ok();
        }
    }
    if let Some(help) = &failure.help {
        text.push_str(separator);
        text.push_str(&labelled(style::TRANSIENT, "help", indented(&printable(help, true))));
    }
    text
}

/// Whoever read stdout has closed it.
#[derive(Debug)]
pub(crate) struct StdoutClosed;

impl Display for StdoutClosed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("stdout is closed")
    }
}

impl Error for StdoutClosed {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn plain(error: &anyhow::Error) -> String {
        anstream::adapter::strip_str(&rendered(error, &FailureRecord::of(error))).to_string()
    }

    #[test]
    fn a_stdout_that_cannot_be_written_has_a_code() {
        let error = Err::<(), _>(io::Error::other("full")).with_context(stdout_failed).unwrap_err();
        assert_eq!(FailureRecord::of(&error).code, failure::STDOUT_FAILED);
    }

    #[test]
    fn a_component_cannot_steer_the_terminal() {
        assert_eq!(printable("\x1b[2Jgone\tzwölf\r\nnext", false), "\\u{1b}[2Jgone\tzwölf\\r\\nnext");
        let error = anyhow::anyhow!("first\nsecond\x07").context("\x1b]0;title");
        assert_eq!(plain(&error), "error: \\u{1b}]0;title\n\nCaused by:\n  first\n  second\\u{7}\n");
    }

    #[test]
    fn a_name_has_no_lines_and_does_not_turn_the_text_around() {
        let error = anyhow::anyhow!("cannot read `a\nerror: b\u{202e}c`\n  in `d`");
        assert_eq!(plain(&error), "error: cannot read `a\\nerror: b\\u{202e}c`\n  in `d`\n");
        // A name with a backtick ends before it does.
        let error = anyhow::anyhow!("cannot read `a`\nerror: b`");
        assert_eq!(plain(&error), "error: cannot read `a`\n  error: b`\n");
        let error = Stop::new(Exit::Usage, "no `x`").help("type `cd a\nerror: b\x1b[8m`").into();
        assert_eq!(plain(&error), "error: no `x`\nhelp: type `cd a\\nerror: b\\u{1b}[8m`\n");
        let long = "x".repeat(3 << 20);
        assert!(plain(&anyhow::anyhow!("cannot read `{long}`")).len() < LONGEST_ERROR + 100);
        assert!(on_a_line(format_args!("`{long}`\n")).len() < LONGEST_LINE + 100);
    }

    #[test]
    fn an_error_names_its_causes_and_what_to_type() {
        let stop = Stop::new(Exit::SetupMissing, "no rustup\non this machine").help("type `install`");
        let error = Err::<(), _>(stop).context("could not build").unwrap_err();
        assert_eq!(
            plain(&error),
            "error: could not build\n\nCaused by:\n  no rustup\n  on this machine\n\nhelp: type `install`\n"
        );
    }

    #[test]
    fn an_error_without_causes_has_its_help_beneath_it() {
        let error = Stop::new(Exit::Usage, "no name").help("type one").into();
        assert_eq!(plain(&error), "error: no name\nhelp: type one\n");
    }
}
