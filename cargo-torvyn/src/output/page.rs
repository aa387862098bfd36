//! Pages of figures and plots: HTML that stands alone. It refers to nothing outside, has no scripts, and is light or dark as the
//! reader's system is.

use std::fmt::Write as _;

pub(crate) mod account;
pub(crate) mod plot;
mod sankey;

/// The beginning of every page, by which it is recognized.
pub(crate) const START: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"generator\" content=\"cargo-torvyn\">\n";
/// What the browser may load: nothing.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n";
const STYLE: &str = include_str!("page/style.css");

/// A page.
pub(crate) struct Page {
    /// Text.
    pub(crate) title: String,
    /// Text below the title, a paragraph each.
    pub(crate) lead: Vec<String>,
    pub(crate) sections: Vec<Section>,
}

/// A part of a page with a heading.
pub(crate) struct Section {
    /// Text.
    pub(crate) title: String,
    /// HTML.
    pub(crate) body: String,
}

impl Section {
    /// A section with this title as text and this body as HTML.
    pub(crate) fn new(title: impl Into<String>, body: impl Into<String>) -> Section {
        Section { title: title.into(), body: body.into() }
    }
}

impl Page {
    /// The page as HTML.
    pub(crate) fn text(&self) -> String {
        // Names are in backticks, which a title does not need.
        let title = escape(&self.title.replace('`', ""));
        let mut text = format!("{START}{POLICY}<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n");
        write!(text, "<header>\n<h1>{title}</h1>\n").expect("a string takes any text");
        self.lead.iter().for_each(|lead| text += &paragraph(lead));
        text += "</header>\n<main>\n";
        for Section { title, body } in &self.sections {
            write!(text, "<section>\n<h2>{}</h2>\n{body}</section>\n", escape(title)).expect("a string takes any text");
        }
        text + "</main>\n</body>\n</html>\n"
    }
}

/// Text as HTML, also within the value of an attribute. Characters that cannot be seen, or that change the direction of what
/// follows, become replacement characters.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            letter if letter.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Text as a paragraph, with code where it has backticks.
pub(crate) fn paragraph(text: &str) -> String {
    let escaped = escape(text);
    if !escaped.matches('`').count().is_multiple_of(2) {
        return format!("<p>{escaped}</p>\n");
    }
    let part = |(index, part): (usize, &str)| match index % 2 {
        0 => part.to_string(),
        _ => format!("<code>{part}</code>"),
    };
    format!("<p>{}</p>\n", escaped.split('`').enumerate().map(part).collect::<String>())
}

/// A table of texts. The first column has names, the others figures.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::from("<div class=\"wide\"><table>\n<thead><tr>");
    header.iter().for_each(|cell| text += &format!("<th scope=\"col\">{}</th>", escape(cell)));
    text += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let mut cells = row.iter().map(|cell| escape(cell));
        text += &format!("<tr><th scope=\"row\">{}</th>", cells.next().unwrap_or_default());
        cells.for_each(|cell| text += &format!("<td>{cell}</td>"));
        text += "</tr>\n";
    }
    text + "</tbody>\n</table></div>\n"
}

/// The beginning of a name that fits beside a plot.
fn shorten(name: &str) -> String {
    const LONGEST: usize = 22;
    if name.chars().count() <= LONGEST {
        return name.to_string();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Asserts that tags are closed in order, and that nothing refers to anything outside. Returns the text without tags.
    #[track_caller]
    pub(crate) fn assert_stands_alone(page: &str) -> String {
        assert!(page.starts_with(START));
        for outside in ["http:", "https:", "//", "url(", "@import", "<script", "<link", "<img", "<a ", "<iframe"] {
            assert!(!page.contains(outside), "{outside}");
        }
        let (mut open, mut text) = (Vec::new(), String::new());
        for part in page.split('<').skip(1) {
            let (tag, after) = part.split_once('>').unwrap_or_else(|| panic!("{part}"));
            text += after;
            assert!(!after.contains('>') || after.contains('{'), "only the style has `>`: {after}");
            let name = tag.split([' ', '\n']).next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
                None if tag.ends_with('/') || ["!doctype", "meta"].contains(&name) => {}
                None => open.push(name),
            }
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            for attribute in ["href=", "src=", "style=", " on", "=\"data:", "=\"javascript:"] {
                assert!(!tag.contains(attribute), "{attribute} in {tag}");
            }
        }
        assert!(open.is_empty(), "{open:?}");
        text
    }

    #[test]
    fn escapes_hostile_text_everywhere() {
        let hostile = "</title><script>alert(1)</script>\"' onload=x \u{202e}\u{7}&amp;";
        let cells = || vec![hostile.to_string(), hostile.to_string()];
        let section = Section::new(hostile, table(&[hostile, hostile], &[cells()]) + &paragraph(hostile));
        let page = Page { title: hostile.to_string(), lead: vec![hostile.to_string()], sections: vec![section] }.text();
        let shown = assert_stands_alone(&page);
        let escaped =
            "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x \u{fffd}\u{fffd}&amp;amp;";
        assert_eq!(shown.matches(escaped).count(), 2 + 1 + 1 + 2 + 2 + 1);
    }

    #[test]
    fn shortens_only_long_names() {
        assert_eq!(shorten("router"), "router");
        assert_eq!(shorten(&"ä".repeat(30)), "ä".repeat(21) + "…");
    }
}
