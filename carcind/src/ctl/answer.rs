//! `carcin-ctl answer`

use std::process::ExitCode;

use carcin_proto::event::{Ask, ElicitationAsk, PermissionAsk, Question, Settlement};
use carcin_proto::request::{Answer, Decision, PendingRequest};
use carcin_proto::{Reply, Request};

use super::ask::{self, headline};
use super::context::{Context, by};
use super::error::CtlError;
use super::output::{print, print_json};
use super::pending;
use super::text::one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request, or the beginning of its id; `carcin-ctl pending` lists them
    #[arg(value_name = "ID")]
    id: String,
    /// `allow`, `always` with the numbers of the permissions to grant, `deny` with or without a reason; or the answer to
    /// a question
    #[arg(value_name = "WORDS", required_unless_present = "question")]
    words: Vec<String>,
    /// The answer to one of several questions, told by its text or its number from 1
    #[arg(long, value_name = "QUESTION=LABEL", conflicts_with = "words")]
    question: Vec<String>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<ExitCode, CtlError> {
    let pending = pending::fetch(context).await?;
    let asked = find(&pending, &args.id)?;
    let decision = decide(&asked.opened.ask, &args.words, &args.question)?;
    let answer = Answer { request: asked.opened.request.clone(), decision, by: by() };
    let settlement = match context.ask(&Request::Answer(answer)).await? {
        Reply::Answered(settlement) => settlement,
        other => return Err(CtlError::reply(other)),
    };
    if context.json {
        print_json(&settlement)?;
    } else {
        print(&render(&asked.opened.ask, &settlement))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The one request that `id` is, or that begins with it.
fn find<'a>(pending: &'a [PendingRequest], id: &str) -> Result<&'a PendingRequest, CtlError> {
    let name = |asked: &PendingRequest| asked.opened.request.as_str().to_owned();
    if let Some(exact) = pending.iter().find(|asked| name(asked) == id) {
        return Ok(exact);
    }
    let begin: Vec<_> =
        pending.iter().filter(|asked| !id.is_empty() && name(asked).starts_with(id)).collect();
    match begin.as_slice() {
        [asked] => Ok(asked),
        [] => Err(CtlError::said(
            format!("no request that waits begins with {id:?}"),
            "`carcin-ctl pending` lists them; it may have been answered elsewhere",
        )),
        several => {
            let names: Vec<_> = several.iter().map(|asked| name(asked)).collect();
            let message = format!("{id:?} may be any of {}", names.join(", "));
            Err(CtlError::said(message, "give more of the id"))
        }
    }
}

/// What the words mean for what is asked.
fn decide(ask: &Ask, words: &[String], questions: &[String]) -> Result<Decision, CtlError> {
    let denied =
        (words.first().map(String::as_str) == Some("deny")).then(|| Decision::Deny(words[1..].join(" ")));
    match (ask, denied) {
        (Ask::Questions(asked), denied) => answers(asked, words, questions, denied),
        _ if !questions.is_empty() => {
            Err(CtlError::said("this is no question", "answer it with `allow` or `deny`"))
        }
        (_, Some(denied)) => Ok(denied),
        (Ask::Permission(permission), None) => allow(words, Some(permission)),
        (Ask::Plan(_), None) => allow(words, None),
        (Ask::Elicitation(elicitation), None) => content(elicitation, words),
    }
}

fn allow(words: &[String], permission: Option<&PermissionAsk>) -> Result<Decision, CtlError> {
    match words {
        [word] if word == "allow" => Ok(Decision::Allow),
        [word, numbers @ ..] if word == "always" => match permission {
            Some(permission) => always(permission, numbers),
            None if numbers.is_empty() => Ok(Decision::AllowAlways(Vec::new())),
            None => Err(CtlError::said("a plan has no numbered permissions", "answer `always` alone")),
        },
        words => Err(CtlError::said(
            format!("{:?} is no answer to a request", words.join(" ")),
            "answer `allow`, `always` or `deny [REASON]`",
        )),
    }
}

