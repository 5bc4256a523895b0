//! A check of the credentials, for operators.

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    hint::Hint,
};

use crate::{client::ZohoClient, error::in_one_line, setting::Setting};

/// What valid credentials give access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsReport {
    /// The configured organization.
    pub organization: Organization,
    /// The number of seconds for which the current access token is still accepted. The token is renewed
    /// automatically.
    pub expires_in: u64,
    /// The number of calls left today, if a limit is known.
    pub calls_left_today: Option<u32>,
}

/// An organization in Zoho.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The id of the organization, in digits.
    pub id: String,
    /// The name of the organization.
    pub name: String,
    /// The base currency, such as `EUR`.
    pub currency: String,
    /// The time zone, such as `Europe/Berlin`.
    pub time_zone: String,
}

impl ZohoClient {
    /// Gets a token if there is none, and reads the organizations that the credentials see.
    ///
    /// # Errors
    /// The cause in Zoho's words and what to do about it. Kind `Config` when the configured organization is not
    /// among those that the credentials see.
    pub async fn check_credentials(&self) -> Result<CredentialsReport> {
        let (answer, expires_in) = self.organizations().await?;
        let organizations = read(&answer.body)?;
        let organization = choose(organizations, self.organization_id())?;
        let calls_left_today = self.status().await?.day.left;
        Ok(CredentialsReport { organization, expires_in: expires_in.as_secs(), calls_left_today })
    }
}

impl ZohoClient {
    /// Returns the organizations that the credentials give access to, whichever is configured.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn visible_organizations(&self) -> Result<Vec<Organization>> {
        read(&self.organizations().await?.0.body)
    }
}

fn choose(organizations: Vec<Organization>, id: &str) -> Result<Organization> {
    let seen: Vec<String> = organizations.iter().map(|one| format!("{} ({})", one.id, one.name)).collect();
    organizations.into_iter().find(|organization| organization.id == id).ok_or_else(|| {
        let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
        let message = format!(
            "the credentials give no access to the organization {id}; they give access to these organizations: {seen}"
        );
        Error::config(message).with_hint(Hint::Settings(const { &[Setting::OrganizationId.as_str()] }))
    })
}

fn read(body: &Map<String, Value>) -> Result<Vec<Organization>> {
    let Some(Value::Array(rows)) = body.get("organizations") else {
        let retry = Retry::Transient { retry_after: None };
        return Err(Error::new(ErrorKind::Protocol, retry, "Zoho's answer has no list of organizations"));
    };
    let organization = |row: &Value| Organization {
        id: text(row, "organization_id"),
        name: in_one_line(&text(row, "name")),
        currency: text(row, "currency_code"),
        time_zone: text(row, "time_zone"),
    };
    Ok(rows.iter().map(organization).collect())
}

/// Returns a member as text. Zoho sends ids as text and, in some answers, as numbers.
fn text(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn organizations(body: &Value) -> Result<Vec<Organization>> {
        read(body.as_object().expect("object"))
    }

    #[test]
    fn the_configured_organization_is_found_whether_its_id_is_text_or_a_number() {
        for id in [json!("10234695"), json!(10_234_695)] {
            let body =
                json!({"organizations": [{"organization_id": id, "name": "Zylker", "currency_code": "IQD"}]});
            let organization = choose(organizations(&body).expect("list"), "10234695").expect("found");
            assert_eq!((organization.name.as_str(), organization.currency.as_str()), ("Zylker", "IQD"));
        }
    }

    #[test]
    fn another_organization_is_reported_with_those_that_are_seen() {
        let body = json!({"organizations": [{"organization_id": "7", "name": "Zylker"}]});
        let error = choose(organizations(&body).expect("list"), "8").expect_err("unseen");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("7 (Zylker)"));
    }

    #[test]
    fn an_answer_without_the_list_is_no_empty_list() {
        assert_eq!(organizations(&json!({"code": 0})).expect_err("fault").kind(), ErrorKind::Protocol);
    }
}
