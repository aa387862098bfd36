//! Stamps the payload that it keeps, and writes it to a stream, each time through the same memory.
//!
//! `open` is asynchronous, because tasks of a synchronous export do not continue when it has returned.

use exports::composed::streaming::streams;
use wit_bindgen::StreamReader;

wit_bindgen::generate!({ path: "wit", world: "stream-source" });

struct Component;

impl streams::Guest for Component {
    async fn open(len: u32, elements: u64) -> StreamReader<u8> {
        let (mut writer, reader) = wit_stream::new();
        wit_bindgen::spawn_local(async move {
            let mut payload = shape::blank(len as usize);
            let mut chunk = Vec::with_capacity(payload.len());
            for sequence in 0..elements {
                shape::stamp(&mut payload, sequence);
                chunk.extend_from_slice(&payload);
                let (_, rest) = writer.write(chunk).await;
                // What was not read: nothing, as the reader asks for as many bytes.
                chunk = rest.into_vec();
                assert!(chunk.is_empty());
            }
        });
        reader
    }
}

export!(Component);
