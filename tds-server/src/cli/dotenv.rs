//! Writes settings into the file `.env`.

use std::{collections::HashMap, fs, io, path::Path};

use super::{
    exit::{CommandResult, Failure},
    lookup::{DOTENV, MARK, parse},
    replaced::ReplacedFile,
};

/// The file `.env` of the working directory, as it was read.
pub(super) struct DotEnv {
    file: ReplacedFile,
    text: String,
    pub(super) settings: HashMap<String, String>,
}

impl DotEnv {
    /// Reads the file, which does not have to exist, and checks whether it can be replaced.
    pub(super) fn open() -> CommandResult<Self> {
        // A code works once. It must not be spent if its result cannot be stored.
        Self::open_at(Path::new(DOTENV))
    }

    fn open_at(path: &Path) -> CommandResult<Self> {
        let file = ReplacedFile::open(path, Some(0o600)).map_err(|error| not_writable(path, &error))?;
        let path = file.path();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Failure::usage(format!("{} cannot be read: {error}", path.display()))),
        };
        let settings = parse(&bytes, path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::usage(format!("{} is not UTF-8", path.display())))?;
        Ok(Self { file, text, settings })
    }

    /// Checks whether these settings can be written. The file stays as it is.
    pub(super) fn rehearse(&self, settings: &[(&str, String)]) -> CommandResult {
        let (text, _) = self.changed(settings).map_err(Failure::usage)?;
        self.file.rehearse(&text).map_err(|error| not_writable(self.file.path(), &error))
    }

    /// Writes settings. Lines of other settings and comments stay as they are. The file is replaced at once, and only
    /// its owner may read it; a file that is mounted by itself is overwritten, and keeps its permissions.
    pub(super) fn write(&mut self, settings: &[(&str, String)]) -> CommandResult {
        let (text, known) = self.changed(settings).map_err(Failure::failed)?;
        self.file.replace(&text).map_err(|error| not_written(self.file.path(), &error))?;
        (self.text, self.settings) = (text, known);
        Ok(())
    }

    /// Returns the text with these settings, and all its settings. What is written is read before it replaces anything.
    fn changed(&self, settings: &[(&str, String)]) -> Result<(String, HashMap<String, String>), String> {
        let text = merged(&self.text, settings);
        let mut known = self.settings.clone();
        known.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let path = self.file.path();
        if parse(text.as_bytes(), path).ok().as_ref() == Some(&known) {
            return Ok((text, known));
        }
        Err(format!(
            "{} cannot be changed without changing other lines; run the command with --print, and enter the values by \
             hand",
            path.display()
        ))
    }
}

/// Returns the failure of a check, before anything was written.
fn not_writable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!(
        "{} cannot be replaced: {error}; run the command with --print, and enter the values by hand",
        path.display()
    ))
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be replaced: {error}", path.display()))
}

/// Returns the text with these settings: each replaces its last line where there is one, or follows at the end. The lines
/// of a file end alike.
fn merged(text: &str, settings: &[(&str, String)]) -> String {
    let (mark, text) = text.strip_prefix(MARK).map_or(("", text), |rest| (MARK, rest));
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    let usual = if first.ends_with("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (name, value) in settings {
        let line = format!("{name}={}", quoted(value));
        let mut places: Vec<usize> =
            (0..lines.len()).filter(|place| name_of(&lines[*place]) == Some(*name)).collect();
        match places.pop() {
            Some(place) => {
                let end = match lines[place].as_str() {
                    line if line.ends_with("\r\n") => "\r\n",
                    line if line.ends_with('\n') => "\n",
                    _ => usual,
                };
                lines[place] = line + end;
                for earlier in places {
                    lines[earlier].clear();
                }
            }
            None => {
                if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
                    last.push_str(usual);
                }
                lines.push(line + usual);
            }
        }
    }
    mark.to_owned() + &lines.concat()
}

/// Returns the name of the setting of a line.
fn name_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    line.split_once('=').map(|(name, _)| name.trim())
}

/// Returns a value as the file has to hold it.
pub(super) fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+,".contains(&byte);
    if value.bytes().all(plain) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n']) {
        return format!("'{value}'");
    }
    let escaped = |text: String, character: char| match character {
        '"' | '\\' | '$' => format!("{text}\\{character}"),
        '\n' => text + "\\n",
        other => format!("{text}{other}"),
    };
    format!("\"{}\"", value.chars().fold(String::new(), escaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> HashMap<String, String> {
        parse(text.as_bytes(), Path::new(".env")).unwrap_or_else(|_| panic!("{text:?} is not read"))
    }

    #[test]
    fn settings_are_replaced_in_place_and_other_lines_stay() {
        let text = "# mine\nA=1\nexport TOKEN='old one' # remark\n\n  B = two\nTOKEN=older\n#TOKEN=comment";
        let merged = merged(text, &[("TOKEN", "1000.new".to_owned()), ("C", "x".to_owned())]);
        assert_eq!(merged, "# mine\nA=1\n\n  B = two\nTOKEN=1000.new\n#TOKEN=comment\nC=x\n");
        assert_eq!(merged.matches("TOKEN=1000").count(), 1);
        assert_eq!(super::merged("", &[("A", "1".to_owned())]), "A=1\n");
        assert_eq!(super::merged("A=0\r\nB=2\r\n", &[("A", "1".to_owned())]), "A=1\r\nB=2\r\n");
    }

    #[test]
    fn the_mark_and_the_line_ends_of_a_file_stay() {
        let set = |text: &str| merged(text, &[("A", "1".to_owned())]);
        assert_eq!(set("\u{feff}A=0\nB=2\n"), "\u{feff}A=1\nB=2\n");
        assert_eq!(set("\u{feff}B=2"), "\u{feff}B=2\nA=1\n");
        assert_eq!(set("B=2\r\n"), "B=2\r\nA=1\r\n");
        assert_eq!(set("B=2\r\nC=3"), "B=2\r\nC=3\r\nA=1\r\n");
        assert_eq!(set("B=2\r\nA=0"), "B=2\r\nA=1\r\n");
        assert_eq!(read(&set("\u{feff}B=2\r\n")), read("A=1\nB=2\n"));
    }

    #[test]
    fn a_file_that_cannot_be_changed_is_found_without_changing_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(".env");
        let settings = [("TOKEN", "1000.new".to_owned())];
        for (text, is_possible) in [("A=1\nTOKEN=x\n", true), ("NOTE=\"a\nTOKEN=b\nc\"\n", false)] {
            fs::write(&path, text).expect("written");
            let Ok(mut file) = DotEnv::open_at(&path) else { panic!("{text:?} is not read") };
            assert_eq!(file.rehearse(&settings).is_ok(), is_possible, "{text:?}");
            assert_eq!(fs::read_to_string(&path).expect("a file"), text);
            assert_eq!(file.write(&settings).is_ok(), is_possible, "{text:?}");
        }
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing is left beside");
    }

    #[test]
    fn every_value_reads_back() {
        for value in [
            "1000.abc-DEF_9",
            "with blank",
            "a#b",
            "$HOME",
            "it's",
            "it's \"both\" $A \\ #",
            "'",
            "\"",
            "back\\slash",
            "é 東京",
            "a=b",
        ] {
            let text = merged("X=1\n", &[("SECRET", value.to_owned())]);
            assert_eq!(read(&text).get("SECRET").map(String::as_str), Some(value), "{text}");
            assert_eq!(read(&text).get("X").map(String::as_str), Some("1"));
        }
    }
}
