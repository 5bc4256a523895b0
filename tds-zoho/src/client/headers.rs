//! The headers of answers that TDS reads. Zoho documents none of these headers. All of them are optional,
//! implausible values are ignored, and the other values are kept within plausible bounds.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::limits::budget::{HeaderHints, Quota};

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Returns what the answer says about limits.
pub(super) fn hints(headers: &HeaderMap, now: OffsetDateTime) -> HeaderHints {
    let reset = number(headers, "x-rate-limit-reset").filter(|seconds| *seconds > 0).map(seconds);
    let quota = || {
        let limit = u32::try_from(number(headers, "x-rate-limit-limit")?).ok().filter(|limit| *limit > 0)?;
        let remaining = number(headers, "x-rate-limit-remaining")?.max(0);
        let remaining = u32::try_from(remaining).ok().filter(|remaining| *remaining <= limit)?;
        Some(Quota { limit, remaining, reset: Some(reset?) })
    };
    HeaderHints { retry_after: retry_after(headers, now), quota: quota(), reset }
}

/// Returns the time of Zoho's own clock.
pub(super) fn server_time(headers: &HeaderMap) -> Option<OffsetDateTime> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Reads the header as seconds, or as a date that is compared with the answer's own clock.
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(in_seconds) = text.parse::<i64>() {
        return Some(seconds(in_seconds));
    }
    let wait = http_date(text)? - server_time(headers).unwrap_or(now);
    Some(seconds(wait.whole_seconds()))
}

fn http_date(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text.trim(), &Rfc2822).ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn read(pairs: &[(&'static str, &str)]) -> HeaderHints {
        hints(&headers(pairs), NOW)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("value")));
        pairs.collect()
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date_within_bounds() {
        for (text, wait) in [
            ("7", Some(7)),
            ("0", Some(1)),
            ("-3", Some(1)),
            ("999999999", Some(86_400)),
            ("Sun, 01 Mar 2026 12:00:30 GMT", Some(30)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", Some(1)),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(read(&[("retry-after", text)]).retry_after.map(|wait| wait.as_secs()), wait, "{text}");
        }
    }

    #[test]
    fn a_date_is_measured_on_zohos_clock() {
        let pairs =
            [("retry-after", "Sun, 01 Mar 2026 09:00:30 GMT"), ("date", "Sun, 01 Mar 2026 09:00:00 GMT")];
        assert_eq!(read(&pairs).retry_after, Some(Duration::from_secs(30)));
        assert_eq!(server_time(&headers(&pairs)), Some(datetime!(2026-03-01 09:00 UTC)));
    }

    #[test]
    fn a_quota_needs_three_headers_that_make_sense() {
        let quota = |limit, remaining, reset| {
            let pairs = [
                ("x-rate-limit-limit", limit),
                ("x-rate-limit-remaining", remaining),
                ("x-rate-limit-reset", reset),
            ];
            read(&pairs).quota
        };
        let expected = Quota { limit: 1000, remaining: 0, reset: Some(Duration::from_secs(86_400)) };
        assert_eq!(quota("1000", "-2", "90000"), Some(expected));
        for (limit, remaining, reset) in [
            ("1000", "1001", "60"),
            ("0", "0", "60"),
            ("1000", "x", "60"),
            ("1000", "5", "-1"),
            ("", "5", "60"),
        ] {
            assert_eq!(quota(limit, remaining, reset), None, "{limit} {remaining} {reset}");
        }
        assert_eq!(read(&[("x-rate-limit-limit", "1000")]).quota, None);
    }
}
