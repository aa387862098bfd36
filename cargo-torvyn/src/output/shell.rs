//! The terminal. All output of the program goes through here: messages for people to stderr, in the style of cargo, and
//! results to stdout.

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
use crate::output::programs::{Ending, OutputRequest, is_object};
use crate::output::viewpoint::Viewpoint;
use crate::output::{junit, run_report};
use crate::process::interrupt;

/// The maximum length of a status line, a note or a warning, in characters.
const LONGEST_LINE: usize = 4000;

/// The polling interval for the lock of the ending.
const LOOK: Duration = Duration::from_millis(2);

/// How much to print on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// Status, notes and warnings too.
    Normal,
    /// Also the commands that are run.
    Verbose,
}

/// The stdout and stderr of this process.
pub(crate) struct Shell {
    out: AutoStream<Stdout>,
    err: LogPrinter,
    color: ColorChoice,
    verbosity: Verbosity,
    /// The texts of the files that the command has read, for the diagnostics that it prints.
    pub(crate) sources: Sources,
    /// Shared with [`LastWords`]. Locked while a line for programs is written, so that lines stay whole.
    ending: Arc<Mutex<Ending>>,
    /// Whether the reader of stdout has closed it.
    is_out_closed: bool,
}

/// Prints the log lines of stages, with their stage and in the colors of the shell.
#[derive(Clone)]
pub(crate) struct LogPrinter {
    pub(crate) console: Console,
    has_colors: bool,
}

impl LogPrinter {
    /// Prints a line, given without its line end. Drops it if too many bytes of the stage wait to be written.
    pub(crate) fn print(&self, stage: &str, line: &str) {
        self.console.log(stage, self.style_or_strip(&log_line(stage, line)));
    }

    fn style_or_strip(&self, text: &str) -> Vec<u8> {
        if self.has_colors { text.into() } else { anstream::adapter::strip_str(text).to_string().into() }
    }
}

fn log_line(stage: &str, line: &str) -> String {
    let dim = style::TRANSIENT;
    format!("{dim}{:>12}{dim:#} {line}\n", text::name(stage))
}

impl Shell {
    /// `Auto` colors depend on the terminal and the environment. `request` is the machine-readable output.
    pub(crate) fn new(color: ColorChoice, verbosity: Verbosity, request: OutputRequest) -> Self {
        let choice = match color {
            ColorChoice::Auto => AutoStream::choice(&io::stderr()),
            choice => choice,
        };
        let err = LogPrinter { console: Console::default(), has_colors: choice != ColorChoice::Never };
        let out = AutoStream::new(io::stdout(), color);
        let ending = Arc::new(Mutex::new(Ending::new(request)));
        Shell { out, err, color, verbosity, sources: Sources::default(), ending, is_out_closed: false }
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The output for the case that the process ends before the command does.
    pub(crate) fn last_words(&self) -> LastWords {
        LastWords { ending: self.ending.clone(), printer: self.err.clone() }
    }

    /// Whether a program reads stdout, so that nothing else may be printed there.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.ending().audience().is_some()
    }

    /// The printer for log lines of stages.
    pub(crate) fn log_printer(&self) -> LogPrinter {
        self.err.clone()
    }

    /// Called when a flow starts: from now on, gives up on a stderr that nobody reads, unless it is a terminal.
    pub(crate) fn hurry(&self) {
        self.err.console.bound_waits();
    }

    /// Waits until everything is written that can be written.
    pub(crate) fn finish(&self) {
        self.err.console.finish();
    }

    /// The color choice, for child processes.
    pub(crate) fn color(&self) -> ColorChoice {
        self.color
    }

