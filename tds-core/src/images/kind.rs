//! The kinds of files that count as images.

use crate::closed_set::closed_set;

closed_set! {
    /// The kind of an image, by the first bytes of its file. The name is the media type.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ImageKind {
        /// A GIF.
        Gif = "image/gif",
        /// A PNG.
        Png = "image/png",
        /// A JPEG.
        Jpeg = "image/jpeg",
        /// A bitmap of Windows.
        Bmp = "image/bmp",
        /// A WebP.
        Webp = "image/webp",
    }
}

impl ImageKind {
    /// Returns the kind of a file; `None` if the file is none of these images. What the sender calls the file does not
    /// count: a browser that is told a wrong type may execute the file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            // The size of the file, four reserved bytes that are zero, and the position of the pixels.
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, _, _, _, _, ..] => Some(Self::Bmp),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    /// Returns the usual extension of such a file.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Bmp => "bmp",
            Self::Webp => "webp",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_kind() {
        for (bytes, kind) in [
            (&b"GIF87a\x01\x00"[..], Some(ImageKind::Gif)),
            (b"GIF89a", Some(ImageKind::Gif)),
            (b"\x89PNG\r\n\x1a\n\0\0", Some(ImageKind::Png)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(ImageKind::Jpeg)),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", Some(ImageKind::Bmp)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(ImageKind::Webp)),
            (b"RIFF\x24\0\0\0WAVEfmt ", None),
            (b"BMW is a car maker", None),
            (br#"{"code":57,"message":"You are not authorized"}"#, None),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
            (b"<html><body>Bad Gateway</body></html>", None),
            (b"\x89PNG\n", None),
            (b"GIF", None),
            (b"", None),
        ] {
            assert_eq!(ImageKind::of(bytes), kind, "{bytes:?}");
        }
    }
}
