//! What a few measurements say: their median and range, and whether those of one group are greater than those of another.

use serde::Serialize;

/// The median of some measurements, and the least and the greatest of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of these values, which are finite. `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<_> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median =
            if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[half - 1], sorted[half]) } else { sorted[half] };
        Some(Spread { median, min, max })
    }
}

/// The probability that the values of `later` are as much above those of `earlier` as they are, or more, if both are drawn from
/// one distribution, whatever it is: the one-sided rank test of Mann and Whitney, computed exactly. 1 if either is empty.
pub(crate) fn chance_of_greater(later: &[f64], earlier: &[f64]) -> f64 {
    if later.is_empty() || earlier.is_empty() {
        return 1.0;
    }
    // How many pairs have the later value below the earlier one; half of each tie, rounded up, so that ties prove nothing.
    let twice: usize = later
        .iter()
        .flat_map(|later| {
            earlier.iter().map(move |earlier| 2 * usize::from(later < earlier) + usize::from(later == earlier))
        })
        .sum();
    let below = twice.div_ceil(2);
    let counts = arrangements(later.len(), earlier.len());
    let total: f64 = counts.iter().sum();
    counts[..=below].iter().sum::<f64>() / total
}

/// For each number of pairs in the wrong order, in how many ways `n` values can stand among `m` others.
///
/// They are the coefficients of the Gaussian binomial, which is the product over `i` from 1 to `n` of `(1 - q^(m + i)) / (1 - q^i)`.
fn arrangements(n: usize, m: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n * m + 1];
    counts[0] = 1.0;
    for i in 1..=n {
        for at in (m + i..counts.len()).rev() {
            counts[at] -= counts[at - m - i];
        }
        for at in i..counts.len() {
            counts[at] += counts[at - i];
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_has_the_median_between_the_extremes() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn counts_arrangements() {
        // Of 2 among 2: 0 wrong pairs in 1 way, 1 in 1, 2 in 2, 3 in 1, 4 in 1.
        assert_eq!(arrangements(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(arrangements(5, 5).iter().sum::<f64>(), 252.0);
        assert_eq!(arrangements(1, 3), [1.0; 4]);
    }

    #[test]
    fn finds_a_difference_only_where_the_values_are_apart() {
        let earlier = [10.0, 11.0, 12.0, 13.0, 14.0];
        let apart = [20.0, 21.0, 22.0, 23.0, 24.0];
        assert!((chance_of_greater(&apart, &earlier) - 1.0 / 252.0).abs() < 1e-12);
        assert_eq!(chance_of_greater(&earlier, &apart), 1.0);
        assert!(chance_of_greater(&earlier, &earlier) > 0.4);
        assert!(chance_of_greater(&[12.5, 13.5, 14.5, 15.5, 16.5], &earlier) > 0.01);
        assert!(chance_of_greater(&[7.0; 5], &[7.0; 5]) > 0.4, "ties prove nothing");
        assert_eq!(chance_of_greater(&[], &earlier), 1.0);
    }

    #[test]
    fn many_values_stay_probabilities() {
        let early: Vec<_> = (0..100).map(f64::from).collect();
        let late: Vec<_> = early.iter().map(|value| value + 0.5).collect();
        let chance = chance_of_greater(&late, &early);
        assert!((0.3..0.5).contains(&chance), "{chance}");
    }
}
