//! The client against a daemon that restarts, dies and misbehaves: a stand-in that a test scripts connection by
//! connection.

mod support;

use std::time::Duration;

use carcin_proto::client::{Backoff, Reconnecting};
use carcin_proto::event::{Notice, TextDelta};
use carcin_proto::request::{From, Notify, Subscribe};
use carcin_proto::{
    BlockId, Client, ClientError, ConversationKey, Cursor, Delivery, Followed, Follower, Frame, Kind,
    Refusal, RefusalCode, Reply, Request, Seq, Snapshot, TurnId,
};
use support::{Daemon, Peer, event, journal, transient};
use tokio::time::Instant;

/// Short enough for a test, long enough to be two different delays.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(2), Duration::from_millis(10));

fn reconnecting(daemon: &Daemon) -> Reconnecting {
    Reconnecting::new(daemon.path(), "test", "0").backoff(BACKOFF)
}

fn follower(daemon: &Daemon, cursor: Option<Cursor>) -> Follower {
    Follower::new(daemon.path(), "test", "0", cursor).backoff(BACKOFF)
}

fn cursor(seq: u64) -> Cursor {
    Cursor { journal: journal(), seq: Seq(seq) }
}

fn notice() -> carcin_proto::Event {
    Notice { level: carcin_proto::event::Level::Info, text: "Hello".into(), hint: None }.into()
}

async fn connected(follower: &mut Follower) {
    loop {
        match follower.next().await {
            Followed::Connected(_) => return,
            Followed::Disconnected(_) => {}
            Followed::Delivery(delivery) => panic!("a delivery without a connection: {delivery:?}"),
        }
    }
}

async fn delivery(follower: &mut Follower) -> Delivery {
    match follower.next().await {
        Followed::Delivery(delivery) => delivery,
        other => panic!("expected a delivery, got {other:?}"),
    }
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let daemon = Daemon::absent();
    let error = Client::connect(daemon.path(), "test", "0").await.expect_err("nobody listens");
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
    assert!(error.to_string().contains(&daemon.path().display().to_string()));
}

#[tokio::test]
async fn a_farewell_instead_of_a_welcome_is_told() {
    let mut daemon = Daemon::listening();
    let path = daemon.path().to_owned();
    let client = tokio::spawn(async move { Client::connect(&path, "test", "0").await.map(drop) });
    let mut peer = daemon.accept_raw().await;
    peer.hello().await;
    let refusal = Refusal::new(RefusalCode::NotAllowed, "uid 7 may not").hint("be another");
    peer.send(&Frame::of(Kind::FAREWELL, 0, &refusal).unwrap()).await;
    let error = client.await.unwrap().expect_err("refused");
    assert!(matches!(&error, ClientError::Farewell(told) if *told == refusal), "{error}");
    assert_eq!(error.hint(), Some("be another"));
    assert!(!error.is_connection());
}

#[tokio::test]
async fn a_request_waits_for_the_daemon_to_come() {
    let mut daemon = Daemon::absent();
    let mut client = reconnecting(&daemon);
    let asking = tokio::spawn(async move { client.request(&Request::Pending(None)).await });
    daemon.listen();
    let mut peer = daemon.accept().await;
    let (seq, request) = peer.request().await;
    assert_eq!(request, Request::Pending(None));
    peer.reply(seq, Reply::Pending(vec![])).await;
    assert_eq!(asking.await.unwrap().unwrap(), Reply::Pending(vec![]));
}

#[tokio::test]
async fn a_request_whose_fate_is_unknown_is_sent_again() {
    let mut daemon = Daemon::listening();
    let mut client = reconnecting(&daemon);
    let asking = tokio::spawn(async move { client.request(&Request::Status).await });
    let mut first = daemon.accept().await;
    first.request().await;
    drop(first);
    let mut second = daemon.accept().await;
    let (seq, request) = second.request().await;
    assert_eq!(request, Request::Status);
    second.reply(seq, Reply::Done).await;
    assert_eq!(asking.await.unwrap().unwrap(), Reply::Done);
}

#[tokio::test]
async fn a_daemon_that_is_ending_is_asked_again() {
    let mut daemon = Daemon::listening();
    let mut client = reconnecting(&daemon);
    let asking = tokio::spawn(async move { client.request(&Request::Status).await });
    let mut first = daemon.accept().await;
    let (seq, _) = first.request().await;
    first.reply(seq, Reply::Refused(Refusal::new(RefusalCode::ShuttingDown, "carcind is ending"))).await;
    let mut second = daemon.accept().await;
    let (seq, _) = second.request().await;
    second.reply(seq, Reply::Done).await;
    assert_eq!(asking.await.unwrap().unwrap(), Reply::Done);
}

