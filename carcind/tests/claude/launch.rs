//! How Claude is started.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use carcin_proto::{ConversationKey, SessionId};
use carcind::claude::launch::{Launch, SessionArg, Surroundings, environment, environment_hash};

fn session() -> SessionId {
    SessionId::new("548db51e-c220-4471-a32d-4af7d33cbfb5").unwrap()
}

fn plain(session: SessionArg) -> Launch {
    Launch {
        claude: PathBuf::from("/usr/bin/claude"),
        session,
        model: None,
        effort: None,
        permission_mode: None,
        plugin_dirs: vec![],
        settings: None,
        add_dirs: vec![],
        append_system_prompt: None,
    }
}

#[test]
fn only_what_is_set_becomes_an_argument() {
    insta::assert_snapshot!(plain(SessionArg::New(session())).argv().join("\n"));
}

#[test]
fn every_value_is_joined_to_its_option() {
    let launch = Launch {
        model: Some("-opus".to_owned()),
        effort: Some("high".to_owned()),
        permission_mode: Some("plan".to_owned()),
        plugin_dirs: vec![PathBuf::from("/p 1"), PathBuf::from("/p2")],
        settings: Some(r#"{"hooks":{}}"#.to_owned()),
        add_dirs: vec![PathBuf::from("/d")],
        append_system_prompt: Some("--help\nme".to_owned()),
        ..plain(SessionArg::Resume(session()))
    };
    let argv = launch.argv();
    insta::assert_snapshot!(argv.join("\n"));
    assert!(argv[2..].iter().all(|argument| argument.starts_with("--")), "{argv:?}");
}

#[test]
fn claude_inherits_nothing_that_is_secret_to_carcin() {
    let kept =
        [("PATH", "/bin"), ("HOME", "/h"), ("ANTHROPIC_API_KEY", "k"), ("IS_SANDBOX", "1"), ("LANG", "C")];
    let dropped = [
        "TELEGRAM_BOT_TOKEN",
        "TELEGRAM_BOT_TOKEN_FILE",
        "ALLOWED_USER_IDS",
        "CREDENTIALS_DIRECTORY",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MAINPID",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_RESUME_INTERRUPTED_TURN",
    ];
    let replaced = ["CARCIN_SOCKET", "CARCIN_CONVERSATION", "CLAUDE_CODE_EXIT_AFTER_STOP_DELAY"];
    let inherited = kept
        .into_iter()
        .chain(dropped.map(|name| (name, "secret")))
        .chain(replaced.map(|name| (name, "old")));
    let conversation = ConversationKey::new("tg:1").unwrap();
    let surroundings = Surroundings {
        socket: Path::new("/run/carcind.sock"),
        conversation: &conversation,
        idle_exit: Duration::from_mins(10),
    };
    let pairs =
        environment(inherited.map(|(name, value)| (name.to_owned(), value.to_owned())), &surroundings);
    let environment: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(environment.len(), pairs.len(), "each name comes once");
    assert!(!pairs.iter().any(|(_, value)| value == "secret" || value == "old"), "{pairs:?}");
    for (name, value) in kept.into_iter().chain([
        ("CARCIN_SOCKET", "/run/carcind.sock"),
        ("CARCIN_CONVERSATION", "tg:1"),
        ("CLAUDE_CODE_EXIT_AFTER_STOP_DELAY", "600000"),
        ("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS", "1"),
        ("CLAUDE_CODE_ENABLE_TODO_TOOLS", "1"),
    ]) {
        assert_eq!(environment.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn environments_that_differ_have_other_hashes_and_order_is_no_difference() {
    let hash = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment_hash(&pairs)
    };
    let known = hash(&[("ANTHROPIC_API_KEY", "k"), ("PATH", "/bin")]);
    assert_eq!(known, hash(&[("PATH", "/bin"), ("SHLVL", "2"), ("ANTHROPIC_API_KEY", "k"), ("_", "/x")]));
    let with_ours = hash(&[("ANTHROPIC_API_KEY", "k"), ("PATH", "/bin"), ("CARCIN_WORKING_DIR", "/w")]);
    assert_eq!(known, with_ours, "what the daemon itself is told");
    for other in [&[("ANTHROPIC_API_KEY", "l"), ("PATH", "/bin")][..], &[("PATH", "/bin")]] {
        assert_ne!(known, hash(other));
    }
}
