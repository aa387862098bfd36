//! Typed access to the keys of a TOML table, where everything that is wrong becomes a diagnostic at its place and the
//! reading goes on.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::spanned::{Declared, Declarer};
use crate::config::{ranges, units};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, cut, quoted, suggestion};

/// Letters of a number that are shown: the largest that is ever right has 20.
const LONGEST_NUMBER: usize = 32;
/// Bytes of a text that are shown which is not what it should be.
const LONGEST_SHOWN: usize = 200;

/// The file that is read, and what was found wrong in it so far.
pub(crate) struct Report<'a> {
    /// Its path, for the labels.
    pub(crate) file: &'a Path,
    /// The findings.
    pub(crate) found: Diagnostics,
}

impl<'a> Report<'a> {
    /// Reads something that others can do without: what is wrong in it is told apart from the rest.
    pub(crate) fn alone<T>(&self, read: impl FnOnce(&mut Report<'a>) -> Option<T>) -> Result<T, Diagnostics> {
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

/// A table whose keys are all known.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    what: &'static str,
    /// Its header or its braces.
    pub(crate) span: Range<usize>,
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// `what` names the table in messages, as in "a stage"; a key that is not in `known` is reported.
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

    /// The entries in the order of the file.
    pub(crate) fn fields(&self) -> Vec<Field<'a>> {
        Field::all(self.entries)
    }

    /// The entry of a key, where it is there.
    pub(crate) fn get(&self, key: &str) -> Option<Field<'a>> {
        Field::of(self.entries, key)
    }

    /// The entry of a key that has to be there.
    pub(crate) fn need(&self, key: &str, report: &mut Report) -> Option<Field<'a>> {
        let field = self.get(key);
        if field.is_none() {
            self.missing(&[key], report);
        }
        field
    }

    /// Reports that a key is not there, or none of several.
    pub(crate) fn missing(&self, keys: &[&str], report: &mut Report) {
        let key = if keys.len() == 1 { "the key" } else { "one of the keys" };
        let message = format!("{} needs {key} {}", self.what, quoted(keys));
        report.found.push(Diagnostic::error(codes::MISSING_KEY, message).label(report.file, self.span.clone(), ""));
    }

    /// The one entry of several that exclude one another, one of which has to be there.
    pub(crate) fn need_one(&self, keys: &[&str], report: &mut Report) -> Option<Field<'a>> {
        let mut present: Vec<_> = self.fields().into_iter().filter(|field| keys.contains(&field.key)).collect();
        if present.is_empty() {
            self.missing(keys, report);
        }
        if present.len() > 1 {
            self.conflict(&present[1], &present[0], report);
        }
        (present.len() == 1).then(|| present.remove(0))
    }

    /// Reports `key` where it is there, for `other` excludes it.
    pub(crate) fn exclude(&self, key: &str, other: &Field, report: &mut Report) {
        if let Some(field) = self.get(key) {
            self.conflict(&field, other, report);
        }
    }

    fn conflict(&self, second: &Field, first: &Field, report: &mut Report) {
        let message = format!("{} cannot have both `{}` and `{}`", self.what, first.key, second.key);
        report.found.push(
            Diagnostic::error(codes::CONFLICTING_KEYS, message)
                .label(report.file, second.key_span.clone(), "or this")
                .label(report.file, first.key_span.clone(), "either this"),
        );
    }
}

/// A key and its value, or an item of an array under the key of the array.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    /// The key.
    pub(crate) key: &'a str,
    /// Whether it is an item of an array under the key.
    is_item: bool,
    /// Where the key is.
    pub(crate) key_span: Range<usize>,
    /// Where the value is.
    pub(crate) span: Range<usize>,
    /// The value.
    pub(crate) value: &'a DeValue<'a>,
}

impl<'a> Field<'a> {
    fn new(key: &'a Spanned<toml::de::DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Self {
        Field { key: key.get_ref(), is_item: false, key_span: key.span(), span: value.span(), value: value.get_ref() }
    }

    /// The entry of a key, where it is there.
    pub(crate) fn of(entries: &'a DeTable<'a>, key: &str) -> Option<Self> {
        entries.get_key_value(key).map(|(key, value)| Field::new(key, value))
    }

    /// The entries of a table in the order of the file; the parser sorts them by name.
    pub(crate) fn all(entries: &'a DeTable<'a>) -> Vec<Self> {
        let mut fields: Vec<_> = entries.iter().map(|(key, value)| Field::new(key, value)).collect();
        fields.sort_by_key(|field| field.key_span.start);
        fields
    }

    /// What messages call the value.
    fn name(&self) -> String {
        if self.is_item { format!("an item of `{}`", self.key) } else { format!("`{}`", self.key) }
    }

    /// Reports the value; `label` is said beside it.
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

    /// Reports that the value is not of a type that is `expected`, as in "a string or a table".
    pub(crate) fn wrong_type(&self, expected: &str, report: &mut Report) {
        let message = format!("{} has the wrong type", self.name());
        let label = format!("expected {expected}, found {}", type_name(self.value));
        self.wrong(codes::WRONG_TYPE, message, &label, report);
    }

    /// A text that is not empty.
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

