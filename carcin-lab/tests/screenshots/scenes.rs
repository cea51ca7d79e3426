//! What is to be seen in each picture, and how it comes about.

use super::visit::Visit;

/// A picture.
pub(crate) struct Scene {
    /// Its file's name, without the ending.
    pub(crate) name: &'static str,
    pub(crate) steps: &'static [Step],
}

/// One thing that the person does or waits for.
pub(crate) enum Step {
    /// Writes a message.
    Say(&'static str),
    /// Waits for a message of the bot's with this in its text.
    See(&'static str),
    /// Taps on the button under a message which says this.
    Tap(&'static str),
    /// Waits for an element, say a draft.
    Find(&'static str),
    /// Taps on an element of the page with this text in it.
    Open(&'static str, &'static str),
}

use Step::{Find, Open, Say, See, Tap};

/// All pictures.
pub(crate) const SCENES: &[Scene] = &[
    Scene {
        name: "permission",
        steps: &[
            Say("The greeter forgets people. Please fix it!"),
            See("May I use Edit?"),
            Find(".keyboard button"),
        ],
    },
    Scene {
        name: "task",
        steps: &[
            Say("The greeter forgets people. Please fix it!"),
            See("May I use Edit?"),
            Tap("Allow"),
            See("May I use Bash?"),
            Tap("Allow"),
            See("ok: Hello, Ann Bob!"),
            See("✅"),
        ],
    },
    Scene {
        name: "progress",
        steps: &[Say("Please review the greeter"), See("▸ Task Look for lost names"), See("test.sh")],
    },
    Scene { name: "stream", steps: &[Say("Tell me a long story"), See("Started"), Find(STREAMED)] },
    Scene { name: "question", steps: &[Say("Ask me something"), See("What would you like to drink?")] },
    Scene { name: "plan", steps: &[Say("Make a plan for the greeter"), See("Make the change")] },
    Scene { name: "file", steps: &[Say("Send me a file"), Find(".message[data-from=bot] .media")] },
    Scene {
        name: "sessions",
        steps: &[
            Say("Good morning"),
            See("You said"),
            See("✅"),
            Say("/new"),
            Say("Please list files"),
            See("greet.sh"),
            See("✅"),
            Say("/sessions"),
            Find(".keyboard button"),
        ],
    },
    Scene { name: "status", steps: &[Say("/status"), See("carcind")] },
    Scene {
        name: "commands",
        steps: &[Find("#commands:not([hidden])"), Open("#commands", ""), Find("#command-list button")],
    },
];

/// Text that comes while Claude speaks, as a draft or as a message that is edited.
const STREAMED: &str = ".draft .text, .message[data-from=bot] .text";

impl Step {
    pub(crate) async fn play(&self, visit: &Visit) -> anyhow::Result<()> {
        match self {
            Self::Say(text) => visit.say(text).await,
            Self::See(text) => visit.wait_for(text).await,
            Self::Tap(label) => {
                visit.browser.click(".message:last-of-type .keyboard button, .keyboard button", label).await
            }
            Self::Find(selector) => {
                let script =
                    format!("return document.querySelector({}) !== null", serde_json::json!(selector));
                visit.browser.wait(selector, &script).await.map(drop)
            }
            Self::Open(selector, label) => visit.browser.click(selector, label).await,
        }
    }
}

/// Waits until nothing moves: what blinks for ever is not waited for.
pub(crate) async fn at_rest(visit: &Visit) -> anyhow::Result<()> {
    let script = "return document.querySelector('.keyboard [data-pending]') === null && \
                  document.getElementById('toast').hidden && document.getAnimations()\
                  .every((one) => one.playState !== 'running' || one.effect.getComputedTiming().iterations === Infinity)";
    visit.browser.wait("the page to come to rest", script).await.map(drop)
}
