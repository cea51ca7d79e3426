//! Who is subscribed, for `status`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use carcin_proto::Seq;
use carcin_proto::request::ClientStatus;

/// The subscribers. The lock is held for no longer than a look at the list.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    list: Arc<Mutex<List>>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: BTreeMap<u64, (String, Arc<AtomicU64>)>,
}

/// A subscriber's place in the list; it leaves the list when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    clients: Clients,
    id: u64,
    cursor: Arc<AtomicU64>,
}

impl Clients {
    /// Enters a subscriber.
    pub(super) fn enter(&self, name: &str) -> Place {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.next += 1;
        let (id, cursor) = (list.next, Arc::new(AtomicU64::new(0)));
        list.entries.insert(id, (name.to_owned(), Arc::clone(&cursor)));
        Place { clients: self.clone(), id, cursor }
    }

    /// All of them, the oldest first.
    pub fn status(&self) -> Vec<ClientStatus> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |(name, cursor): &(String, Arc<AtomicU64>)| ClientStatus {
            name: name.clone(),
            cursor: Seq(cursor.load(Ordering::Relaxed)),
        };
        list.entries.values().map(status).collect()
    }
}

impl Place {
    /// The last durable event written to the subscriber.
    pub(super) fn set_cursor(&self, seq: Seq) {
        self.cursor.store(seq.0, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut list = self.clients.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.entries.remove(&self.id);
    }
}
