//! The lane of read-only commands. Its rows wait for nothing, so they run concurrently, and one that takes long holds up
//! no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use carcin_proto::client::Backoff;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Desk;
use crate::fatal::Fatal;
use crate::queue::{Lane, Signals};
use crate::store::inbox;

/// Rows at a time: more than somebody types while one takes its longest.
const AT_ONCE: usize = 16;

/// Works on the lane until it is cancelled.
pub(super) async fn run(
    desk: Arc<Desk>,
    signals: Arc<Signals>,
    cancel: CancellationToken,
) -> Result<(), Fatal> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut working = JoinSet::new();
    let mut rows: BTreeMap<Id, i64> = BTreeMap::new();
    let mut wait = None;
    loop {
        let room = AT_ONCE - rows.len();
        if room > 0 && wait.is_none() {
            let busy: Vec<i64> = rows.values().copied().collect();
            match desk.store.read(move |tx| inbox::next_beside(tx, Lane::Info, &busy, room)).await {
                Ok(found) => {
                    for row in found {
                        let (desk, id) = (Arc::clone(&desk), row.id);
                        let task = working.spawn(async move { desk.handle(Lane::Info, &row).await });
                        rows.insert(task.id(), id);
                    }
                }
                Err(error) => {
                    error!(lane = "info", "{error}");
                    wait = Some(backoff.delay());
                }
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = signals.work_in(Lane::Info) => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => wait = None,
            Some(done) = working.join_next_with_id() => {
                let (task, handled) = done.map_err(|error| Fatal::Task(error.to_string()))?;
                rows.remove(&task);
                match handled {
                    Ok(_) => backoff.reset(),
                    Err(error) => {
                        error!(lane = "info", "{error}");
                        wait = Some(backoff.delay());
                    }
                }
                // It may have turned out to be one of Claude's commands.
                signals.notify(Lane::Prompt);
            }
        }
    }
}
