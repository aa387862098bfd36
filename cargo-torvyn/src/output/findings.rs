//! Diagnostics for programs: as the messages of rustc that editors read, and as SARIF for code hosts. Knows nothing of
//! what is wrong; how it looks on a terminal is in `diagnostic`.

pub(crate) use message::{About, Finding, message};
pub(crate) use sarif::{Results, log};

mod message;
mod sarif;
