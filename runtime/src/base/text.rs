//! Text that came from elsewhere, made fit to be shown: what components, packages and files are called, and what stages
//! print. It can be anything, and a terminal obeys some of it.

use std::borrow::Cow;

use crate::base::plural::counted;

/// Letters that are shown of a name.
const LONGEST_NAME: usize = 200;

/// A name on one line, cut where it is longer than 200 letters.
pub fn name(name: &str) -> Cow<'_, str> {
    visible(name, LONGEST_NAME, false)
}

/// At most `longest` letters of a text, with what steers a terminal or is not seen made visible, as `\u{202e}`. Line ends
/// are kept where it may have several `lines`. Where it is cut, the end says how many letters are left out.
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
        visible += &format!("… ({})", counted(text[cut..].chars().count() as u64, "more letter"));
    }
    Cow::Owned(visible)
}

/// A text of several lines that has colours of ours, with everything else made visible that a terminal obeys.
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

/// How many bytes the sequence has that the text begins with, if it is one that sets colours: SGR of ECMA-48.
fn color(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    numbers[end..].starts_with('m').then_some(text.len() - numbers.len() + end + 1)
}

/// Whether a terminal obeys a letter or shows nothing of it: control characters but the tab, what changes the direction of
/// writing (Unicode Standard Annex 9), line separators, and format characters that no script needs to be read.
fn is_hidden(letter: char) -> bool {
    letter.is_control() && letter != '\t'
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Bytes as people read them.
pub(crate) fn mebibytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 30) {
        format!("{} GiB", bytes >> 30)
    } else if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_visible() {
        assert_eq!(visible("\x1b[2Jgone\tzwölf\r\nnext\u{9b}", 99, false), "\\u{1b}[2Jgone\tzwölf\\r\\nnext\\u{9b}");
        assert_eq!(visible("a\nb\u{7f}", 99, true), "a\nb\\u{7f}");
        for hidden in ['\u{202e}', '\u{2066}', '\u{2069}', '\u{200f}', '\u{61c}', '\u{2028}', '\u{feff}', '\u{e0041}'] {
            assert_eq!(name(&format!("a{hidden}b")), format!("a{}b", hidden.escape_default()));
        }
        let fine = "Größe 漢字 👩\u{200d}🚀 שלום";
        assert!(matches!(name(fine), Cow::Borrowed(same) if same == fine));
    }

    #[test]
    fn colors_are_left_as_they_are() {
        let text = "\x1b[1m\x1b[38;5;9merror\x1b[0m: a\n";
        assert!(matches!(with_colors(text), Cow::Borrowed(_)) || with_colors(text) == text);
        assert_eq!(
            with_colors("\x1b[1ma\x1b[2Jb\r\u{202e}\x1b[0m\x1b["),
            "\x1b[1ma\\u{1b}[2Jb\\r\\u{202e}\x1b[0m\\u{1b}["
        );
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        let long = "ä".repeat(3 << 20);
        assert_eq!(name(&long), format!("{}… (3145528 more letters)", "ä".repeat(200)));
        assert_eq!(name(&long[..400]), long[..400]);
        assert_eq!(name(&long[..402]), format!("{}… (1 more letter)", "ä".repeat(200)));
        assert_eq!(visible("", 0, false), "");
    }
}
