//! The types that a contract consists of. The files of the entity types contain values of these types and little else.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tds_core::{mirror::MirrorSchema, outbound::LocalRecord, record::EntityType};

use super::{answer::Answer, arrange, chosen::Chosen, findings::Findings};
use crate::answer::{Api, Method};

/// What may be written of an entity type, and with which calls. A contract states what differs from
/// [`Contract::DOCUMENT`].
pub struct Contract {
    /// The entity type.
    pub entity: &'static EntityType,
    /// The name of a record in texts for operators, such as `sales order`.
    pub noun: &'static str,
    /// The product whose API creates records. It differs from `api` where only the other product documents the
    /// upsert by a unique custom field.
    pub create_api: Api,
    /// The product whose API changes and removes records.
    pub api: Api,
    /// The path of the module, such as `/salesorders`.
    pub path: &'static str,
    /// The OAuth scope without its operation, such as `ZohoBooks.salesorders`. The calls need the operations `CREATE`,
    /// `UPDATE` and `DELETE`.
    pub scope: &'static str,
    /// The scope of the calls that create records, if it is another one.
    pub create_scope: Option<&'static str>,
    /// The tables of the records, if these are not the records that the source of the entity type reads.
    pub schema: Option<&'static MirrorSchema>,
    /// Keys with the same value in every body.
    pub constants: &'static [(&'static str, &'static str)],
    /// The columns of the head table that may be written, in the order of the keys.
    pub fields: &'static [Field],
    /// The columns that `finish` writes, all under one key: Zoho replaces them as a whole.
    pub folded: &'static [&'static str],
    /// The columns that nobody can write.
    pub read_only: &'static [ReadOnly],
    /// The child tables that are written as whole lists.
    pub lists: &'static [Lines],
    /// The column of the record's own number, if the ERP may give numbers.
    pub number: Option<Number>,
    /// The column of the status and its transitions.
    pub status: Option<Status>,
    /// The columns that have calls of their own.
    pub parts: &'static [Part],
    /// What may be done when a record is removed in the ERP.
    pub removes: Removes,
    /// How a repeated create is kept from making a second record.
    pub idempotence: Idempotence,
    /// Where answers have the record.
    pub answer: Answer,
    /// Checks and adds what the columns and lists do not describe.
    pub finish: fn(&LocalRecord, &Chosen<'_>, &mut Map<String, Value>, &mut Findings),
}

impl Contract {
    /// What the documents of Zoho Books share. Names, columns and the answer are empty, and the user of this constant
    /// must set them.
    pub const DOCUMENT: Self = Self {
        entity: &EntityType::from_static(""),
        noun: "",
        create_api: Api::Books,
        api: Api::Books,
        path: "",
        scope: "",
        create_scope: None,
        schema: None,
        constants: &[],
        fields: &[],
        folded: &[],
        read_only: &[],
        lists: &[],
        number: None,
        status: None,
        parts: &[],
        removes: Removes::Never("records of this type are never removed"),
        idempotence: Idempotence::UniqueField,
        answer: Answer { keys: &[], id_key: "" },
        finish: |_, _, _, _| {},
    };

    /// Returns the OAuth scopes that the calls of the contract need.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<String> {
        let created = self.create_scope.unwrap_or(self.scope);
        let (creates, searches) = match self.idempotence {
            Idempotence::UniqueField => (Method::Put, false),
            Idempotence::Search { .. } => (Method::Post, true),
        };
        let deletes = matches!(self.removes, Removes::Delete { .. });
        let acts = self.status.is_some() || matches!(self.removes, Removes::Delete { or: Some(_) });
        let operations = [
            (true, created, creates.operation()),
            (searches, self.scope, Some("READ")),
            (self.schema.is_none(), self.scope, Method::Put.operation()),
            (acts, self.scope, Method::Post.operation()),
            (deletes, self.scope, Method::Delete.operation()),
        ];
        let needed = operations.into_iter().filter(|(needed, ..)| *needed);
        needed.filter_map(|(_, scope, operation)| Some(format!("{scope}.{}", operation?))).collect()
    }
}

/// One column and the key of its value in a body.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The column of the `erp` table.
    pub column: &'static str,
    /// The key in the body.
    pub key: &'static str,
    /// How the value is written.
    pub form: Form,
    /// Which bodies have the key.
    pub when: When,
    /// Zoho refuses to create a record without the value.
    pub required: bool,
    /// Every body of an update repeats the value, because Zoho documents it as required there too. A record that does not
    /// have the column at all, because its values are hidden, is updated without it, and Zoho keeps its own value.
    pub always: bool,
}

impl Field {
    /// Creates a field that may be written at any time and may be absent.
    #[must_use]
    pub const fn new(column: &'static str, key: &'static str, form: Form) -> Self {
        Self { column, key, form, when: When::Any, required: false, always: false }
    }

    /// Zoho refuses to create a record without the value.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Zoho refuses to create or to change a record without the value.
    #[must_use]
    pub const fn always(self) -> Self {
        Self { required: true, always: true, ..self }
    }

    /// The value cannot change once the record exists.
    #[must_use]
    pub const fn at_creation(self) -> Self {
        Self { when: When::AtCreation, ..self }
    }

    /// The call that creates a record does not take the value; an update right after the create does.
    #[must_use]
    pub const fn after_creation(self) -> Self {
        Self { when: When::AfterCreation, ..self }
    }
}

