//! `carcin-ctl send`

use std::io::{self, Stderr, Stdout};
use std::process::ExitCode;
use std::time::Duration;

use carcin_proto::client::Reconnecting;
use carcin_proto::request::{Placement, Stop, Submit, Submitted};
use carcin_proto::{
    ClientError, ConversationKey, Delivery, Followed, Follower, IdempotencyKey, Reply, Request,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::context::{Context, NAME, VERSION, by, words_or_stdin};
use super::error::CtlError;
use super::output::{print, print_json};
use super::screen::Screen;
use super::style::Style;
use super::text::count;
use super::turn::{Ending, Piece, TurnView};
use super::watch::JsonEvent;

/// How long a stop goes on trying: longer than a restart of the daemon takes.
const STOPPING: Duration = Duration::from_secs(15);

/// Exit codes beside 0, completed, and 1, failed.
const STOPPED: u8 = 3;
const INTERRUPTED: u8 = 4;
/// What shells give a command that was left with Ctrl-C.
const DETACHED: u8 = 130;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 completed, 1 failed, 3 stopped or cancelled, 4 interrupted because Claude died, \
                        130 left running.\nCtrl-C stops the turn; once more leaves it running."
)]
pub(super) struct Args {
    /// What Claude is to read; `-` reads it from standard input. After `--` it may begin with a dash
    #[arg(required = true, value_name = "PROMPT")]
    prompt: Vec<String>,
    /// Return as soon as the prompt is accepted
    #[arg(long)]
    no_wait: bool,
    /// Wait for the running turn to end, instead of steering it
    #[arg(long)]
    queue: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let text = words_or_stdin(&args.prompt)?;
    let conversation = context.conversation_or_ours().await?;
    let submit = Submit {
        conversation: conversation.clone(),
        key: IdempotencyKey::new(Uuid::new_v4().to_string()).expect("a UUID is short and printable"),
        text,
        placement: if args.queue { Placement::Queue } else { Placement::Steer },
        by: by(),
    };
    if args.no_wait {
        return accept(context, submit).await;
    }
    // First, so that nothing of the turn is missed.
    let mut follower = Follower::new(&context.socket, NAME, VERSION, None);
    subscribed(&mut follower).await?;
    let submitted = submit_prompt(context, submit).await?;
    let session = Watched::new(context, conversation, &submitted);
    session.follow(follower, &submitted).await
}

