//! Images of items.

use std::collections::HashMap;

use super::{
    answer::{self, Answer, File},
    literal::Object,
    module::Module,
    records::Records,
};

/// The signature and the header of a grey PNG of one pixel.
const HEAD: [u8; 33] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3a, 0x7e, 0x9b, 0x55,
];
/// The pixel and the end of the file.
const TAIL: [u8; 34] = [
    0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x68, 0x00, 0x00, 0x00, 0x82, 0x00,
    0x81, 0xda, 0x45, 0x08, 0x3b, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// How the organization answers a call for the image of an item, if a test decides it.
#[derive(Clone, Debug)]
pub enum ItemImage {
    /// A file with this content type.
    File {
        /// The header `Content-Type`.
        content_type: String,
        /// The body.
        bytes: Vec<u8>,
    },
    /// An error as JSON: HTTP status, code and message.
    Error(u16, i64, String),
}

impl ItemImage {
    /// Returns a PNG that differs for each text.
    #[must_use]
    pub fn png(text: &str) -> Self {
        Self::File { content_type: "image/png".to_owned(), bytes: png(text) }
    }

    /// Returns a PNG of this length, for an image that is too long.
    #[must_use]
    pub fn of_length(bytes: usize) -> Self {
        let mut image = png("a large image");
        image.resize(bytes, 0);
        Self::File { content_type: "image/png".to_owned(), bytes: image }
    }
}

/// Answers `GET /items/{id}/image`. An item whose record shows an image has a PNG that follows from its id and from the
/// name and id of the image. No official page documents the answer for an item without an image.
pub(crate) fn answer(records: &Records, decided: &HashMap<String, ItemImage>, id: &str) -> Answer {
    let Some(item) = records.get(Module::ITEMS, id) else {
        return answer::does_not_exist(Module::ITEMS);
    };
    match decided.get(id) {
        Some(ItemImage::File { content_type, bytes }) => {
            answer::file(File { content_type: content_type.clone(), bytes: bytes.clone() })
        }
        Some(ItemImage::Error(status, code, message)) => answer::error(*status, *code, message),
        None => match shown(item) {
            Some(shown) => answer::file(File {
                content_type: "image/png".to_owned(),
                bytes: png(&format!("{id} {shown}")),
            }),
            None => answer::error(404, 1002, "Image does not exist."),
        },
    }
}

/// Returns the id and the name of the item's image; `None` if it has none.
fn shown(item: &Object) -> Option<String> {
    let text = |key: &str| item.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    let (id, name) = (text("image_document_id"), text("image_name"));
    (!id.is_empty() || !name.is_empty()).then(|| format!("{id} {name}"))
}

/// Returns a PNG of one pixel with a comment.
fn png(text: &str) -> Vec<u8> {
    let comment = [b"tEXt", b"Comment\0".as_slice(), text.as_bytes()].concat();
    let length = u32::try_from(comment.len() - 4).unwrap_or_default();
    [&HEAD, length.to_be_bytes().as_slice(), &comment, crc(&comment).to_be_bytes().as_slice(), &TAIL].concat()
}

/// Returns the checksum of a chunk, CRC-32 as the PNG specification defines it.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_a_valid_png_with_its_text() {
        let whole = png("46 lamp.jpg");
        let at = HEAD.len();
        let length = u32::from_be_bytes(whole[at..at + 4].try_into().expect("four bytes"));
        let end = at + 8 + usize::try_from(length).expect("a length");
        assert_eq!(&whole[at + 4..end], b"tEXtComment\x0046 lamp.jpg");
        // The checksums of the constant chunks were computed by another program.
        assert_eq!(crc(&HEAD[12..29]).to_be_bytes(), HEAD[29..33]);
        assert_eq!(crc(&whole[at + 4..end]).to_be_bytes(), whole[end..end + 4]);
        assert_eq!(whole[end + 4..], TAIL);
        assert_ne!(png("a"), png("b"));
    }
}
