//! The system account of the server. PostgreSQL refuses to run as root.

use std::{
    fs::Metadata,
    os::unix::fs::{MetadataExt as _, chown},
    path::Path,
};

use tds_core::error::{Error, Result};
use tokio::process::Command;

use super::io;
use crate::db::config::URL;

/// The accounts that a server may run as when TDS itself runs as root, the best one first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A system account other than the account of TDS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// Returns the account for the server. `None`: the account of TDS can be used.
    pub(super) fn for_server(own_dir: &Path) -> Result<Option<Self>> {
        if own_uid(own_dir)? != 0 {
            return Ok(None);
        }
        let passwd = Path::new("/etc/passwd");
        let text = std::fs::read_to_string(passwd).map_err(|error| io(&error, "reading", passwd))?;
        match CANDIDATES.iter().find_map(|name| Self::parse(&text, name)) {
            Some(account) => Ok(Some(account)),
            None => Err(Error::config(
                "PostgreSQL refuses to run as root, and neither the account postgres nor the account nobody exists: \
                 start TDS as another user, or use a server that is already running",
            )
            .with_hint(URL)),
        }
    }

    fn parse(passwd: &str, name: &str) -> Option<Self> {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let found = fields.next()? == name;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (found && uid != 0).then_some(Self { uid, gid })
        })
    }

    /// Makes the account the owner of a file or directory.
    pub(super) fn own(self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(|error| io(&error, "changing the owner of", path))
    }

    /// Returns true if the account may traverse a directory.
    pub(super) fn may_traverse(self, directory: &Metadata) -> bool {
        let bit = if directory.uid() == self.uid {
            0o100
        } else if directory.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        directory.mode() & bit != 0
    }
}

/// Returns a command for one of the server's programs. The command runs as the right account and without the caller's
/// PG* variables. It has its own process group, so that Ctrl-C in a terminal reaches only TDS.
pub(super) fn command(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").process_group(0);
    command.stdin(std::process::Stdio::null());
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Returns the user id of this process, taken from a file that it has just created.
fn own_uid(directory: &Path) -> Result<u32> {
    let probe = directory.join(format!(".probe-{}", uuid::Uuid::new_v4().simple()));
    let uid = std::fs::File::create(&probe).and_then(|file| file.metadata()).map(|made| made.uid());
    // A file that is left behind does no harm.
    let _ = std::fs::remove_file(&probe);
    uid.map_err(|error| io(&error, "writing into", directory))
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn an_account_is_found_by_its_whole_name_and_never_root() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\npostgresql:x:9:9::/:/bin/sh\npostgres:x:101:104:,,:/var:/bin/sh\n";
        assert_eq!(Account::parse(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::parse(passwd, "root"), None);
        assert_eq!(Account::parse(passwd, "nobody"), None);
    }
}
