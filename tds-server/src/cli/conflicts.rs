//! `conflicts list | show | resolve`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::Value;
use tds_core::{
    outbound::{Conflict, ConflictStatus, FieldConflict, Resolution, Take},
    record::{EntityType, RecordId},
};

use super::{
    exit::{CommandResult, Failure},
    output::{self, Column},
    parse,
    settings::{DATABASE, flags},
    store::Store,
};
use crate::{
    app::{
        directions::{side_name, take_name},
        outbox::LocalChanges,
    },
    http::dto,
};

/// Show and decide conflicts: fields that the ERP and Zoho both changed
#[derive(Args)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    action: ConflictsAction,
}

#[derive(Subcommand)]
enum ConflictsAction {
    /// List conflicts, newest first
    #[command(args = flags(&[DATABASE]), after_help = "Example:\n  tds-server conflicts list --status open")]
    List {
        /// Show only conflicts with this status
        #[arg(long, value_name = "STATUS",
              value_parser = parse::one_of(ConflictStatus::ALL, ConflictStatus::as_str))]
        status: Option<ConflictStatus>,
        /// Show only conflicts of this entity type, such as invoices
        #[arg(long)]
        entity: Option<EntityType>,
        /// Maximum number of conflicts to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page to show: the next_cursor of the previous page
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Show one conflict with the three versions of each field
    #[command(args = flags(&[DATABASE]))]
    Show {
        /// Id of the conflict
        id: i64,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Decide a conflict; the push of the record continues with the decision
    #[command(args = flags(&[DATABASE]), after_help = "Examples:\n  tds-server conflicts resolve 7 --take zoho\n  \
        tds-server conflicts resolve 7 --take erp --field notes=@zoho\n  \
        tds-server conflicts resolve 7 --take merge --field rate=12.50 --field name=@erp\n\n\
        The versions that lose are kept with the conflict. docs/operations/conflicts.md says how to decide.")]
    Resolve(ResolveArgs),
}

#[derive(Args)]
struct ResolveArgs {
    /// Id of the conflict
    id: i64,
    /// Whose values are taken: zoho, erp, or merge to name a value for each field
    #[arg(long, value_name = "SIDE", value_parser = parse::one_of(Take::ALL, take_name))]
    take: Take,
    /// The value of one field, whatever --take says: a value, or @zoho, @erp or @base for that version
    #[arg(long = "field", value_name = "FIELD=VALUE", value_parser = field_value)]
    fields: Vec<(String, String)>,
    /// Print the decided conflict as JSON, in the format of the API
    #[arg(long)]
    json: bool,
}

fn field_value(text: &str) -> Result<(String, String), String> {
    // A field of a child row may have any text between its brackets.
    let after = text.rfind(']').unwrap_or(0);
    let equals = text[after..].find('=').ok_or("use FIELD=VALUE, such as rate=12.50 or rate=@zoho")?;
    let (field, value) = text.split_at(after + equals);
    Ok((field.to_owned(), value[1..].to_owned()))
}

impl ConflictsArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let changes = store.local_changes();
        match self.action {
            ConflictsAction::List { status, entity, limit, cursor, json, .. } => {
                let page =
                    changes.conflicts(status, entity.as_ref(), limit.into(), cursor.as_deref()).await?;
                output::page::<_, dto::ConflictPage>(page, json, COLUMNS, &store.place)
            }
            ConflictsAction::Show { id, json, .. } => print(changes.conflict(id).await?, json),
            ConflictsAction::Resolve(args) => args.run(&changes).await,
        }
    }
}

impl ResolveArgs {
    async fn run(self, changes: &LocalChanges) -> CommandResult {
        let conflict = changes.conflict(self.id).await?;
        let mut fields = BTreeMap::new();
        for (field, text) in self.fields {
            let value = conflict.fields.iter().find(|one| one.field == field).map(|one| value_of(one, &text));
            let value = value.ok_or_else(|| {
                let known: Vec<&str> = conflict.fields.iter().map(|one| one.field.as_str()).collect();
                Failure::usage(format!(
                    "{field:?} is not a field of conflict {}: {}",
                    self.id,
                    known.join(", ")
                ))
            })?;
            fields.insert(field, value);
        }
        let resolution = Resolution { take: self.take, fields, by: "cli".to_owned() };
        let decided = changes.resolve(self.id, &resolution).await?;
        output::talk(&format!("conflict {} is decided; the push of the record continues", self.id));
        if self.json { output::json(&dto::RecordConflict::from(decided)) } else { Ok(()) }
    }
}

