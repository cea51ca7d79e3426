//! A line of any length is read in bounded memory. Alone in its program, because it measures the program.

mod child_kit;

use carcind::child::{Exit, LINE_CAP, Text};
use child_kit::{State, bounded, launcher, rest, text};

/// The most memory that this process ever used, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_line_of_hundreds_of_megabytes_is_never_held() {
    let state = State::new();
    let dir =
        state.script("printf 'HEAD'; head -c 400000000 /dev/zero | tr '\\0' x; printf 'TAIL\\n'; echo next");
    let child = bounded(dir.spawn(&launcher())).await.unwrap();
    assert_eq!(bounded(child.exited()).await, Exit::Code(0));
    let before = peak();
    let got = rest(&mut dir.stdout(0).unwrap()).await;
    let used = peak() - before;
    assert!(used < 3 * LINE_CAP, "{used} bytes");
    let Text::Oversized { size, head, tail } = &got[0].text else { panic!("it was held") };
    assert_eq!((*size, got[0].end), (400_000_008, 400_000_009));
    assert!(head.starts_with(b"HEADxxx") && tail.ends_with(b"xxxTAIL"));
    assert_eq!(text(&got[1]), "next");
}
