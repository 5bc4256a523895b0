//! The schedules of the runs that start by themselves.

use std::time::Duration;

use super::lookup::Reader;

/// The period of each kind of run; `None` is `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulesConfig {
    /// `TDS_INCREMENTAL_EVERY`, default `15m`: incremental syncs of the entity types that Zoho pushes, except stock and
    /// prices.
    pub incremental: Option<Duration>,
    /// `TDS_FULL_EVERY`, default `24h`: full syncs of all entity types except stock.
    pub full: Option<Duration>,
    /// `TDS_STOCK_EVERY`, default `30m`: full syncs of stock.
    pub stock: Option<Duration>,
    /// `TDS_PRICES_EVERY`, default `1h`: incremental syncs of the price lists, and of the entity types that Zoho never
    /// pushes.
    pub prices: Option<Duration>,
    /// `TDS_VERIFY_EVERY`, default `24h`: comparisons of both sides, of all entity types.
    pub verify: Option<Duration>,
    /// `TDS_PROBE_EVERY`, default `7d`: the time after which a run probes again what a list of Zoho can do.
    pub probe: Option<Duration>,
}

impl SchedulesConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut every = |variable, minutes: u64| {
            let chosen = reader.duration_or_off(variable, Duration::from_secs(minutes * 60));
            if let Some(short) = chosen.filter(|chosen| *chosen < Duration::from_secs(1)) {
                reader.error(variable, format!("{short:?}"), "a duration of at least 1s, or off");
            }
            chosen
        };
        Self {
            incremental: every("TDS_INCREMENTAL_EVERY", 15),
            full: every("TDS_FULL_EVERY", 24 * 60),
            stock: every("TDS_STOCK_EVERY", 30),
            prices: every("TDS_PRICES_EVERY", 60),
            verify: every("TDS_VERIFY_EVERY", 24 * 60),
            probe: every("TDS_PROBE_EVERY", 7 * 24 * 60),
        }
    }
}
