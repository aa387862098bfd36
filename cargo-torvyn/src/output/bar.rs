//! The progress bar of a flow. `console` draws it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use torvyn_runtime::flow::Progress;

/// A shorter flow shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// A progress bar to draw.
#[derive(Clone)]
pub(crate) struct Drawn {
    progress: Arc<Progress>,
    /// The total of payload bytes, if known in advance.
    total: Option<u64>,
    began: Instant,
    bar: ProgressBar,
}

impl Drawn {
    /// A bar for a flow that starts now and ends at `total` payload bytes.
    pub(crate) fn new(progress: Arc<Progress>, total: Option<u64>) -> Drawn {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        Drawn { progress, total, began: Instant::now(), bar }
    }

    /// The refresh interval.
    pub(crate) const REFRESH: Duration = Duration::from_millis(100);

    /// Replaces the bar on the terminal by another one, or removes it.
    pub(crate) fn replace(shown: &mut Option<Drawn>, other: Option<Drawn>) {
        let is_same = match (&shown, &other) {
            (Some(shown), Some(other)) => Arc::ptr_eq(&shown.progress, &other.progress),
            (None, None) => true,
            _ => false,
        };
        if !is_same && let Some(before) = std::mem::replace(shown, other) {
            before.bar.finish_and_clear();
        }
    }

    /// Hides the bar while `write` writes to the terminal.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bar.suspend(write);
    }

    /// Updates the bar. It appears after the flow has run for a while.
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
