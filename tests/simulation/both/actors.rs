//! Those who edit: programs that write the target, users of the source, and an operator who decides conflicts.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tds_core::{
    clock::Clock,
    memory::Row,
    outbound::{Conflict, ConflictStatus, OutboxOperator, Resolution, Take},
    record::Fields,
};

use super::{
    Both,
    journal::{Who, serials_in},
    shop::{COLUMNS, Entry, LINES, SCHEMAS, open},
};

impl Both {
    fn text(serial: u64) -> Value {
        json!(format!("e{serial}"))
    }

    /// A program writes the target.
    pub(super) fn edit_target(&self) {
        let (world, dice) = (&self.world, &self.world.dice);
        let kind = dice.index(2);
        let schema = &SCHEMAS[kind];
        let ids: Vec<i64> = self.live(kind);
        world.count("edits of the target");
        if ids.is_empty() || dice.permille(150) {
            return self.insert(kind);
        }
        let local_id = ids[dice.index(ids.len())];
        let row = self.store.local_row(&schema.entity, local_id).expect("a live row");
        let who = self.who(kind, local_id);
        world.note("target", [kind as u64, local_id.cast_unsigned()], || format!("{who:?}"));
        match dice.below(20) {
            0 if kind == 1 || !self.is_used_locally(local_id) => {
                open(&self.shops).journal.removals.push((who, world.clock.now()));
                self.store.delete_local(&schema.entity, local_id, dice.permille(500));
            }
            1..=9 if kind == 1 => {
                let mut rows = self.store.local_rows(&schema.entity, local_id, LINES);
                self.edit_lines(&who, &mut rows, false);
                self.store.update_local(schema, local_id, Fields::new(), lines(rows));
            }
            _ => {
                let column = COLUMNS[kind][dice.index(2)];
                let serial = self.edited(&who, column, false, row.fields.get(column));
                let fields = Fields::from_iter([(column.to_owned(), Self::text(serial))]);
                self.store.update_local(schema, local_id, fields, BTreeMap::new());
            }
        }
    }

    fn edited(&self, who: &Who, field: &str, at_source: bool, over: Option<&Value>) -> u64 {
        open(&self.shops).journal.edit(who, field, self.world.clock.now(), at_source, over)
    }

    fn who(&self, kind: usize, local_id: i64) -> Who {
        let entity = SCHEMAS[kind].entity.clone();
        let remote_id = self.store.remote_id(&entity, local_id).map(|id| id.to_string());
        Who { entity, local_id: Some(local_id), remote_id }
    }

    pub(super) fn live(&self, kind: usize) -> Vec<i64> {
        let entity = &SCHEMAS[kind].entity;
        let is_live =
            |id: &i64| self.store.local_row(entity, *id).is_some_and(|row| row.deleted_at.is_none());
        self.store.local_ids(entity).into_iter().filter(is_live).collect()
    }

    /// Returns true if an order of the target, or of the source, names a product.
    fn is_used_locally(&self, product: i64) -> bool {
        let orders = &SCHEMAS[1].entity;
        let names = |order: i64| {
            let row = self.store.local_row(orders, order);
            row.is_some_and(|row| row.fields.get("product_id") == Some(&json!(product)))
        };
        let remote = self.store.remote_id(&SCHEMAS[0].entity, product);
        let remote = remote.and_then(|id| id.as_str().parse().ok());
        self.store.local_ids(orders).into_iter().any(names)
            || remote.is_some_and(|id| open(&self.shops).is_used(id))
    }