    /// How much is printed.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Whether a person can answer questions: stdin and stderr are both terminals.
    pub(crate) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks a question on stderr. Returns the answer without surrounding white space; none at the end of input.
    pub(crate) fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        self.print_from(Verbosity::Quiet, &format!("{question} "))?;
        let mut line = String::new();
        let waiting = interrupt::begin_idle();
        let typed = io::stdin().read_line(&mut line)?;
        drop(waiting);
        Ok((typed > 0).then(|| line.trim().to_owned()))
    }

    /// Prints a status line: a verb, right-aligned and green, and its object.
    pub(crate) fn status(&mut self, verb: &str, object: impl Display) -> io::Result<()> {
        self.print_from(
            Verbosity::Normal,
            &format!("{}{verb:>12}{:#} {}\n", style::GOOD, style::GOOD, to_one_line(object)),
        )
    }

    /// Like [`Shell::status`], for a failure: in red, and even if quiet.
    pub(crate) fn failure(&mut self, verb: &str, object: impl Display) -> io::Result<()> {
        self.print_from(
            Verbosity::Quiet,
            &format!("{}{verb:>12}{:#} {}\n", style::ERROR, style::ERROR, to_one_line(object)),
        )
    }

    /// Prints log lines of stages, each with its stage. `before` is the number of earlier lines that are not shown.
    pub(crate) fn log(&mut self, lines: &[(String, String)], before: u64) -> io::Result<()> {
        if before > 0 {
            let lines = counted(before, "earlier log line");
            self.print_from(Verbosity::Quiet, &format!("{lines} of stages not shown\n"))?;
        }
        lines.iter().try_for_each(|(stage, line)| {
            self.print_from(Verbosity::Quiet, &log_line(stage, &text::visible(line, LONGEST_ERROR, false)))
        })
    }

    /// Like [`Shell::status`], only with `--verbose`.
    pub(crate) fn verbose(&mut self, verb: &str, object: impl Display) -> io::Result<()> {
        self.print_from(
            Verbosity::Verbose,
            &format!("{}{verb:>12}{:#} {}\n", style::GOOD, style::GOOD, to_one_line(object)),
        )
    }

    /// Prints a note.
    pub(crate) fn note(&mut self, text: impl Display) -> io::Result<()> {
        self.print_from(Verbosity::Normal, &labelled(style::NOTE, "note", to_one_line(text)))
    }

    /// Prints a warning.
    pub(crate) fn warn(&mut self, text: impl Display) -> io::Result<()> {
        self.print_from(Verbosity::Normal, &labelled(style::WARN, "warning", to_one_line(text)))
    }

    /// Prints an error with its causes and help, and records it for the summary.
    pub(crate) fn error(&mut self, error: &anyhow::Error) -> io::Result<()> {
        let stop = error.downcast_ref::<Stop>();
        let failure = FailureRecord::from_error(error);
        let text = render(error, &failure);
        if !stop.is_some_and(Stop::is_recorded) {
            self.ending().add(failure);
        }
        if stop.is_some_and(Stop::is_silent) {
            return Ok(());
        }
        self.print_from(Verbosity::Quiet, &text)
    }

    /// Prints diagnostics, and records the errors among them for the summary.
    pub(crate) fn diagnostics(&mut self, found: &Diagnostics) -> io::Result<()> {
        self.record_all(found, &Viewpoint::default());
        let text = match self.verbosity {
            Verbosity::Quiet => found.only_errors().render(&self.sources, true),
            Verbosity::Normal | Verbosity::Verbose => found.render(&self.sources, true),
        };
        self.print_from(Verbosity::Quiet, &text)
    }

    /// Prints an empty line, unless quiet.
    pub(crate) fn space(&mut self) -> io::Result<()> {
        self.print_from(Verbosity::Normal, "\n")
    }

    /// Prints tables, with an empty line before and after each.
    pub(crate) fn tables(&mut self, tables: &[String]) -> io::Result<()> {
        let text: String = tables.iter().map(|table| format!("\n{table}\n")).collect();
        self.print_from(Verbosity::Normal, &(text + "\n"))
    }

    /// Prints the run report of a flow.
    pub(crate) fn report(&mut self, pipeline: &str, account: &Account) -> io::Result<()> {
        let Elements { entered, left, dropped, .. } = account.elements;
        let [left, dropped] = [left, dropped].map(run_report::grouped);
        let time = run_report::time(account.wall_ns);
        let entered = format!("{} {}", run_report::grouped(entered), noun(entered, "element"));
        let summary = format_args!("`{pipeline}` in {time}: {entered} in, {left} out, {dropped} dropped");
        let verb = if account.cut_off.is_some() { "Cut off" } else { "Finished" };
        self.status(verb, summary)?;
        self.print_from(Verbosity::Normal, &format!("\n{}", run_report::text(account)))
    }

    fn print_from(&mut self, from: Verbosity, text: &str) -> io::Result<()> {
        if self.verbosity < from {
            return Ok(());
        }
        // Escapes control characters in names, wherever they came from.
        self.err.console.print(self.err.style_or_strip(&text::with_colors(text)));
        Ok(())
    }

    /// Prints a line of the result on stdout, for people.
    ///
    /// # Errors
    ///
    /// [`StdoutClosed`] if the reader has closed stdout.
    pub(crate) fn result(&mut self, line: impl Display) -> anyhow::Result<()> {
        self.check_stdout()?;
        let line = line.to_string();
        let shown = if io::stdout().is_terminal() { text::with_colors(&line) } else { line.as_str().into() };
        match writeln!(self.out, "{shown}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
            written => written.with_context(stdout_failed),
        }
    }

    /// Prints a line of JSON on stdout. If the reader has closed stdout, the line is dropped: the exit code still shows the
    /// outcome.
    ///
    /// # Errors
    ///
    /// If the line cannot be written for another reason.
    pub(crate) fn json(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(line)?;
        self.json_line(&line)
    }

    /// Checks that stdout was not closed when the process started.
    ///
    /// # Errors
    ///
    /// If it was. Later output to stdout is then dropped.
    pub(crate) fn check_stdout(&mut self) -> anyhow::Result<()> {
        let open = standard_streams::check_stdout();
        self.is_out_closed |= open.is_err();
        open.with_context(stdout_failed)
    }

    /// Like [`Shell::json`], for a line that already is JSON.
    pub(crate) fn json_line(&mut self, line: &str) -> anyhow::Result<()> {
        // Clone, because the shell is borrowed as a whole below.
        let ending = self.ending.clone();
        let ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
        self.json_line_while(&ending, line)
    }

    /// Like [`Shell::json_line`], with the ending locked.
    fn json_line_while(&mut self, _: &MutexGuard<'_, Ending>, line: &str) -> anyhow::Result<()> {
        if self.is_out_closed {
            return Ok(());
        }
        self.check_stdout()?;
        // Not through the `AutoStream`, which would strip more than colors from the line.
        let mut out = io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_out_closed = true,
            written => written.with_context(stdout_failed)?,
        }
        Ok(())
    }

    /// Handles a line of cargo's JSON output when a program reads stdout: passes the line on, or prints its rendered message
    /// on stderr. Records compiler errors for the summary; their paths are relative to `root`, the folder of the workspace.
    ///
    /// # Errors
    ///
    /// Like [`Shell::json`].
    pub(crate) fn cargo_line(&mut self, line: &str, root: &Path) -> anyhow::Result<()> {
        let Some(audience) = self.ending().audience() else { return Ok(()) };
        let message = match serde_json::from_str(line) {
            Ok(Message::CompilerMessage(message)) => Some(message.message),
            _ => None,
        };
        let is_error = |message: &&cargo_metadata::diagnostic::Diagnostic| message.level == DiagnosticLevel::Error;
        if let Some(error) = message.as_ref().filter(is_error).filter(|error| !error.spans.is_empty()) {
            let mut failure = FailureRecord::from_compiler(error);
            if let Some(place) = failure.place.as_mut().filter(|_| !audience.sees_workspace) {
                place.file = paths::from_here(&root.join(&place.file)).to_string_lossy().into_owned();
            }
            self.ending().add(failure);
        }
        if audience.reads_cargo && is_object(line) {
            return self.json_line(line);
        }
        if let Some(rendered) = message.and_then(|message| message.rendered) {
            self.print_from(Verbosity::Quiet, &rendered)?;
        } else if !is_object(line) {
            // Output of macros and build scripts.
            self.print_from(Verbosity::Quiet, &format!("{line}\n"))?;
        }
        Ok(())
    }

    /// Sets the command's own fields of the summary, replacing earlier ones.
    ///
    /// # Errors
    ///
    /// If the fields are not an object, which would be an internal error.
    pub(crate) fn summary(&mut self, fields: &impl Serialize) -> anyhow::Result<()> {
        self.ending().set_fields(fields)
    }

    /// Sets the findings for SARIF.
    pub(crate) fn sarif(&mut self, results: Results) {
        self.ending().set_results(results);
    }

    /// Records a failure for the summary, without printing it.
    pub(crate) fn record(&mut self, failure: FailureRecord) {
        self.ending().add(failure);
    }

    /// Like [`Shell::record`], for all errors among diagnostics.
    pub(crate) fn record_all(&mut self, found: &Diagnostics, seen: &Viewpoint) {
        let record = |diagnostic| FailureRecord::from_diagnostic(diagnostic, &self.sources, seen);
        let failures = found.iter().filter_map(record);
        failures.for_each(|failure| self.ending().add(failure));
    }

    /// Called when the command writes the JUnit report itself, so that none is made of the failures.
    pub(crate) fn skip_junit(&mut self) {
        self.ending().take_junit();
    }

    /// Ends the machine-readable output with the summary or the SARIF log, and writes the JUnit report of cases that could not
    /// run. Returns the exit, which changes if this fails.
    pub(crate) fn end(&mut self, exit: Exit) -> Exit {
        let mut exit = exit;
        let junit = self.ending().take_junit();
        if let Some((path, failures, began)) = junit
            && let Err(error) = junit::write_failures(&path, exit, &failures, began)
        {
            exit = self.exit_after_failed_end(exit, &error);
        }
        // Keep the lock, so that nobody else writes the ending.
        let ending = self.ending.clone();
        let mut ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
        let text = ending.text(exit);
        let written = text.and_then(|text| text.map_or(Ok(()), |text| self.json_line_while(&ending, &text)));
        drop(ending);
        match written {
            Ok(()) => exit,
            Err(error) => self.exit_after_failed_end(exit, &error),
        }
    }

    fn exit_after_failed_end(&mut self, exit: Exit, error: &anyhow::Error) -> Exit {
        // If stderr is closed too, only the exit code remains.
        self.error(error).ok();
        match exit {
            Exit::Ok | Exit::Findings | Exit::NothingSelected => Exit::Failed,
            exit => exit,
        }
    }
}

