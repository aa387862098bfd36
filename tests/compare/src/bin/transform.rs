//! Writes each line in upper case.

use std::io::{self, BufRead as _, BufWriter, Write as _};

fn main() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        let mut line = line?;
        line.make_ascii_uppercase();
        out.write_all(&line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
