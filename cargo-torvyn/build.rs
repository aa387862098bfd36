//! Builds again when a template, the contract or a page about codes changes: a file that is new is in no dependency list yet.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=templates");
    println!("cargo::rerun-if-changed=contract");
    println!("cargo::rerun-if-changed=codes");
}
