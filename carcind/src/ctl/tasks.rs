//! `carcin-ctl tasks`

use std::process::ExitCode;

use carcin_proto::event::TaskChanged;
use carcin_proto::request::StopTask;
use carcin_proto::{Reply, Request};

use super::context::Context;
use super::error::CtlError;
use super::output::{print, print_json};
use super::style::Style;
use super::text::{Table, one_line};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End this one; Claude goes on
    #[arg(long, value_name = "ID")]
    stop: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<ExitCode, CtlError> {
    let conversation = context.conversation().await?;
    if let Some(task) = args.stop {
        let told = format!("{}: stopped\n", one_line(&task));
        context.ask(&Request::StopTask(StopTask { conversation, task })).await?;
        print(&told)?;
        return Ok(ExitCode::SUCCESS);
    }
    let tasks = match context.ask(&Request::About(conversation)).await? {
        Reply::About(about) => about.tasks,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&tasks)?;
    } else {
        print(&render(&tasks, context.style))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(tasks: &[TaskChanged], style: Style) -> String {
    if tasks.is_empty() {
        return "nothing runs in the background\n".to_owned();
    }
    let mut table = Table::new(&["TASK", "WHAT"], 1);
    for task in tasks {
        table.row([(one_line(&task.task), None), (one_line(&task.description), None)]);
    }
    format!("{}`carcin-ctl tasks --stop TASK` ends one\n", table.render(style))
}

#[cfg(test)]
mod tests {
    use carcin_proto::event::TaskStatus;

    use super::*;

    #[test]
    fn each_task_has_its_line() {
        let task = TaskChanged {
            task: "b1".into(),
            tool_use: None,
            description: "Wait\nlong".into(),
            status: TaskStatus::Running,
        };
        let expected = "TASK  WHAT\nb1    Wait long\n`carcin-ctl tasks --stop TASK` ends one\n";
        assert_eq!(render(&[task], Style::PLAIN), expected);
        assert_eq!(render(&[], Style::PLAIN), "nothing runs in the background\n");
    }
}
