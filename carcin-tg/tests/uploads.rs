//! Where files come from and go to: a disk that is full, a Bot API server of one's own.

#[allow(dead_code, unreachable_pub)] // the tests of the machine use the rest
#[path = "../../carcin-lab/tests/e2e_support/disk.rs"]
mod disk;
mod support;

use std::os::unix::fs::{DirBuilderExt as _, symlink};

use carcin_lab::telegram::{LabConfig, SentFile};
use disk::{Disk, Kind};
use support::{ANN, Rig};

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_refused_and_the_next_smaller_one_is_taken() {
    let Some(disk) = Disk::mount(Kind::Tmpfs, 1).expect("it can be said") else { return };
    let mut rig = Rig::without_bot().await;
    let state = rig.dir.path().join("state/tg");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state).expect("a directory");
    symlink(disk.path(), state.join("uploads")).expect("a link");
    rig.start().await;
    let large = SentFile::document("disk.img", vec![1; 3 << 20]).caption("look into it");
    rig.telegram.send_file(ANN, ANN, large).expect("sent");
    let told = rig.sees("there is no room on the disk").await;
    assert!(told.text().contains("disk.img"), "{}", told.text());
    let small = SentFile::document("a.txt", vec![2; 600 << 10]).caption("and this");
    rig.telegram.send_file(ANN, ANN, small).expect("sent");
    let (prompt, _) = rig.prompt_with("and this").await;
    assert!(prompt.text.contains("a.txt"), "what was begun is gone: {}", prompt.text);
    assert_eq!(rig.daemon.state().order.len(), 1);
    rig.kill_bot().await;
}

#[tokio::test]
async fn a_server_of_ones_own_gives_a_large_file_by_its_path() {
    let files = tempfile::tempdir().expect("a directory");
    let local_files = Some(files.path().to_owned());
    let rig = Rig::with_telegram(LabConfig { local_files, ..LabConfig::default() }).await;
    let bytes: Vec<u8> = (0..21 * 1024 * 1024_u32).map(|n| n.to_le_bytes()[0]).collect();
    let large = SentFile::document("disk.img", bytes.clone()).caption("look into it");
    rig.telegram.send_file(ANN, ANN, large).expect("sent");
    let (prompt, _) = rig.prompt_with("look into it").await;
    let path = prompt.text.lines().find_map(|line| line.strip_prefix("[Attached file: ")?.strip_suffix(']'));
    let path = std::path::PathBuf::from(path.expect("its path"));
    assert!(path.starts_with(rig.dir.path()), "a copy of Carcin's own: {}", path.display());
    assert!(std::fs::read(&path).expect("it is there") == bytes, "it is another file");
}
