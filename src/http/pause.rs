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

    #[test]
    fn a_jump_of_the_clock_lengthens_or_drops_what_was_asked_for_and_is_no_panic() {
        let day = Duration::from_secs(86_400);
        let asked = UNIX_EPOCH + 20_000 * day;
        let date = httpdate::fmt_http_date(asked + Duration::from_secs(30));
        let reset = (20_000 * day + Duration::from_secs(30)).as_millis();
        let headers = |name: &'static str, value: String| {
            http::HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
        };
        let all: [http::HeaderMap; 2] = [
            headers("retry-after", date),
            headers("x-ratelimit-reset", reset.to_string()),
        ];
        for headers in &all {
            let wait = |now| asked_for(429, headers, now);
            assert_eq!(wait(asked), Some(Duration::from_secs(30)));
            // Ahead of the remote: nothing is asked for, and the plain backoff holds.
            assert_eq!(wait(asked + day), None);
            // Behind it: ages, of which five minutes are waited at most (schedule.rs).
            assert_eq!(wait(asked - day), Some(day + Duration::from_secs(30)));
            assert!(wait(UNIX_EPOCH - day).is_some());
        }
        for far in ["18446744073709551615", "99999999999999999999", "-1"] {
            pause("retry-after", far);
            pause("x-ratelimit-reset", far);
        }
    }
}
