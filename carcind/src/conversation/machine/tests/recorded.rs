//! The machine against what the real CLI has said: whatever that was, once Claude is idle nothing is left over.

use std::path::Path;

use super::*;
use crate::claude::parse;
use crate::rows::{ChildRow, ConversationRow};

fn prompt(id: PromptId, position: u64) -> PromptRow {
    PromptRow {
        id,
        key: IdempotencyKey::new(id.to_string()).expect("a valid key"),
        text: "do".to_owned(),
        images: vec![],
        by: "test".to_owned(),
        placement: Placement::Steer,
        position,
        ahead: 0,
        seq: Seq(0),
        state: PromptState::Given,
        attempts: 0,
        withdrawing: false,
        unbegun: false,
    }
}

/// A conversation whose Claude has been given every prompt that the recording knows.
fn conversation(outputs: &[Output]) -> Machine {
    let mut prompts: Vec<PromptId> = Vec::new();
    for output in outputs {
        if let Output::Lifecycle { prompt, .. } = output
            && !prompts.contains(prompt)
        {
            prompts.push(*prompt);
        }
    }
    let child = ChildRow { pid: Some(1), prompted: true, ..ChildRow::default() };
    Machine::load(Loaded {
        key: key(),
        conversation: ConversationRow { child: Some(child), ..ConversationRow::default() },
        prompts: (1..).zip(prompts).map(|(position, id)| prompt(id, position)).collect(),
        inputs: vec![],
        requests: vec![],
    })
}

fn outputs(recording: &[u8]) -> Vec<Output> {
    let lines = recording.split(|byte| *byte == b'\n').map(parse);
    let understood = lines.filter_map(|parsed| match parsed {
        Parsed::Outputs { outputs, .. } => Some(outputs),
        Parsed::Problem(_) => None,
    });
    understood.flatten().collect()
}

#[test]
fn when_the_real_claude_is_idle_nothing_is_left_over() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../carcin-lab/corpus/claude");
    let mut idle = 0;
    for entry in std::fs::read_dir(folder).expect("the recordings are in the tree") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with(".ndjson") || name.ends_with(".stdin.ndjson") {
            continue;
        }
        let outputs = outputs(&std::fs::read(&path).expect("a recording"));
        let last = outputs.iter().rev().find_map(|output| match output {
            Output::StateChanged(state) => Some(*state),
            _ => None,
        });
        let mut machine = conversation(&outputs);
        let mut snapshot = Snapshot::default();
        machine.adopted(1);
        for output in outputs {
            machine.line(Parsed::Outputs { session: None, outputs: vec![output] }, b"", 0);
            for item in machine.take().items {
                if let Item::Durable(event) = item {
                    let envelope = Envelope { conversation: key(), at: Millis(1), event };
                    snapshot.apply(Seq(snapshot.seq.0 + 1), &envelope);
                }
            }
        }
        if last != Some(SessionState::Idle) {
            continue;
        }
        idle += 1;
        assert!(!machine.busy(), "{name}: {:?} {:?}", machine.row.turn, machine.prompts);
        assert!(machine.requests.is_empty(), "{name}: {:?}", machine.requests);
        assert_eq!(snapshot.conversations[&key()].state(), ConversationState::Idle, "{name}");
    }
    assert!(idle > 30, "{idle} recordings end in rest");
}
