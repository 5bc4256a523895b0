//! The file of an image, as it is kept.

use sha2::{Digest as _, Sha256};

use super::ImageKind;
use crate::error::{Error, Result};

/// A file that is an image.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// The kind of the image.
    pub kind: ImageKind,
    /// The SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for ImageFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} bytes, {}", self.kind, self.bytes.len(), self.sha256)
    }
}

impl ImageFile {
    /// Creates the file from bytes. `declared` is the media type that the sender stated.
    ///
    /// # Errors
    /// `Invalid`: the bytes are not an image of a known kind.
    pub fn new(bytes: Vec<u8>, declared: Option<&str>) -> Result<Self> {
        let Some(kind) = ImageKind::of(&bytes) else {
            let declared: String = declared.unwrap_or("no type").chars().take(60).collect();
            return Err(Error::invalid(format!(
                "the file is not a GIF, PNG, JPEG, BMP or WebP image ({} bytes, sent as {declared:?})",
                bytes.len()
            )));
        };
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { kind, sha256, bytes })
    }

    /// Returns the key of the file; see [`key_of`].
    #[must_use]
    pub fn key(&self) -> String {
        key_of(&self.sha256, self.kind)
    }
}

/// Returns the key under which a file is kept: `ab/ab12….png`, by its hash. A file therefore never changes, and writing
/// it twice does no harm.
#[must_use]
pub fn key_of(sha256: &str, kind: ImageKind) -> String {
    format!("{}/{sha256}.{}", sha256.get(..2).unwrap_or_default(), kind.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_its_hash_and_another_file_is_refused() {
        let file =
            ImageFile::new(b"GIF89a".to_vec(), Some("image/png")).expect("a GIF, whatever it is called");
        assert_eq!(file.kind, ImageKind::Gif);
        let hash = "610f5ae4d76e332636a17bd357fd6ce99029316a99d320280d4d77a746bf29e8";
        assert_eq!((file.sha256.as_str(), file.key()), (hash, format!("61/{hash}.gif")));
        let error =
            ImageFile::new(b"{\"code\":5}".to_vec(), Some("image/png")).expect_err("JSON is no image");
        assert!(error.to_string().contains("sent as \"image/png\""), "{error}");
    }
}
