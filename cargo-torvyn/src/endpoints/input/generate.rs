//! `generate`: elements that the host generates.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use toml::de::DeValue;
use torvyn_runtime::endpoint;
use torvyn_runtime::payload::MAX_ELEMENT_BYTES;

use super::{Input, Kind};
use crate::config::ranges;
use crate::config::toml_reader::{Field, Report, Table};
use crate::endpoints::Keys;
use crate::output::codes;

pub(super) static KIND: Kind = Kind { keys: Keys { kind: "generate", options: &[] }, is_repeatable: true, read };

/// `count`: up to 2^53, which every JSON reader represents exactly.
pub(crate) const COUNT: ranges::Range = 0..=1 << 53;
/// `size`
pub(crate) const SIZE: ranges::Range = 0..=MAX_ELEMENT_BYTES as u64;

/// Generated elements.
#[derive(Debug)]
pub(super) struct Generate {
    /// Number of elements.
    pub(super) count: u64,
    /// Payload bytes of each element, from the smallest to the largest.
    pub(super) sizes: RangeInclusive<usize>,
    /// The seed of their bytes and sizes; none if all elements are identical.
    pub(super) seed: Option<u64>,
}

fn read(field: &Field, _: &Table, report: &mut Report) -> Option<Arc<dyn Input>> {
    let generate = field.table("`generate`", &["count", "size", "seed"], report)?;
    let count = generate.need("count", report).and_then(|field| field.count(&COUNT, report));
    let seed = match generate.get("seed") {
        Some(field) => field.count(&ranges::ANY, report).map(Some),
        None => Some(None),
    };
    let sizes = generate.need("size", report).and_then(|field| read_sizes(&field, &generate, report));
    Some(Arc::new(Generate { count: count?, sizes: sizes?, seed: seed? }))
}

/// Reads the size of the elements: one for all, or a range from which a seed chooses.
fn read_sizes(field: &Field, generate: &Table, report: &mut Report) -> Option<RangeInclusive<usize>> {
    if !matches!(field.value, DeValue::Table(_)) {
        let size = field.size(&SIZE, report)?;
        return Some(size..=size);
    }
    let range = field.table("a range", &["min", "max"], report)?;
    let min: Option<usize> = range.need("min", report).and_then(|field| field.size(&SIZE, report));
    let max_field = range.need("max", report)?;
    let (min, max) = (min?, max_field.size(&SIZE, report)?);
    if min > max {
        max_field.wrong(codes::BAD_SIZE, "`max` is less than `min`", "", report);
        return None;
    }
    generate.need("seed", report)?;
    Some(min..=max)
}

impl Input for Generate {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn name(&self) -> String {
        "generated elements".to_string()
    }

    fn open(&self) -> io::Result<Box<dyn endpoint::Input>> {
        Ok(Box::new(match self.seed {
            Some(seed) => endpoint::Generate::seeded(self.count, self.sizes.clone(), seed),
            None => endpoint::Generate::new(self.count, *self.sizes.start()),
        }))
    }

    fn size(&self) -> Option<u64> {
        let (min, max) = (*self.sizes.start(), *self.sizes.end());
        if min == max { self.count.checked_mul(min as u64) } else { None }
    }

    fn generated(&self) -> Option<(u64, usize)> {
        self.seed.is_none().then_some((self.count, *self.sizes.start()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_known_if_all_elements_have_one() {
        let size = |count, sizes| Generate { count, sizes, seed: Some(1) }.size();
        assert_eq!(size(3, 7..=7), Some(21));
        assert_eq!(size(3, 7..=8), None);
        assert_eq!(size(u64::MAX, 2..=2), None, "it has to fit");
    }
}
