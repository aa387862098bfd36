//! Plots as inline SVG: lines over rounds, a histogram of times, and bars. Each mark has a title, which browsers show beside the
//! pointer.

use crate::output::page::{escape, shorten};
use crate::output::run_report::{grouped, time};

/// The greatest ratio of values that an axis from 0 shows well; beyond it, the axis is logarithmic.
const LINEAR: f64 = 12.0;

/// A line with a value for each round; none for a round without one.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<Option<f64>>,
}

/// An axis from the bottom to the top of a plot.
struct Axis {
    least: f64,
    greatest: f64,
    is_logarithmic: bool,
}

impl Axis {
    fn of(values: &[f64]) -> Axis {
        let greatest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let least = values.iter().copied().filter(|value| *value > 0.0).fold(greatest, f64::min);
        if greatest / least <= LINEAR {
            return Axis { least: 0.0, greatest: round_up(greatest), is_logarithmic: false };
        }
        let decade = |value: f64| 10_f64.powf(value);
        let (least, greatest) = (decade(least.log10().floor()), decade(greatest.log10().ceil()));
        Axis { least, greatest, is_logarithmic: true }
    }

    /// From 0 at the least to 1 at the greatest.
    fn place(&self, value: f64) -> f64 {
        if self.is_logarithmic {
            return (value.max(self.least) / self.least).log10() / (self.greatest / self.least).log10();
        }
        value / self.greatest
    }

    fn ticks(&self) -> Vec<f64> {
        if self.is_logarithmic {
            let decades = (self.greatest / self.least).log10().round() as i32;
            return (0..=decades).map(|decade| self.least * 10_f64.powi(decade)).collect();
        }
        (0..=4).map(|tick| self.greatest * f64::from(tick) / 4.0).collect()
    }
}

/// The next number of few digits, of which a quarter has few digits too.
fn round_up(value: f64) -> f64 {
    const STEPS: [f64; 10] = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    let unit = 10_f64.powf(value.log10().floor());
    STEPS.into_iter().map(|step| step * unit).find(|step| *step >= value).unwrap_or(value)
}

/// A count in at most four characters and a unit.
fn short(value: f64) -> String {
    let scaled = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")].into_iter().find(|(scale, _)| value >= *scale);
    let (value, unit) = scaled.map_or((value, ""), |(scale, unit)| (value / scale, unit));
    let digits = match value {
        0.0 => 0,
        ..0.1 => 2,
        ..10.0 if value.fract() > 0.05 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}").trim_end().to_string()
}

