//! Logs to stderr, without the token whatever a library writes there.

use std::io::{self, Write};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::token::Token;

/// Begins to log; `RUST_LOG` says how much.
pub(crate) fn start(token: &Token) {
    let told = std::env::var("RUST_LOG").ok().and_then(|told| told.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(Scrubbed { token: token.clone() })
        .with_ansi(false)
        .finish()
        .with(told.unwrap_or_else(|| Targets::new().with_default(Level::INFO)))
        .init();
}

/// Makes writers to stderr that take the token out.
struct Scrubbed {
    token: Token,
}

impl<'a> MakeWriter<'a> for Scrubbed {
    type Writer = ScrubbingWriter<'a, io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        ScrubbingWriter { token: &self.token, inner: io::stderr() }
    }
}

/// Takes the token out of each write; the subscriber makes one of each event.
struct ScrubbingWriter<'a, W> {
    token: &'a Token,
    inner: W,
}

impl<W: Write> Write for ScrubbingWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let clean = self.token.scrub(&String::from_utf8_lossy(bytes));
        self.inner.write_all(clean.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_careless_library_does_not_log_the_token() {
        let token = Token::parse("42:AAF-secret_x").expect("a token");
        let mut writer = ScrubbingWriter { token: &token, inner: Vec::new() };
        writer.write_all(b"POST https://host/bot42:AAF-secret_x/getMe\n").expect("writes");
        assert_eq!(String::from_utf8_lossy(&writer.inner), "POST https://host/bot42:[redacted]/getMe\n");
    }
}
