//! `auth`: from a client and a code of Zoho's API console to a refresh token and an organization.

mod choice;
mod secret_files;
mod values;

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use tds_core::{clock::SystemClock, error::Error, hint::Hint};
use tds_zoho::{DataCenter, Grant, Organization, ZohoClient, ZohoConfig, entities::Catalogue};

use self::{
    choice::{Choice, Wanted, choose, picked},
    values::Values,
};
use super::{
    exit::{CommandResult, Failure},
    hidden,
    lookup::Lookup,
    output,
    settings::{CLIENT, Given, flags},
    store::quiet_config,
};
use crate::{
    config::{Need, incomplete_zoho},
    entities::Entities,
};

/// The most access tokens that this command mints. Zoho gives 10 in ten minutes.
const MOST_MINTS: u32 = 3;
const TOKEN: &str = "ZOHO_REFRESH_TOKEN";
/// How often a person may choose an organization.
const MOST_ANSWERS: u32 = 3;

/// Get a refresh token and choose the organization
#[derive(Args)]
#[command(
    args = flags(&[CLIENT]),
    after_help = "In Zoho's API console, create a self client and a code with the scopes that --scopes prints. The code\n\
    works once, for a few minutes. The values are written to .env (only its owner may read it, other lines stay),\n\
    and a secret into the file that its variable with the suffix _FILE names. A client id and a client secret that\n\
    are in the environment stay there. What cannot be written is printed, so that it is not lost.\n\
    If there is a refresh token and no code is given, the token stays and only the organization is chosen; at a\n\
    terminal, the command asks for a code first, unless --organization is given.\n\n\
    Examples:\n  tds-server auth --scopes\n  tds-server auth --code 1000.abc\n  \
    tds-server auth --organization 60000000001"
)]
pub(crate) struct AuthArgs {
    /// Code of the API console [default: asked for]
    #[arg(long)]
    code: Option<String>,
    /// Id of the organization, if the user belongs to several [default: asked for]
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// Redirect URI of the client; a self client has none
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Print the values instead of writing files
    #[arg(long)]
    print: bool,
    /// Print the scopes that the code needs, and exit
    #[arg(long)]
    scopes: bool,
}

impl AuthArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let mut lookup = Lookup::load(flags)?;
        let secret_files = secret_files::find(&mut lookup)?;
        let config = quiet_config(&lookup, Need::Database)?;
        let catalogue =
            config.entities.of(&entities.catalogue).map_err(|error| Failure::usage(error.to_string()))?;
        if self.scopes {
            return print_scopes(&catalogue);
        }
        // Everything that can be wrong is found before the code is spent.
        let mut zoho = incomplete_zoho(|name| lookup.get(name))?;
        zoho.most_mints = MOST_MINTS;
        let wanted = Wanted::find(self.organization.as_deref(), &lookup)?;
        let mut values = Values::open(self.print, secret_files, &lookup)?;
        let mut kept = "the refresh token was kept, so no code is needed";
        if let Some(code) = self.code(&zoho, &catalogue)? {
            values.rehearse()?;
            complete_client(&mut zoho)?;
            let grant = tds_zoho::exchange(&zoho, &code, self.redirect_uri.as_deref()).await?;
            report(&grant, &catalogue);
            zoho.refresh_token = grant.refresh_token;
            // The token is stored before anything else can fail: the code cannot be exchanged again.
            values.store(&client_values(&zoho, grant.data_center))?;
            output::talk(
                "a running server reads the refresh token when it starts: restart it to use the new one",
            );
            if values.are_printed() {
                kept = "the refresh token was printed: set it first, and no code is needed";
            }
        }
        let organization = organization(&zoho, wanted.as_ref(), kept).await?;
        values.store(&[(choice::VARIABLE, organization.id.clone())])?;
        values.end(&organization)
    }

    /// Returns the code. `None`: there is a refresh token, and no code was given.
    fn code(&self, zoho: &ZohoConfig, catalogue: &Catalogue) -> CommandResult<Option<SecretString>> {
        let given = |code: &str| Some(code.trim()).filter(|code| !code.is_empty()).map(SecretString::from);
        let none = || Failure::usage("there is no code: state it with --code CODE");
        if let Some(code) = &self.code {
            return given(code).map(Some).ok_or_else(none);
        }
        let has_token = !zoho.refresh_token.expose_secret().is_empty();
        if has_token && (self.organization.is_some() || !io::stdin().is_terminal()) {
            output::talk(
                "no --code: the present refresh token stays, and only the organization is chosen (for a new token: \
                 tds-server auth --code CODE)",
            );
            return Ok(None);
        }
        output::talk(&format!(
            "In Zoho's API console (api-console.zoho.com, or that of your data centre), open the self client, and \
             generate a code with these scopes:\n\n{}\n\nWith these as well, `tds-server webhooks install` can register \
             the webhooks:\n\n{}\n",
            tds_zoho::scopes(catalogue, false).join(","),
            settings_scopes(catalogue)
        ));
        let question = if has_token { "code (empty: the present refresh token stays)" } else { "code" };
        match output::ask(question)?.as_deref().and_then(given) {
            None if !has_token => Err(none()),
            code => Ok(code),
        }
    }
}

/// Returns the organization that is wanted, or the only one, or the one that a person chooses. `kept`: what has become
/// of the refresh token.
async fn organization(zoho: &ZohoConfig, wanted: Option<&Wanted>, kept: &str) -> CommandResult<Organization> {
    let mut config = zoho.clone();
    // Zoho lists the organizations without being told one.
    config.organization_id = "0".to_owned();
    let client = ZohoClient::new(config, Arc::new(SystemClock))?;
    let organizations = client.visible_organizations().await;
    client.close().await;
    let organizations = organizations.map_err(|error| not_listed(error, kept))?;
    let again = format!("choose one with `tds-server auth --organization ID`; {kept}");
    match choose(organizations, wanted) {
        Choice::Taken(organization) => Ok(organization),
        Choice::Unknown(reason) => Err(Failure::failed(format!("{}; {again}", output::clean(&reason)))),
        Choice::Several(organizations) => chosen(&organizations, &again),
    }
}