/// Lines over rounds, with the rates of elements in a second.
pub(crate) fn rounds(series: &[Series]) -> String {
    const WIDTH: f64 = 860.0;
    const HEIGHT: f64 = 260.0;
    const LEFT: f64 = 64.0;
    const RIGHT: f64 = 12.0;
    const TOP: f64 = 10.0;
    const BOTTOM: f64 = 34.0;
    let values: Vec<_> = series.iter().flat_map(|series| series.values.iter().flatten().copied()).collect();
    let axis = Axis::of(&values);
    let count = series.iter().map(|series| series.values.len()).max().unwrap_or_default();
    let x = |index: usize| {
        let step = if count > 1 { index as f64 / (count - 1) as f64 } else { 0.5 };
        LEFT + 12.0 + step * (WIDTH - LEFT - RIGHT - 24.0)
    };
    let y = |value: f64| HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM);
    let mut svg = key(series.iter().map(|series| series.name.as_str()));
    svg += &format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Elements per second over rounds\">\n"
    );
    for tick in axis.ticks() {
        let at = y(tick);
        svg += &format!("<line class=\"rule\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>", WIDTH - RIGHT);
        svg +=
            &format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}/s</text>\n", LEFT - 8.0, at + 4.0, short(tick));
    }
    let every = count.div_ceil(20).max(1);
    for index in (0..count).step_by(every) {
        let at = HEIGHT - BOTTOM + 16.0;
        svg += &format!("<text x=\"{:.1}\" y=\"{at}\" text-anchor=\"middle\">{}</text>", x(index), index + 1);
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    svg += &format!("<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">round</text>\n", HEIGHT - 3.0);
    for (number, series) in (1..).zip(series) {
        let points = series.values.iter().enumerate();
        let points: Vec<_> = points.filter_map(|(index, value)| Some((index, (*value)?))).collect();
        let places: Vec<_> = points.iter().map(|(index, value)| format!("{:.1},{:.1}", x(*index), y(*value))).collect();
        svg += &format!("<polyline class=\"line s{number}\" points=\"{}\"/>\n", places.join(" "));
        for (index, value) in points {
            let title = format!("{}, round {}: {} elements/s", series.name, index + 1, grouped(value as u64));
            let (x, y) = (x(index), y(value));
            let title = escape(&title);
            svg += &format!(
                "<circle class=\"f{number}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{title}</title></circle>"
            );
        }
    }
    svg + "\n</svg>\n"
}

/// A histogram of times in nanoseconds on a logarithmic axis: how many values are up to each bound. Bars are as high as their share.
pub(crate) fn histogram(label: &str, bars: &[(u64, u64)], least: u64, is_small: bool) -> String {
    const LEFT: f64 = 44.0;
    const RIGHT: f64 = 26.0;
    const TOP: f64 = 8.0;
    const BOTTOM: f64 = 24.0;
    let (width, height) = if is_small { (320.0, 150.0) } else { (860.0, 240.0) };
    let total: u64 = bars.iter().map(|(_, count)| count).sum();
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let top = round_up((100.0 * most as f64 / total.max(1) as f64).max(1.0)).min(100.0);
    let (from, to) = ((least.max(1) as f64).log10(), bars.last().map_or(1, |(bound, _)| *bound).max(1) as f64);
    let (from, to) = (from.floor(), to.log10().max(from.floor() + 0.1).ceil());
    let x = |value: f64| LEFT + (value.max(1.0).log10() - from).max(0.0) / (to - from) * (width - LEFT - RIGHT);
    let y = |percent: f64| height - BOTTOM - percent / top * (height - TOP - BOTTOM);
    let label = escape(label);
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\n");
    for percent in [0.0, top / 2.0, top] {
        let (at, right) = (y(percent), width - RIGHT);
        svg += &format!("<line class=\"rule\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        svg += &format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{} %</text>\n",
            LEFT - 6.0,
            at + 4.0,
            short(percent)
        );
    }
    // A small plot has room for few names.
    let every = if is_small { ((to - from) / 3.0).ceil() as usize } else { 1 };
    for (index, decade) in (from as i32..=to as i32).enumerate() {
        let ns = 10_u64.saturating_pow(decade.unsigned_abs());
        let (at, low) = (x(ns as f64), height - BOTTOM);
        svg += &format!("<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low}\" y2=\"{}\"/>", low + 4.0);
        if index.is_multiple_of(every) {
            let (low, name) = (height - 6.0, power(ns));
            svg += &format!("<text x=\"{at:.1}\" y=\"{low}\" text-anchor=\"middle\">{name}</text>\n");
        }
    }
    let mut before = least.max(1);
    for (bound, count) in bars {
        // A bar begins at most an eighth of a decade below its bound: nothing is between the bars.
        let begin = (before as f64).max(*bound as f64 / 10_f64.powf(0.125));
        let (left, right) = (x(begin.min(*bound as f64)), x(*bound as f64));
        let percent = 100.0 * *count as f64 / total.max(1) as f64;
        let title =
            format!("up to {}: {} of {} elements ({percent:.2} %)", time(*bound), grouped(*count), grouped(total));
        let (y, high) = (y(percent), height - BOTTOM - y(percent));
        let (wide, title) = ((right - left - 1.0).max(2.0), escape(&title));
        let rect = format!(
            "<rect class=\"f1\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{:.1}\">",
            high.max(0.5)
        );
        svg += &format!("{rect}<title>{title}</title></rect>\n");
        before = *bound;
    }
    svg + "</svg>\n"
}

/// A power of ten of nanoseconds.
fn power(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}

/// Bars from left to right, each with its name, its value and that as text.
pub(crate) fn bars(label: &str, bars: &[(String, f64, String)]) -> String {
    const WIDTH: f64 = 860.0;
    const LEFT: f64 = 170.0;
    const RIGHT: f64 = 90.0;
    const HIGH: f64 = 24.0;
    let height = HIGH * bars.len() as f64 + 4.0;
    let most = bars.iter().map(|(_, value, _)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let label = escape(label);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n");
    for (index, (name, value, text)) in bars.iter().enumerate() {
        let top = HIGH * index as f64 + 2.0;
        let wide = (value / most * (WIDTH - LEFT - RIGHT)).max(1.0);
        let (middle, text) = (top + 15.0, escape(text));
        let (short, name) = (escape(&shorten(name)), escape(name));
        svg += &format!("<text class=\"name\" x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{short}</text>", LEFT - 10.0);
        svg += &format!(
            "<rect class=\"f1\" x=\"{LEFT}\" y=\"{}\" width=\"{wide:.1}\" height=\"{}\">",
            top + 2.0,
            HIGH - 7.0
        );
        svg += &format!(
            "<title>{name}: {text}</title></rect><text x=\"{:.1}\" y=\"{middle}\">{text}</text>\n",
            LEFT + wide + 8.0
        );
    }
    svg + "</svg>\n"
}

/// The colors of some names.
pub(super) fn key<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let item = |(number, name): (usize, &str)| format!("<li><span class=\"b{number}\"></span>{}</li>", escape(name));
    format!("<ul class=\"key\">{}</ul>\n", (1..).zip(names).map(item).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_is_logarithmic_only_for_wide_ranges() {
        let axis = Axis::of(&[3.0e6, 4.5e6]);
        assert_eq!((axis.least, axis.greatest, axis.is_logarithmic), (0.0, 6.0e6, false));
        assert!((axis.place(3.0e6) - 0.5).abs() < 1e-9);
        let axis = Axis::of(&[2.0e5, 4.0e7]);
        assert!(axis.is_logarithmic);
        assert!((axis.least - 1e5).abs() < 1.0 && (axis.greatest - 1e8).abs() < 1e3);
        assert_eq!(axis.ticks().len(), 4);
        assert!((axis.place(1e6) - 1.0 / 3.0).abs() < 1e-9);
        assert!(Axis::of(&[]).place(0.0).is_finite());
    }

    #[test]
    fn marks_have_the_figures() {
        let series = [Series { name: "<ours>".to_string(), values: vec![Some(1000.0), None, Some(2000.0)] }];
        let svg = rounds(&series);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("&lt;ours&gt;, round 3: 2,000 elements/s"), "{svg}");
        let svg = histogram("latency", &[(1000, 1), (10_000, 3)], 900, true);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("up to 10.0 µs: 3 of 4 elements (75.00 %)"), "{svg}");
        for numbers in [svg, bars("time", &[("a".to_string(), 0.0, "0 ns".to_string())]), histogram("", &[], 0, false)]
        {
            assert!(!numbers.contains("NaN") && !numbers.contains("inf"), "{numbers}");
        }
    }

    #[test]
    fn shortens_counts() {
        assert_eq!([0.0, 0.05, 5.0, 1500.0, 2e6, 12.34e9].map(short), ["0", "0.05", "5", "1.5 k", "2 M", "12 G"]);
    }
}
