//! Components with a few bytes changed.

use crate::random::Random;

/// The bytes with a few changes, of a kind that the number selects.
pub fn mutated(original: &[u8], number: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    // Half of the changes hit the end, where a component has its names and other sections without code.
    let place = |random: &mut Random, len: usize| {
        let window = if random.below(2) == 0 { len } else { len.min(8 << 10) };
        len - 1 - random.below(window)
    };
    for _ in 0..1 + random.below(4) {
        let at = place(random, bytes.len());
        match number % 6 {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes.truncate(at.max(9)),
            3 => drop(bytes.drain(at..(at + 1 + random.below(64)).min(bytes.len()))),
            4 => bytes.insert(at, [0, 0x7f, 0x80, 0xff][random.below(4)]),
            _ => {
                let from = place(random, bytes.len());
                let len = random.below(64).min(bytes.len() - from).min(bytes.len() - at);
                bytes.copy_within(from..from + len, at);
            }
        }
    }
    bytes
}
