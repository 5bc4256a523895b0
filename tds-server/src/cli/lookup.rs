//! Reads settings from the flags first, then from the environment, then from the file `.env` of the working directory.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::Path,
};

use super::{
    exit::{CommandResult, Failure},
    output,
    settings::{Given, variables},
};
use crate::nearest::meant;

/// The file of settings in the working directory.
pub(super) const DOTENV: &str = ".env";

/// Where a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Flag,
    Environment,
    File,
}

/// Settings by the name of their variable.
#[derive(Clone, Default)]
pub(crate) struct Lookup {
    flags: Given,
    file: HashMap<String, String>,
}

impl Lookup {
    /// Loads the settings of a command. Warns about unknown variables, because their names are usually mistyped.
    pub(crate) fn load(flags: Given) -> CommandResult<Self> {
        let lookup = Self::load_silently(flags)?;
        for warning in lookup.unknown() {
            output::talk(&format!("warning: {}", output::clean(&warning)));
        }
        Ok(lookup)
    }

    /// Like [`Lookup::load`], for a command that reports unknown variables in its log.
    pub(crate) fn load_silently(flags: Given) -> CommandResult<Self> {
        let file = Path::new(DOTENV);
        let file = match fs::read(file) {
            Ok(bytes) => parse(&bytes, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(error) => return Err(Failure::usage(format!("{} cannot be read: {error}", file.display()))),
        };
        Ok(Self { flags, file })
    }

    /// Returns a sentence for each variable that has a prefix of TDS but is not a setting.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let environment = std::env::vars_os().map(|(name, _)| (name.to_string_lossy().into_owned(), ""));
        let file = self.file.keys().map(|name| (name.clone(), " (in .env)"));
        let ours = |name: &str| name.starts_with("TDS_") || name.starts_with("ZOHO_");
        let known: Vec<String> = variables().collect();
        let mut unknown: Vec<(String, &str)> =
            environment.chain(file).filter(|(name, _)| ours(name) && !known.contains(name)).collect();
        unknown.sort();
        let names = || known.iter().map(String::as_str);
        let sentence = |(name, place): &(String, &str)| {
            format!("{name}{place} is not a setting of this version{}", meant(name, names()))
        };
        unknown.iter().map(sentence).collect()
    }

    /// Sets a variable. The value takes precedence over every other place.
    pub(crate) fn set(&mut self, variable: &str, value: &str) -> CommandResult {
        let known: Vec<String> = variables().collect();
        if !known.iter().any(|name| name == variable) {
            let meant = meant(variable, known.iter().map(String::as_str));
            return Err(Failure::usage(format!("{variable} is not a setting of this version{meant}")));
        }
        self.flags.insert(variable.to_owned(), value.to_owned());
        Ok(())
    }

    /// Returns the value of a variable. An empty value counts as no value, but still hides the places that come after
    /// it.
    pub(crate) fn get(&self, variable: &str) -> Option<String> {
        self.find(variable).map(|(_, value)| value)
    }

    /// Returns the value of a variable as [`Lookup::get`] does, and where it is set.
    pub(super) fn find(&self, variable: &str) -> Option<(Place, String)> {
        let environment = || std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned());
        let flag = self.flags.get(variable).map(|value| (Place::Flag, value.clone()));
        flag.or_else(|| environment().map(|value| (Place::Environment, value)))
            .or_else(|| self.file.get(variable).map(|value| (Place::File, value.clone())))
            .filter(|(_, value)| !value.trim().is_empty())
    }
}

/// The mark with which some editors begin a file in UTF-8. It belongs to no setting.
pub(super) const MARK: &str = "\u{feff}";

/// Reads the settings of a file.
pub(super) fn parse(bytes: &[u8], path: &Path) -> CommandResult<HashMap<String, String>> {
    let bytes = bytes.strip_prefix(MARK.as_bytes()).unwrap_or(bytes);
    let mut lines = Lines { bytes, number: 0 };
    let mut settings = HashMap::new();
    let mut malformed = None;
    for entry in dotenvy::from_read_iter(&mut lines) {
        match entry {
            Ok((name, value)) => settings.insert(name, value),
            Err(error) => {
                malformed = Some(error);
                break;
            }
        };
    }
    match malformed {
        None => Ok(settings),
        // The line itself is not shown, because it may hold a secret.
        Some(dotenvy::Error::LineParse(..)) => Err(Failure::usage(format!(
            "{} line {}: this is not NAME=value (a value with blanks, # or $ needs single quotes)",
            path.display(),
            lines.number
        ))),
        Some(error) => Err(Failure::usage(format!("{} line {}: {error}", path.display(), lines.number))),
    }
}

/// Returns one line per read and counts lines, so that a buffering reader is never ahead of the line that it parses.
struct Lines<'a> {
    bytes: &'a [u8],
    number: usize,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line_end =
            self.bytes.iter().position(|&byte| byte == b'\n').map_or(self.bytes.len(), |end| end + 1);
        let length = line_end.min(buffer.len());
        let (line, rest) = self.bytes.split_at(length);
        buffer[..length].copy_from_slice(line);
        self.bytes = rest;
        self.number += usize::from(length > 0 && length == line_end);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::Path};

    use super::{Failure, Lookup, Place, parse};

    #[test]
    fn a_flag_beats_the_file() {
        let lookup = Lookup {
            flags: HashMap::from([("LOOKUP_A".to_owned(), "flag".to_owned())]),
            file: HashMap::from([
                ("LOOKUP_A".to_owned(), "file".to_owned()),
                ("LOOKUP_B".to_owned(), "file".to_owned()),
                ("LOOKUP_C".to_owned(), " ".to_owned()),
            ]),
        };
        assert_eq!(lookup.get("LOOKUP_A").as_deref(), Some("flag"));
        assert_eq!(lookup.get("LOOKUP_B").as_deref(), Some("file"));
        assert_eq!(lookup.get("LOOKUP_C"), None);
        assert_eq!(lookup.find("LOOKUP_B"), Some((Place::File, "file".to_owned())));
    }

    #[test]
    fn the_environment_beats_the_file() {
        let lookup = Lookup {
            flags: HashMap::new(),
            file: HashMap::from([("CARGO_MANIFEST_DIR".to_owned(), "file".to_owned())]),
        };
        assert_eq!(lookup.get("CARGO_MANIFEST_DIR"), std::env::var("CARGO_MANIFEST_DIR").ok());
        assert_eq!(lookup.find("CARGO_MANIFEST_DIR").map(|(place, _)| place), Some(Place::Environment));
    }

    #[test]
    fn comments_quotes_and_export_are_understood() {
        let text = "\u{feff}A=1\r\n# a comment\n\nexport B='two # three'\n";
        let Ok(settings) = parse(text.as_bytes(), Path::new(".env")) else { panic!("well-formed") };
        assert_eq!(settings.get("A").map(String::as_str), Some("1"));
        assert_eq!(settings.get("B").map(String::as_str), Some("two # three"));
    }

    #[test]
    fn a_malformed_line_is_named_but_not_shown() {
        let text = b"A=1\n# two\nZOHO_CLIENT_SECRET hunter2\nB=2\n";
        let Err(Failure::Usage(lines)) = parse(text, Path::new(".env")) else { panic!("malformed") };
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with(".env line 3:"), "{}", lines[0]);
        assert!(!lines[0].contains("hunter2"));
    }
}
