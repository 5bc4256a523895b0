//! What the checks of the configuration and of the database found.

use tds_postgres::{Access, Exposures};

use super::each;
use crate::app::check::{Finding, Report};

wire! {
    /// The findings of `check`
    CheckReport from report: Report {
        checks: Vec<Check> = each(report.checks),
        ok: bool,
    }

    /// The finding of one check
    Check from finding: Finding {
        name: &'static str,
        status: &'static str = finding.status.as_str(),
        detail: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    }

    /// Who can read or change the objects of TDS
    ExposureReport from found: (bool, Exposures) {
        exposures: Vec<Privileges> = each(found.1.exposures),
        granted: Vec<Privileges> = each(found.1.granted),
        open: bool = found.0,
    }

    /// The privileges of one role on one object
    Privileges from access: Access {
        kind: String,
        object: String,
        privileges: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
        role: String,
    }
}