/// Ends the output instead of a command that does not end in time.
pub(crate) struct LastWords {
    ending: Arc<Mutex<Ending>>,
    printer: LogPrinter,
}

impl LastWords {
    /// Reports that the command ends with `error`, unless the command has already reported its end. Waits for stdout at most
    /// until `until`.
    pub(crate) fn write(&self, exit: Exit, error: &anyhow::Error, until: Instant) {
        let Some(mut ending) = self.lock_ending(until) else { return };
        if ending.is_made() {
            return;
        }
        let failure = FailureRecord::from_error(error);
        let shown = render(error, &failure);
        if !ending.has(failure.code) {
            ending.add(failure);
        }
        let (junit, text) = (ending.take_junit(), ending.text(exit));
        // If any of this fails, the exit code still shows the outcome.
        if let Ok(Some(text)) = text {
            self.write_stdout(&text, until).ok();
        }
        if let Some((path, failures, began)) = junit {
            junit::write_failures(&path, exit, &failures, began).ok();
        }
        self.printer.console.print(self.printer.style_or_strip(&text::with_colors(&shown)));
    }

    /// Locks the ending. A lock that lasts until `until` is held by a write that nobody reads.
    fn lock_ending(&self, until: Instant) -> Option<MutexGuard<'_, Ending>> {
        loop {
            match self.ending.try_lock() {
                Ok(ending) => return Some(ending),
                Err(TryLockError::Poisoned(ending)) => return Some(ending.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }

    fn write_stdout(&self, text: &str, until: Instant) -> io::Result<()> {
        standard_streams::check_stdout()?;
        let mut out = InterruptibleFile::new(share_to_write(io::stdout().as_fd())?);
        out.give_up_at(&Cut::default().at(until));
        out.write_all(format!("{text}\n").as_bytes())
    }
}

pub(crate) fn stdout_failed() -> Stop {
    Stop::new(Exit::Failed, "could not write to stdout").code(failure::STDOUT_FAILED)
}

/// Escapes line ends in a text, so that it stays on one line.
fn to_one_line(text: impl Display) -> String {
    text::visible(&text.to_string(), LONGEST_LINE, false).into_owned()
}

/// Indents all lines after the first, so that a line end in a name cannot imitate a message of the program.
fn indent_rest(text: &str) -> String {
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

/// Renders an error in the style of cargo.
fn render(error: &anyhow::Error, failure: &FailureRecord) -> String {
    let label = failure.shown_code().map_or_else(|| "error".to_string(), |code| format!("error[{code}]"));
    let mut text = labelled(style::ERROR, label, indent_rest(&printable(&error.to_string(), true)));
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
        text.push_str(&labelled(style::TRANSIENT, "help", indent_rest(&printable(help, true))));
    }
    text
}

/// The reader of stdout has closed it.
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
        anstream::adapter::strip_str(&render(error, &FailureRecord::from_error(error))).to_string()
    }

