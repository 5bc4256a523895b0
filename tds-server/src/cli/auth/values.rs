//! Where the values go: into files or to standard output.

use tds_zoho::Organization;

use super::{TOKEN, choice, secret_files::SecretFile};
use crate::cli::{
    dotenv::{DotEnv, quoted},
    exit::{CommandResult, Failure},
    lookup::{Lookup, Place},
    output,
};

/// The variables that identify the client.
const CLIENT: [&str; 2] = ["ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET"];
const NAMES: [&str; 5] = [CLIENT[0], CLIENT[1], TOKEN, choice::VARIABLE, "ZOHO_DATA_CENTER"];

/// The places of the values.
pub(super) struct Values {
    /// `None`: to standard output.
    file: Option<DotEnv>,
    /// The files of secrets, which do not belong into `.env`.
    secret_files: Vec<SecretFile>,
    /// The variables of the environment, which take precedence over the file.
    in_environment: Vec<&'static str>,
    /// What the operator keeps in the environment and not in files, and what this command does not change.
    left_out: Vec<&'static str>,
}

impl Values {
    pub(super) fn open(print: bool, secret_files: Vec<SecretFile>, lookup: &Lookup) -> CommandResult<Self> {
        let from_environment =
            |name: &&str| lookup.find(name).is_some_and(|(place, _)| place == Place::Environment);
        Ok(Self {
            file: if print { None } else { Some(DotEnv::open()?) },
            secret_files,
            in_environment: NAMES.into_iter().filter(|name| std::env::var_os(name).is_some()).collect(),
            left_out: CLIENT.into_iter().filter(from_environment).collect(),
        })
    }

    /// Returns true if the values are only printed.
    pub(super) fn are_printed(&self) -> bool {
        self.file.is_none()
    }

    /// Checks whether the values can be stored, with others in their place. A code works once, so it must not be spent if
    /// its result cannot be stored.
    pub(super) fn rehearse(&self) -> CommandResult {
        let Some(file) = &self.file else { return Ok(()) };
        self.secret_files.iter().filter(|file| is_written(file)).try_for_each(SecretFile::check)?;
        let in_env = |name: &&str| {
            !self.left_out.contains(name) && self.secret_files.iter().all(|file| file.variable != *name)
        };
        let others: Vec<_> =
            NAMES.into_iter().filter(in_env).map(|name| (name, "1000.rehearsal".to_owned())).collect();
        file.rehearse(&others)
    }

    /// Stores or prints values. A code cannot be exchanged again, so what cannot be written is printed.
    pub(super) fn store(&mut self, values: &[(&'static str, String)]) -> CommandResult {
        let mut result = Ok(());
        let mut fail = |failure: Failure| {
            if result.is_ok() {
                result = Err(failure);
            }
        };
        let mut rest = Vec::new();
        for (name, value) in values.iter().filter(|(name, _)| !self.left_out.contains(name)) {
            let Some(file) = self.secret_files.iter().find(|file| file.variable == *name) else {
                rest.push((*name, value.clone()));
                continue;
            };
            if !is_written(file) {
                continue;
            }
            let written = self.file.as_ref().map(|_| file.write(value));
            if let Some(Ok(())) = written {
                output::talk(&format!("{name}: written to {}", file.path.display()));
                continue;
            }
            output::talk(&format!(
                "the value of {name} belongs into {}, without its name",
                file.path.display()
            ));
            written.into_iter().filter_map(Result::err).for_each(&mut fail);
            print(&[(*name, value.clone())]).unwrap_or_else(&mut fail);
        }
        match &mut self.file {
            None => print(&rest).unwrap_or_else(&mut fail),
            Some(file) => match file.write(&rest) {
                Ok(()) => self.warn_of_environment(&rest),
                Err(failure) => {
                    output::talk(
                        "the values could not be written, so they are printed: enter them into .env by hand, and run \
                         tds-server auth again, which then needs no code",
                    );
                    fail(failure);
                    print(&rest).unwrap_or_else(&mut fail);
                }
            },
        }
        result
    }

    fn warn_of_environment(&self, written: &[(&'static str, String)]) {
        for (name, value) in written {
            if self.in_environment.contains(name) && std::env::var(name).ok().as_ref() != Some(value) {
                output::talk(&format!(
                    "warning: {name} is also set in the environment, which takes precedence over .env: change it there"
                ));
            }
        }
    }

    pub(super) fn end(&self, organization: &Organization) -> CommandResult {
        let name = output::clean(&organization.name).into_owned();
        let place = if self.are_printed() { "printed" } else { "written to .env" };
        output::talk(&format!("organization {} ({name}); the values were {place}", organization.id));
        output::talk("next: tds-server webhooks install --url https://YOUR-SERVER");
        Ok(())
    }
}

fn print(values: &[(&'static str, String)]) -> CommandResult {
    values.iter().try_for_each(|(name, value)| output::data(&format!("{name}={}", quoted(value))))
}

/// Returns true if the command writes the file: the token is always another one, and a client secret that the file has
/// stays.
fn is_written(file: &SecretFile) -> bool {
    file.variable == TOKEN || file.is_empty
}
