//! Passes on the lines that contain the first argument.

use std::io::{self, BufRead as _, BufWriter, Write as _};

fn main() -> io::Result<()> {
    let needle = std::env::args().nth(1).filter(|needle| !needle.is_empty()).ok_or(io::ErrorKind::InvalidInput)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.windows(needle.len()).any(|part| part == needle.as_bytes()) {
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()
}