#[tokio::test]
async fn a_notification_of_unknown_fate_is_not_sent_again() {
    let mut daemon = Daemon::listening();
    let mut client = reconnecting(&daemon);
    let notify = Request::Notify(Notify { conversation: None, text: "hi".into(), topic: String::new() });
    let asking = tokio::spawn(async move { client.request(&notify).await });
    let mut first = daemon.accept().await;
    first.request().await;
    drop(first);
    let error = asking.await.unwrap().expect_err("given up");
    assert!(error.is_connection(), "{error}");
}

#[tokio::test]
async fn a_refusal_is_final_and_keeps_the_connection() {
    let mut daemon = Daemon::listening();
    let mut client = reconnecting(&daemon);
    let asking = tokio::spawn(async move {
        let refused = client.request(&Request::Status).await.expect_err("refused");
        (refused, client.request(&Request::Status).await)
    });
    let mut peer = daemon.accept().await;
    let (seq, _) = peer.request().await;
    peer.reply(seq, Reply::Refused(Refusal::new(RefusalCode::Full, "too much"))).await;
    let (seq, _) = peer.request().await;
    peer.reply(seq, Reply::Done).await;
    let (refused, done) = asking.await.unwrap();
    assert!(matches!(refused, ClientError::Refused(_)));
    assert_eq!(done.unwrap(), Reply::Done);
}

