//! The embedded pages of the guide about codes, for `explain` and SARIF: a section for each lint, for each code of `codes`,
//! and for each code of `failure`. The sections of the lints are also the list of lints for the rooms below `check`.

use std::borrow::Cow;

use include_dir::{Dir, include_dir};

use crate::output::{codes, failure};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/codes");
const LINTS: &str = "lints.md";
const MANIFEST: &str = "manifest.md";
const FAILURES: &str = "failures.md";

/// A code, its level and a one-line description.
pub(crate) type Entry = (&'static str, &'static str, Cow<'static, str>);

/// The section of a code, as Markdown with its heading and a final line end.
pub(crate) fn find(code: &str) -> Option<&'static str> {
    [LINTS, MANIFEST, FAILURES].into_iter().find_map(|name| section(page(name)?, code))
}

/// The codes of the lints.
pub(crate) fn lints() -> Vec<&'static str> {
    headings(LINTS).collect()
}

/// The code of a lint, if there is such a lint.
pub(crate) fn find_lint(code: &str) -> Option<&'static str> {
    headings(LINTS).find(|lint| *lint == code)
}

/// The file name of the page that describes a code.
pub(crate) fn page_name(code: &str) -> &'static str {
    match code {
        _ if find_lint(code).is_some() => LINTS,
        _ if failure::ALL.contains(&code) => FAILURES,
        _ => MANIFEST,
    }
}

/// All codes.
pub(crate) fn all() -> Vec<Entry> {
    [findings(), failures()].concat()
}

/// The codes of findings in users' files.
pub(crate) fn findings() -> Vec<Entry> {
    let lints = headings(LINTS).map(|code| entry(code, find(code).and_then(default_level).unwrap_or_default()));
    lints.chain(codes::ALL.iter().map(|code| entry(code, "error"))).collect()
}

/// The codes of failed commands and flows.
pub(crate) fn failures() -> Vec<Entry> {
    failure::ALL.iter().map(|code| entry(code, "error")).collect()
}

fn entry(code: &'static str, level: &'static str) -> Entry {
    (code, level, find(code).map(first_sentence).unwrap_or_default().into())
}

fn page(name: &str) -> Option<&'static str> {
    PAGES.get_file(name)?.contents_utf8()
}

/// The headings of the sections of a page: codes.
fn headings(name: &str) -> impl Iterator<Item = &'static str> {
    page(name).unwrap_or_default().lines().filter_map(|line| line.strip_prefix("## "))
}

/// A section, without the empty line before the next one.
fn section(page: &'static str, heading: &str) -> Option<&'static str> {
    let heading = format!("\n## {heading}\n");
    let start = page.find(&heading)? + 1;
    let end = page[start..].find("\n\n## ").map_or(page.len(), |end| start + end + 1);
    Some(&page[start..end])
}

/// The default level of a lint, as its section states it.
fn default_level(section: &'static str) -> Option<&'static str> {
    section.split_once("It is `")?.1.split_once("` unless").map(|(level, _)| level)
}

/// The first sentence below a heading, in lower case and without its full stop.
fn first_sentence(section: &str) -> String {
    let text: Vec<_> = section.lines().skip(2).take_while(|line| !line.is_empty()).collect();
    let text = text.join(" ");
    let sentence = text.split(". ").next().unwrap_or_default().trim_end_matches(['.', ':']);
    let mut letters = sentence.chars();
    let first = letters.next();
    // An abbreviation keeps its case.
    let is_word = !letters.clone().next().is_some_and(char::is_uppercase);
    let first = first.map(|first| if is_word { first.to_ascii_lowercase() } else { first });
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::lint::Level;
    use crate::manifest::Manifest;

    #[test]
    fn sections_of_lints_are_complete() {
        for (code, level, _) in &findings()[..lints().len()] {
            let section = find(code).unwrap();
            for part in ["\n### Example\n", "\n### What to do\n", "\n### Its level\n", &format!("\n{code} = \"")] {
                assert!(section.contains(part), "{code}: {part}");
            }
            assert!(Level::parse(level).is_some(), "{code}: {level}");
        }
        // `workspace` is a key of the table `lints`.
        assert_eq!(find_lint("workspace"), None);
    }

    #[test]
    fn the_page_of_lints_lists_them_by_level() {
        for name in Level::NAMES {
            let with_level = findings().into_iter().filter(|(_, level, _)| level == name);
            let links: Vec<_> = with_level.map(|(code, ..)| format!("[`{code}`](#{code})")).collect();
            let row = format!("| {name} | {} |", links.join(", "));
            assert!(page(LINTS).unwrap().lines().any(|line| line == row), "{row}");
        }
    }

    #[test]
    fn other_codes_match_their_sections_in_order() {
        for (name, all) in [(MANIFEST, codes::ALL), (FAILURES, failure::ALL)] {
            assert_eq!(headings(name).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn a_section_has_one_code() {
        for (code, ..) in all() {
            let section = find(code).unwrap();
            assert!(section.starts_with(&format!("## {code}\n\n")), "{section}");
            assert!(section.ends_with('\n') && !section.ends_with("\n\n"), "{section}");
            assert_eq!(section.matches("\n## ").count(), 0, "{section}");
        }
    }

    #[test]
    fn the_book_has_every_page() {
        let summary = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guide/src/SUMMARY.md");
        let summary = fs::read_to_string(summary).unwrap();
        let mut listed: Vec<_> = summary.split("(codes/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        listed.sort_unstable();
        let mut pages: Vec<_> = PAGES.files().map(|file| file.path().to_str().unwrap()).collect();
        pages.sort_unstable();
        assert_eq!(listed, pages);
        assert_eq!(pages, [FAILURES, LINTS, MANIFEST]);
    }

    #[test]
    fn embedded_pages_need_no_preprocessing() {
        for (code, _, about) in all() {
            assert!(!find(code).unwrap().contains("{{#"), "{code}");
            assert!(!about.is_empty() && !about.contains('\n') && !about.ends_with('.'), "{code}: {about}");
            let mut letters = about.chars();
            let (first, second) = (letters.next().unwrap(), letters.next().unwrap());
            assert_eq!(first.is_uppercase(), second.is_uppercase(), "{code}: {about}");
        }
        assert_eq!(find("nothing"), None);
    }

    /// The TOML examples of the pages are parsed like user files.
    #[test]
    fn examples_in_the_pages_are_valid() {
        for code in lints() {
            for block in find(code).unwrap().split("```toml\n").skip(1) {
                let text = block.split("\n```").next().unwrap();
                let wrong = match text.trim_start_matches('[').starts_with("pipeline") {
                    true => Manifest::parse(text, Path::new("Torvyn.toml")).err().unwrap_or_default(),
                    false => crate::config::settings::tests::wrong(text),
                };
                assert!(wrong.is_empty(), "{code}\n{text}\n{wrong:?}");
            }
        }
    }
}
