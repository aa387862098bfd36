//! Stamps the payload that it keeps, and returns a copy of it: the list of a result is one that the caller's side frees.

use std::cell::{Cell, RefCell};

use exports::composed::streaming::lists;

wit_bindgen::generate!({ path: "wit", world: "list-source" });

thread_local! {
    static PAYLOAD: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

struct Component;

impl lists::Guest for Component {
    fn open(len: u32) {
        PAYLOAD.set(shape::blank(len as usize));
        NEXT.set(0);
    }

    fn pull() -> Vec<u8> {
        PAYLOAD.with_borrow_mut(|payload| {
            shape::stamp(payload, NEXT.get());
            NEXT.set(NEXT.get() + 1);
            payload.clone()
        })
    }
}

export!(Component);
