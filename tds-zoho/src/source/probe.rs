//! Finds out what a list can really do, because documentation and behaviour differ.

use tds_core::{
    error::{ErrorKind, Result},
    queue::Lane,
    source::{Ability, Capability, ListCall, Listed, RowOrder},
};
use time::{Duration, OffsetDateTime};

use super::{ZohoSource, list::Answered};

impl ZohoSource {
    /// Reads the newest rows, then requests the changes since tomorrow (there must be none), since the newest change,
    /// and since a day before it (the record of the newest change must appear both times). An ability that cannot be
    /// decided, because there are no rows or too many, stays as it is documented.
    pub(super) async fn probe_list(&self, lane: Lane) -> Result<Capability> {
        let documented = self.descriptor.list.changes;
        let newest = ListCall { page: 1, changed_since: None, order: RowOrder::NewestChange };
        let (sort, rows) = match self.ask(&newest, None, lane).await {
            Ok(answered) => (sorting(&answered).unwrap_or(documented.sort), answered.rows),
            // Zoho may refuse a column that it does not know.
            Err(error) if error.kind() == ErrorKind::Invalid => (
                Ability::Refuted,
                self.ask(&ListCall { order: RowOrder::Own, ..newest }, None, lane).await?.rows,
            ),
            Err(error) => return Err(error),
        };
        let witness = rows.iter().filter_map(|row| Some((row, row.version?))).max_by_key(|(_, time)| *time);
        let Some((witness, changed)) = witness else { return Ok(Capability { sort, ..documented }) };
        let filter = self.filtering(witness, changed, sort, lane).await?.unwrap_or(documented.filter);
        Ok(Capability { filter, sort })
    }

    async fn filtering(
        &self,
        witness: &Listed,
        changed: OffsetDateTime,
        sort: Ability,
        lane: Lane,
    ) -> Result<Option<Ability>> {
        let order = if sort.is_usable() { RowOrder::NewestChange } else { RowOrder::Own };
        let since = |time| ListCall { page: 1, changed_since: Some(time), order };
        let tomorrow = self.client.clock().now() + Duration::DAY;
        if !self.ask(&since(tomorrow.max(changed + Duration::DAY)), None, lane).await?.rows.is_empty() {
            return Ok(Some(Ability::Refuted));
        }
        for time in [changed, changed - Duration::DAY] {
            let answered = self.ask(&since(time), None, lane).await?;
            if answered.rows.iter().all(|row| row.id != witness.id) {
                return Ok((!answered.has_more).then_some(Ability::Refuted));
            }
        }
        Ok(Some(Ability::Proven))
    }
}

/// Decides whether the rows came newest change first; `None` where the rows cannot show it.
fn sorting(answered: &Answered) -> Option<Ability> {
    let times: Option<Vec<OffsetDateTime>> = answered.rows.iter().map(|row| row.version).collect();
    let times = times?;
    if answered.says_unsorted || !times.is_sorted_by(|earlier, later| earlier >= later) {
        return Some(Ability::Refuted);
    }
    (times.first() != times.last()).then_some(Ability::Proven)
}
