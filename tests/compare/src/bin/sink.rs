//! Counts lines, and the bytes in them.

use std::io::{self, BufRead as _};

fn main() -> io::Result<()> {
    let (mut elements, mut bytes) = (0, 0);
    for line in io::stdin().lock().split(b'\n') {
        elements += 1;
        bytes += line?.len();
    }
    println!("{elements} elements, {bytes} bytes");
    Ok(())
}
