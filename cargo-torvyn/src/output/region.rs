//! Converts a byte span to lines and columns, as in rustc and SARIF: both count from 1, columns count characters, and the end
//! is after the last character.

use std::ops::Range;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region<'a> {
    /// The byte range, at character boundaries and within the text.
    pub(super) bytes: Range<usize>,
    /// The line and column where it starts.
    pub(super) start: (usize, usize),
    /// The line and column after its end.
    pub(super) end: (usize, usize),
    /// The lines that contain it, without line ends.
    pub(super) lines: Vec<&'a str>,
}

impl<'a> Region<'a> {
    /// The region of `span` in `text`.
    pub(super) fn new(text: &'a str, span: &Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        let lines_start = line_start(text, start);
        let lines_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
        let lines = text[lines_start..lines_end].split('\n').map(|line| line.trim_end_matches('\r')).collect();
        Region { bytes: start..end, start: position(text, start), end: position(text, end), lines }
    }

    /// Each line, with the columns of the region in it.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> + '_ {
        let last = self.lines.len() - 1;
        self.lines.iter().enumerate().map(move |(index, line)| {
            let start = if index == 0 { self.start.1 } else { 1 };
            let end = if index == last { self.end.1 } else { line.chars().count() + 1 };
            (*line, start..end.max(start))
        })
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let line = text[..at].matches('\n').count() + 1;
    (line, text[line_start(text, at)..at].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, part: &str) -> ((usize, usize), (usize, usize)) {
        let start = text.find(part).unwrap();
        let region = Region::new(text, &(start..start + part.len()));
        assert_eq!(&text[region.bytes.clone()], part);
        (region.start, region.end)
    }

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        assert_eq!(place("word = 1", "word"), ((1, 1), (1, 5)));
        assert_eq!(place("a = 1\nb = [\"äöü€😀\", word]\n", "word"), ((2, 15), (2, 19)));
        assert_eq!(place("a = 'ä'\r\nb = wörd\r\n", "wörd"), ((2, 5), (2, 9)));
        assert_eq!(place("a = [\r\n  1,\r\n]\r\nb = 2", "[\r\n  1,\r\n]"), ((1, 5), (3, 2)));
    }

    #[test]
    fn columns_of_each_line() {
        let text = "x = [\r\n  ä,\r\n] # end";
        let region = Region::new(text, &(4..text.find(" #").unwrap()));
        let columns: Vec<_> = region.columns().collect();
        assert_eq!(columns, [("x = [", 5..6), ("  ä,", 1..5), ("] # end", 1..2)]);
    }

    #[test]
    fn clamps_spans_to_the_text() {
        let at = |text, span| {
            let region = Region::new(text, &span);
            (region.bytes.clone(), region.start, region.lines.join("|"))
        };
        assert_eq!(at("a\nb", 7..9), (3..3, (2, 2), "b".to_string()));
        assert_eq!(at("a\n", 2..2), (2..2, (2, 1), String::new()));
        assert_eq!(at("", 0..1), (0..0, (1, 1), String::new()));
        // A span within a character covers the whole character.
        assert_eq!(at("€", 1..2), (0..3, (1, 1), "€".to_string()));
    }
}