/// Returns the value that an operator wrote for a field: a version of it, a text if the field holds texts, or JSON.
fn value_of(field: &FieldConflict, text: &str) -> Value {
    match text {
        "@zoho" => return field.source.clone(),
        "@erp" => return field.target.clone(),
        "@base" => return field.base.clone(),
        "null" => return Value::Null,
        _ => {}
    }
    let holds_texts = [&field.base, &field.target, &field.source].into_iter().any(Value::is_string);
    let as_text = || Value::String(text.to_owned());
    if holds_texts && !text.starts_with('"') {
        as_text()
    } else {
        serde_json::from_str(text).unwrap_or_else(|_| as_text())
    }
}

fn print(conflict: Conflict, json: bool) -> CommandResult {
    if json {
        return output::json(&dto::RecordConflict::from(conflict));
    }
    let decided = match (&conflict.resolved_by, conflict.resolved_at) {
        (Some(by), at) => format!("decided by {by} at {}", output::time(at)),
        (None, _) => "open: a person has to decide".to_owned(),
    };
    let head = format!(
        "conflict {} of {} {} (Zoho id {}), found at {}\n{decided}\n",
        conflict.id,
        conflict.entity,
        conflict.local_id,
        output::or_dash(conflict.remote_id.as_ref().map(RecordId::as_str)),
        output::time(Some(conflict.created_at))
    );
    output::data(&output::clean(&head))?;
    output::data(&output::table(FIELDS, &conflict.fields))
}

const COLUMNS: &[Column<Conflict>] = &[
    ("ID", |conflict| conflict.id.to_string()),
    ("ENTITY", |conflict| conflict.entity.to_string()),
    ("LOCAL ID", |conflict| conflict.local_id.to_string()),
    ("ZOHO ID", |conflict| output::or_dash(conflict.remote_id.as_ref().map(RecordId::as_str))),
    ("STATUS", |conflict| conflict.status.to_string()),
    ("FIELDS", |conflict| {
        let fields: Vec<&str> = conflict.fields.iter().map(|field| field.field.as_str()).collect();
        output::short(Some(&fields.join(", ")))
    }),
    ("FOUND", |conflict| output::time(Some(conflict.created_at))),
    ("DECIDED", |conflict| output::time(conflict.resolved_at)),
    ("BY", |conflict| output::or_dash(conflict.resolved_by.as_deref())),
];

const FIELDS: &[Column<FieldConflict>] = &[
    ("FIELD", |field| field.field.clone()),
    ("BASE", |field| shown(&field.base)),
    ("ERP", |field| shown(&field.target)),
    ("ZOHO", |field| shown(&field.source)),
    ("WINNER", |field| output::or_dash(field.winner.map(side_name))),
];

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(erp: Value) -> FieldConflict {
        FieldConflict {
            field: "f".to_owned(),
            base: json!(null),
            target: erp,
            source: json!(null),
            winner: None,
        }
    }

    #[test]
    fn a_value_has_the_type_of_the_field() {
        let number = field(json!(4));
        assert_eq!(value_of(&number, "12"), json!(12));
        assert_eq!(value_of(&number, "@erp"), json!(4));
        let text = field(json!("007"));
        for (written, value) in [("12", json!("12")), ("null", json!(null)), ("\"null\"", json!("null"))] {
            assert_eq!(value_of(&text, written), value, "{written}");
        }
        assert_eq!(value_of(&number, "no number"), json!("no number"));
    }

    #[test]
    fn the_name_of_a_child_row_may_contain_an_equals_sign() {
        let parsed = field_value("invoice_lines[a=b].rate=1=2");
        assert_eq!(parsed, Ok(("invoice_lines[a=b].rate".to_owned(), "1=2".to_owned())));
        assert_eq!(field_value("rate="), Ok(("rate".to_owned(), String::new())));
        assert!(field_value("rate").is_err());
    }
}
