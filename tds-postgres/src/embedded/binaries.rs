//! Finds the programs of PostgreSQL.

use std::path::{Path, PathBuf};

use tds_core::{
    error::{Error, Result},
    hint::Hint,
};
use tokio::process::Command;

use crate::db::setting::Setting;

const OLDEST: u32 = 14;
const HOW_TO_INSTALL: &str = "no PostgreSQL programs found: install them (apt-get install postgresql, or brew \
                              install postgresql@16), name their directory, or use a server that is already \
                              running";

/// A directory with `postgres`, `initdb` and `pg_ctl` of one version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    directory: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds the programs for a cluster: those of the version that created the cluster, or else the first ones that
    /// are new enough.
    pub(super) async fn find(explicit: Option<&Path>, database_dir: &Path) -> Result<Self> {
        let made_by = std::fs::read_to_string(database_dir.join("PG_VERSION"))
            .ok()
            .and_then(|text| text.trim().parse::<u32>().ok());
        let mut too_old = None;
        let mut other = None;
        for directory in explicit.map_or_else(candidates, |only| vec![only.to_owned()]) {
            let Some(found) = Self::probe(directory).await else { continue };
            match made_by {
                _ if found.major < OLDEST => too_old = Some(found),
                Some(major) if found.major != major => other = Some(found),
                _ => return Ok(found),
            }
        }
        let message = match (made_by, other, too_old, explicit) {
            (Some(major), Some(other), ..) => format!(
                "the cluster in {} was made by PostgreSQL {major}, and only version {} is installed: install version \
                 {major} again, or move the directory away to start with an empty database",
                database_dir.display(),
                other.major
            ),
            (_, _, Some(old), _) => {
                format!("{} is PostgreSQL {}; TDS needs 14 or newer", old.directory.display(), old.major)
            }
            (.., Some(directory)) => format!("{}: {HOW_TO_INSTALL}", directory.display()),
            _ => HOW_TO_INSTALL.to_owned(),
        };
        let settings = const { &[Setting::BinDir.as_str(), Setting::Url.as_str()] };
        Err(Error::config(message).with_hint(Hint::Settings(settings)))
    }

    /// Returns the path of a program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    async fn probe(directory: PathBuf) -> Option<Self> {
        let present = ["postgres", "initdb", "pg_ctl"].iter().all(|name| directory.join(name).is_file());
        if !present {
            return None;
        }
        let output = Command::new(directory.join("postgres")).arg("--version").output().await.ok()?;
        let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { directory, major })
    }
}

/// Returns the directories in which PostgreSQL is usually installed: PATH, Debian, Red Hat and Homebrew.
fn candidates() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    all.extend(versions_below("/usr/lib/postgresql", ""));
    all.extend(versions_below("/usr", "pgsql-"));
    for parent in ["/opt/homebrew/opt", "/usr/local/opt"] {
        all.push(Path::new(parent).join("postgresql/bin"));
        all.extend(versions_below(parent, "postgresql@"));
    }
    all
}

/// Returns the directories `parent/<prefix><version>/bin`, the newest version first.
fn versions_below(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Returns the major version: `postgres (PostgreSQL) 15.6 (Debian …)` → 15. Betas have the form `17beta1`.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn the_major_version_is_read_from_every_spelling() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 17beta1"), Some(17));
        assert_eq!(major_of(""), None);
    }
}
