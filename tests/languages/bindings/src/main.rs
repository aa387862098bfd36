//! `bindings WIT WORLD FOLDER` writes the C bindings of a world of the package in folder WIT into FOLDER.

use std::path::Path;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wit, world, folder] = &arguments[..] else { panic!("usage: bindings WIT WORLD FOLDER") };
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(wit)).expect("the WIT can be read");
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).expect("the bindings are made");
    for (name, contents) in files.iter() {
        std::fs::write(Path::new(folder).join(name), contents).expect("the folder can be written");
    }
}
