//! Which addresses may be a link.
//!
//! Telegram refuses a whole message for one link that it cannot parse ("Entity URL … is invalid"),
//! so the rules here are those of `TDLib`'s `LinkManager::get_checked_link`, on the strict side.

/// What to do with a link's target.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// There is no target.
    None,
    /// A link that Telegram accepts.
    Link(&'a str),
    /// A mail address. As a link target Telegram would make `http://mailto:…` of it, while an
    /// address in plain text is linked by every client.
    Mail(&'a str),
    /// Anything else, to be shown.
    Other(&'a str),
}

/// Judges a link's target as it stands in the source.
pub(super) fn target(url: &str) -> Target<'_> {
    let url = url.trim();
    if url.is_empty() {
        return Target::None;
    }
    if is_accepted(url) {
        return Target::Link(url);
    }
    match strip_scheme(url, "mailto:") {
        Some(address) if is_mail_address(address) => Target::Mail(address),
        _ => Target::Other(url),
    }
}

/// Whether `text` is no more than a plain mail address.
pub(super) fn is_mail_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && user.chars().all(plain) && host.chars().all(plain) && is_domain(host)
    })
}

/// Whether Telegram takes `url` as the target of a link.
pub fn is_accepted(url: &str) -> bool {
    // A target in the megabytes is no link, and would not fit a request.
    const LONGEST: usize = 2048;
    if url.len() > LONGEST || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return false;
    }
    let fits = if let Some(rest) = strip_scheme(url, "tg://") {
        let host = authority(rest);
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric())
    } else if let Some(rest) = strip_scheme(url, "https://").or_else(|| strip_scheme(url, "http://")) {
        is_authority(authority(rest))
    } else {
        false
    };
    fits && super::parse_url(url).is_some()
}

/// What stands between the scheme and the path.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#', '\\']).next().unwrap_or_default()
}

/// `host` or `host:port`, where the host is one that the open network may know: Telegram refuses
/// names without a dot. User names are left out, since their only use today is to deceive.
fn is_authority(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(host, port)| {
            host.parse::<std::net::Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port))
        });
    }
    match authority.split_once(':') {
        Some((host, _)) => is_domain(host) && is_port(&authority[host.len()..]),
        None => is_domain(authority),
    }
}

fn is_port(port: &str) -> bool {
    let digits = port.strip_prefix(':').unwrap_or_default();
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_domain(host: &str) -> bool {
    let in_label = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    host.contains('.') && host.split('.').all(|label| !label.is_empty() && label.chars().all(in_label))
}

/// What follows `scheme` in `url`, whatever the case of the scheme's letters.
fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let head = url.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
}

#[cfg(test)]
mod tests {
    use super::{Target, target};

    #[test]
    fn only_what_telegram_takes_is_a_link() {
        for url in [
            "https://example.com",
            "HTTP://EXAMPLE.com/a?b#c",
            "http://127.0.0.1:8080/",
            "http://[::1]:3000/x",
            "https://пример.рф/ы",
            "tg://resolve?domain=x",
        ] {
            assert_eq!(target(url), Target::Link(url));
        }
        for url in [
            "http://localhost:3000",
            "https://",
            "https://example.com:99999/",
            "https://user:pw@example.com/",
            "https://ex ample.com",
            "https://a..b/",
            "ftp://x.y",
            "javascript:alert(1)",
            "src/main.rs",
            "#usage",
            "tg://",
        ] {
            assert_eq!(target(url), Target::Other(url));
        }
    }

    #[test]
    fn a_mail_address_is_shown_rather_than_linked() {
        assert_eq!(target("mailto:a@b.de"), Target::Mail("a@b.de"));
        assert_eq!(target("mailto:a@b.de?subject=x"), Target::Other("mailto:a@b.de?subject=x"));
        assert_eq!(target(" "), Target::None);
    }
}