async fn accept(context: &Context, submit: Submit) -> Result<ExitCode, CtlError> {
    let conversation = submit.conversation.clone();
    let submitted = submit_prompt(context, submit).await?;
    if context.json {
        print_json(&submitted)?;
    } else {
        let ahead = match submitted.ahead {
            0 => String::new(),
            ahead => format!(", {} before it", count(ahead as usize, "prompt")),
        };
        print(&format!("{conversation}: accepted as {}{ahead}\n", submitted.prompt))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Until the snapshot is there: what happens from then on is delivered.
async fn subscribed(follower: &mut Follower) -> Result<(), CtlError> {
    loop {
        match follower.next().await {
            Followed::Delivery(Delivery::Snapshot(_)) => return Ok(()),
            Followed::Disconnected(error) => return Err(error.into()),
            Followed::Connected(_) | Followed::Delivery(_) => {}
        }
    }
}

async fn submit_prompt(context: &Context, submit: Submit) -> Result<Submitted, CtlError> {
    let mut client = Reconnecting::new(&context.socket, NAME, VERSION);
    match client.request(&Request::Submit(submit)).await? {
        Reply::Submitted(submitted) => Ok(submitted),
        other => Err(CtlError::reply(other)),
    }
}

/// The prompt that is accepted, and the screen it is shown on.
struct Watched<'a> {
    context: &'a Context,
    conversation: ConversationKey,
    view: TurnView,
    screen: Screen<Stdout, Stderr>,
    stops: JoinSet<Result<Reply, ClientError>>,
    interrupts: u32,
    /// The daemon is away, and that is told.
    away: bool,
}

impl<'a> Watched<'a> {
    fn new(context: &'a Context, conversation: ConversationKey, submitted: &Submitted) -> Self {
        let style = Style::of_stderr();
        Self {
            context,
            view: TurnView::new(conversation.clone(), submitted.prompt, style),
            conversation,
            screen: Screen::new(io::stdout(), io::stderr(), context.style, style),
            stops: JoinSet::new(),
            interrupts: 0,
            away: false,
        }
    }

    async fn follow(mut self, mut follower: Follower, submitted: &Submitted) -> Result<ExitCode, CtlError> {
        let mut interrupts = signal(SignalKind::interrupt()).map_err(CtlError::Runtime)?;
        if submitted.ahead > 0 {
            self.say(format!("queued, {} before it", count(submitted.ahead as usize, "prompt")))?;
        }
        loop {
            if let Some(ending) = self.view.ending() {
                return self.ended(&ending);
            }
            tokio::select! {
                followed = follower.next() => self.followed(followed)?,
                _ = interrupts.recv() => if let Some(code) = self.interrupted()? {
                    return Ok(code);
                },
                Some(stopped) = self.stops.join_next() => if let Ok(Err(error)) = stopped {
                    self.say(format!("the turn could not be stopped: {error}"))?;
                },
            }
        }
    }

    fn followed(&mut self, followed: Followed) -> Result<(), CtlError> {
        match followed {
            Followed::Connected(_) => {
                self.away = false;
                self.say("carcind is back")
            }
            Followed::Disconnected(_) if std::mem::replace(&mut self.away, true) => Ok(()),
            Followed::Disconnected(error) => {
                self.say(format!("{error}; the turn goes on, waiting for carcind"))
            }
            Followed::Delivery(delivery) => {
                let pieces = self.view.take(&delivery);
                if self.context.json {
                    return self.print_event(&delivery);
                }
                pieces.into_iter().try_for_each(|piece| self.screen.show(piece)).map_err(CtlError::Output)
            }
        }
    }

    fn print_event(&self, delivery: &Delivery) -> Result<(), CtlError> {
        match delivery {
            Delivery::Durable(seq, Some(envelope)) if envelope.conversation == self.conversation => {
                print(&JsonEvent::new(*seq, envelope).line()?)
            }
            _ => Ok(()),
        }
    }

    /// The first stops the turn, the second leaves.
    fn interrupted(&mut self) -> Result<Option<ExitCode>, CtlError> {
        self.interrupts += 1;
        if self.interrupts > 1 {
            self.screen.finish().map_err(CtlError::Output)?;
            self.say("detached; `carcin-ctl watch` shows how it goes on, `carcin-ctl stop` ends it")?;
            return Ok(Some(ExitCode::from(DETACHED)));
        }
        let client = Reconnecting::new(&self.context.socket, NAME, VERSION);
        let request = Request::Stop(Stop { conversation: self.conversation.clone(), by: by() });
        self.stops.spawn(async move { client.patience(STOPPING).request(&request).await });
        self.say("stopping the turn; Ctrl-C again leaves it as it is")?;
        Ok(None)
    }

    fn say(&mut self, line: impl Into<String>) -> Result<(), CtlError> {
        self.screen.show(Piece::Line(line.into())).map_err(CtlError::Output)
    }

    fn ended(mut self, ending: &Ending) -> Result<ExitCode, CtlError> {
        self.screen.finish().map_err(CtlError::Output)?;
        let (code, message) = match ending {
            Ending::Completed => return Ok(ExitCode::SUCCESS),
            Ending::Failed(why) => (1, format!("failed: {why}")),
            Ending::Stopped(how) => (STOPPED, how.clone()),
            Ending::Interrupted(how) => (INTERRUPTED, format!("interrupted: {how}")),
            Ending::Unknown => {
                (1, "what became of the prompt is not known: carcind's journal was lost".to_owned())
            }
        };
        self.say(message)?;
        Ok(ExitCode::from(code))
    }
}
