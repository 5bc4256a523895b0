//! The second look at very many records: the list is read once more, instead of each record.

use std::collections::{HashMap, HashSet};

use super::{Verifying, list::RowLook, local::LocalLook, look::WAITS, position::Position};
use crate::{
    engine::lister::{deletion_limit, last_of_each},
    error::Result,
    mirror::Presence,
    record::RecordId,
    source::Listed,
    verify::{DriftClass, LocalRecord, Look, Suspect},
};

/// The suspects that are not decided.
type Open = HashMap<RecordId, Suspect>;

/// So many suspects are always read one by one.
const FEW: usize = 50;
/// The number of records of the target that are compared with one statement.
const PAGE: usize = 200;

impl Verifying<'_> {
    /// Returns true if reading each suspect costs more calls than reading the list once more.
    pub(super) fn is_too_many(&self, position: &Position) -> bool {
        let calls = position.suspects.div_ceil(self.source.profile().records_per_call.max(1));
        calls > FEW && calls > position.list_pages
    }

    /// Decides on those suspects that differ again, from their list rows or from what the target keeps of them. The
    /// others are read one by one.
    pub(super) async fn relist(&self, position: &Position) -> Result<()> {
        let look = || self.verifier.store.suspects(self.lease.run.id, usize::MAX);
        let suspects = self.patience().store("reading the records to look at again", look).await?;
        let mut open: Open = suspects.into_iter().map(|suspect| (suspect.id.clone(), suspect)).collect();
        tracing::warn!(
            run = %self.lease.run.id, entity = %self.lease.run.entity_type, records = open.len(),
            "many records look different; the list is read once more"
        );
        // A change that is on its way arrives meanwhile.
        tokio::time::sleep(self.verifier.settings.quiet / WAITS).await;
        let mut listed = HashSet::new();
        let mut cursor = None;
        loop {
            let page = self.page(cursor).await?;
            let mut rows = last_of_each(page.rows);
            rows.retain(|row| open.contains_key(&row.id));
            listed.extend(rows.iter().map(|row| row.id.clone()));
            rows.retain(|row| !self.is_young(row));
            let looks = rows.iter().map(|row| row.id.clone()).zip(self.compare_rows(&rows).await?);
            self.decide(looks.filter_map(|(id, look)| Some((id, drift_of_row(look)?))).collect(), &mut open)
                .await?;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        self.relook_at_target(&listed, position, &mut open).await
    }

    /// Returns true if the record changed a moment ago, so that the change may still be on its way.
    fn is_young(&self, row: &Listed) -> bool {
        row.version.is_some_and(|version| self.verifier.clock.now() - version < self.verifier.settings.quiet)
    }

    /// Stores the decisions about records that nothing changes at the moment.
    async fn decide(&self, found: HashMap<RecordId, Look>, open: &mut Open) -> Result<()> {
        let ids: Vec<RecordId> = found.keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let in_work = self.in_work(&ids).await?;
        let at_rest = found.into_iter().filter(|(id, _)| !in_work.contains(id));
        let mut looks: Vec<(Suspect, Look)> =
            at_rest.filter_map(|(id, look)| Some((open.remove(&id)?, look))).collect();
        looks.sort_by(|(one, _), (other, _)| one.id.cmp(&other.id));
        self.store(&looks).await
    }

    /// Compares the records of the target once more: with their own text, and with the ids of both lists.
    async fn relook_at_target(
        &self,
        listed: &HashSet<RecordId>,
        position: &Position,
        open: &mut Open,
    ) -> Result<()> {
        let (mut after, mut gone) = (None, Vec::new());
        loop {
            let run = self.lease.run.id;
            let read = || self.verifier.store.local_records(run, self.source.schema(), after.as_ref(), PAGE);
            let mut records: Vec<LocalRecord> =
                self.patience().store("reading records of the target", read).await?;
            let Some(last) = records.last().map(|record| record.id.clone()) else { break };
            after = Some(last);
            records.retain(|record| open.contains_key(&record.id));
            let unlisted =
                records.iter().filter(|it| !it.listed && !it.seen_since && !listed.contains(&it.id));
            gone.extend(unlisted.map(|record| record.id.clone()));
            records.retain(|record| listed.contains(&record.id));
            let looks = self.compare_local(&records).await?;
            let found = looks.into_iter().filter_map(|(id, look)| Some((id, drift_of_text(look)?)));
            self.decide(found.collect(), open).await?;
        }
        // Few records that two lists did not show are read by id, because they may have moved.
        if i64::try_from(gone.len()).unwrap_or(i64::MAX) > deletion_limit(position.target()) {
            let missing = |id| (id, Look::Drift { class: DriftClass::MissingRemote, fields: Vec::new() });
            self.decide(gone.into_iter().map(missing).collect(), open).await?;
        }
        Ok(())
    }
}

fn drift_of_row(look: RowLook) -> Option<Look> {
    let drift = |class, fields| Some(Look::Drift { class, fields });
    match look {
        RowLook::Equal | RowLook::IdOnly | RowLook::Unclear => None,
        RowLook::Missing => drift(DriftClass::MissingLocal, Vec::new()),
        RowLook::Older => drift(DriftClass::Stale, Vec::new()),
        RowLook::Differs(fields) => drift(DriftClass::FieldDiff, fields),
    }
}

fn drift_of_text(look: LocalLook) -> Option<Look> {
    match look {
        LocalLook::Differs(found) if found.presence == Presence::Live => {
            Some(Look::Drift { class: DriftClass::FieldDiff, fields: found.fields })
        }
        LocalLook::Differs(_) => Some(Look::Drift { class: DriftClass::MissingLocal, fields: Vec::new() }),
        LocalLook::Equal | LocalLook::Unclear => None,
    }
}
