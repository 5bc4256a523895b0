//! What all processes know of registered webhooks: where they are sent, what the last look found, and which deliveries were
//! refused lately.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tds_core::{
    error::{Error, Result},
    limits::shared_state::SharedState,
};
use tds_postgres::PgStore;
use time::OffsetDateTime;

const RULES: &str = "registered webhooks";
const REFUSED: &str = "refused webhooks";
/// A day, in seconds.
const DAY: i64 = 24 * 3600;
/// The time between two looks of which the first had no result, in seconds.
const AGAIN: i64 = 15 * 60;
/// The number of times that a change of a document is attempted.
const ATTEMPTS: u32 = 20;

/// Where webhooks are sent, and what the last look found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The base URL of the last command that registered webhooks.
    pub(crate) base: Option<String>,
    /// The names of the rules that it registered.
    #[serde(default)]
    pub(crate) rules: Vec<String>,
    /// Whether anything was ever registered in Zoho Inventory; `None`: not known.
    #[serde(default)]
    pub(crate) in_inventory: Option<bool>,
    pub(crate) checked: Option<Checked>,
    /// When a look of a server began that did not end with a result yet.
    #[serde(default)]
    pub(crate) looking: Option<Looking>,
}

/// Looks of servers that did not end with a result, in seconds since 1970, by the clock of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looking {
    /// When the first of them began.
    pub(crate) since: i64,
    /// When the last of them began.
    pub(crate) at: i64,
}

/// What a look found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checked {
    /// When it was, in seconds since 1970, by the clock of the store.
    pub(crate) at: i64,
    /// What was wrong, one line each.
    pub(crate) wrong: Vec<String>,
    /// Why Zoho did not show everything, if it did not.
    pub(crate) unreadable: Option<String>,
    /// The number of webhooks that are as they should be or not.
    pub(crate) webhooks: usize,
}

/// Deliveries that were refused, by the path at which they arrived.
pub(crate) type Refused = BTreeMap<String, RefusedOf>;

/// The refused deliveries of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RefusedOf {
    /// The number of deliveries without a signature.
    pub(crate) unsigned: u64,
    /// When the last of them arrived, in seconds since 1970.
    pub(crate) unsigned_at: i64,
    /// The number of deliveries whose signature is that of another secret.
    pub(crate) mismatched: u64,
    /// When the last of them arrived, in seconds since 1970.
    pub(crate) mismatched_at: i64,
    /// The number of deliveries with the right signature and without the right header `X-Webhook-Key`.
    pub(crate) keyless: u64,
    /// When the last of them arrived, in seconds since 1970.
    pub(crate) keyless_at: i64,
    /// When an install put other webhooks in the place of those that sent until then.
    pub(crate) switched_at: i64,
}

