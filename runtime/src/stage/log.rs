//! What a stage prints: its standard output and error, line by line.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The bytes that are kept of a line. The rest of a longer line is dropped and counted.
const LONGEST_LINE: usize = 256 << 10;
/// How much a stage may write before it has to check again.
const PERMIT: usize = 64 << 10;
/// The period of the print quota.
const WINDOW: Duration = Duration::from_secs(60);

/// A line that a stage printed, exactly as it wrote it: it can contain control characters and invalid UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The line, without its end.
    pub text: &'a [u8],
    /// Bytes of the line that were dropped.
    pub left_out: u64,
}

/// Receives what stages print. It is called on the element path, so it must not wait for a reader.
pub type LogSink = Arc<dyn Fn(LogLine<'_>) + Send + Sync>;

/// What a stage printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LogUse {
    /// Lines, dropped ones included.
    pub lines: u64,
    /// Bytes of these lines.
    pub bytes: u64,
    /// Lines that were dropped, because the stage exceeded its quota or nobody took them in time.
    pub dropped: u64,
}

/// The standard output and error of a stage.
#[derive(Clone)]
pub(crate) struct StageLog {
    stage: Arc<str>,
    sink: LogSink,
    /// Bytes of lines per minute.
    quota: u64,
    /// The unfinished line of one instance.
    partial: Arc<Mutex<Partial>>,
    /// What all instances of the stage have printed.
    printed: Arc<Mutex<Printed>>,
}

#[derive(Default)]
struct Partial {
    /// The kept bytes of the line.
    bytes: Vec<u8>,
    /// The dropped bytes of the line.
    left_out: u64,
}

#[derive(Default)]
struct Printed {
    used: LogUse,
    /// When the current minute began.
    window: Option<Instant>,
    /// Bytes of the lines of this minute.
    bytes: u64,
}

impl StageLog {
    pub(crate) fn new(stage: &str, sink: LogSink, quota: u64) -> Self {
        StageLog { stage: stage.into(), sink, quota, partial: Arc::default(), printed: Arc::default() }
    }

    /// The log of another instance of the same stage: its lines are its own, the quota is shared.
    pub(crate) fn of_replica(&self) -> StageLog {
        StageLog { partial: Arc::default(), ..self.clone() }
    }

    fn partial(&self) -> MutexGuard<'_, Partial> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mut bytes: &[u8]) {
        let mut partial = self.partial();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            partial.add(&bytes[..end]);
            self.give(&mut partial);
            bytes = &bytes[end + 1..];
        }
        partial.add(bytes);
    }

    /// Emits the line, if the quota allows it.
    fn give(&self, line: &mut Partial) {
        let mut printed = self.printed();
        // Including the line end: empty lines count too.
        let len = line.bytes.len() as u64 + 1;
        printed.used.lines += 1;
        printed.used.bytes += line.bytes.len() as u64 + line.left_out;
        let now = Instant::now();
        if printed.window.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            (printed.window, printed.bytes) = (Some(now), 0);
        }
        if printed.bytes.saturating_add(len) > self.quota {
            printed.used.dropped += 1;
        } else {
            printed.bytes += len;
            (self.sink)(LogLine { stage: &self.stage, text: &line.bytes, left_out: line.left_out });
        }
        line.bytes.clear();
        line.left_out = 0;
    }

    /// Emits an unfinished last line.
    pub(crate) fn finish(&self) {
        let mut partial = self.partial();
        if !partial.bytes.is_empty() {
            self.give(&mut partial);
        }
    }

    /// What was printed so far.
    pub(crate) fn used(&self) -> LogUse {
        self.printed().used
    }
}

impl Partial {
    fn add(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LONGEST_LINE - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.left_out += (bytes.len() - kept) as u64;
    }
}

impl IsTerminal for StageLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StageLog {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for StageLog {
    async fn ready(&mut self) {}
}

impl OutputStream for StageLog {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for StageLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is emitted of these written pieces: the text and the dropped bytes of each line.
    fn given(quota: u64, pieces: &[&[u8]]) -> (Vec<(Vec<u8>, u64)>, LogUse) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = lines.clone();
        let sink = Arc::new(move |line: LogLine<'_>| into.lock().unwrap().push((line.text.to_vec(), line.left_out)));
        let log = StageLog::new("stage", sink, quota);
        pieces.iter().for_each(|piece| log.take(piece));
        log.finish();
        let lines = lines.lock().unwrap().clone();
        (lines, log.used())
    }

    #[test]
    fn joins_pieces_of_a_line() {
        let long = vec![b'x'; 200_000];
        let (lines, used) = given(u64::MAX, &[b"a", b"b\n\nc", &long[..70_000], &long[70_000..], b"\nlast"]);
        let expected = [(b"ab".to_vec(), 0), (Vec::new(), 0), ([b"c", &long[..]].concat(), 0), (b"last".to_vec(), 0)];
        assert_eq!(lines, expected);
        assert_eq!(used, LogUse { lines: 4, bytes: 200_007, dropped: 0 });
    }

    #[test]
    fn bounds_the_memory_of_a_line() {
        let piece = vec![b'x'; LONGEST_LINE];
        let (lines, used) = given(u64::MAX, &[&piece[..], &piece[..], b"\nnext\n"]);
        assert_eq!(lines, [(piece, LONGEST_LINE as u64), (b"next".to_vec(), 0)]);
        assert_eq!(used.bytes, 2 * LONGEST_LINE as u64 + 4);
    }

    #[test]
    fn replicas_share_the_quota_and_not_their_lines() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = lines.clone();
        let sink = Arc::new(move |line: LogLine<'_>| into.lock().unwrap().push(line.text.to_vec()));
        let one = StageLog::new("stage", sink, 10);
        let other = one.of_replica();
        for (log, bytes) in [(&one, "on"), (&other, "other"), (&one, "e\n"), (&other, "\n"), (&one, "no\n")] {
            log.take(bytes.as_bytes());
        }
        assert_eq!(*lines.lock().unwrap(), [b"one".to_vec(), b"other".to_vec()]);
        assert_eq!((one.used(), one.used()), (other.used(), LogUse { lines: 3, bytes: 10, dropped: 1 }));
    }

    #[test]
    fn drops_and_counts_lines_beyond_the_quota() {
        let (lines, used) = given(12, &[b"12345\n123456\n123\n", b"1\n", b"2"]);
        assert_eq!(lines, [(b"12345".to_vec(), 0), (b"123".to_vec(), 0), (b"1".to_vec(), 0)]);
        assert_eq!(used, LogUse { lines: 5, bytes: 16, dropped: 2 });
        // An empty line uses quota.
        let (lines, used) = given(3, &[b"\n\n\n\n\n"]);
        assert_eq!((lines.len(), used), (3, LogUse { lines: 5, bytes: 0, dropped: 2 }));
    }
}
