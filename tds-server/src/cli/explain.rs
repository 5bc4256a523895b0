//! `explain`: everything that happened to a record.

use clap::Args;
use tds_core::{
    guard::VerdictKind,
    history::{History, HistoryEntry, HistoryWindow},
    mirror::Operation,
    queue::Outcome,
    record::{EntityType, RecordId},
};

use time::OffsetDateTime;

use super::{
    exit::CommandResult,
    output::{self, Column},
    parse,
    settings::{DATABASE, ENTITIES, flags},
    store::Store,
};
use crate::http::dto;

/// Show every delivery, read and write of a record
#[derive(Args)]
#[command(args = flags(&[ENTITIES, DATABASE]), after_help = "Examples:\n  tds-server explain invoices 460000000567114\n  \
    tds-server explain products 460000000027009 --json\n\n\
    The command reads the database and makes no call to Zoho. What is older than TDS_RETENTION is not known any more.")]
pub(crate) struct ExplainArgs {
    /// Entity type of the record, such as invoices
    entity: EntityType,
    /// Id of the record in Zoho
    zoho_id: String,
    /// Maximum number of events to show; the newest are shown, oldest first
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Show only events before this time, such as the first time of the events after them
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    before: Option<OffsetDateTime>,
    /// Print JSON in the format of the API
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let id = RecordId::new(self.zoho_id);
        let window = HistoryWindow { limit: self.limit.into(), before: self.before };
        let history = store.explain.record(&self.entity, &id, &window).await?;
        if self.json {
            return output::json(&dto::RecordHistory::from(history));
        }
        print(&history)
    }
}

fn print(history: &History) -> CommandResult {
    let record = &history.record;
    let state = record.state.as_ref();
    let status = match (state, record.deleted_at) {
        (None, _) => "never applied".to_owned(),
        (Some(_), Some(at)) => format!("deleted, found at {}", output::time(Some(at))),
        (Some(_), None) => "live".to_owned(),
    };
    let version = output::time(state.and_then(|state| state.version));
    let observed = state.map_or_else(|| "-".to_owned(), |state| state.observed.to_string());
    let mut text = format!(
        "{}\nstatus    {status}\nversion   {version}\nobserved  {observed}\nrow       {}\n",
        record.key,
        record.local_id.map_or_else(|| "-".to_owned(), |id| id.to_string())
    );
    for (name, value) in record.row.iter().flatten().filter(|(name, _)| SHOWN.contains(&name.as_str())) {
        text.push_str(&format!(
            "  {name}: {}\n",
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        ));
    }
    output::data(&output::clean(&text))?;
    if history.has_older {
        output::talk("there are older events; show them with --before and the first time of the table");
    }
    output::data(&output::table(COLUMNS, &history.entries))
}

/// The columns by which a person recognizes a record.
const SHOWN: [&str; 8] =
    ["number", "name", "sku", "status", "total", "balance", "amount", "zoho_modified_at"];

const COLUMNS: &[Column<HistoryEntry>] = &[
    ("WHEN", |entry| output::time(Some(entry.at))),
    ("KIND", |entry| entry.origin.to_string()),
    ("WHAT", |entry| entry.happening.to_string()),
    ("VERSION", |entry| output::time(entry.version)),
    ("VERDICT", |entry| output::or_dash(entry.verdict.map(VerdictKind::as_str))),
    ("OUTCOME", |entry| output::or_dash(entry.outcome.map(Outcome::as_str))),
    ("CHANGED", changed),
    ("CAUSE", cause),
    ("DETAIL", |entry| output::short(entry.detail.as_deref())),
];

/// Returns the changed columns, or what else was written.
fn changed(entry: &HistoryEntry) -> String {
    match (entry.operation, entry.changed.as_slice()) {
        (None, []) => "-".to_owned(),
        (Some(operation), []) => format!("({})", operation.as_str()),
        (Some(Operation::Update) | None, changed) => changed.join(", "),
        (Some(operation), changed) => format!("({}) {}", operation.as_str(), changed.join(", ")),
    }
}

/// Returns the event, the run and the item behind an entry.
fn cause(entry: &HistoryEntry) -> String {
    let mut causes = Vec::new();
    causes.extend(entry.inbox_event.map(|event| format!("event {event}")));
    causes.extend(entry.run.map(|run| format!("run {run}")));
    causes.extend(entry.item.map(|item| format!("item {item}")));
    if causes.is_empty() { "-".to_owned() } else { causes.join(", ") }
}
