//! Whether Claude had to wait for those who read what it prints.

use std::path::Path;

use anyhow::ensure;
use carcin_lab::scripted::emitted;

/// Checks each emission of the Claudes with this `HOME`: printing it took about as long as writing it to a plain file.
///
/// Not a measurement, the machine may be busy: a Claude that has to wait for a reader waits for ever.
pub fn not_slowed(what: &str, home: &Path) -> anyhow::Result<()> {
    for note in emitted(home) {
        let number = |name: &str| note[name].as_u64().unwrap_or_default();
        let (bytes, all, plain) = (number("bytes"), number("micros"), number("plain_micros"));
        let (longest, plain_longest) = (number("longest_micros"), number("plain_longest_micros"));
        println!(
            "{what}: {bytes} bytes in {all} µs, the longest write {longest} µs; \
             into a plain file {plain} µs, {plain_longest} µs"
        );
        ensure!(all < 20 * plain + 60_000_000, "{what}: Claude was slowed: {note}");
        ensure!(longest < 20 * plain_longest + 30_000_000, "{what}: Claude was held up: {note}");
    }
    Ok(())
}
