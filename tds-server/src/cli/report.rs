//! `report`: everything that TDS measured in the last days, and what to look at.

mod chart;
mod document;
mod html;
mod markdown;
mod sections;
#[cfg(test)]
mod tests;

use clap::Args;

use super::{
    exit::{CommandResult, Failure},
    output, parse,
    settings::{DATABASE, ENTITIES, flags},
    store::Store,
};
use crate::app::report::report;

tds_core::closed_set! {
    /// The form of the report.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Format {
        Md = "md",
        Html = "html",
    }
}

/// Write the report on the last days.
#[derive(Args)]
#[command(args = flags(&[DATABASE, ENTITIES]), after_help = "Examples:\n  tds-server report > report.md\n  \
    tds-server report --format html --days 30 > report.html\n\n\
    The report goes to standard output. The HTML file is self-contained: it loads nothing. The command makes no call to \
    Zoho and changes nothing.")]
pub(crate) struct ReportArgs {
    /// Form of the report
    #[arg(long, default_value = "md", value_parser = parse::one_of(Format::ALL, Format::as_str))]
    format: Format,
    /// Number of days, today included
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=31))]
    days: u16,
}

impl ReportArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let report =
            report(store.ports(), store.catalogue(), self.days, store.day_limit(), |_| false).await?;
        let document = sections::document(&report, store.organization_id().ok());
        let text = match self.format {
            Format::Md => markdown::render(&document),
            Format::Html => html::render(&document)
                .map_err(|error| Failure::failed(format!("the report cannot be written: {error}")))?,
        };
        output::data(&text)
    }
}