/// The bodies that contain a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Bodies that create a record, and bodies that change one.
    Any,
    /// Bodies that create a record.
    AtCreation,
    /// Bodies that change a record. A new record is changed right after its creation.
    AfterCreation,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text with at most this many characters; 0 means that no limit is known.
    Text(u16),
    /// A number with the digits that the column has. It cannot be emptied.
    Decimal,
    /// A number with the digits that the column has, or `""` for none.
    OptionalDecimal,
    /// A discount: an amount as a number, or a percentage as text.
    Discount,
    /// A whole number.
    Integer,
    /// A date, `YYYY-MM-DD`.
    Date,
    /// True or false.
    Bool,
    /// The id of a record that the ERP knows by its Zoho id only, such as a tax or a location.
    Id,
    /// The id of a record that may have been born in the ERP. If the column is empty and the other column is not, the
    /// push waits for that record.
    Reference {
        /// The entity type of the record.
        entity: EntityTypeName,
        /// The column that names the record in the ERP.
        local: &'static str,
    },
    /// An object with these keys; other keys of the column are not sent.
    Object(&'static [&'static str]),
    /// A list of objects with these keys; other keys of the column are not sent.
    Objects(&'static [&'static str]),
    /// An object from the API names of custom fields to their values.
    CustomFields,
}

/// The name of an entity type.
pub type EntityTypeName = &'static str;

/// A column that nobody can write.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly {
    /// The column.
    pub column: &'static str,
    /// Why, and what to change instead, for an operator.
    pub reason: &'static str,
}

/// A child table that is written as a whole list.
#[derive(Clone, Copy)]
pub struct Lines {
    /// The child table.
    pub table: &'static str,
    /// The key of the list.
    pub key: &'static str,
    /// The name of one row in texts for operators.
    pub noun: &'static str,
    /// The columns of a row that are written.
    pub fields: &'static [Field],
    /// The columns of a row that are not written. The sync engine keeps them up to date.
    pub ignored: &'static [&'static str],
    /// Zoho refuses a new record whose list is empty.
    pub required: bool,
    /// Every body of an update has the list, because Zoho documents it as required there too.
    pub always: bool,
    /// The columns of the head table that decide the form of the list.
    pub formed_by: &'static [&'static str],
    /// Puts the written rows in the form of the list.
    pub arrange: fn(Vec<Map<String, Value>>, &LocalRecord, &mut Findings) -> Value,
}

impl Lines {
    /// A list of rows as they are, which may be empty. The names are empty, and the user of this constant must set them.
    pub const ROWS: Self = Self {
        table: "",
        key: "",
        noun: "line",
        fields: &[],
        ignored: &[],
        required: false,
        always: false,
        formed_by: &[],
        arrange: arrange::flat,
    };
}

/// The column of a number that the ERP may give. Where the column is empty, Zoho gives the number.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// The column.
    pub column: &'static str,
}

impl Number {
    /// The parameter with which Zoho takes a given number.
    pub(super) fn own() -> (&'static str, String) {
        ("ignore_auto_number_generation", "true".to_owned())
    }
}

/// The column of a record's status, and how it changes.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The column.
    pub column: &'static str,
    /// The status that Zoho gives to a new record.
    pub initial: &'static str,
    /// The statuses that a call may reach.
    pub transitions: &'static [Transition],
    /// The status that a key of the create states, and the key, which is then `true`.
    pub stated: Option<(&'static str, &'static str)>,
    /// The status of a record that is in force. The derived statuses follow it.
    pub in_force: &'static str,
    /// The statuses that Zoho derives, such as `paid`.
    pub derived: &'static [&'static str],
    /// What brings about the derived statuses, for an operator.
    pub reason: &'static str,
}

/// The call that changes one status to another.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// The statuses from which the call leads to the new one.
    pub from: &'static [&'static str],
    /// The new status.
    pub to: &'static str,
    /// The path after the record's own, such as `status/sent`. The method is `POST`, and there is no body.
    pub call: &'static str,
}

/// A column with a call of its own, `PUT {path of the record}/{call}`.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The column, which is a JSON object.
    pub column: &'static str,
    /// The path after the record's own, such as `address/billing`.
    pub call: &'static str,
    /// The keys of the body.
    pub keys: &'static [&'static str],
}

/// What may be done when a record is removed in the ERP.
#[derive(Clone, Copy, Debug)]
pub enum Removes {
    /// Records are never removed. The text says why, and what to do instead.
    Never(&'static str),
    /// The record is deleted. If Zoho refuses that, because other records use it, this call is made instead: `inactive`,
    /// `status/void`. `None`: there is no such call.
    Delete {
        /// The path after the record's own.
        or: Option<&'static str>,
    },
}

/// How a repeated create is kept from making a second record (`zoho-api.md` section 7).
#[derive(Clone, Copy, Debug)]
pub enum Idempotence {
    /// The create is an upsert by the unique custom field, which contains our key: `PUT` without an id, with
    /// `X-Unique-Identifier-Key`, `X-Unique-Identifier-Value` and `X-Upsert: true`. If it is still under way when it is
    /// repeated, there is no second record.
    UniqueField,
    /// The list is searched before every create, because Zoho has no upsert for the module.
    Search {
        /// The parameter that Zoho documents for the search. `None`: rows of the list have to be compared.
        parameter: Option<&'static str>,
        /// The key of a list row that has the value.
        row_key: &'static str,
        /// The key of the list in the answer.
        list_keys: &'static [&'static str],
        /// What the key contains.
        stamp: Stamp,
    },
}

/// What identifies a record that was created by a call whose answer got lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Our key, which the create writes under the key.
    Key,
    /// The value of this column, which Zoho keeps unique.
    Column(&'static str),
}