    fn insert(&self, kind: usize) {
        let products = self.live(0);
        if kind == 1 && products.is_empty() {
            return;
        }
        let mut journal_of = Vec::new();
        let who = Who { entity: SCHEMAS[kind].entity.clone(), local_id: None, remote_id: None };
        let mut fields = Fields::new();
        for column in COLUMNS[kind] {
            let serial = self.edited(&who, column, false, None);
            journal_of.push(serial);
            fields.insert(column.to_owned(), Self::text(serial));
        }
        let mut rows = Vec::new();
        if kind == 1 {
            fields.insert("product_id".into(), json!(products[self.world.dice.index(products.len())]));
            fields.insert("product_zoho_id".into(), Value::Null);
            for _ in 0..self.world.dice.below(3) {
                journal_of.extend(self.add_line(&who, &mut rows, false));
            }
        }
        let children = if kind == 1 { lines(rows) } else { BTreeMap::new() };
        let local_id = self.store.insert_local(&SCHEMAS[kind], fields, children);
        for serial in journal_of {
            if let Some(edit) = open(&self.shops).journal.edits.get_mut(&serial) {
                edit.who.local_id = Some(local_id);
            }
        }
        self.world.note("inserted", [kind as u64, local_id.cast_unsigned()], || format!("{local_id}"));
    }

    fn add_line(&self, who: &Who, rows: &mut Vec<Fields>, at_source: bool) -> [u64; 2] {
        let line = self.edited(who, "line", at_source, None);
        let rate = self.edited(who, &format!("rate of {line}"), at_source, None);
        let id = if at_source { json!(format!("L{}", open(&self.shops).next_id())) } else { Value::Null };
        let mut row = Fields::from_iter([
            ("line_zoho_id".to_owned(), id),
            ("quantity".to_owned(), json!(line)),
            ("rate".to_owned(), json!(rate)),
        ]);
        if !at_source {
            row.insert("id".to_owned(), json!(line));
            row.insert("position".to_owned(), json!(rows.len() + 1));
        }
        rows.push(row);
        [line, rate]
    }

    fn edit_lines(&self, who: &Who, rows: &mut Vec<Fields>, at_source: bool) {
        let dice = &self.world.dice;
        if rows.is_empty() || dice.permille(300) {
            self.add_line(who, rows, at_source);
            return;
        }
        let index = dice.index(rows.len());
        match dice.below(10) {
            0 | 1 => {
                let gone = rows.remove(index)["quantity"].as_u64();
                let journal = &mut open(&self.shops).journal;
                journal.removed.extend(gone);
                journal.removed_at_source.extend(gone.filter(|_| at_source));
            }
            2 => {
                let other = dice.index(rows.len());
                rows.swap(index, other);
            }
            _ => {
                let row = &mut rows[index];
                let field = format!("rate of {}", row["quantity"]);
                let serial = self.edited(who, &field, at_source, row.get("rate"));
                row.insert("rate".to_owned(), json!(serial));
            }
        }
    }

    /// A user writes the source.
    pub(super) fn edit_source(&self) {
        let (world, dice) = (&self.world, &self.world.dice);
        let kind = dice.index(2);
        let ids = open(&self.shops).ids(kind);
        world.count("edits of the source");
        if ids.is_empty() || dice.permille(100) {
            return self.enter(kind);
        }
        let id = ids[dice.index(ids.len())];
        let entity = SCHEMAS[kind].entity.clone();
        let who = Who { entity, local_id: None, remote_id: Some(id.to_string()) };
        let mut entry = open(&self.shops).entries[&id].clone();
        world.note("source", [kind as u64, id], || format!("{who:?}"));
        let is_used = kind == 0 && self.is_used(id);
        match dice.below(20) {
            0 if !is_used => {
                open(&self.shops).entries.remove(&id);
                return self.post.send(kind, id, None);
            }
            1..=3 if kind == 0 => return open(&self.shops).sell(id),
            4..=12 if kind == 1 => self.edit_lines(&who, &mut entry.lines, true),
            _ => {
                let column = COLUMNS[kind][dice.index(2)];
                let serial = self.edited(&who, column, true, entry.fields.get(column));
                entry.fields.insert(column.to_owned(), Self::text(serial));
            }
        }
        entry.version = world.clock.second();
        open(&self.shops).entries.insert(id, entry.clone());
        self.post.send(kind, id, Some(&entry));
    }

