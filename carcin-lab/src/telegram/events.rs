//! The page's live feed: server-sent events, which a browser takes up again by itself.
//!
//! The first event of each connection is everything (`full`), each further one what changed since. A slow page
//! misses nothing: it gets fewer, larger events.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use super::hub::Hub;
use super::view;

#[derive(Deserialize)]
pub(super) struct Feed {
    chat: i64,
}

struct Reader {
    hub: Arc<Hub>,
    chat: i64,
    changes: watch::Receiver<u64>,
    /// What the page has.
    version: u64,
    last: Option<Value>,
}

/// `GET /lab/events?chat=ID`.
pub(super) async fn stream(
    State(hub): State<Arc<Hub>>,
    Query(feed): Query<Feed>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let reader = Reader { changes: hub.changes(), hub, chat: feed.chat, version: 0, last: None };
    Sse::new(stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    }))
    .keep_alive(KeepAlive::default())
}

impl Reader {
    /// The next change that shows; `None` at the lab's end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.changes.mark_unchanged();
            let (version, page) =
                self.hub.read(|state| (state.version, view::page(state, &self.hub, self.chat, self.version)));
            self.version = version;
            if self.last.as_ref() != Some(&page) {
                let event = Event::default().data(view::stamped(&page).to_string());
                self.last = Some(page);
                return Some(event);
            }
            tokio::select! {
                () = self.hub.shutdown.cancelled() => return None,
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }
}
