//! Passes on the lines that are not empty.

use std::io::{self, BufRead as _, BufWriter, Write as _};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        if !line.is_empty() {
            out.write_all(&line)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()
}
