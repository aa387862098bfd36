//! HMAC-SHA-256, RFC 2104: the authentication code that proves that an entry was written with the [`Key`].

use std::{fmt, io};

use sha2::{Digest as _, Sha256};

/// Bytes of an authentication code.
pub(super) const TAG_SIZE: usize = 32;
/// Bytes that SHA-256 hashes at a time.
const BLOCK: usize = 64;

/// The secret key of a cache.
pub(super) struct Key([u8; Key::SIZE]);

impl Key {
    pub(super) const SIZE: usize = 32;

    /// Takes the bytes of a key; `None` if they are too many or too few.
    pub(super) fn new(bytes: &[u8]) -> Option<Key> {
        bytes.try_into().ok().map(Key)
    }

    /// The bytes of a new random key.
    pub(super) fn generate() -> io::Result<[u8; Key::SIZE]> {
        let mut bytes = [0; Key::SIZE];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The authentication code of these parts, one after another.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_SIZE] {
        let mut inner = Sha256::new_with_prefix(self.padded(0x36));
        parts.iter().for_each(|part| inner.update(part));
        Sha256::new_with_prefix(self.padded(0x5c)).chain_update(inner.finalize()).finalize().into()
    }

    /// Whether `tag` is the authentication code of these parts. Takes as long wherever it differs.
    pub(super) fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let expected = self.tag(parts);
        let difference = expected.iter().zip(tag).fold(0, |all, (expected, actual)| all | (expected ^ actual));
        tag.len() == TAG_SIZE && std::hint::black_box(difference) == 0
    }

    fn padded(&self, pad: u8) -> [u8; BLOCK] {
        let mut block = [pad; BLOCK];
        block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
        block
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first test of RFC 4231. A shorter key is the same as one that ends with zeros.
    #[test]
    fn computes_the_codes_of_the_standard() {
        let mut key = [0; Key::SIZE];
        key[..20].fill(0x0b);
        let key = Key::new(&key).unwrap();
        let tag = key.tag(&[b"Hi ", b"There"]);
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        assert!(key.verifies(&[b"Hi There"], &tag));
        assert!(!key.verifies(&[b"Hi There."], &tag));
        assert!(!key.verifies(&[b"Hi There"], &tag[..31]) && !key.verifies(&[b"Hi There"], b""));
        assert!(!Key::new(&[1; 32]).unwrap().verifies(&[b"Hi There"], &tag));
    }
}
