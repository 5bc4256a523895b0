//! The health of the data: whether the last comparisons found records that differ, or sums of money.

use std::sync::Arc;

use async_trait::async_trait;
use tds_core::{
    error::Result,
    verify::{EntityReport, VerifyOperator},
};

use super::{ComponentHealth, Probe};

/// Checks what the last comparisons found.
pub(crate) struct VerificationProbe(pub(crate) Arc<dyn VerifyOperator>);

impl VerificationProbe {
    async fn troubles(&self) -> Result<(usize, Vec<String>)> {
        let current = self.0.current().await?;
        let mut troubles: Vec<String> = current.iter().filter_map(trouble).collect();
        let newest = self.0.report(None, 0).await?;
        let failing = newest.iter().flat_map(|report| &report.money).filter(|row| !row.holds);
        troubles.extend(failing.map(|row| {
            let currency =
                row.currency.as_deref().map(|currency| format!(" in {currency}")).unwrap_or_default();
            format!("money check {}{currency}: {} off", row.check, row.difference)
        }));
        Ok((current.len(), troubles))
    }
}

/// Returns how many records differ, or `None`.
fn trouble(report: &EntityReport) -> Option<String> {
    let drift: u64 = report.drift.values().sum();
    (drift > 0).then(|| {
        format!(
            "{drift} records of {entity} differ from Zoho; `tds-server verify --entity {entity} --repair` reads them again",
            entity = report.entity
        )
    })
}

#[async_trait]
impl Probe for VerificationProbe {
    fn name(&self) -> &'static str {
        "verification"
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(match self.troubles().await.ok()? {
            (0, _) => ComponentHealth::healthy("nothing was compared yet"),
            (compared, troubles) if troubles.is_empty() => {
                ComponentHealth::healthy(format!("no drift in {compared} entity types"))
            }
            (_, troubles) => ComponentHealth::degraded(troubles.join("; ")),
        })
    }
}
