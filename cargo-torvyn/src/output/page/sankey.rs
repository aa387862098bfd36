//! A Sankey diagram of the bytes that were copied in a flow: from the stage or endpoint where, to the reason why.

use torvyn_runtime::Account;
use torvyn_runtime::ledger::Copies;

use crate::output::page::{escape, shorten};
use crate::output::run_report::{bytes, grouped};

/// The reasons, in the order of their colors.
const REASONS: [&str; 7] = [
    "read by the stage",
    "written by the stage",
    "metadata",
    "joined in the host",
    "read from the system",
    "written to the system",
    "copied in the system",
];
const WIDTH: f64 = 860.0;
/// Room for the names on both sides.
const LEFT: f64 = 210.0;
const RIGHT: f64 = 235.0;
const NODE: f64 = 8.0;
/// The height of all bytes, without gaps.
const HIGH: f64 = 260.0;
/// Room between two nodes of a side, so that their names do not touch.
const GAP: f64 = 20.0;
/// The height of the fewest bytes.
const LEAST: f64 = 1.0;

/// The bytes of a part of a flow, by reason.
struct Part<'a> {
    name: &'a str,
    bytes: [u64; REASONS.len()],
}

/// A node at a side, from its top down.
#[derive(Clone, Copy)]
struct Node {
    top: f64,
    high: f64,
    /// Where the next link begins.
    next: f64,
}

fn parts(account: &Account) -> Vec<Part<'_>> {
    let copied = |copies: &Copies| {
        let Copies { payload_read, payload_write, metadata_marshal, host_serialize } = copies;
        [payload_read, payload_write, metadata_marshal, host_serialize].map(|count| count.bytes)
    };
    let endpoints = |kind: &'static str| {
        account.endpoints.iter().filter(move |point| point.kind == kind).map(move |point| {
            let ([read, written, metadata, joined], kernel) = (copied(&point.copies), &point.kernel);
            let system = [kernel.reads, kernel.writes, kernel.ranges].map(|count| count.bytes);
            Part { name: &point.name, bytes: [read, written, metadata, joined, system[0], system[1], system[2]] }
        })
    };
    let stages = account.stages.iter().map(|stage| {
        let [read, written, metadata, joined] = copied(&stage.copies);
        Part { name: &stage.name, bytes: [read, written, metadata, joined, 0, 0, 0] }
    });
    let all = endpoints("input").chain(stages).chain(endpoints("output"));
    all.filter(|part| part.bytes.iter().any(|bytes| *bytes > 0)).collect()
}

/// The diagram as SVG; `None` if no byte was copied.
pub(super) fn sankey(account: &Account) -> Option<String> {
    let parts = parts(account);
    let total: u64 = parts.iter().flat_map(|part| part.bytes).sum();
    if total == 0 {
        return None;
    }
    let high = |bytes: u64| if bytes == 0 { 0.0 } else { (bytes as f64 / total as f64 * HIGH).max(LEAST) };
    let reasons: Vec<_> =
        (0..REASONS.len()).filter(|reason| parts.iter().any(|part| part.bytes[*reason] > 0)).collect();
    let mut left = stack(parts.iter().map(|part| part.bytes.into_iter().map(high).sum()));
    let mut right = stack(reasons.iter().map(|reason| parts.iter().map(|part| high(part.bytes[*reason])).sum()));
    let bottom = |side: &[Node]| side.last().map_or(0.0, |node| node.top + node.high);
    let height = bottom(&left).max(bottom(&right)) + 12.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.1}\" role=\"img\" aria-label=\"Bytes copied, by part and reason\">\n"
    );
    let (from, to) = (LEFT + NODE, WIDTH - RIGHT - NODE);
    let middle = f64::midpoint(from, to);
    for (part, node) in parts.iter().zip(&mut left) {
        for (place, reason) in reasons.iter().enumerate().filter(|(_, reason)| part.bytes[**reason] > 0) {
            let (bytes, wide, end) = (part.bytes[*reason], high(part.bytes[*reason]), &mut right[place]);
            let (a, b) = (node.next, end.next);
            (node.next, end.next) = (a + wide, b + wide);
            let (c, d) = (node.next, end.next);
            let title = escape(&format!("{}, {}: {}", part.name, REASONS[*reason], exact(bytes)));
            svg += &format!(
                "<path class=\"link f{}\" d=\"M{from} {a:.1}C{middle} {a:.1} {middle} {b:.1} {to} {b:.1}V{d:.1}C{middle} {d:.1} \
                 {middle} {c:.1} {from} {c:.1}Z\"><title>{title}</title></path>\n",
                reason + 1
            );
        }
        let sum = part.bytes.iter().sum();
        let text = format!("{} · {}", shorten(part.name), bytes(sum));
        svg += &label(LEFT, LEFT - 8.0, "end", node, "node", &text, &format!("{}: {}", part.name, exact(sum)));
    }
    for (reason, node) in reasons.iter().zip(&right) {
        let sum = parts.iter().map(|part| part.bytes[*reason]).sum();
        let (x, class) = (WIDTH - RIGHT - NODE, format!("f{}", reason + 1));
        let text = format!("{} · {}", REASONS[*reason], bytes(sum));
        svg +=
            &label(x, x + NODE + 8.0, "start", node, &class, &text, &format!("{}: {}", REASONS[*reason], exact(sum)));
    }
    Some(svg + "</svg>\n")
}

fn exact(bytes: u64) -> String {
    format!("{} bytes", grouped(bytes))
}

/// Nodes of these heights, one below the other.
fn stack(heights: impl Iterator<Item = f64>) -> Vec<Node> {
    let mut top = 6.0;
    let node = |high: f64| {
        let node = Node { top, high, next: top };
        top += high.max(2.0) + GAP;
        node
    };
    heights.map(node).collect()
}

/// A node with its name.
fn label(x: f64, text_x: f64, anchor: &str, node: &Node, class: &str, text: &str, title: &str) -> String {
    let Node { top, high, .. } = node;
    let (middle, text, title) = (top + high / 2.0 + 4.0, escape(text), escape(title));
    format!(
        "<rect class=\"{class}\" x=\"{x}\" y=\"{top:.1}\" width=\"{NODE}\" height=\"{high:.1}\"><title>{title}</title></rect>\
         <text class=\"name\" x=\"{text_x}\" y=\"{middle:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
    )
}
