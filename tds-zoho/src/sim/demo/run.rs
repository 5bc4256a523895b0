//! Keeps a shop busy.

use std::{future::Future, time::Duration};

use tokio::time::MissedTickBehavior;

use super::Changes;
use crate::sim::{
    SharedOrganization,
    webhook::{Delivery, Form, Receipt, deliver},
};

/// Changes the organization once in every interval and sends the signed webhooks to the server at the base URL, until
/// it is stopped. One webhook in twenty is sent twice, as Zoho's retries do. When a receiver is down or refuses a
/// webhook, the function only logs it: the change that the receiver missed remains.
pub async fn run_changes(
    zoho: SharedOrganization,
    base_url: String,
    secret: String,
    every: Duration,
    stop: impl Future<Output = ()>,
) {
    let work = async {
        let mut changes = Changes::new(7);
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in 1_u64.. {
            ticks.tick().await;
            // Zoho sends the webhooks of calls that wrote like those of its users.
            for echo in zoho.take_webhooks() {
                send(&echo, &base_url, &secret).await;
            }
            let Some(delivery) = changes.next_change(&zoho) else { continue };
            send(&delivery, &base_url, &secret).await;
            if count % 20 == 0 {
                send(&delivery, &base_url, &secret).await;
            }
        }
    };
    tokio::select! {
        () = stop => {}
        () = work => {}
    }
}

/// Like [`run_changes`], but each webhook goes where the active rules of the organization send it, signed with the secret
/// of its registration. Nothing is sent while no rule is registered.
pub async fn run_changes_by_rules(zoho: SharedOrganization, every: Duration, stop: impl Future<Output = ()>) {
    zoho.follow_rules(true);
    let work = async {
        let mut changes = Changes::new(7);
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let change = changes.next_change(&zoho);
            for delivery in zoho.take_webhooks().iter().chain(&change) {
                for webhook in zoho.registered(delivery) {
                    report(&webhook.name, webhook.send().await);
                }
            }
        }
    };
    tokio::select! {
        () = stop => {}
        () = work => {}
    }
}

async fn send(delivery: &Delivery, base_url: &str, secret: &str) {
    report(&delivery.entity_path, deliver(delivery, base_url, secret, Form::Json).await);
}

fn report(path: &str, receipt: Result<Receipt, reqwest::Error>) {
    match receipt {
        Ok(receipt) if receipt.status == 200 => tracing::debug!(path, "webhook delivered"),
        Ok(receipt) => tracing::warn!(path, status = receipt.status, body = receipt.body, "webhook refused"),
        Err(error) => tracing::warn!(path, error = &error as &dyn std::error::Error, "webhook not delivered"),
    }
}
