//! Text for people: foreign text made safe to print, and quantities with units.
//!
//! Names of components, packages and files, and the lines that stages print, can hold anything, including sequences
//! that a terminal obeys.

use std::borrow::Cow;
use std::time::Duration;

use crate::base::plural::counted;

/// Characters of a name that are shown.
const LONGEST_NAME: usize = 200;

/// A name on one line, truncated after 200 characters.
pub fn name(name: &str) -> Cow<'_, str> {
    visible(name, LONGEST_NAME, false)
}

/// At most `longest` characters of `text`. Control characters and invisible characters are escaped, as `\u{202e}`. Line
/// breaks are kept if `lines` is set. A truncated text ends with the number of characters that are left out.
pub fn visible(text: &str, longest: usize, lines: bool) -> Cow<'_, str> {
    let is_fine = |letter: char| !is_hidden(letter) || lines && letter == '\n';
    let cut = text.char_indices().nth(longest).map(|(at, _)| at);
    let shown = &text[..cut.unwrap_or(text.len())];
    if cut.is_none() && shown.chars().all(is_fine) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(shown.len());
    for letter in shown.chars() {
        if is_fine(letter) {
            visible.push(letter);
        } else {
            visible.extend(letter.escape_default());
        }
    }
    if let Some(cut) = cut {
        visible += &format!("… ({})", counted(text[cut..].chars().count() as u64, "more character"));
    }
    Cow::Owned(visible)
}

/// A text of several lines in which colour sequences are kept, and all other control and invisible characters escaped.
pub fn with_colors(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|letter| is_hidden(letter) && letter != '\n') {
        return Cow::Borrowed(text);
    }
    let (mut visible, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(letter) = rest.chars().next() {
        let len = color(rest).unwrap_or(letter.len_utf8());
        match is_hidden(letter) && letter != '\n' && len == letter.len_utf8() {
            true => visible.extend(letter.escape_default()),
            false => visible.push_str(&rest[..len]),
        }
        rest = &rest[len..];
    }
    Cow::Owned(visible)
}

/// The length in bytes of the colour sequence (SGR of ECMA-48) at the start of `text`, if there is one.
fn color(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    numbers[end..].starts_with('m').then_some(text.len() - numbers.len() + end + 1)
}

/// Whether a terminal obeys the character or shows nothing for it: control characters except the tab, changes of text
/// direction (Unicode Standard Annex 9), line separators, and format characters that no script needs.
fn is_hidden(letter: char) -> bool {
    letter.is_control() && letter != '\t'
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A number of bytes, exactly, in the largest unit that it is a whole multiple of: `64 MiB`, `1000 bytes`.
pub fn format_bytes(bytes: u64) -> String {
    let fits = |(_, shift): &(&str, u32)| bytes > 0 && bytes.is_multiple_of(1 << shift);
    match [("GiB", 30), ("MiB", 20), ("KiB", 10)].into_iter().find(fits) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => counted(bytes, "byte"),
    }
}

/// A duration, exactly, in the largest unit that leaves a whole part: `1 s`, `200 ms`, `1.5 s`.
pub fn format_duration(duration: Duration) -> String {
    let text = format!("{duration:?}");
    let unit = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    format!("{} {}", &text[..unit], &text[unit..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_control_and_invisible_characters() {
        assert_eq!(visible("\x1b[2Jgone\tzwölf\r\nnext\u{9b}", 99, false), "\\u{1b}[2Jgone\tzwölf\\r\\nnext\\u{9b}");
        assert_eq!(visible("a\nb\u{7f}", 99, true), "a\nb\\u{7f}");
        for hidden in ['\u{202e}', '\u{2066}', '\u{2069}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{feff}', '\u{e0041}'] {
            assert_eq!(name(&format!("a{hidden}b")), format!("a{}b", hidden.escape_default()));
        }
        let fine = "Größe 漢字 👩\u{200d}🚀 שלום";
        assert!(matches!(name(fine), Cow::Borrowed(same) if same == fine));
    }

    #[test]
    fn keeps_colors() {
        let text = "\x1b[1m\x1b[38;5;9merror\x1b[0m: a\n";
        assert!(matches!(with_colors(text), Cow::Borrowed(_)) || with_colors(text) == text);
        assert_eq!(
            with_colors("\x1b[1ma\x1b[2Jb\r\u{202e}\x1b[0m\x1b["),
            "\x1b[1ma\\u{1b}[2Jb\\r\\u{202e}\x1b[0m\\u{1b}["
        );
    }

    #[test]
    fn truncates_long_names_between_characters() {
        let long = "ä".repeat(3 << 20);
        assert_eq!(name(&long), format!("{}… (3145528 more characters)", "ä".repeat(200)));
        assert_eq!(name(&long[..400]), long[..400]);
        assert_eq!(name(&long[..402]), format!("{}… (1 more character)", "ä".repeat(200)));
        assert_eq!(visible("", 0, false), "");
    }

    #[test]
    fn formats_quantities_exactly() {
        let bytes = [0, 1, 1000, 1024, 1025, 8 << 20, (8 << 20) + 1, 3 << 30];
        assert_eq!(
            bytes.map(format_bytes),
            ["0 bytes", "1 byte", "1000 bytes", "1 KiB", "1025 bytes", "8 MiB", "8388609 bytes", "3 GiB"]
        );
        let durations = [0, 200, 1000, 1500, 300_000].map(Duration::from_millis);
        assert_eq!(durations.map(format_duration), ["0 ns", "200 ms", "1 s", "1.5 s", "300 s"]);
    }
}