/// Asks a person for one of several organizations.
fn chosen(organizations: &[Organization], again: &str) -> CommandResult<Organization> {
    output::talk("the user belongs to several organizations:");
    for (number, one) in (1..).zip(organizations) {
        output::talk(&format!("  {number}  {}  {}", one.id, output::clean(&one.name)));
    }
    for _answer in 0..MOST_ANSWERS {
        let answer = output::ask("organization (its number in this list, or its id)")?;
        let answer = answer.ok_or_else(|| Failure::usage(again))?;
        if let Some(organization) = picked(organizations, &answer) {
            return Ok(organization.clone());
        }
        output::talk(&format!(
            "there is no such organization: enter a number from 1 to {}, or an id of the list",
            organizations.len()
        ));
    }
    Err(Failure::failed(format!("no organization was chosen; {again}")))
}

/// Returns the failure of a command to which Zoho did not list the organizations.
fn not_listed(error: Error, kept: &str) -> Failure {
    // The error itself names the command that makes a new token.
    let is_refused =
        matches!(error.hint(), Some(Hint::Settings(fields)) if fields.contains(&"refresh_token"));
    let advice = match is_refused {
        true => "a code needs the scopes that `tds-server auth --scopes` prints".to_owned(),
        false => format!("{kept}: run `tds-server auth` again"),
    };
    match Failure::from(error) {
        Failure::Failed(reason) => Failure::Failed(format!("{reason}; {advice}")),
        other => other,
    }
}

fn settings_scopes(catalogue: &Catalogue) -> String {
    let reading = tds_zoho::scopes(catalogue, false).len();
    tds_zoho::scopes(catalogue, true).split_off(reading).join(",")
}

fn print_scopes(catalogue: &Catalogue) -> CommandResult {
    output::talk("for reading:");
    output::data(&tds_zoho::scopes(catalogue, false).join(","))?;
    output::talk("for reading, and for `tds-server webhooks install`:");
    output::data(&tds_zoho::scopes(catalogue, true).join(","))
}

/// Asks for what is missing of the client.
fn complete_client(zoho: &mut ZohoConfig) -> CommandResult {
    let missing =
        |name: &str| Failure::usage(format!("{name}: found nothing; accepted: the value of the API console"));
    if zoho.client_id.is_empty() {
        let id = output::ask("client id")?.filter(|text| !text.is_empty());
        zoho.client_id = id.ok_or_else(|| missing("ZOHO_CLIENT_ID"))?;
    }
    if zoho.client_secret.expose_secret().is_empty() {
        let secret = hidden::ask("client secret")?.filter(|secret| !secret.expose_secret().is_empty());
        zoho.client_secret = secret.ok_or_else(|| missing("ZOHO_CLIENT_SECRET"))?;
    }
    Ok(())
}

/// Says what the grant lacks.
fn report(grant: &Grant, catalogue: &Catalogue) {
    if let Some(host) = &grant.ignored_api_domain {
        output::talk(&format!(
            "warning: Zoho's answer names the API host {}, which is not one of Zoho's known hosts and is not used",
            output::clean(host)
        ));
    }
    if grant.scopes.is_empty() {
        return;
    }
    let missing = tds_zoho::missing_scopes(&tds_zoho::scopes(catalogue, false), &grant.scopes);
    if !missing.is_empty() {
        output::talk(&format!(
            "warning: the code was made without the scopes {}; what needs them will wait. Make a new code with all \
             scopes (tds-server auth --scopes) if you need it",
            missing.join(",")
        ));
    }
    let settings = tds_zoho::missing_scopes(&tds_zoho::scopes(catalogue, true), &grant.scopes);
    if settings.len() > missing.len() {
        output::talk(
            "note: the code was made without the scopes for settings, so `tds-server webhooks` can only print the clicks",
        );
    }
}

/// Returns the values of the client and of its token.
fn client_values(zoho: &ZohoConfig, answered: Option<DataCenter>) -> Vec<(&'static str, String)> {
    let mut values = vec![
        ("ZOHO_CLIENT_ID", zoho.client_id.clone()),
        ("ZOHO_CLIENT_SECRET", zoho.client_secret.expose_secret().to_owned()),
        (TOKEN, zoho.refresh_token.expose_secret().to_owned()),
    ];
    values.extend(answered.map(|center| ("ZOHO_DATA_CENTER", center.as_str().to_owned())));
    values
}

#[cfg(test)]
mod tests {
    use tds_core::error::{ErrorKind, Retry};

    use super::*;

    #[test]
    fn without_a_list_of_organizations_it_is_said_what_became_of_the_token() {
        let text = |error| match not_listed(error, "kept") {
            Failure::Failed(text) => text,
            other => panic!("{other:?}"),
        };
        let down = text(Error::unavailable("Zoho's words"));
        assert!(down.ends_with("Zoho's words; kept: run `tds-server auth` again"), "{down}");
        let refused = Error::new(ErrorKind::Unauthorized, Retry::Permanent, "refused");
        let refused = text(refused.with_hint(Hint::Settings(&["refresh_token"])));
        assert!(refused.contains("`tds-server auth --code CODE`"), "{refused}");
        assert!(refused.contains("`tds-server auth --scopes`") && !refused.contains("kept"), "{refused}");
    }
}
