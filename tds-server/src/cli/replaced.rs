//! A file that is replaced at once: a reader sees the text before or the text after, and nobody else may read what is
//! being written. Only where the file cannot be exchanged for another one, because it is mounted by itself, its content
//! is overwritten.

mod overwritten;

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use overwritten::overwrite;

/// The number of links that are followed to a file that does not exist.
const MOST_LINKS: u32 = 40;

/// A file that can be replaced. It does not have to exist.
pub(super) struct ReplacedFile {
    path: PathBuf,
    /// The permissions of the new file.
    mode: u32,
    /// No file can be made beside this one.
    is_alone: bool,
}

impl ReplacedFile {
    /// Checks whether the file can be replaced or overwritten. `mode`: the permissions of the new file; `None` keeps those
    /// of the present file. If the path is a link, the file that it leads to is meant, and the link stays.
    pub(super) fn open(path: &Path, mode: Option<u32>) -> io::Result<Self> {
        let path = followed(path)?;
        let mode = match mode {
            Some(mode) => mode,
            None => fs::metadata(&path)?.mode() & 0o777,
        };
        let mut file = Self { path, mode, is_alone: false };
        if let Err(error) = file.rehearse("") {
            // A file that is mounted by itself into a directory that cannot be written.
            OpenOptions::new().write(true).open(&file.path).map_err(|_| error)?;
            file.is_alone = true;
        }
        Ok(file)
    }

    /// Returns the path, in which links are followed.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks whether there is room for a text. The file stays as it is.
    pub(super) fn rehearse(&self, text: &str) -> io::Result<()> {
        if self.is_alone {
            return Ok(());
        }
        let path = self.beside();
        let written = self.write_beside(&path, text);
        if written.is_ok() { fs::remove_file(&path) } else { written }
    }

    /// Replaces the file. If that fails, the file is as before.
    pub(super) fn replace(&self, text: &str) -> io::Result<()> {
        if self.is_alone {
            return overwrite(&self.path, text.as_bytes());
        }
        let path = self.beside();
        self.write_beside(&path, text)?;
        let Err(error) = fs::rename(&path, &self.path) else { return Ok(()) };
        // The text beside stays until the text is in the file, for the case that this process dies.
        let overwritten = if is_mount(&error) { overwrite(&self.path, text.as_bytes()) } else { Err(error) };
        drop(fs::remove_file(&path));
        overwritten
    }

    /// Writes a new file, and leaves nothing behind if that fails.
    fn write_beside(&self, path: &Path, text: &str) -> io::Result<()> {
        // A process that had the same number and died may have left it.
        drop(fs::remove_file(path));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let written = self.fill(file, path, text);
        if written.is_err() {
            drop(fs::remove_file(path));
        }
        written
    }

    /// Fills a new file, whose owner is that of the present file where that is permitted. Nobody but the owner may read it
    /// before it has its owner.
    fn fill(&self, mut file: File, path: &Path, text: &str) -> io::Result<()> {
        if let Ok(present) = fs::metadata(&self.path)
            && present.uid() != file.metadata()?.uid()
        {
            chown(path, Some(present.uid()), Some(present.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn beside(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{name}.{}.new", std::process::id()))
    }
}

/// Returns true if a file cannot be renamed to this one because this one is mounted by itself.
fn is_mount(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::CrossesDevices)
}

/// Follows links, also to a file that does not exist.
fn followed(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        resolved => return resolved,
    }
    let mut path = path.to_owned();
    for _link in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_target_of_a_link_is_made_and_the_link_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("far")).expect("a directory");
        symlink("far/middle", at("link")).expect("a link");
        symlink("target", at("far/middle")).expect("a link");
        for text in ["new", "newer"] {
            ReplacedFile::open(&at("link"), Some(0o600))
                .and_then(|file| file.replace(text))
                .expect("written");
            assert_eq!(fs::read_to_string(at("far/target")).expect("a file"), text);
        }
        assert!(fs::symlink_metadata(at("link")).expect("a link").is_symlink());
        assert_eq!(fs::read_dir(at("far")).expect("a directory").count(), 2, "nothing else is left");
    }

    #[test]
    fn a_file_whose_write_fails_is_as_before_and_what_a_dead_process_left_does_not_disturb() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        fs::write(&path, "before").expect("written");
        let file = ReplacedFile::open(&path, None).expect("replaceable");
        fs::write(file.beside(), "left").expect("written");
        file.rehearse("after").expect("room");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "before");
        fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("a directory");
        assert!(file.replace("after").is_err());
        assert!(!file.beside().exists(), "a secret is not left beside");
    }

    #[test]
    fn a_mount_is_told_from_other_failures() {
        let of = |errno: rustix::io::Errno| is_mount(&io::Error::from(errno));
        assert!(of(rustix::io::Errno::BUSY) && of(rustix::io::Errno::XDEV));
        assert!(!of(rustix::io::Errno::NOSPC) && !of(rustix::io::Errno::ACCESS));
    }
}
