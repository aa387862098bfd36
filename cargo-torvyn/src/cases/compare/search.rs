//! Searches every actual element for texts and regular expressions, and checks it against a schema.

use std::sync::Arc;

use memchr::memmem;
use regex::Regex;

use crate::cases::compare::diff;
use crate::cases::compare::schema::Schema;

/// The most elements that are shown of those that do not match a schema.
const REFUSED: usize = 4;

/// What to search for, and what was found.
#[derive(Default)]
pub(crate) struct Search {
    needles: Vec<Vec<u8>>,
    /// For each needle, whether an element contains it.
    pub(crate) found: Vec<bool>,
    patterns: Vec<Regex>,
    /// For each pattern, whether an element matches it.
    pub(crate) matched: Vec<bool>,
    /// The number of elements that are not UTF-8 and so cannot match a pattern.
    pub(crate) no_text: u64,
    schema: Option<Arc<Schema>>,
    /// The number of elements that do not match the schema.
    pub(crate) refused: u64,
    /// The first of these elements: number, text for people, and reasons.
    shown: Vec<(u64, String, Vec<String>)>,
}

impl Search {
    pub(crate) fn new(needles: Vec<Vec<u8>>, patterns: Vec<Regex>, schema: Option<Arc<Schema>>) -> Search {
        let (found, matched) = (vec![false; needles.len()], vec![false; patterns.len()]);
        Search { needles, found, patterns, matched, schema, ..Search::default() }
    }

    /// Whether anything is left to search for.
    pub(crate) fn is_on(&self) -> bool {
        self.schema.is_some() || self.found.contains(&false) || self.matched.contains(&false)
    }

    /// Searches the element of this number.
    pub(crate) fn look_into(&mut self, number: u64, bytes: &[u8]) {
        for (needle, found) in self.needles.iter().zip(&mut self.found).filter(|(_, found)| !**found) {
            *found = memmem::find(bytes, needle).is_some();
        }
        if self.matched.contains(&false) {
            match str::from_utf8(bytes) {
                Ok(text) => {
                    for (pattern, matched) in self.patterns.iter().zip(&mut self.matched).filter(|(_, found)| !**found)
                    {
                        *matched = pattern.is_match(text);
                    }
                }
                Err(_) => self.no_text += 1,
            }
        }
        let reasons = self.schema.as_ref().map_or_else(Vec::new, |schema| schema.refuses(bytes));
        if !reasons.is_empty() {
            self.refused += 1;
            if self.shown.len() < REFUSED {
                self.shown.push((number, diff::shown(bytes, 0), reasons));
            }
        }
    }

    /// The elements that do not match the schema, for people.
    pub(crate) fn refusals(&self) -> String {
        let mut lines = Vec::new();
        for (number, element, reasons) in &self.shown {
            lines.push(format!("{number:>4}   {element}"));
            lines.extend(reasons.iter().map(|reason| format!("       {reason}")));
        }
        let more = self.refused - self.shown.len() as u64;
        if more > 0 {
            lines.push(format!("... and {more} more"));
        }
        lines.join("\n")
    }
}