/// The permissions that these numbers, from 1, name. Where several are offered nobody grants one without naming it.
fn always(asked: &PermissionAsk, numbers: &[String]) -> Result<Decision, CtlError> {
    let offered = ask::grants(asked).len();
    let number = |word: &String| {
        let at = word.trim_end_matches(',').parse::<usize>().ok()?.checked_sub(1)?;
        u16::try_from(at).ok().filter(|_| at < offered)
    };
    match (offered, numbers.iter().map(number).collect::<Option<Vec<u16>>>()) {
        (0, _) => Err(CtlError::said("Claude does not offer `always` here", "answer `allow`")),
        (1, Some(granted)) if granted.is_empty() => Ok(Decision::AllowAlways(vec![0])),
        (_, Some(granted)) if !granted.is_empty() => Ok(Decision::AllowAlways(granted)),
        _ => Err(CtlError::said(
            format!("`always` needs the number of a permission, 1 to {offered}"),
            "`carcin-ctl pending` lists them; `always 1` grants the first",
        )),
    }
}

fn content(asked: &ElicitationAsk, words: &[String]) -> Result<Decision, CtlError> {
    let text = words.join(" ");
    if text == "cancel" {
        return Ok(Decision::Cancel);
    }
    if asked.url.is_some() && text == "allow" {
        return Ok(Decision::Content("{}".to_owned()));
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text) {
        Ok(_) => Ok(Decision::Content(text)),
        Err(error) => Err(CtlError::said(
            format!("the answer to {} must be a JSON object: {error}", asked.server),
            "quote it for the shell: '{\"name\": \"value\"}', or answer `deny` or `cancel`",
        )),
    }
}

fn answers(
    asked: &[Question],
    words: &[String],
    given: &[String],
    denied: Option<Decision>,
) -> Result<Decision, CtlError> {
    if given.is_empty() {
        let text = words.join(" ");
        let [question] = asked else {
            return denied.ok_or_else(|| {
                let message = format!("there are {} questions", asked.len());
                CtlError::said(message, "answer each: --question 1=LABEL --question 2=LABEL")
            });
        };
        let is_label = question.options.iter().any(|option| option.label == text);
        return match denied {
            Some(denied) if !is_label => Ok(denied),
            _ => Ok(Decision::Answers(vec![(question.question.clone(), label(question, &text)?)])),
        };
    }
    let mut answers: Vec<Option<String>> = vec![None; asked.len()];
    for answer in given {
        let (at, text) = which(asked, answer)?;
        answers[at] = Some(label(&asked[at], text)?);
    }
    let answers: Option<Vec<_>> =
        asked.iter().zip(answers).map(|(question, text)| Some((question.question.clone(), text?))).collect();
    answers.map(Decision::Answers).ok_or_else(|| {
        CtlError::said(
            format!("not all of the {} questions are answered", asked.len()),
            "answer each of them",
        )
    })
}

/// Which question `QUESTION=LABEL` answers, and how. A question's text may hold a `=` itself.
fn which<'a>(asked: &[Question], answer: &'a str) -> Result<(usize, &'a str), CtlError> {
    let by_text = asked.iter().enumerate().find_map(|(at, question)| {
        Some((at, answer.strip_prefix(question.question.as_str())?.strip_prefix('=')?))
    });
    let by_number = || {
        let (number, text) = answer.split_once('=')?;
        let at = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
        (at < asked.len()).then_some((at, text))
    };
    by_text.or_else(by_number).ok_or_else(|| {
        CtlError::said(
            format!("no question belongs to {answer:?}"),
            "write the question's text or its number, `=`, then the label",
        )
    })
}

