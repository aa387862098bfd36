//! A source: counts from 1 to the configured `count`, one number per element.

use std::ops::RangeInclusive;

use torvyn_guest::{Config, Failure, Next, Source, Stage, Writer};

/// The numbers that are left.
pub struct Count {
    numbers: RangeInclusive<u64>,
}

impl Stage for Count {
    fn new(config: &Config) -> Result<Self, Failure> {
        let last = config.parse("count")?.unwrap_or(10);
        Ok(Count { numbers: 1..=last })
    }
}

impl Source for Count {
    fn pull(&mut self, out: &mut Writer) -> Result<Next, Failure> {
        match self.numbers.next() {
            Some(number) => {
                out.write(number.to_string().as_bytes());
                Ok(Next::More)
            }
            None => Ok(Next::End),
        }
    }
}

torvyn_guest::export!(Count: Source);

#[cfg(test)]
mod tests {
    use torvyn_guest::testing;

    use super::*;

    fn count(config: &Config) -> Vec<String> {
        let mut stage = Count::new(config).unwrap();
        let mut numbers = Vec::new();
        loop {
            let (next, written) = testing::collect(|out| stage.pull(out)).unwrap();
            numbers.extend(
                written
                    .into_iter()
                    .map(|element| String::from_utf8(element.payload).unwrap()),
            );
            if next == Next::End {
                return numbers;
            }
        }
    }

    #[test]
    fn counts_to_the_configured_number() {
        assert_eq!(count(&Config::from([("count", "3")])), ["1", "2", "3"]);
        assert_eq!(count(&Config::default()).len(), 10);
        assert!(count(&Config::from([("count", "0")])).is_empty());
    }

    #[test]
    fn rejects_a_count_that_is_not_a_number() {
        assert!(Count::new(&Config::from([("count", "many")])).is_err());
    }
}
