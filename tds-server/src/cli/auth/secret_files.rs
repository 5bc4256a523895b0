//! The files that hold a secret alone, which the variables with the suffix `_FILE` name.

use std::{io, path::PathBuf};

use crate::{
    bounded,
    cli::{
        exit::{CommandResult, Failure},
        lookup::Lookup,
        replaced::ReplacedFile,
    },
};

/// The secrets that this command makes or asks for.
const SECRETS: [&str; 2] = ["ZOHO_CLIENT_SECRET", super::TOKEN];

/// The file of a secret.
pub(super) struct SecretFile {
    pub(super) variable: &'static str,
    pub(super) path: PathBuf,
    /// The secret is still to come.
    pub(super) is_empty: bool,
}

/// Returns the files of the secrets. An empty file counts as no file for this command, which is the one that fills it;
/// every other command refuses an empty file.
pub(super) fn find(lookup: &mut Lookup) -> CommandResult<Vec<SecretFile>> {
    let mut files = Vec::new();
    for variable in SECRETS {
        let naming = format!("{variable}_FILE");
        let Some(path) = lookup.get(&naming) else { continue };
        let path = PathBuf::from(path.trim());
        let content = bounded::read(&path);
        if content.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Err(Failure::usage(format!(
                "{naming}: found no file {0}; accepted: a file, which may be empty: create it with the permissions that \
                 it is to have (install -m 600 /dev/null {0})",
                path.display()
            )));
        }
        // Another file that cannot be read is reported with the rest of the configuration.
        let is_empty = content.is_ok_and(|text| text.trim().is_empty());
        if is_empty {
            lookup.set(&naming, "")?;
        }
        files.push(SecretFile { variable, path, is_empty });
    }
    Ok(files)
}

impl SecretFile {
    /// Checks whether the file can be replaced. Its content stays.
    pub(super) fn check(&self) -> CommandResult {
        self.replace_by_itself().map_err(|error| self.not_written(&error))
    }

    /// Only replacing the file shows that it is not mounted by itself, as secrets of containers are.
    fn replace_by_itself(&self) -> io::Result<()> {
        let file = self.open()?;
        file.replace(&bounded::read(file.path())?)
    }

    /// Replaces the content. The permissions stay.
    pub(super) fn write(&self, secret: &str) -> CommandResult {
        self.open().and_then(|file| file.replace(secret)).map_err(|error| {
            Failure::failed(format!("{} could not be replaced: {error}", self.path.display()))
        })
    }

    fn open(&self) -> io::Result<ReplacedFile> {
        ReplacedFile::open(&self.path, None)
    }

    fn not_written(&self, error: &io::Error) -> Failure {
        Failure::usage(format!(
            "{}_FILE: {} cannot be replaced: {error}; run the command with --print, and write the value into that file",
            self.variable,
            self.path.display()
        ))
    }
}
