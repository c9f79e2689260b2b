//! How long a remote asks us to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the remote asks us to wait: `Retry-After` in seconds or as a date (RFC 9110, 10.2.3),
/// or, with a 429, LaunchDarkly's `X-Ratelimit-Reset` in milliseconds since 1970, which it sends with
/// other answers too. What is past asks for nothing.
pub(super) fn asked_for(
    status: u16,
    headers: &http::HeaderMap,
    now: SystemTime,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let retry_after = text("retry-after").and_then(|value| match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .ok(),
    });
    let reset = text("x-ratelimit-reset").filter(|_| status == 429);
    let reset = reset.and_then(|value| {
        let reset = UNIX_EPOCH.checked_add(Duration::from_millis(value.parse().ok()?))?;
        reset.duration_since(now).ok()
    });
    retry_after.max(reset).filter(|pause| !pause.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(name: &'static str, value: &str) -> Option<Duration> {
        pause_of(429, name, value)
    }

    fn pause_of(status: u16, name: &'static str, value: &str) -> Option<Duration> {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let mut headers = http::HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        asked_for(status, &headers, now)
    }

    #[test]
    fn retry_after_is_in_seconds_or_a_date() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pause("retry-after", "120"), seconds(120));
        // RFC 9110's own example is the moment that this test takes for now.
        assert_eq!(
            pause("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"),
            seconds(60)
        );
        assert_eq!(pause("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT"), None);
        assert_eq!(pause("retry-after", "soon"), None);
        assert_eq!(pause("retry-after", "0"), None);
    }

    #[test]
    fn a_rate_limit_that_was_reset_in_the_past_asks_for_nothing() {
        assert_eq!(
            pause("x-ratelimit-reset", "784111779500"),
            Some(Duration::from_millis(2500))
        );
        assert_eq!(pause("x-ratelimit-reset", "784111770000"), None);
        assert_eq!(pause_of(409, "x-ratelimit-reset", "784111779500"), None);
    }
}
