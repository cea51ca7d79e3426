//! Peers that send what is no frame, no request, too much, or too little.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use carcin_lab::rig::Rig;
use carcin_proto::frame::MAX_REQUEST;
use carcin_proto::request::{Answer, Decision, From, Notify, Recent, Sessions, Subscribe};
use carcin_proto::{ConversationKey, Frame, Kind, RefusalCode, Reply, Request, RequestId, preamble};

use crate::e2e_support::proc::{peak, resident};
use crate::e2e_support::run;
use crate::raw::{Raw, bytes, hello, request};

/// How much the daemon may grow by any of this, in KiB.
const GROWTH: u64 = 24 * 1024;

/// A well-behaved client is served, as if nothing had been.
async fn healthy(rig: &Rig) -> anyhow::Result<()> {
    ensure!(matches!(rig.request(&Request::Status).await?, Reply::Status(_)));
    Ok(())
}

/// A request frame around these bytes.
fn around(seq: u64, payload: &[u8]) -> Vec<u8> {
    bytes(&Frame { kind: Kind::REQUEST, seq, payload: payload.to_vec().into() })
}

fn with_length(length: u32) -> Vec<u8> {
    let mut frame = request(1, &Request::Status);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preamble_of_something_else_is_the_end() {
    run(async {
        let rig = Rig::builder().start().await?;
        let version = |major: u16, minor: u16| {
            let mut preamble = preamble::ours();
            preamble[8..10].copy_from_slice(&major.to_le_bytes());
            preamble[10..].copy_from_slice(&minor.to_le_bytes());
            preamble
        };
        for theirs in [*b"GET / HTTP/1", version(0, 9), version(2, 0), version(u16::MAX, 0)] {
            let mut raw = Raw::connect(&rig.places.socket()).await?;
            raw.send(&theirs).await?;
            // Its own preamble: from that the other end sees which of the two is to be upgraded.
            assert_eq!(raw.hung_up().await?, preamble::LEN, "{theirs:?}");
            healthy(&rig).await?;
        }
        // A later minor version only knows more.
        let mut raw = Raw::connect(&rig.places.socket()).await?;
        raw.send(&[&version(1, 999)[..], &hello()].concat()).await?;
        let mut ours = [0; preamble::LEN];
        tokio::io::AsyncReadExt::read_exact(&mut raw.stream, &mut ours).await?;
        assert_eq!(raw.frame().await?.context("hung up")?.kind, Kind::WELCOME);
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_frame_ends_the_connection_with_the_reason() {
    run(async {
        let rig = Rig::builder().start().await?;
        let before = resident(rig.daemon.pid());
        let too_large = u32::try_from(MAX_REQUEST)? + 1;
        let odd = |kind| bytes(&Frame { kind: Kind(kind), seq: 1, payload: vec![0].into() });
        let cases = [
            (with_length(0), "a frame of 0 bytes has no room for its header of 10"),
            (with_length(9), "a frame of 9 bytes has no room for its header of 10"),
            (with_length(too_large), "a frame of 1048577 bytes is over the limit of 1048576"),
            (with_length(u32::MAX), "a frame of 4294967295 bytes is over the limit of 1048576"),
            (odd(0x7fff), "a frame of kind 0x7fff out of place"),
            (odd(0x0130), "a frame of kind 0x0130 out of place"),
            (hello(), "a frame of kind 0x0001 out of place"),
        ];
        for (sent, why) in cases {
            let mut raw = Raw::greeted(&rig.places.socket()).await?;
            raw.send(&sent).await?;
            let farewell = raw.farewell().await?;
            assert_eq!(farewell.code, RefusalCode::Invalid);
            assert!(farewell.message.contains(why), "{farewell:?}");
            healthy(&rig).await?;
        }
        // The same before the hello, and a request where the hello belongs.
        for sent in [with_length(0), with_length(u32::MAX), request(1, &Request::Status)] {
            let mut raw = Raw::begun(&rig.places.socket()).await?;
            raw.send(&sent).await?;
            assert_eq!(raw.farewell().await?.code, RefusalCode::Invalid);
        }
        let most = peak(rig.daemon.pid());
        assert!(most < before + GROWTH, "{before} KiB before, {most} KiB at most");
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_refused_and_the_connection_goes_on() {
    run(async {
        let rig = Rig::builder().start().await?;
        let before = resident(rig.daemon.pid());
        let mut raw = Raw::greeted(&rig.places.socket()).await?;
        let huge = [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let fairly = [0xfc, 0x00, 0x00, 0x00, 0x40];
        let mut trailing = carcin_proto::encode(&Request::Status)?;
        trailing.push(0);
        let cases = [
            Vec::new(),
            vec![0xff; 300],
            vec![0xfb, 0xff, 0xff],
            // A variant that this version does not know.
            vec![200],
            // A text, and a list, that claim more than there is.
            [&[1][..], &huge].concat(),
            [&[1][..], &fairly].concat(),
            [&[2, 1, b'r', 3][..], &huge].concat(),
            [&[2, 1, b'r', 3][..], &fairly].concat(),
            trailing,
        ];
        for (seq, payload) in (1..).zip(&cases) {
            raw.send(&around(seq, payload)).await?;
            let (replied, reply) = raw.reply().await?;
            assert_eq!(replied, seq);
            let Reply::Refused(refusal) = reply else { panic!("{payload:?} was answered {reply:?}") };
            assert_eq!(refusal.code, RefusalCode::Unsupported, "{payload:?}");
            assert!(refusal.message.contains("does not understand this request"), "{refusal:?}");
        }
        // A request of the largest size, of which the most is made when it is decoded.
        let request_id = RequestId::new("nobody").expect("a valid id");
        let answers = vec![(String::new(), String::new()); 400_000];
        let large = Answer { request: request_id, decision: Decision::Answers(answers), by: String::new() };
        raw.send(&request(70, &Request::Answer(large))).await?;
        let (_, reply) = raw.reply().await?;
        assert!(matches!(&reply, Reply::Refused(refusal) if refusal.code == RefusalCode::NoRequest));
        // The number is the client's own business.
        for _ in 0..3 {
            raw.send(&request(70, &Request::Status)).await?;
            let (seq, reply) = raw.reply().await?;
            assert!(seq == 70 && matches!(reply, Reply::Status(_)));
        }
        let most = peak(rig.daemon.pid());
        assert!(most < before + 2 * GROWTH, "{before} KiB before, {most} KiB at most");
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_asks_for_more_is_told_why_it_goes() {
    run(async {
        let rig = Rig::builder().start().await?;
        for asked in [Request::Status, Request::Subscribe(Subscribe { from: From::Now, transients: true })] {
            let mut raw = Raw::subscribed(&rig.places.socket(), From::Now).await?;
            raw.send(&request(2, &asked)).await?;
            assert_eq!(raw.frame().await?.context("hung up")?.kind, Kind::SNAPSHOT);
            let farewell = raw.farewell().await?;
            assert!(farewell.message.contains("takes no requests"), "{farewell:?}");
        }
        rig.finish().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_at_once_are_answered_at_the_pace_at_which_the_replies_are_read() {
    run(async {
        let rig = Rig::builder().start().await?;
        let before = resident(rig.daemon.pid());
        let mut raw = Raw::greeted(&rig.places.socket()).await?;
        let requests: Vec<u8> = (1..=10_000).flat_map(|seq| request(seq, &Request::Status)).collect();
        // As much as is taken without a reply being read.
        let mut sent = 0;
        while let Ok(written) = tokio::time::timeout(
            Duration::from_millis(500),
            tokio::io::AsyncWriteExt::write(&mut raw.stream, &requests[sent..]),
        )
        .await
        {
            sent += written?;
            if sent == requests.len() {
                break;
            }
        }
        healthy(&rig).await?;
        let most = peak(rig.daemon.pid());
        assert!(most < before + GROWTH, "{before} KiB before, {most} KiB at most");
        let socket = rig.places.socket();
        let mut never = Raw::greeted(&socket).await?;
        never.send(&requests[..200_000.min(requests.len())]).await.ok();
        let (reader, mut writer) = raw.stream.into_split();
        let rest = requests[sent..].to_vec();
        let sending = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, &rest).await.map(|()| writer)
        });
        let mut replies = tokio_util::codec::FramedRead::new(
            reader,
            carcin_proto::frame::framing(carcin_proto::frame::MAX_FRAME),
        );
        for seq in 1..=10_000 {
            let frame =
                tokio::time::timeout(carcin_lab::rig::PATIENCE, futures_util::StreamExt::next(&mut replies));
            let frame = frame.await?.context("hung up")??;
            assert_eq!((frame.kind, frame.seq), (Kind::REPLY, seq));
        }
        sending.await??;
        // One that goes on reading nothing is not waited for, for ever.
        never.hung_up_unread().await?;
        healthy(&rig).await?;
        rig.finish().await
    })
    .await;
}

/// Numbers that only look as if by chance.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// What a client may say, harmless if it arrives as it is.
fn valid(chance: &mut Chance) -> Vec<u8> {
    let key = ConversationKey::new("tg:1").expect("a valid key");
    let seq = chance.next();
    match chance.below(6) {
        0 => hello(),
        1 => request(seq, &Request::Pending(Some(key))),
        2 => request(seq, &Request::Recent(Recent { conversation: key, limit: 3 })),
        3 => request(seq, &Request::Sessions(Sessions { offset: 1, limit: 3 })),
        4 => request(seq, &Request::Subscribe(Subscribe { from: From::Now, transients: true })),
        _ => {
            let text = "x".repeat(chance.below(20_000));
            request(seq, &Request::Notify(Notify { conversation: None, text, topic: "fuzz".to_owned() }))
        }
    }
}

/// A stream of bytes: by chance, or something valid with something wrong in it.
fn stream(chance: &mut Chance) -> Vec<u8> {
    let mut stream = Vec::new();
    if chance.below(10) > 0 {
        stream.extend(preamble::ours());
        if chance.below(5) > 0 {
            stream.extend(hello());
        }
    }
    if chance.below(4) == 0 {
        let count = chance.below(4096);
        stream.extend(chance.bytes(count));
    }
    for _ in 0..chance.below(8) {
        stream.extend(valid(chance));
    }
    for _ in 0..chance.below(6) {
        if stream.is_empty() {
            break;
        }
        let at = chance.below(stream.len());
        match chance.below(5) {
            0 => stream[at] = chance.next().to_le_bytes()[0],
            1 => stream[at] ^= 1 << chance.below(8),
            2 => stream.truncate(at),
            3 => {
                stream.remove(at);
            }
            _ => {
                let count = chance.below(16);
                let more = chance.bytes(count);
                stream.splice(at..at, more);
            }
        }
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_by_chance_harm_nobody() {
    run(async {
        let rig = Rig::builder().start().await?;
        rig.talk("tg:1").say("!text Hello").await?;
        let before = resident(rig.daemon.pid());
        let seed = std::env::var("CARCIN_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            u64::from_le_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().expect("8 of 16"))
        });
        println!("CARCIN_SEED={seed}");
        let mut chance = Chance(seed | 1);
        for round in 0..1_500 {
            let stream = stream(&mut chance);
            let mut raw = Raw::connect(&rig.places.socket()).await?;
            // The daemon may have hung up in the middle of it.
            let _ = raw.send(&stream).await;
            if chance.below(2) == 0 {
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut raw.stream).await;
                raw.hung_up().await.with_context(|| format!("round {round}"))?;
            }
            if round % 100 == 0 {
                healthy(&rig).await.with_context(|| format!("after round {round}"))?;
            }
        }
        let log = rig.daemon.log_text();
        ensure!(!log.contains("panicked"), "{log}");
        let most = peak(rig.daemon.pid());
        assert!(most < before + 2 * GROWTH, "{before} KiB before, {most} KiB at most");
        assert_eq!(rig.talk("tg:1").say("!text Undisturbed").await?, ["Undisturbed"]);
        rig.finish().await
    })
    .await;
}
