//! Creates a cluster, either completely or not at all.

use std::{fs, path::Path};

use tds_core::error::{Error, Result};

use super::{Account, account::command, binaries::Binaries, io, place::write_whole};

/// The database superuser of a private cluster.
pub(super) const USER: &str = "tds";

/// Returns the password of the cluster. The password is created once and stored in the data directory, readable only
/// by the user of TDS.
pub(super) fn password(data_dir: &Path) -> Result<String> {
    let path = data_dir.join("password");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim_end().len() >= 32 => Ok(text.trim_end().to_owned()),
        _ => {
            let random = || uuid::Uuid::new_v4().simple().to_string();
            let password = format!("{}{}", random(), random());
            write_whole(&path, password.as_bytes(), 0o600)?;
            Ok(password)
        }
    }
}

/// Creates the cluster if it does not exist. A start that died before its end leaves at most a directory beside the
/// cluster.
pub(super) async fn cluster(
    binaries: &Binaries,
    database_dir: &Path,
    account: Option<&Account>,
    password: &str,
    settings: &[(String, String)],
) -> Result<()> {
    if database_dir.join("PG_VERSION").is_file() {
        return Ok(());
    }
    let fresh = database_dir.with_extension("new");
    remove_all(&fresh)?;
    let password_file = database_dir.with_extension("password");
    write_whole(&password_file, password.as_bytes(), 0o600)?;
    if let Some(account) = account {
        account.own(&password_file)?;
    }
    let careless = settings.iter().any(|(name, value)| name == "fsync" && value == "off");
    let mut outcome = Ok(());
    // The locale C.UTF-8 does not exist on macOS and on old systems.
    for locale in ["C.UTF-8", "C"] {
        remove_all(&fresh)?;
        let mut initdb = command(&binaries.program("initdb"), account);
        initdb.arg("-D").arg(&fresh).args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8"]);
        initdb.arg(format!("--locale={locale}")).arg("--pwfile").arg(&password_file);
        if careless {
            initdb.arg("--no-sync");
        }
        outcome = match initdb.output().await {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Error::unavailable(format!(
                "initdb could not create a cluster in {}: {}",
                fresh.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(io(&error, "running initdb for", &fresh)),
        };
        if outcome.is_ok() {
            break;
        }
    }
    // The file contains the password, so it is deleted whatever the outcome is.
    let _ = fs::remove_file(&password_file);
    outcome?;
    fs::rename(&fresh, database_dir).map_err(|error| io(&error, "renaming", &fresh))
}

fn remove_all(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io(&error, "removing the remains in", directory))
        }
        _ => Ok(()),
    }
}
