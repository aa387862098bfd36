//! What is shown while a flow runs: how far it is, on a terminal, and what its stages print.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anstream::AutoStream;
use clap_cargo::style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use torvyn_runtime::flow::Progress;
use torvyn_runtime::log::{LogLine, LogSink};

use crate::shell::{Shell, Verbosity, printable};

/// A flow that takes less shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);
const REFRESH: Duration = Duration::from_millis(100);

/// The progress bar, and the thread that moves it.
pub(crate) struct Bar {
    bar: ProgressBar,
    progress: Arc<Progress>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    color: anstream::ColorChoice,
    quiet: bool,
}

impl Bar {
    /// A bar that fills at `total` payload bytes, or one without end. Only a terminal shows it.
    pub(crate) fn new(shell: &Shell, total: Option<u64>) -> Bar {
        let quiet = shell.verbosity() == Verbosity::Quiet;
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let progress = Arc::new(Progress::default());
        let done = Arc::new(AtomicBool::new(false));
        let show = !quiet && io::stderr().is_terminal();
        let thread = show.then(|| {
            let (bar, progress, done) = (bar.clone(), progress.clone(), done.clone());
            thread::spawn(move || move_on(&bar, &progress, &done, total.is_some()))
        });
        Bar { bar, progress, done, thread, color: shell.color(), quiet }
    }

    /// What the flow writes its progress into.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Prints what stages print, a line each, on stderr.
    pub(crate) fn log(&self) -> LogSink {
        let (bar, color, quiet) = (self.bar.clone(), self.color, self.quiet);
        Arc::new(move |line: LogLine<'_>| {
            if quiet {
                return;
            }
            let text = printable(&String::from_utf8_lossy(line.text), false);
            bar.suspend(|| {
                let mut stderr = AutoStream::new(io::stderr(), color);
                let dim = style::TRANSIENT;
                // A log that nobody can read is no reason to fail.
                writeln!(stderr, "{dim}{:>12}{dim:#} {text}", line.stage).ok();
            });
        })
    }

    /// Takes the bar away.
    pub(crate) fn finish(mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A bar that could not be drawn is no reason to fail either.
            thread.join().ok();
        }
        self.bar.finish_and_clear();
    }
}

fn move_on(bar: &ProgressBar, progress: &Progress, done: &AtomicBool, bounded: bool) {
    thread::park_timeout(PATIENCE);
    if done.load(Ordering::Relaxed) {
        return;
    }
    let template = if bounded {
        "{msg:>12.cyan.bold} [{bar:25}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left"
    } else {
        "{msg:>12.cyan.bold} {spinner} {bytes}, {bytes_per_sec}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.reset_eta();
    bar.set_message("Running");
    while !done.load(Ordering::Relaxed) {
        bar.set_position(progress.bytes.load(Ordering::Relaxed));
        bar.tick();
        thread::park_timeout(REFRESH);
    }
}
