//! The files of the working tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One text file of the project.
pub(crate) struct TextFile {
    /// The path from the root, with slashes.
    pub(crate) path: String,
    /// The content of the file.
    pub(crate) text: String,
}

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package has a parent").to_owned()
}

/// Returns the text of a file that must exist.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every Rust source file.
pub(crate) fn rust_files() -> Vec<TextFile> {
    text_files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

/// Returns every text file of the project, without build output, version control and private data.
pub(crate) fn text_files() -> Vec<TextFile> {
    let mut files = Vec::new();
    collect(&root(), &root(), &mut files);
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    files
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(directory).expect("readable directory") {
        let path = entry.expect("readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_output = ["target", ".git", ".tds", ".env", "node_modules"].contains(&name.as_ref());
        if is_output || path.is_symlink() || path.join("CACHEDIR.TAG").exists() {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            files.push(TextFile { path, text });
        }
    }
}
