//! Typed access to the keys of a TOML table. Each error becomes a diagnostic at its place, and reading continues.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::spanned::{Declared, Declarer};
use crate::config::{ranges, units};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, quoted, suggestion, truncate};

/// Characters of an invalid number that are shown: the largest valid one has 20.
const LONGEST_NUMBER: usize = 32;
/// Bytes of an invalid string that are shown.
const LONGEST_SHOWN: usize = 200;

/// The file being read, and the errors found so far.
pub(crate) struct Report<'a> {
    /// The path, for labels.
    pub(crate) file: &'a Path,
    /// The errors.
    pub(crate) found: Diagnostics,
}

impl<'a> Report<'a> {
    /// Reads something optional, whose errors are returned instead of added to the report.
    pub(crate) fn read_separately<T>(&self, read: impl FnOnce(&mut Report<'a>) -> Option<T>) -> Result<T, Diagnostics> {
        let mut report = Report { file: self.file, found: Diagnostics::default() };
        let read = read(&mut report);
        report.found.sort_by_place();
        read.filter(|_| report.found.is_empty()).ok_or(report.found)
    }

    /// The folder that paths in the file are relative to.
    pub(crate) fn folder(&self) -> &'a Path {
        self.file.parent().unwrap_or(Path::new(""))
    }
}

/// A table that has been checked for unknown keys.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    what: &'static str,
    /// The place of its header or braces.
    pub(crate) span: Range<usize>,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// Reports the keys that are not in `known`. `what` names the table in messages, as in "a stage".
    pub(crate) fn new(
        what: &'static str,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        known: &[&str],
        report: &mut Report,
    ) -> Self {
        let table = Table { what, span, entries };
        for field in table.fields() {
            if !known.contains(&field.key) {
                let message = format!("unknown key `{}` in {what}", field.key);
                let help = suggestion(field.key, "keys", known);
                report.found.push(
                    Diagnostic::error(codes::UNKNOWN_KEY, message).label(report.file, field.key_span, "").help(help),
                );
            }
        }
        table
    }

    /// The entries, in file order.
    pub(crate) fn fields(&self) -> Vec<Field<'a>> {
        Field::all(self.entries)
    }

    /// The entry of a key, if present.
    pub(crate) fn get(&self, key: &str) -> Option<Field<'a>> {
        Field::find(self.entries, key)
    }

    /// Whether a key that can only be `true` is there.
    pub(crate) fn switch(&self, key: &str, report: &mut Report) -> Option<bool> {
        self.get(key).map_or(Some(false), |field| field.only_true(report).map(|()| true))
    }

    /// The entry of a required key; reports if it is missing.
    pub(crate) fn need(&self, key: &str, report: &mut Report) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            self.report_missing(&[key], report);
        }
        field
    }

    /// Reports that a key is missing, or that all of several keys are.
    pub(crate) fn report_missing(&self, keys: &[&str], report: &mut Report) {
        let key = if keys.len() == 1 { "the key" } else { "one of the keys" };
        let message = format!("{} needs {key} {}", self.what, quoted(keys));
        report.found.push(Diagnostic::error(codes::MISSING_KEY, message).label(report.file, self.span.clone(), ""));
    }

    /// The entry of exactly one of several keys; reports if none or several are present.
    pub(crate) fn need_one(&self, keys: &[&str], report: &mut Report) -> Option<Field<'a>> {
        let mut present: Vec<_> = self.fields().into_iter().filter(|field| keys.contains(&field.key)).collect();
        if present.is_empty() {
            self.report_missing(keys, report);
        }
        if present.len() > 1 {
            self.report_conflict(&present[1], &present[0], report);
        }
        (present.len() == 1).then(|| present.remove(0))
    }

    /// Reports `key` if it is present, because it conflicts with `other`.
    pub(crate) fn exclude(&self, key: &str, other: &Field, report: &mut Report) {
        if let Some(field) = self.get(key) {
            self.report_conflict(&field, other, report);
        }
    }

    fn report_conflict(&self, second: &Field, first: &Field, report: &mut Report) {
        let message = format!("{} cannot have both `{}` and `{}`", self.what, first.key, second.key);
        report.found.push(
            Diagnostic::error(codes::CONFLICTING_KEYS, message)
                .label(report.file, second.key_span.clone(), "remove this key")
                .label(report.file, first.key_span.clone(), "or this one"),
        );
    }
}