/// The label that `text` means, whatever its case; else the text itself: Claude takes an answer in other words.
fn label(question: &Question, text: &str) -> Result<String, CtlError> {
    let known = |text: &str| {
        let text = text.trim();
        let option =
            question.options.iter().find(|option| option.label.to_lowercase() == text.to_lowercase());
        option.map(|option| option.label.clone())
    };
    if text.trim().is_empty() {
        return Err(CtlError::said(
            "the answer is empty",
            "answer with one of the labels, or your own words",
        ));
    }
    if let Some(label) = known(text) {
        return Ok(label);
    }
    let several: Option<Vec<String>> = text.split(',').map(known).collect();
    match several {
        Some(labels) if question.multi_select => Ok(labels.join(", ")),
        _ => Ok(text.to_owned()),
    }
}

fn render(ask: &Ask, settlement: &Settlement) -> String {
    let what = headline(ask);
    match settlement {
        Settlement::Allowed => format!("allowed: {what}\n"),
        Settlement::AllowedAlways(_) => format!("allowed from now on: {what}\n"),
        Settlement::Denied(reason) if reason.is_empty() => format!("denied: {what}\n"),
        Settlement::Denied(reason) => format!("denied ({}): {what}\n", one_line(reason)),
        Settlement::Answered(answers) => answers.iter().fold(String::new(), |out, (question, answer)| {
            out + &format!("{} {}\n", one_line(question), one_line(answer))
        }),
        Settlement::Cancelled => format!("cancelled: {what}\n"),
        Settlement::Withdrawn(why) => format!("nobody waits for it any longer ({}): {what}\n", one_line(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pending::tests::{asked, elicitation, permission, plan, question};
    use super::super::style::Style;
    use super::*;

    fn decision(ask: &Ask, words: &str) -> Result<Decision, String> {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        decide(ask, &words, &[]).map_err(|error| error.render(Style::PLAIN))
    }

    fn chosen(ask: &Ask, questions: &[&str]) -> Result<Decision, String> {
        let questions: Vec<String> = questions.iter().map(|&text| text.to_owned()).collect();
        decide(ask, &[], &questions).map_err(|error| error.render(Style::PLAIN))
    }

    fn answers(pairs: &[(&str, &str)]) -> Decision {
        Decision::Answers(pairs.iter().map(|(q, a)| ((*q).to_owned(), (*a).to_owned())).collect())
    }

    #[test]
    fn a_request_is_found_by_the_beginning_of_its_id() {
        let pending = [asked("abc", permission()), asked("abcd", permission()), asked("xyz", permission())];
        let found = |id| find(&pending, id).map(|asked| asked.opened.request.to_string());
        assert_eq!(found("x").unwrap(), "xyz");
        assert_eq!(found("abc").unwrap(), "abc");
        assert_eq!(found("ab").unwrap_err().to_string(), "\"ab\" may be any of abc, abcd");
        assert_eq!(found("q").unwrap_err().to_string(), "no request that waits begins with \"q\"");
        assert!(found("").is_err());
    }

    #[test]
    fn a_permission_is_allowed_or_denied() {
        assert_eq!(decision(&permission(), "allow"), Ok(Decision::Allow));
        assert_eq!(decision(&permission(), "always"), Ok(Decision::AllowAlways(vec![0])));
        assert_eq!(decision(&permission(), "deny"), Ok(Decision::Deny(String::new())));
        assert_eq!(
            decision(&permission(), "deny use cargo clean"),
            Ok(Decision::Deny("use cargo clean".into()))
        );
        assert!(decision(&permission(), "allow it").is_err());
        assert!(decision(&permission(), "yes").is_err());
        assert!(chosen(&permission(), &["1=a"]).is_err());
        assert_eq!(decision(&plan(), "always"), Ok(Decision::AllowAlways(Vec::new())));
        assert!(decision(&plan(), "always 1").is_err());
    }

    #[test]
    fn of_several_permissions_always_names_which() {
        let Ask::Permission(mut ask) = permission() else { unreachable!() };
        ask.suggestions = r#"[{"type":"addRules"},{"type":"addDirectories"},{"type":"setMode"}]"#.into();
        let ask = Ask::Permission(ask);
        assert_eq!(decision(&ask, "always 2"), Ok(Decision::AllowAlways(vec![1])));
        assert_eq!(decision(&ask, "always 1, 3"), Ok(Decision::AllowAlways(vec![0, 2])));
        for wrong in ["always", "always 0", "always 4", "always x"] {
            let error = decision(&ask, wrong).unwrap_err();
            assert!(error.contains("needs the number of a permission, 1 to 3"), "{error}");
        }
    }

    #[test]
    fn always_is_refused_where_it_is_not_offered() {
        let Ask::Permission(mut ask) = permission() else { unreachable!() };
        ask.suggestions.clear();
        let error = decision(&Ask::Permission(ask), "always").unwrap_err();
        assert_eq!(error, "error: Claude does not offer `always` here\nhint: answer `allow`\n");
    }

    #[test]
    fn one_question_is_answered_with_a_label_or_words() {
        let ask = Ask::Questions(vec![question("Which?", &["Postgres", "Deny"], false)]);
        assert_eq!(decision(&ask, "postgres"), Ok(answers(&[("Which?", "Postgres")])));
        assert_eq!(decision(&ask, "none of them"), Ok(answers(&[("Which?", "none of them")])));
        assert_eq!(decision(&ask, "Deny"), Ok(answers(&[("Which?", "Deny")])));
        assert_eq!(decision(&ask, "deny"), Ok(Decision::Deny(String::new())));
        let several = Ask::Questions(vec![question("Which?", &["A", "B", "C"], true)]);
        assert_eq!(decision(&several, "a,c"), Ok(answers(&[("Which?", "A, C")])));
    }

    #[test]
    fn several_questions_are_answered_one_by_one() {
        let ask = Ask::Questions(vec![question("a=b?", &["Yes"], false), question("Two?", &["C"], false)]);
        let both = answers(&[("a=b?", "Yes"), ("Two?", "C")]);
        assert_eq!(chosen(&ask, &["a=b?=yes", "Two?=c"]), Ok(both.clone()));
        assert_eq!(chosen(&ask, &["2=C", "1=Yes"]), Ok(both));
        assert!(chosen(&ask, &["1=Yes"]).unwrap_err().contains("not all of the 2 questions"));
        assert!(chosen(&ask, &["3=Yes"]).unwrap_err().contains("no question belongs to \"3=Yes\""));
        assert!(chosen(&ask, &["1="]).unwrap_err().contains("empty"));
        assert!(decision(&ask, "Yes").unwrap_err().contains("there are 2 questions"));
        assert_eq!(decision(&ask, "deny not now"), Ok(Decision::Deny("not now".into())));
    }

    #[test]
    fn a_form_wants_an_object() {
        assert_eq!(decision(&elicitation(None), r#"{"a":1}"#), Ok(Decision::Content(r#"{"a":1}"#.into())));
        assert!(decision(&elicitation(None), "allow").unwrap_err().contains("must be a JSON object"));
        assert!(decision(&elicitation(None), "[1]").is_err());
        assert_eq!(decision(&elicitation(Some("https://x")), "allow"), Ok(Decision::Content("{}".into())));
        assert_eq!(decision(&elicitation(None), "deny"), Ok(Decision::Deny(String::new())));
        assert_eq!(decision(&elicitation(None), "cancel"), Ok(Decision::Cancel));
    }

    #[test]
    fn an_answer_is_confirmed() {
        assert_eq!(
            render(&permission(), &Settlement::AllowedAlways(vec![0])),
            "allowed from now on: may Claude use Bash: rm -rf target\n"
        );
        let answered = Settlement::Answered(vec![("Which?".into(), "A, B".into())]);
        assert_eq!(render(&plan(), &answered), "Which? A, B\n");
    }
}