impl Kept {
    /// Reads what is known.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn load(store: &PgStore) -> Result<Self> {
        Ok(read(store.load(RULES).await?.text))
    }

    /// Keeps what a look found after webhooks were registered. Later looks are at this base URL too.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn installed(
        store: &PgStore,
        base: &str,
        rules: &[String],
        found: Checked,
        in_inventory: Option<bool>,
    ) -> Result<()> {
        change(store, RULES, |kept: &mut Self, now| {
            let at = now.unix_timestamp();
            // What was ever registered there may be there still.
            let before = kept.in_inventory.filter(|was| *was || in_inventory.is_none());
            *kept = Self {
                base: Some(base.to_owned()),
                rules: rules.to_vec(),
                in_inventory: Some(before.or(in_inventory).unwrap_or(false)),
                checked: Some(Checked { at, ..found.clone() }),
                looking: None,
            };
        })
        .await
    }

    /// Keeps what a look at the webhooks of a base URL found.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn looked(store: &PgStore, base: &str, found: Checked) -> Result<()> {
        change(store, RULES, |kept: &mut Self, now| {
            kept.base.get_or_insert_with(|| base.to_owned());
            kept.checked = Some(Checked { at: now.unix_timestamp(), ..found.clone() });
            kept.looking = None;
        })
        .await
    }

    /// Takes the look of the day (UTC), if no look of this day ended with a result and none began lately. Returns what is
    /// known.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn claim_look(store: &PgStore) -> Result<Option<Self>> {
        let mut claimed = None;
        change(store, RULES, |kept: &mut Self, now| {
            let now = now.unix_timestamp();
            claimed = kept.is_due(now).then(|| kept.clone());
            if claimed.is_some() {
                let since = kept.looking.map_or(now, |looking| looking.since);
                kept.looking = Some(Looking { since, at: now });
            }
        })
        .await?;
        Ok(claimed)
    }

    /// Returns true if the look of the day has to be made now.
    fn is_due(&self, now: i64) -> bool {
        let is_done =
            self.checked.as_ref().is_some_and(|checked| checked.at.div_euclid(DAY) >= now.div_euclid(DAY));
        let is_tried = self.looking.is_some_and(|looking| (0..AGAIN).contains(&(now - looking.at)));
        self.base.is_some() && !is_done && !is_tried
    }

    /// Returns false if a look with this base URL and these rules would be about something else than what was registered.
    pub(crate) fn is_about(&self, base: &str, rules: &[String]) -> bool {
        self.base.as_deref().is_none_or(|known| known == base)
            && (self.rules.is_empty() || self.rules == rules)
    }

    /// Forgets everything, because nothing is registered any more.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn forget(store: &PgStore) -> Result<()> {
        change(store, RULES, |kept: &mut Self, _| *kept = Self::default()).await
    }

    /// Reads which deliveries were refused.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn refused(store: &PgStore) -> Result<Refused> {
        Ok(read(store.load(REFUSED).await?.text))
    }

    /// Forgets the deliveries that webhooks sent in whose place there are others now.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn forget_refused(store: &PgStore, entities: &[String]) -> Result<()> {
        change(store, REFUSED, |known: &mut Refused, now| {
            // The servers store their counts later than they refuse, so the time counts, and not only the entry.
            let at = now.unix_timestamp();
            for entity in entities {
                known.insert(entity.clone(), RefusedOf { switched_at: at, ..RefusedOf::default() });
            }
        })
        .await
    }

    /// Adds refused deliveries.
    ///
    /// # Errors
    /// The store does not answer.
    pub(crate) async fn add_refused(store: &PgStore, more: &Refused) -> Result<()> {
        change(store, REFUSED, |known: &mut Refused, _| {
            for (path, of) in more {
                known.entry(path.clone()).or_default().add(of);
            }
        })
        .await
    }
}

impl RefusedOf {
    /// Adds the deliveries of another time.
    pub(crate) fn add(&mut self, other: &Self) {
        let switched_at = self.switched_at;
        let add = |count: &mut u64, at: &mut i64, (more, last): (u64, i64)| {
            // What was sent before the switch to another webhook says nothing of that one.
            if last < switched_at {
                return;
            }
            // A count begins anew after a day without such deliveries.
            let known = if last - *at > DAY && more > 0 { 0 } else { *count };
            (*count, *at) = (known.saturating_add(more), (*at).max(last));
        };
        add(&mut self.unsigned, &mut self.unsigned_at, (other.unsigned, other.unsigned_at));
        add(&mut self.mismatched, &mut self.mismatched_at, (other.mismatched, other.mismatched_at));
        add(&mut self.keyless, &mut self.keyless_at, (other.keyless, other.keyless_at));
    }

    /// Returns when the last delivery arrived.
    pub(crate) fn last_at(&self) -> i64 {
        self.unsigned_at.max(self.mismatched_at).max(self.keyless_at)
    }

    /// Returns the counts of the causes whose last delivery arrived since then; `None` if there is none.
    pub(crate) fn since(self, since: i64) -> Option<Self> {
        let since = since.max(self.switched_at);
        let recent = |(count, at): (u64, i64)| if at < since { (0, 0) } else { (count, at) };
        let (unsigned, unsigned_at) = recent((self.unsigned, self.unsigned_at));
        let (mismatched, mismatched_at) = recent((self.mismatched, self.mismatched_at));
        let (keyless, keyless_at) = recent((self.keyless, self.keyless_at));
        let of =
            Self { unsigned, unsigned_at, mismatched, mismatched_at, keyless, keyless_at, switched_at: 0 };
        (of != Self::default()).then_some(of)
    }
}

/// Reads a document. One of another version of the program, which cannot be read, counts as empty.
fn read<S: Default + DeserializeOwned>(text: Option<String>) -> S {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

async fn change<S: Default + Serialize + DeserializeOwned + Send>(
    store: &PgStore,
    name: &str,
    mut change: impl FnMut(&mut S, OffsetDateTime) + Send,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let document = store.load(name).await?;
        let mut state: S = read(document.text);
        change(&mut state, document.now);
        let text = serde_json::to_string(&state)
            .map_err(|error| Error::internal(format!("{name} cannot be written")).with_source(error))?;
        if store.swap(name, document.version, &text).await? {
            return Ok(());
        }
    }
    Err(Error::unavailable(format!("{name} could not be stored, because other processes stored it first")))
}
