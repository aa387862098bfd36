//! The embedded pages of the guide about codes, for `explain` and SARIF: a page for each lint, a page with a section for each
//! code of `codes`, and a page with a section for each code of `failure`.

use std::borrow::Cow;

use include_dir::{Dir, include_dir};

use crate::output::lint::Lint;
use crate::output::{codes, failure};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/codes");
/// The pages with sections.
const MANIFEST: &str = "manifest.md";
const FAILURES: &str = "failures.md";

/// A code, its level and a one-line description.
pub(crate) type Entry = (&'static str, &'static str, Cow<'static, str>);

/// The page or section of a code, as Markdown with its heading and a final line end.
pub(crate) fn find(code: &str) -> Option<&'static str> {
    match Lint::find(code) {
        Some(lint) => page(&format!("{}.md", lint.code())),
        None => section(page(MANIFEST)?, code).or_else(|| section(page(FAILURES)?, code)),
    }
}

/// The file name of the page that describes a code.
pub(crate) fn page_name(code: &str) -> String {
    match Lint::find(code) {
        Some(lint) => format!("{}.md", lint.code()),
        None if failure::ALL.contains(&code) => FAILURES.to_string(),
        None => MANIFEST.to_string(),
    }
}

/// All codes.
pub(crate) fn all() -> Vec<Entry> {
    [findings(), failures()].concat()
}

/// The codes of findings in users' files.
pub(crate) fn findings() -> Vec<Entry> {
    let lints = Lint::ALL.iter().map(|lint| (lint.code(), lint.default_level().name(), Cow::Borrowed(lint.about())));
    lints.chain(codes::ALL.iter().map(|code| error(code))).collect()
}

/// The codes of failed commands and flows.
pub(crate) fn failures() -> Vec<Entry> {
    failure::ALL.iter().map(|code| error(code)).collect()
}

fn error(code: &'static str) -> Entry {
    (code, "error", find(code).map(first_sentence).unwrap_or_default().into())
}

fn page(name: &str) -> Option<&'static str> {
    PAGES.get_file(name)?.contents_utf8()
}

/// A section, without the empty line before the next one.
fn section(page: &'static str, heading: &str) -> Option<&'static str> {
    let heading = format!("\n## {heading}\n");
    let start = page.find(&heading)? + 1;
    let end = page[start..].find("\n\n## ").map_or(page.len(), |end| start + end + 1);
    Some(&page[start..end])
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
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn lints_match_their_pages() {
        let pages: BTreeSet<_> = PAGES.files().map(|file| file.path().to_str().unwrap().to_string()).collect();
        let lints = Lint::CODES.iter().map(|code| format!("{code}.md"));
        assert_eq!(pages, lints.chain([FAILURES, MANIFEST].map(str::to_string)).collect());
        for lint in Lint::ALL {
            let (code, page) = (lint.code(), find(lint.code()).unwrap());
            assert!(page.starts_with(&format!("# {code}\n\n")), "{code}");
            for part in ["\n## Example\n", "\n## What to do\n", "\n## Its level\n", &format!("\n{code} = \"")] {
                assert!(page.contains(part), "{code}: {part}");
            }
            assert!(page.contains(&format!("It is `{}` unless", lint.default_level())), "{code}");
        }
    }

    #[test]
    fn other_codes_match_their_sections_in_order() {
        for (name, all) in [(MANIFEST, codes::ALL), (FAILURES, failure::ALL)] {
            let headings: Vec<_> = page(name).unwrap().lines().filter_map(|line| line.strip_prefix("## ")).collect();
            assert_eq!(headings, all);
        }
        for code in codes::ALL.iter().chain(failure::ALL) {
            let section = find(code).unwrap();
            assert!(section.starts_with(&format!("## {code}\n\n")), "{section}");
            assert!(section.ends_with('\n') && !section.ends_with("\n\n"), "{section}");
            assert_eq!(section.matches("## ").count(), 1, "{section}");
        }
    }

    #[test]
    fn the_book_lists_every_code() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guide/src");
        let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
        let listed: Vec<_> = summary.lines().filter(|line| line.contains("(codes/")).collect();
        let lints = Lint::CODES.iter().map(|code| format!("  - [{code}](codes/{code}.md)"));
        let pages = [("The manifest", MANIFEST), ("Failures", FAILURES)];
        let pages = pages.map(|(title, page)| format!("  - [{title}](codes/{page})"));
        assert_eq!(listed, lints.chain(pages).collect::<Vec<_>>());

        let chapter = fs::read_to_string(book.join("codes.md")).unwrap();
        let rows: Vec<_> = chapter.lines().filter(|line| line.starts_with("| [`")).collect();
        let row = |lint: &Lint| {
            let (code, level, about) = (lint.code(), lint.default_level(), lint.about());
            format!("| [`{code}`](codes/{code}.md) | {level} | {about} |")
        };
        assert_eq!(rows, Lint::ALL.iter().map(row).collect::<Vec<_>>());
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
        for lint in Lint::ALL {
            for block in find(lint.code()).unwrap().split("```toml\n").skip(1) {
                let text = block.split("\n```").next().unwrap();
                let wrong = match text.trim_start_matches('[').starts_with("pipeline") {
                    true => Manifest::parse(text, Path::new("Torvyn.toml")).err().unwrap_or_default(),
                    false => crate::config::settings::tests::wrong(text),
                };
                assert!(wrong.is_empty(), "{}\n{text}\n{wrong:?}", lint.code());
            }
        }
    }
}