    #[test]
    fn failed_stdout_has_a_code() {
        let error = Err::<(), _>(io::Error::other("full")).with_context(stdout_failed).unwrap_err();
        assert_eq!(FailureRecord::from_error(&error).code, failure::STDOUT_FAILED);
    }

    #[test]
    fn escapes_control_characters() {
        assert_eq!(printable("\x1b[2Jgone\tzwölf\r\nnext", false), "\\u{1b}[2Jgone\tzwölf\\r\\nnext");
        let error = anyhow::anyhow!("first\nsecond\x07").context("\x1b]0;title");
        assert_eq!(plain(&error), "error: \\u{1b}]0;title\n\nCaused by:\n  first\n  second\\u{7}\n");
    }

    #[test]
    fn escapes_line_ends_and_direction_marks_in_names() {
        let error = anyhow::anyhow!("cannot read `a\nerror: b\u{202e}c`\n  in `d`");
        assert_eq!(plain(&error), "error: cannot read `a\\nerror: b\\u{202e}c`\n  in `d`\n");
        // A name with a backtick ends before it does.
        let error = anyhow::anyhow!("cannot read `a`\nerror: b`");
        assert_eq!(plain(&error), "error: cannot read `a`\n  error: b`\n");
        let error = Stop::new(Exit::Usage, "no `x`").help("type `cd a\nerror: b\x1b[8m`").into();
        assert_eq!(plain(&error), "error: no `x`\nhelp: type `cd a\\nerror: b\\u{1b}[8m`\n");
        let long = "x".repeat(3 << 20);
        assert!(plain(&anyhow::anyhow!("cannot read `{long}`")).len() < LONGEST_ERROR + 100);
        assert!(to_one_line(format_args!("`{long}`\n")).len() < LONGEST_LINE + 100);
    }

    #[test]
    fn renders_causes_and_help() {
        let stop = Stop::new(Exit::SetupMissing, "no rustup\non this machine").help("type `install`");
        let error = Err::<(), _>(stop).context("could not build").unwrap_err();
        assert_eq!(
            plain(&error),
            "error: could not build\n\nCaused by:\n  no rustup\n  on this machine\n\nhelp: type `install`\n"
        );
    }

    #[test]
    fn renders_help_without_causes() {
        let error = Stop::new(Exit::Usage, "no name").help("type one").into();
        assert_eq!(plain(&error), "error: no name\nhelp: type one\n");
    }
}