    /// One of a few texts.
    pub(crate) fn choice(&self, known: &[&'static str], report: &mut Report) -> Option<&'static str> {
        let text = self.text(report)?;
        let chosen = known.iter().copied().find(|known| *known == text);
        if chosen.is_none() {
            let message = format!("`{}` cannot be `{text}`", self.key);
            self.wrong(codes::UNKNOWN_VALUE, message, "", report).help = Some(suggestion(text, "values", known));
        }
        chosen
    }

    /// `true`: the value of a key that is either there or not.
    pub(crate) fn only_true(&self, report: &mut Report) -> Option<()> {
        match self.value {
            DeValue::Boolean(true) => Some(()),
            DeValue::Boolean(false) => {
                let message = format!("`{}` can only be `true`", self.key);
                self.wrong(codes::UNKNOWN_VALUE, message, "", report).help = Some("leave the key out".to_string());
                None
            }
            _ => {
                self.wrong_type("`true`", report);
                None
            }
        }
    }

    /// A whole number in a range.
    pub(crate) fn count<N: TryFrom<u64>>(&self, range: &ranges::Range, report: &mut Report) -> Option<N> {
        let DeValue::Integer(integer) = self.value else {
            self.wrong_type("a whole number", report);
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number == Some(0) && *range.start() == 1 {
            self.is_zero(report);
            return None;
        }
        let fits = number.filter(|number| range.contains(number)).and_then(|number| number.try_into().ok());
        if fits.is_none() {
            let expected = format!("from {} to {}", range.start(), range.end());
            self.out_of_range(codes::BAD_NUMBER, &expected, integer.as_str(), report);
        }
        fits
    }

    /// A number in a range that need not be whole.
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
            self.out_of_range(codes::BAD_NUMBER, &expected, text, report);
        }
        number
    }

    /// Bytes in a range: a number, or a text with a unit.
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
            Ok(0) if *range.start() == 1 => self.is_zero(report),
            Ok(size) if let (true, Ok(size)) = (range.contains(&size), size.try_into()) => return Some(size),
            Ok(_) | Err(None) => {
                let expected = format!("from {} to {}", units::written(*range.start()), units::written(*range.end()));
                self.out_of_range(codes::BAD_SIZE, &expected, text, report);
            }
            Err(help) => {
                self.wrong(codes::BAD_SIZE, format!("`{}` is not a size", cut(text, LONGEST_SHOWN)), "", report).help =
                    help
            }
        }
        None
    }

    /// A duration in a range.
    pub(crate) fn duration(&self, range: &ranges::Durations, report: &mut Report) -> Option<Duration> {
        let DeValue::String(text) = self.value else {
            self.wrong_type("a duration such as \"500ms\"", report);
            return None;
        };
        match units::duration(text) {
            Ok(Duration::ZERO) if !range.start().is_zero() => self.is_zero(report),
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) | Err(None) => {
                let [first, last] = [range.start(), range.end()].map(|end| units::written_duration(*end));
                self.out_of_range(codes::BAD_DURATION, &format!("from {first} to {last}"), text, report);
            }
            Err(help) => {
                self.wrong(
                    codes::BAD_DURATION,
                    format!("`{}` is not a duration", cut(text, LONGEST_SHOWN)),
                    "",
                    report,
                )
                .help = help
            }
        }
        None
    }

    /// A time, in nanoseconds since the Unix epoch: as a date and time with its offset, or as that number.
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
        let wrong = |help| self.wrong(codes::BAD_TIME, format!("`{time}` is no moment"), "", report).help = Some(help);
        units::unix_ns(&time).map_err(wrong).ok()
    }

    fn is_zero(&self, report: &mut Report) {
        self.wrong(codes::ZERO, format!("`{}` is 0", self.key), "has to be more than 0", report);
    }

    /// Reports a number that is not in the range that is `expected`.
    fn out_of_range(&self, code: &'static str, expected: &str, found: &str, report: &mut Report) {
        let label = format!("found {}", cut(found, LONGEST_NUMBER));
        self.wrong(code, format!("`{}` must be {expected}", self.key), &label, report);
    }

    /// The entries of a table whose keys are for the caller to judge, in the order of the file.
    pub(crate) fn entries(&self, report: &mut Report) -> Option<Vec<Field<'a>>> {
        match self.value {
            DeValue::Table(entries) => Some(Field::all(entries)),
            _ => {
                self.wrong_type("a table", report);
                None
            }
        }
    }

    /// The value as it was understood, with its place.
    pub(crate) fn declared<T>(&self, value: T, by: Declarer, report: &Report) -> Declared<T> {
        let file = report.file.to_path_buf();
        Declared { value, by, file, span: self.span.clone(), entry: self.key_span.start..self.span.end }
    }

    /// A table; see [`Table::new`].
    pub(crate) fn table(&self, what: &'static str, known: &[&str], report: &mut Report) -> Option<Table<'a>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(what, self.span.clone(), entries, known, report)),
            _ => {
                self.wrong_type("a table", report);
                None
            }
        }
    }

    /// The items of an array that has some.
    pub(crate) fn some_items(&self, report: &mut Report) -> Option<Vec<Field<'a>>> {
        let items = self.items(report)?;
        if items.is_empty() {
            self.wrong(codes::EMPTY, format!("`{}` is empty", self.key), "", report);
            return None;
        }
        Some(items)
    }

    /// The items of an array, each under the key of the array.
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