    /// Returns true if an order of either side names a product of the source.
    fn is_used(&self, product: u64) -> bool {
        let id = tds_core::record::RecordId::new(product.to_string());
        match self.store.local_id(&SCHEMAS[0].entity, &id) {
            Some(local) => self.is_used_locally(local),
            None => open(&self.shops).is_used(product),
        }
    }

    /// A user of the source enters a record.
    pub(super) fn enter(&self, kind: usize) {
        let products = open(&self.shops).ids(0);
        if kind == 1 && products.is_empty() {
            return;
        }
        let id = open(&self.shops).next_id();
        let who =
            Who { entity: SCHEMAS[kind].entity.clone(), local_id: None, remote_id: Some(id.to_string()) };
        let mut fields = Fields::new();
        for column in COLUMNS[kind] {
            fields.insert(column.to_owned(), Self::text(self.edited(&who, column, true, None)));
        }
        let mut rows = Vec::new();
        if kind == 1 {
            let product = products[self.world.dice.index(products.len())];
            fields.insert("product_zoho_id".into(), json!(product.to_string()));
            for _ in 0..self.world.dice.below(3) {
                self.add_line(&who, &mut rows, true);
            }
        }
        let version = self.world.clock.second();
        let entry = Entry { kind, key: None, version, fields, lines: rows, stock: 0 };
        open(&self.shops).entries.insert(id, entry.clone());
        self.post.send(kind, id, Some(&entry));
    }

    /// An operator decides an open conflict. Returns false if there is none.
    pub(super) async fn decide(&self) -> bool {
        let page = self.store.conflicts(Some(ConflictStatus::Open), None, None, 100).await;
        let open_ones = page.expect("the store in memory answers").items;
        if open_ones.is_empty() {
            return false;
        }
        let conflict = &open_ones[self.world.dice.index(open_ones.len())];
        let resolution = self.decision(conflict);
        self.world
            .note("decided", [conflict.id.0.cast_unsigned(), 0], || format!("{conflict:?} {resolution:?}"));
        self.store.resolve(conflict.id, &resolution).await.expect("the conflict is open");
        self.world.count("conflicts decided");
        true
    }

    fn decision(&self, conflict: &Conflict) -> Resolution {
        let dice = &self.world.dice;
        let mut fields = BTreeMap::new();
        let columns = COLUMNS.iter().flatten();
        for field in
            conflict.fields.iter().filter(|field| columns.clone().any(|column| *column == field.field))
        {
            let local = self.store.local_row(&conflict.entity, conflict.local_id);
            // A person who enters a value looks at the record as it is.
            let is_as_shown = |row: &Row| row.fields.get(&field.field) == Some(&field.target);
            let local = local.filter(|row| row.deleted_at.is_none() && is_as_shown(row));
            if local.is_some() && dice.permille(300) {
                let over = local.and_then(|row| row.fields.get(&field.field).cloned());
                let who = Who {
                    entity: conflict.entity.clone(),
                    local_id: Some(conflict.local_id),
                    remote_id: conflict.remote_id.as_ref().map(ToString::to_string),
                };
                let serial = self.edited(&who, &field.field, false, over.as_ref());
                let mut seen = std::collections::BTreeSet::new();
                serials_in(&field.source, &mut seen);
                serials_in(&field.target, &mut seen);
                if let Some(edit) = open(&self.shops).journal.edits.get_mut(&serial) {
                    edit.over.extend(seen);
                }
                fields.insert(field.field.clone(), Self::text(serial));
            }
        }
        let take = if dice.permille(500) { Take::Source } else { Take::Target };
        Resolution { take, fields, by: "an operator".to_owned() }
    }
}

fn lines(rows: Vec<Fields>) -> BTreeMap<String, Vec<Fields>> {
    BTreeMap::from([(LINES.to_owned(), rows)])
}
