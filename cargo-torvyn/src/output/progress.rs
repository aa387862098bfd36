//! What is shown while a flow runs: how far it is, on a terminal, and what its stages print. `console.rs` draws and writes it.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use torvyn_runtime::Account;
use torvyn_runtime::base::text;
use torvyn_runtime::flow::Progress;
use torvyn_runtime::stage::log::{LogLine, LogSink};

use crate::output::shell::{LogPrinter, Shell, Verbosity};

/// A flow that takes less shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// The progress of a flow, from its beginning to its end.
pub(crate) struct Bar {
    progress: Arc<Progress>,
    printer: LogPrinter,
}

/// A bar that is to be drawn.
#[derive(Clone)]
pub(crate) struct Drawn {
    progress: Arc<Progress>,
    /// Payload bytes, where it is known how many there will be.
    total: Option<u64>,
    began: Instant,
    bar: ProgressBar,
}

impl Bar {
    /// A bar that fills at `total` payload bytes, or one without end. Only a terminal shows it.
    pub(crate) fn new(shell: &Shell, total: Option<u64>) -> Bar {
        let (progress, printer) = (Arc::<Progress>::default(), shell.log_printer());
        if shell.verbosity() != Verbosity::Quiet && io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
            printer.console.draw(Some(Drawn { progress: progress.clone(), total, began: Instant::now(), bar }));
        }
        Bar { progress, printer }
    }

    /// What the flow writes its progress into.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Prints what stages print, a line each, on stderr: whatever else is kept quiet, that is what a stage has to say.
    pub(crate) fn log(&self) -> LogSink {
        let printer = self.printer.clone();
        Arc::new(move |line: LogLine<'_>| {
            let shown = String::from_utf8_lossy(line.text);
            let mut shown = text::visible(&shown, usize::MAX, false).into_owned();
            if line.left_out > 0 {
                shown += &format!("… ({} more bytes)", line.left_out);
            }
            printer.print(line.stage, &shown);
        })
    }

    /// Takes the bar away, and lets what stages printed be written, as long as somebody reads it. What was not.
    pub(crate) fn finish(self, shell: &Shell) -> Dropped {
        self.printer.console.draw(None);
        shell.finish();
        Dropped(self.printer.clone())
    }
}

/// Lines that stages printed and that nobody has read.
pub(crate) struct Dropped(LogPrinter);

impl Dropped {
    /// Adds them to what the stages printed.
    pub(crate) fn add_to(&self, account: &mut Account) {
        for stage in &mut account.stages {
            stage.log.dropped += self.0.console.dropped(&stage.name);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.printer.console.draw(None);
    }
}

impl Drawn {
    /// How often it moves.
    pub(crate) const REFRESH: Duration = Duration::from_millis(100);

    /// Puts another one, or none, in the place of the one on the terminal.
    pub(crate) fn exchange(shown: &mut Option<Drawn>, other: Option<Drawn>) {
        let is_same = match (&shown, &other) {
            (Some(shown), Some(other)) => Arc::ptr_eq(&shown.progress, &other.progress),
            (None, None) => true,
            _ => false,
        };
        if !is_same && let Some(before) = std::mem::replace(shown, other) {
            before.bar.finish_and_clear();
        }
    }

    /// Writes something above it.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Moves it on. It appears when the flow has run for a while.
    pub(crate) fn draw(&self) {
        if self.began.elapsed() < PATIENCE {
            return;
        }
        if self.bar.is_hidden() {
            self.appear();
        }
        self.bar.set_position(self.progress.bytes.load(Ordering::Relaxed));
        self.bar.tick();
    }

    fn appear(&self) {
        let template = if self.total.is_some() {
            "{msg:>12.cyan.bold} [{bar:25}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
        } else {
            "{msg:>12.cyan.bold} {spinner} {bytes}, {bytes_per_sec}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.reset_eta();
        self.bar.set_message("Running");
    }
}
