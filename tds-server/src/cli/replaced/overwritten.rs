//! Overwrites the content of a file, which keeps its owner and its permissions.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, Write as _},
    path::Path,
};

/// Overwrites the content of a file. If that fails, the content before is restored.
pub(super) fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let before = fs::read(path)?;
    let mut file = OpenOptions::new().write(true).open(path)?;
    let Err(error) = fill(&mut file, text) else { return Ok(()) };
    match fill(&mut file, &before) {
        Ok(()) => Err(error),
        Err(again) => {
            Err(io::Error::other(format!("{error}; its content before could not be restored: {again}")))
        }
    }
}

/// The file is cut only after it was written: its blocks stay its own, so that the content before has room again.
fn fill(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    };

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    use super::*;

    #[test]
    fn a_file_keeps_its_identity_and_its_permissions() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "a long text before").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        let inode = || fs::metadata(&path).expect("a file").ino();
        let before = inode();
        for text in ["short", "a longer text than before", ""] {
            overwrite(&path, text.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("a file"), text);
        }
        assert_eq!(inode(), before);
        assert_eq!(fs::metadata(&path).expect("a file").mode() & 0o777, 0o640);
    }

    #[test]
    fn what_a_full_disk_interrupts_is_restored() {
        // A file that may not grow: its first page can be overwritten, and then there is no room.
        let memory: OwnedFd =
            memfd_create("full", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a file");
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        let before = [b'a'; 5_000];
        fs::write(&path, before).expect("written");
        fcntl_add_seals(&memory, SealFlags::GROW).expect("sealed");
        assert!(overwrite(Path::new(&path), &[b'b'; 9_000]).is_err(), "there is no room");
        assert_eq!(fs::read(&path).expect("a file"), before);
    }
}
