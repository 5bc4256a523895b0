//! The location of a cluster's files.

use std::{
    fs::{self, DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tds_core::error::Result;

use super::{Account, io};

/// The parent directory of clusters whose account cannot reach the data directory.
const ELSEWHERE: &str = "/var/lib/tds/clusters";

/// The file in the data directory that contains the cluster's location, if the cluster is elsewhere.
const NOTE: &str = "cluster-location";

/// Creates the data directory and returns its absolute path.
pub(super) fn prepare(data_dir: &Path) -> Result<PathBuf> {
    create_all(data_dir)?;
    data_dir.canonicalize().map_err(|error| io(&error, "resolving", data_dir))
}

/// Returns the directory for the cluster. The directory is inside the data directory. If the server's account cannot
/// reach the data directory, the cluster has a directory elsewhere, and a file in the data directory records its
/// location.
pub(super) fn cluster_root(data_dir: &Path, account: Option<&Account>) -> Result<PathBuf> {
    // If an operator deleted the recorded directory, a new cluster is created, as after the deletion of the data
    // directory itself.
    if let Some(root) = remembered(data_dir) {
        return Ok(root);
    }
    let Some(account) = account else { return owned_dir(data_dir.join("postgres"), None) };
    make_traversable(data_dir)?;
    if is_reachable(data_dir, *account)? {
        return owned_dir(data_dir.join("postgres"), Some(account));
    }
    create_all(Path::new(ELSEWHERE))?;
    let root = Path::new(ELSEWHERE).join(uuid::Uuid::new_v4().simple().to_string());
    let root = owned_dir(root, Some(account))?;
    let text = format!("{}\n", root.display());
    write_whole(&data_dir.join(NOTE), text.as_bytes(), 0o644)?;
    Ok(root)
}

/// Returns the directory for the cluster if there may be one. The call creates nothing.
pub(super) fn existing(data_dir: &Path) -> Option<PathBuf> {
    remembered(data_dir).or_else(|| Some(data_dir.join("postgres")).filter(|root| root.is_dir()))
}

fn remembered(data_dir: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(data_dir.join(NOTE)).ok()?;
    Some(PathBuf::from(text.trim_end())).filter(|root| root.is_dir())
}

/// Writes a file in such a way that no reader sees it half written.
pub(super) fn write_whole(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let part = path.with_extension(format!("part-{}", uuid::Uuid::new_v4().simple()));
    let written = fs::File::options()
        .create_new(true)
        .write(true)
        .open(&part)
        .and_then(|mut file| {
            use std::io::Write as _;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&part, path));
    written.map_err(|error| io(&error, "writing", path))
}

fn create_all(path: &Path) -> Result<()> {
    let created = DirBuilder::new().recursive(true).mode(0o711).create(path);
    created.map_err(|error| io(&error, "creating", path))
}

fn owned_dir(path: PathBuf, account: Option<&Account>) -> Result<PathBuf> {
    if !path.is_dir() {
        DirBuilder::new().mode(0o711).create(&path).map_err(|error| io(&error, "creating", &path))?;
    }
    if let Some(account) = account {
        account.own(&path)?;
    }
    Ok(path)
}

/// Makes the directory traversable, but not readable, for other users. The directory belongs to TDS.
fn make_traversable(directory: &Path) -> Result<()> {
    let metadata = fs::metadata(directory).map_err(|error| io(&error, "looking at", directory))?;
    if metadata.mode() & 0o001 != 0 {
        return Ok(());
    }
    fs::set_permissions(directory, Permissions::from_mode(metadata.mode() & 0o7777 | 0o001))
        .map_err(|error| io(&error, "changing the mode of", directory))
}

fn is_reachable(directory: &Path, account: Account) -> Result<bool> {
    for ancestor in directory.ancestors() {
        let metadata = fs::metadata(ancestor).map_err(|error| io(&error, "looking at", ancestor))?;
        if !account.may_traverse(&metadata) {
            return Ok(false);
        }
    }
    Ok(true)
}
