//! Where the values go: into files or to standard output.

use tds_zoho::Organization;

use super::{TOKEN, secret_files::SecretFile};
use crate::cli::{
    dotenv::{DotEnv, quoted},
    exit::CommandResult,
    output,
};

/// The places of the values.
pub(super) struct Values {
    /// `None`: to standard output.
    file: Option<DotEnv>,
    /// The files of secrets, which do not belong into `.env`.
    secret_files: Vec<SecretFile>,
    /// The variables of the environment, which take precedence over the file.
    in_environment: Vec<&'static str>,
}

impl Values {
    pub(super) fn open(print: bool, secret_files: Vec<SecretFile>) -> CommandResult<Self> {
        let names =
            ["ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", TOKEN, "ZOHO_ORGANIZATION_ID", "ZOHO_DATA_CENTER"];
        Ok(Self {
            file: if print { None } else { Some(DotEnv::open()?) },
            secret_files,
            in_environment: names.into_iter().filter(|name| std::env::var_os(name).is_some()).collect(),
        })
    }

    /// Checks the files of the secrets. A code works once, so it must not be spent if its result cannot be stored.
    pub(super) fn may_store_secrets(&self) -> CommandResult {
        if self.file.is_none() {
            return Ok(());
        }
        self.secret_files.iter().filter(|file| is_written(file)).try_for_each(SecretFile::check)
    }

    /// Stores or prints values.
    pub(super) fn store(&mut self, values: &[(&'static str, String)]) -> CommandResult {
        let mut rest = Vec::new();
        for (name, value) in values {
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
            // A code cannot be exchanged again, so a token that cannot be written is printed.
            output::talk(&format!(
                "the value of {name} belongs into {}, without its name",
                file.path.display()
            ));
            output::data(&format!("{name}={}", quoted(value)))?;
            written.unwrap_or(Ok(()))?;
        }
        let Some(file) = &mut self.file else {
            for (name, value) in &rest {
                output::data(&format!("{name}={}", quoted(value)))?;
            }
            return Ok(());
        };
        file.write(&rest)?;
        for (name, value) in &rest {
            if self.in_environment.contains(name) && std::env::var(name).ok().as_ref() != Some(value) {
                output::talk(&format!(
                    "warning: {name} is also set in the environment, which takes precedence over .env: change it there"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn end(&self, organization: &Organization) -> CommandResult {
        let name = output::clean(&organization.name).into_owned();
        let place = if self.file.is_some() { "written to .env" } else { "printed" };
        output::talk(&format!("organization {} ({name}); the values were {place}", organization.id));
        output::talk("next: tds-server webhooks install --url https://YOUR-SERVER");
        Ok(())
    }
}

/// Returns true if the command writes the file: the token is always another one, and a client secret that the file has
/// stays.
fn is_written(file: &SecretFile) -> bool {
    file.variable == TOKEN || file.is_empty
}
