//! The health of the process, and whether Zoho accepts its credentials.

use std::collections::BTreeMap;

use tds_zoho::{CredentialsReport, Organization};

use super::names::{CheckStatus, HealthState};
use crate::app::health::{self, ComponentHealth};

wire! {
    /// The health of the process
    HealthReport from report: health::HealthReport {
        #[schema(inline, value_type = HealthState)]
        status: &'static str = report.status.as_str(),
        version: &'static str = env!("CARGO_PKG_VERSION"),
        components: BTreeMap<&'static str, Component> =
            report.components.into_iter().map(|(name, component)| (name, component.into())).collect(),
    }

    /// The health of one component
    Component from component: ComponentHealth {
        // The key differs from the key of the report, so that `"status":"healthy"` occurs only when everything works.
        #[schema(inline, value_type = HealthState)]
        state: &'static str = component.state.as_str(),
        detail: String,
    }

    /// The answer to an orchestrator: `alive` or `ready`
    ProcessState from state: &'static str {
        status: &'static str = state,
    }

    /// The result of a check of the credentials
    Credentials from report: CredentialsReport {
        #[schema(inline, value_type = CheckStatus)]
        status: &'static str = "ok",
        #[schema(value_type = BTreeMap<String, Value>)]
        organization: OrganizationName,
        /// Seconds until the access token expires
        #[schema(value_type = Option<u64>)]
        expires_in: u64,
        calls_left_today: Option<u32>,
    }

    /// An organization in Zoho
    OrganizationName from organization: Organization {
        id: String,
        name: String,
        currency: String,
        time_zone: String,
    }
}
