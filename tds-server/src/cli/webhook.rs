//! `webhook send`: a signed delivery, as Zoho would make it.

use std::{fs, io::Read, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use reqwest::{StatusCode, Url};
use secrecy::ExposeSecret;
#[cfg(feature = "sim")]
use tds_core::clock::{Clock as _, SystemClock};
use tds_core::{error::Error, record::EntityType};
use tds_zoho::{
    entities::{Catalogue, Descriptor},
    webhook::{EVENT_TYPES, SIGNATURE_HEADER, sign},
};

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{Given, WEBHOOK, flags},
};
use crate::config::{Config, Need, WebhookConfig};

/// The time that Zoho gives a receiver to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Send test deliveries
#[derive(Args)]
pub(crate) struct WebhookArgs {
    #[command(subcommand)]
    action: WebhookAction,
}

#[derive(Subcommand)]
enum WebhookAction {
    /// Sign a payload with the webhook secret and send it to a running server
    Send(SendArgs),
}

#[derive(Args)]
#[command(
    args = flags(&[WEBHOOK]),
    after_help = "Without --file, the command sends a sample record with an id that no organization has. The record\n\
    appears in the mirror, and the next full sync marks it as deleted. --event deleted marks it as deleted at once.\n\n\
    Examples:\n  tds-server webhook send products\n  \
    tds-server webhook send invoices --file invoice.json --url https://tds.example.com\n  \
    cat item.json | tds-server webhook send products --event created --file -"
)]
struct SendArgs {
    /// Entity type of the payload
    entity: EntityType,
    /// Event type: created, updated or deleted
    #[arg(long, default_value = "updated", value_parser = EVENT_TYPES)]
    event: String,
    /// File with the body, or - for standard input [default: a sample]
    #[arg(long)]
    file: Option<PathBuf>,
    /// Base URL of the server [default: the address in TDS_BIND, or http://127.0.0.1:8000]
    #[arg(long, value_name = "BASE")]
    url: Option<Url>,
}

impl WebhookArgs {
    pub(crate) async fn run(self, flags: Given, catalogue: &Catalogue) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let config = Config::from_lookup(|name| lookup.get(name), Need::Database)?;
        let WebhookAction::Send(args) = self.action;
        args.send(&config, catalogue).await
    }
}

impl SendArgs {
    async fn send(self, config: &Config, catalogue: &Catalogue) -> CommandResult {
        let known = catalogue.find(&self.entity);
        let Some((descriptor, webhooks)) = known.and_then(|known| Some((known, known.webhooks.as_ref()?)))
        else {
            return Err(Failure::usage(format!("{} has no webhooks", self.entity)));
        };
        let body = match &self.file {
            Some(file) => read(file)?,
            None => sample(descriptor)?,
        };
        let base = match self.url {
            Some(url) => base_of(&url)?,
            None => local_address(config),
        };
        let path = webhooks.path;
        let url = format!("{}/api/zoho/webhooks/{path}", base.trim_end_matches('/'));
        let (status, answer) = post(&url, &self.event, body, &config.webhooks).await?;
        output::talk(&format!("{url}?event={}: {status}", self.event));
        output::data(&output::clean(&answer))?;
        if status == StatusCode::UNAUTHORIZED {
            output::talk(
                "the server has another ZOHO_WEBHOOK_SECRET or TDS_WEBHOOK_KEY than this command, or something on \
                 the way changes the path, the query or the body; the log of the server says what would explain the \
                 signature",
            );
        }
        if !status.is_success() {
            return Err(Failure::Reported);
        }
        let receipt: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        match receipt["status"].as_str() {
            Some("unparsed") => {
                return Err(Failure::failed(
                    "the server stored the body but did not understand it; inbox list --status failed shows the \
                     reason",
                ));
            }
            Some("ignored") => output::talk(
                "the server stored the body, but nothing handles its entity type or organization",
            ),
            _ if receipt["duplicate"] == true => {
                output::talk("the server already has this delivery and added no second row");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Returns a base URL that a path can be added to.
fn base_of(url: &Url) -> CommandResult<String> {
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !plain || url.fragment().is_some() || !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::usage(
            "--url: accepted is an http:// or https:// URL without user, query and fragment, such as \
             https://tds.example.com",
        ));
    }
    Ok(url.as_str().to_owned())
}

/// Sends a body, and returns the status and the text of the answer.
async fn post(
    url: &str,
    event: &str,
    body: Vec<u8>,
    webhooks: &WebhookConfig,
) -> CommandResult<(StatusCode, String)> {
    let query = [("event".to_owned(), event.to_owned())];
    let content_type = content_type(&body);
    let no_answer = |error: reqwest::Error| {
        Failure::failed(Error::unavailable(format!("{url} cannot be reached")).with_source(error).chain())
    };
    let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(no_answer)?;
    let mut request = client.post(url).query(&query).header("content-type", content_type);
    // While a secret or a key is being replaced, the last one is the new one, which `webhooks install` uses.
    match webhooks.secrets.last() {
        Some(secret) => request = request.header(SIGNATURE_HEADER, sign(secret, &query, &body)),
        None => output::talk("ZOHO_WEBHOOK_SECRET is not set: the webhook is sent without a signature"),
    }
    if let Some(key) = webhooks.keys.last() {
        request = request.header("x-webhook-key", key.expose_secret());
    }
    let response = request.body(body).send().await.map_err(no_answer)?;
    Ok((response.status(), response.text().await.map_err(no_answer)?))
}

/// Returns the content type of the body. A body is called a form only if it certainly is one, because the pairs of a
/// form are signed instead of its text.
fn content_type(body: &[u8]) -> &'static str {
    if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return "application/json";
    }
    let name = body.split(|byte| *byte == b'=').next().unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if body.contains(&b'=') && !name.is_empty() && name.iter().all(plain) {
        return "application/x-www-form-urlencoded";
    }
    "text/plain; charset=utf-8"
}

/// An offset for the id of the sample, so that neither an organization nor the demo has a record with the id.
#[cfg(feature = "sim")]
const SAMPLE: u64 = 990_000_001;

/// Returns the body that Zoho would push for a record of this type that changed now.
#[cfg(feature = "sim")]
fn sample(descriptor: &Descriptor) -> CommandResult<Vec<u8>> {
    let (Some(sample), Some(module)) = (descriptor.sample, descriptor.simulated) else {
        return Err(Failure::usage(format!(
            "there is no sample of {}: choose a body with --file",
            descriptor.name()
        )));
    };
    let mut record = sample(SAMPLE);
    let now = tds_zoho::sim::stamp(SystemClock.now());
    for time in ["created_time", "last_modified_time"] {
        record[time] = now.clone().into();
    }
    Ok(serde_json::json!({ module.detail_key: record }).to_string().into_bytes())
}

#[cfg(not(feature = "sim"))]
fn sample(_: &Descriptor) -> CommandResult<Vec<u8>> {
    Err(Failure::usage("this program was built without samples: choose a body with --file"))
}

/// Returns the address at which a server with this configuration can be reached from the same machine.
fn local_address(config: &Config) -> String {
    let bind = config.http.bind;
    if bind.ip().is_unspecified() {
        return format!("http://127.0.0.1:{}", bind.port());
    }
    format!("http://{bind}")
}

fn read(file: &PathBuf) -> CommandResult<Vec<u8>> {
    if file.as_os_str() == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body)?;
        return Ok(body);
    }
    fs::read(file).map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))
}
