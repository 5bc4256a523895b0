//! Reads small files: a device or a wrong path must not fill the memory.

use std::{
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::Path,
};

/// The maximum size of a file with a secret, in bytes.
const MOST: u64 = 64 * 1024;

/// Reads a file as text.
///
/// # Errors
/// Those of the file. Kind `InvalidData`: it is longer than a secret, or no text.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST) {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("it is longer than {MOST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused() {
        let error = read(Path::new("/dev/zero")).expect_err("no end");
        assert!(error.to_string().contains("longer than"), "{error}");
        assert_eq!(read(Path::new("/dev/null")).expect("an empty file"), "");
    }
}
