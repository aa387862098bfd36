//! Diagnostics for programs: as messages in the format of rustc, which editors read, and as SARIF for code hosts. Rendering
//! for a terminal is in `diagnostic`.

pub(crate) use message::{About, Finding, message};
pub(crate) use sarif::{Results, log};

mod message;
mod sarif;