/// A key and its value, or an item of an array under the key of the array.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    /// The key.
    pub(crate) key: &'a str,
    /// Whether this is an item of an array under the key.
    is_item: bool,
    /// The place of the key.
    pub(crate) key_span: Range<usize>,
    /// The place of the value.
    pub(crate) span: Range<usize>,
    /// The value.
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Field<'a> {
    fn new(key: &'a Spanned<toml::de::DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Self {
        Field { key: key.get_ref(), is_item: false, key_span: key.span(), span: value.span(), value: value.get_ref() }
    }

    /// The entry of a key, if present.
    pub(crate) fn find(entries: &'a DeTable<'a>, key: &str) -> Option<Self> {
        entries.get_key_value(key).map(|(key, value)| Field::new(key, value))
    }

    /// The entries of a table, in file order. The parser sorts them by name.
    pub(crate) fn all(entries: &'a DeTable<'a>) -> Vec<Self> {
        let mut fields: Vec<_> = entries.iter().map(|(key, value)| Field::new(key, value)).collect();
        fields.sort_by_key(|field| field.key_span.start);
        fields
    }

    /// The name of the value in messages.
    fn name(&self) -> String {
        if self.is_item { format!("an item of `{}`", self.key) } else { format!("`{}`", self.key) }
    }

    /// Reports an error at the value, with `label` beside it.
    pub(crate) fn wrong<'r>(
        &self,
        code: &'static str,
        message: impl Into<String>,
        label: &str,
        report: &'r mut Report,
    ) -> &'r mut Diagnostic {
        let diagnostic = Diagnostic::error(code, message).label(report.file, self.span.clone(), label);
        report.found.push(diagnostic)
    }

    /// Reports that the value has the wrong type. `expected` describes the right one, as in "a string or a table".
    pub(crate) fn wrong_type(&self, expected: &str, report: &mut Report) {
        let message = format!("{} has the wrong type", self.name());
        let label = format!("expected {expected}, found {}", type_name(self.value));
        self.wrong(codes::WRONG_TYPE, message, &label, report);
    }

    /// Reads a string that is not empty.
    pub(crate) fn text(&self, report: &mut Report) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) if text.is_empty() => {
                self.wrong(codes::EMPTY, format!("{} is empty", self.name()), "", report);
                None
            }
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type("a string", report);
                None
            }
        }
    }

    /// Reads one of a few strings.
    pub(crate) fn choice(&self, known: &[&'static str], report: &mut Report) -> Option<&'static str> {
        let text = self.text(report)?;
        let chosen = known.iter().copied().find(|known| *known == text);
        if chosen.is_none() {
            let message = format!("`{}` cannot be `{text}`", self.key);
            self.wrong(codes::UNKNOWN_VALUE, message, "", report).help = Some(suggestion(text, "values", known));
        }
        chosen
    }

    /// Reads `true`, the only value of a key that works by being present.
    pub(crate) fn only_true(&self, report: &mut Report) -> Option<()> {
        match self.value {
            DeValue::Boolean(true) => Some(()),
            DeValue::Boolean(false) => {
                let message = format!("`{}` can only be `true`", self.key);
                self.wrong(codes::UNKNOWN_VALUE, message, "", report).help = Some("remove the key".to_string());
                None
            }
            _ => {
                self.wrong_type("`true`", report);
                None
            }
        }
    }

    /// Reads a whole number in a range.
    pub(crate) fn count<N: TryFrom<u64>>(&self, range: &ranges::Range, report: &mut Report) -> Option<N> {
        let DeValue::Integer(integer) = self.value else {
            self.wrong_type("a whole number", report);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number == Some(0) && *range.start() == 1 {
            self.report_zero(report);
            return None;
        }
        let fits = number.filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        if fits.is_none() {
            let expected = format!("from {} to {}", range.start(), range.end());
            self.report_out_of_range(codes::BAD_NUMBER, &expected, integer.as_str(), report);
        }
        fits
    }

    /// Reads a number in a range, which need not be whole.
    pub(crate) fn ratio(&self, range: &RangeInclusive<f64>, report: &mut Report) -> Option<f64> {
        let (text, number) = match self.value {
            DeValue::Integer(integer) => {
                let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
                (integer.as_str(), number.map(|number| number as f64))
            }
            DeValue::Float(float) => (float.as_str(), float.as_str().parse().ok()),
            _ => {
                self.wrong_type("a number", report);
                return None;
            }
        };
        let number = number.filter(|number: &f64| number.is_sign_positive() && range.contains(number));
        if number.is_none() {
            let expected = format!("from {} to {}", range.start(), range.end());
            self.report_out_of_range(codes::BAD_NUMBER, &expected, text, report);
        }
        number
    }

    /// Reads a size in a range: a number of bytes, or a string with a unit.
    pub(crate) fn size<N: TryFrom<u64>>(&self, range: &ranges::Range, report: &mut Report) -> Option<N> {
        let (text, size) = match self.value {
            DeValue::Integer(integer) => {
                (integer.as_str(), u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| None))
            }
            DeValue::String(text) => (&**text, units::size(text)),
            _ => {
                self.wrong_type("bytes or a size such as \"64KiB\"", report);
                return None;
            }
        };
        match size {
            Ok(0) if *range.start() == 1 => self.report_zero(report),
            Ok(size) if let (true, Ok(size)) = (range.contains(&size), size.try_into()) => return Some(size),
            Ok(_) | Err(None) => {
                let expected =
                    format!("from {} to {}", units::format_size(*range.start()), units::format_size(*range.end()));
                self.report_out_of_range(codes::BAD_SIZE, &expected, text, report);
            }
            Err(help) => {
                self.wrong(codes::BAD_SIZE, format!("`{}` is not a size", truncate(text, LONGEST_SHOWN)), "", report)
                    .help = help
            }
        }
        None
    }

    /// Reads a duration in a range.
    pub(crate) fn duration(&self, range: &ranges::Durations, report: &mut Report) -> Option<Duration> {
        let DeValue::String(text) = self.value else {
            self.wrong_type("a duration such as \"500ms\"", report);
            return None;
        };
        match units::duration(text) {
            Ok(Duration::ZERO) if !range.start().is_zero() => self.report_zero(report),
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) | Err(None) => {
                let [first, last] = [range.start(), range.end()].map(|end| units::format_duration(*end));
                self.report_out_of_range(codes::BAD_DURATION, &format!("from {first} to {last}"), text, report);
            }
            Err(help) => {
                self.wrong(
                    codes::BAD_DURATION,
                    format!("`{}` is not a duration", truncate(text, LONGEST_SHOWN)),
                    "",
                    report,
                )
                .help = help
            }
        }
        None
    }

    /// Reads a time as nanoseconds since the Unix epoch: that number, or a date and time with an offset.
    pub(crate) fn time(&self, report: &mut Report) -> Option<u64> {
        let time = match self.value {
            DeValue::Integer(_) => return self.count(&ranges::ANY, report),
            DeValue::Datetime(time) => *time,
            DeValue::String(text) if let Ok(time) = text.parse() => time,
            _ => {
                self.wrong_type("a time such as 2000-01-01T00:00:00Z, or nanoseconds since 1970", report);
                return None;
            }
        };
        let report_error = |help| {
            self.wrong(codes::BAD_TIME, format!("`{time}` is not a valid timestamp"), "", report).help = Some(help)
        };
        units::unix_ns(&time).map_err(report_error).ok()
    }

    fn report_zero(&self, report: &mut Report) {
        self.wrong(codes::ZERO, format!("`{}` is 0", self.key), "must be greater than 0", report);
    }

    /// Reports a number that is outside the `expected` range.
    fn report_out_of_range(&self, code: &'static str, expected: &str, found: &str, report: &mut Report) {
        let label = format!("found {}", truncate(found, LONGEST_NUMBER));
        self.wrong(code, format!("`{}` must be {expected}", self.key), &label, report);
    }

    /// Reads the entries of a table, in file order. The caller checks the keys.
    pub(crate) fn entries(&self, report: &mut Report) -> Option<Vec<Field<'a>>> {
        match self.value {
            DeValue::Table(entries) => Some(Field::all(entries)),
            _ => {
                self.wrong_type("a table", report);
                None
            }
        }
    }

    /// Adds the place of this field to its parsed value.
    pub(crate) fn declared<T>(&self, value: T, by: Declarer, report: &Report) -> Declared<T> {
        let file = report.file.to_path_buf();
        Declared { value, by, file, span: self.span.clone(), entry: self.key_span.start..self.span.end }
    }

    /// Reads a table; see [`Table::new`].
    pub(crate) fn table(&self, what: &'static str, known: &[&str], report: &mut Report) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(what, self.span.clone(), entries, known, report)),
            _ => {
                self.wrong_type("a table", report);
                None
            }
        }
    }

    /// Reads the items of an array that must not be empty.
    pub(crate) fn nonempty_items(&self, report: &mut Report) -> Option<Vec<Field<'a>>> {
        let items = self.items(report)?;
        if items.is_empty() {
            self.wrong(codes::EMPTY, format!("`{}` is empty", self.key), "", report);
            return None;
        }
        Some(items)
    }

    /// Reads the items of an array, each under the key of the array.
    pub(crate) fn items(&self, report: &mut Report) -> Option<Vec<Field<'a>>> {
        match self.value {
            DeValue::Array(items) => {
                let item = |item: &'a Spanned<DeValue<'a>>| Field {
                    is_item: true,
                    span: item.span(),
                    value: item.get_ref(),
                    ..self.clone()
                };
                Some(items.iter().map(item).collect())
            }
            _ => {
                self.wrong_type("an array", report);
                None
            }
        }
    }
}

fn type_name(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