#[tokio::test]
async fn patience_ends() {
    let daemon = Daemon::absent();
    let mut client = reconnecting(&daemon).patience(Duration::from_millis(50));
    let before = Instant::now();
    let error = client.request(&Request::Status).await.expect_err("nobody comes");
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_request_given_up_half_way_does_not_confuse_the_next() {
    let mut daemon = Daemon::listening();
    let mut client = reconnecting(&daemon);
    let mut first = {
        let status = Request::Status;
        let request = client.request(&status);
        tokio::pin!(request);
        tokio::select! {
            _ = &mut request => panic!("nobody replied"),
            peer = async { let mut peer = daemon.accept().await; peer.request().await; peer } => peer,
        }
    };
    let asking = tokio::spawn(async move { client.request(&Request::Pending(None)).await });
    first.reply(1, Reply::Done).await;
    let mut second = daemon.accept().await;
    let (seq, _) = second.request().await;
    second.reply(seq, Reply::Pending(vec![])).await;
    assert_eq!(asking.await.unwrap().unwrap(), Reply::Pending(vec![]));
}

#[tokio::test]
async fn a_request_too_large_is_not_sent() {
    let mut daemon = Daemon::listening();
    let mut client = reconnecting(&daemon);
    let text = "x".repeat(carcin_proto::frame::MAX_REQUEST);
    let notify = Request::Notify(Notify { conversation: None, text, topic: String::new() });
    let asking = tokio::spawn(async move { client.request(&notify).await });
    let _peer = daemon.accept().await;
    let error = asking.await.unwrap().expect_err("too large");
    assert!(matches!(error, ClientError::Codec(_)), "{error}");
}

#[tokio::test]
async fn a_follower_goes_on_where_it_was() {
    let mut daemon = Daemon::listening();
    let mut follower = follower(&daemon, Some(cursor(5)));
    let watching = tokio::spawn(async move {
        connected(&mut follower).await;
        assert!(matches!(delivery(&mut follower).await, Delivery::Durable(Seq(6), Some(_))));
        assert!(matches!(delivery(&mut follower).await, Delivery::Durable(Seq(9), None)));
        assert!(matches!(follower.next().await, Followed::Disconnected(ClientError::Closed)));
        connected(&mut follower).await;
        assert!(matches!(delivery(&mut follower).await, Delivery::Durable(Seq(10), Some(_))));
        follower
    });
    let mut first = daemon.accept().await;
    assert_eq!(first.subscription(cursor(5)).await.from, From::After(cursor(5)));
    first.send(&event(6, notice())).await;
    // A known kind with a variant of a later minor version, and a kind of a later minor version.
    let notice = event(8, notice());
    let later = Frame { payload: [&notice.payload[..6], &[9, 0, 0]].concat().into(), ..notice };
    assert!(later.decode_durable().is_err());
    first.send(&Frame { seq: 9, ..later }).await;
    // Killed in the middle of a frame.
    first.send_bytes(&[200, 0, 0, 0, 1]).await;
    drop(first);
    let mut second = daemon.accept().await;
    assert_eq!(second.subscription(cursor(9)).await.from, From::After(cursor(9)));
    second.send(&event(10, self::notice())).await;
    assert_eq!(watching.await.unwrap().cursor(), Some(cursor(10)));
}

#[tokio::test]
async fn a_snapshot_that_never_came_is_asked_for_again() {
    let mut daemon = Daemon::listening();
    let mut follower = follower(&daemon, None);
    let watching = tokio::spawn(async move {
        connected(&mut follower).await;
        assert!(matches!(follower.next().await, Followed::Disconnected(_)));
        connected(&mut follower).await;
        delivery(&mut follower).await
    });
    let mut first = daemon.accept().await;
    assert_eq!(first.subscription(cursor(7)).await.from, From::Now);
    drop(first);
    let mut second = daemon.accept().await;
    assert_eq!(second.subscription(cursor(7)).await.from, From::Now);
    let snapshot = Snapshot { seq: Seq(7), ..Snapshot::default() };
    second.send(&Frame::of(Kind::SNAPSHOT, 7, &snapshot).unwrap()).await;
    assert_eq!(watching.await.unwrap(), Delivery::Snapshot(snapshot));
}

#[tokio::test]
async fn a_transient_event_does_not_move_the_cursor() {
    let mut daemon = Daemon::listening();
    let mut follower = follower(&daemon, Some(cursor(5)));
    let watching = tokio::spawn(async move {
        connected(&mut follower).await;
        let delivery = delivery(&mut follower).await;
        (delivery, follower.cursor())
    });
    let mut peer = daemon.accept().await;
    peer.subscription(cursor(5)).await;
    let delta = TextDelta { turn: TurnId(1), block: BlockId(0), offset: 0, text: "a".into() };
    peer.send(&transient(delta.into())).await;
    let (delivery, at) = watching.await.unwrap();
    assert!(
        matches!(delivery, Delivery::Transient(told) if told.conversation == ConversationKey::new("cli").unwrap())
    );
    assert_eq!(at, Some(cursor(5)));
}

#[tokio::test]
async fn a_follower_that_is_polled_in_bits_still_connects() {
    let mut daemon = Daemon::listening();
    let mut follower = follower(&daemon, Some(cursor(5)));
    let (slow, is_slow) = tokio::sync::oneshot::channel();
    let watching = tokio::spawn(async move {
        let mut slow = Some(slow);
        let mut interval = tokio::time::interval(Duration::from_millis(1));
        // Each tick drops the future of `next`, while the handshake is under way.
        for tick in 0.. {
            tokio::select! {
                followed = follower.next() => return followed,
                _ = interval.tick() => {}
            }
            if let Some(slow) = slow.take_if(|_| tick == 20) {
                slow.send(()).expect("the daemon waits");
            }
        }
        unreachable!("a daemon that answers")
    });
    let mut peer = daemon.accept_raw().await;
    peer.hello().await;
    is_slow.await.expect("many ticks pass");
    peer.welcome().await;
    peer.subscription(cursor(5)).await;
    assert!(matches!(watching.await.unwrap(), Followed::Connected(_)));
}

#[tokio::test]
async fn an_incompatible_daemon_is_told_once() {
    let mut daemon = Daemon::listening();
    let mut follower = follower(&daemon, None);
    let watching = tokio::spawn(async move { follower.next().await });
    let mut peer = Peer::of(daemon.accept_stream().await);
    peer.send_bytes(b"CARCIN\r\n\x09\0\0\0").await;
    let Followed::Disconnected(error) = watching.await.unwrap() else { panic!("told") };
    assert!(matches!(error, ClientError::Preamble(_)), "{error}");
    assert_eq!(error.to_string(), "the other end speaks protocol 9.0, this one 1.0; upgrade this one");
}

#[tokio::test]
async fn an_absent_daemon_is_told_once() {
    let mut daemon = Daemon::absent();
    let mut follower = follower(&daemon, Some(cursor(5)));
    assert!(matches!(follower.next().await, Followed::Disconnected(ClientError::NotRunning { .. })));
    let watching = tokio::spawn(async move { follower.next().await });
    daemon.listen();
    daemon.accept().await.subscription(cursor(5)).await;
    assert!(matches!(watching.await.unwrap(), Followed::Connected(_)));
}

#[tokio::test]
async fn a_reply_to_a_request_given_up_is_skipped() {
    let mut daemon = Daemon::listening();
    let path = daemon.path().to_owned();
    let asking = tokio::spawn(async move {
        let mut client = Client::connect(&path, "test", "0").await.unwrap();
        let given_up =
            tokio::time::timeout(Duration::from_millis(20), client.request(&Request::Status)).await;
        assert!(given_up.is_err());
        client.request(&Request::Pending(None)).await
    });
    let mut peer = daemon.accept().await;
    let (first, _) = peer.request().await;
    let (second, request) = peer.request().await;
    assert_eq!(request, Request::Pending(None));
    peer.reply(first, Reply::Done).await;
    peer.reply(second, Reply::Pending(vec![])).await;
    assert_eq!(asking.await.unwrap().unwrap(), Reply::Pending(vec![]));
}

#[tokio::test]
async fn a_subscription_may_be_refused() {
    let mut daemon = Daemon::listening();
    let path = daemon.path().to_owned();
    let asking = tokio::spawn(async move {
        let client = Client::connect(&path, "test", "0").await.unwrap();
        client.subscribe(Subscribe { from: From::Now, transients: true }).await.map(drop)
    });
    let mut peer = daemon.accept().await;
    let (seq, _) = peer.request().await;
    peer.reply(seq, Reply::Refused(Refusal::new(RefusalCode::NotAllowed, "a tool may not watch"))).await;
    assert!(matches!(asking.await.unwrap(), Err(ClientError::Refused(_))));
}
