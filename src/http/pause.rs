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
