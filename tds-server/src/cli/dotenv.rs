//! Writes settings into the file `.env`.

use std::{collections::HashMap, fs, io, path::Path};

use super::{
    exit::{CommandResult, Failure},
    lookup::{DOTENV, parse},
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
        let file = ReplacedFile::open(Path::new(DOTENV), Some(0o600))
            .map_err(|error| not_written(Path::new(DOTENV), &error))?;
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

    /// Writes settings. Lines of other settings and comments stay as they are. The file is replaced at once, and only
    /// its owner may read it.
    pub(super) fn write(&mut self, settings: &[(&str, String)]) -> CommandResult {
        let text = merged(&self.text, settings);
        let expected = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut known = self.settings.clone();
        known.extend(expected);
        // What is written is read before it replaces anything.
        let path = self.file.path();
        if parse(text.as_bytes(), path).ok().as_ref() != Some(&known) {
            let path = path.display();
            return Err(Failure::failed(format!(
                "{path} cannot be changed without changing other lines; run the command with --print, and enter the \
                 values by hand"
            )));
        }
        self.file.replace(&text).map_err(|error| not_written(path, &error))?;
        (self.text, self.settings) = (text, known);
        Ok(())
    }
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("{} cannot be replaced: {error}", path.display()))
}

/// Returns the text with these settings: each replaces its last line where there is one, or follows at the end.
fn merged(text: &str, settings: &[(&str, String)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for (name, value) in settings {
        let line = format!("{name}={}", quoted(value));
        let mut places: Vec<usize> =
            (0..lines.len()).filter(|place| name_of(&lines[*place]) == Some(*name)).collect();
        match places.pop() {
            Some(place) => {
                let end = if lines[place].ends_with("\r\n") { "\r\n" } else { "\n" };
                lines[place] = line + end;
                for earlier in places {
                    lines[earlier].clear();
                }
            }
            None => {
                if let Some(last) = lines.last_mut().filter(|last| !last.ends_with('\n')) {
                    last.push('\n');
                }
                lines.push(line + "\n");
            }
        }
    }
    lines.concat()
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
