//! Writes the numbers up to the first argument, a line each.

use std::io::{self, BufWriter, Write as _};

fn main() -> io::Result<()> {
    let last: u64 = std::env::args().nth(1).and_then(|last| last.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for number in 1..=last {
        writeln!(out, "{number}")?;
    }
    out.flush()
}
