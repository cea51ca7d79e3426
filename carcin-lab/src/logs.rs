//! Logs of the lab's programs, to stderr.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Begins to log from `level` on; `RUST_LOG` says otherwise.
pub fn start(level: Level) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|wanted| wanted.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(std::io::stderr)
        .finish()
        .with(wanted.unwrap_or_else(|| Targets::new().with_default(level)))
        .init();
}
