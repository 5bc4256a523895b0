//! A file that is replaced at once: a reader sees the text before or the text after, and nobody else may read what is
//! being written.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

/// A file that can be replaced. It does not have to exist.
pub(super) struct ReplacedFile {
    path: PathBuf,
    /// The permissions of the new file.
    mode: u32,
}

impl ReplacedFile {
    /// Checks whether the file can be replaced. `mode`: the permissions of the new file; `None` keeps those of the
    /// present file. If the path is a link, the file that it leads to is meant, and the link stays.
    pub(super) fn open(path: &Path, mode: Option<u32>) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mode = match mode {
            Some(mode) => mode,
            None => fs::metadata(&path)?.mode() & 0o777,
        };
        let file = Self { path, mode };
        let probe = file.beside();
        file.create(&probe)?;
        fs::remove_file(&probe)?;
        Ok(file)
    }

    /// Returns the path, in which links are followed.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file.
    pub(super) fn replace(&self, text: &str) -> io::Result<()> {
        let path = self.beside();
        let mut file = self.create(&path)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let renamed = written.and_then(|()| fs::rename(&path, &self.path));
        if renamed.is_err() {
            drop(fs::remove_file(&path));
        }
        renamed
    }

    /// Creates a new file, whose owner is that of the present file where that is permitted. Nobody but the owner may read
    /// it before it has its owner.
    fn create(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Ok(present) = fs::metadata(&self.path)
            && present.uid() != file.metadata()?.uid()
        {
            chown(path, Some(present.uid()), Some(present.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        Ok(file)
    }

    fn beside(&self) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{name}.{}.new", std::process::id()))
    }
}
