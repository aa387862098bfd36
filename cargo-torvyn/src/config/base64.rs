//! Base64 as people write it: with padding or without; white space is ignored.

use base64::DecodeError::{InvalidByte, InvalidLastSymbol};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

/// Decodes text in the standard alphabet of RFC 4648.
///
/// # Errors
///
/// The help of a diagnostic.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let characters: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let engine = if characters.ends_with('=') { &BASE64_STANDARD } else { &BASE64_STANDARD_NO_PAD };
    engine.decode(&characters).map_err(|error| match error {
        InvalidByte(at, _) => {
            let character = characters[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
            format!("`{}` is not a base64 character", character.escape_debug())
        }
        InvalidLastSymbol(..) => "the last base64 character has extra bits, which must be zero".to_string(),
        _ => "the base64 text is truncated: every 4 characters encode 3 bytes".to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn matches_the_vectors_of_the_rfc() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9v\nYmFy", "foobar"),
            ("Zm9vYg", "foob"),
        ] {
            assert_eq!(decode(text), Ok(bytes.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(decode("//79"), Ok(vec![255, 254, 253]));
        for wrong in ["Z", "Zg=", "Zg===", "Zh==", "Z_==", "=Zg="] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
