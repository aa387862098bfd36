//! Base64 with the standard alphabet of RFC 4648, for payloads that are not text.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes bytes, with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..4 {
            let value = bits >> (18 - 6 * letter) & 63;
            text.push(if letter > three.len() { '=' } else { char::from(ALPHABET[value as usize]) });
        }
    }
    text
}

/// Decodes text with or without padding; white space is ignored.
///
/// # Errors
///
/// The help of a diagnostic.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let letters: Vec<_> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let end = letters.iter().rposition(|letter| *letter != '=').map_or(0, |last| last + 1);
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for &letter in &letters[..end] {
        let value = match letter {
            'A'..='Z' => letter as u32 - 'A' as u32,
            'a'..='z' => letter as u32 - 'a' as u32 + 26,
            '0'..='9' => letter as u32 - '0' as u32 + 52,
            '+' => 62,
            '/' => 63,
            other => return Err(format!("`{}` is not a base64 character", other.escape_debug())),
        };
        bits = bits << 6 | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    let padding = letters.len() - end;
    if end % 4 == 1 || (padding > 0 && (padding > 2 || letters.len() % 4 != 0)) {
        return Err("the base64 text is truncated: every 4 characters encode 3 bytes".to_string());
    }
    if bits != 0 {
        return Err("the last base64 character has extra bits, which must be zero".to_string());
    }
    Ok(bytes)
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
            assert_eq!(decode(&encode(bytes.as_bytes())), Ok(bytes.as_bytes().to_vec()), "{text}");
        }
        assert_eq!((encode(b"f"), encode(b"fo"), encode(b"foo")), ("Zg==".into(), "Zm8=".into(), "Zm9v".into()));
        assert_eq!(encode(&[255, 254, 253]), "//79");
        assert_eq!(decode("//79"), Ok(vec![255, 254, 253]));
        for wrong in ["Z", "Zg=", "Zg===", "Zh==", "Z_==", "=Zg="] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
