//! Exchanges of HTTP: heads, bodies, upgrades, and the time they may take.

use super::*;
use ramson_proto::router::output::{Missing, Readiness};

const ANSWER: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n\
    HTTP/1.1 200 OK\r\nAlt-Svc: x\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn a_response_head_is_filtered_however_it_is_cut() {
    for size in [1, 2, 7, 24, 25, 26, 60, 1000] {
        local(async {
            let mut core = Core::new();
            let (mut client, pump) = core.http(b"GET");
            core.credit(100);
            core.expect_data(b"GET").await;
            for piece in ANSWER.chunks(size) {
                core.data(piece);
                core.expect_consumed(piece.len()).await;
            }
            core.finished();
            let got = String::from_utf8(read_all(&mut client).await).unwrap();
            assert!(got.starts_with("HTTP/1.1 200 OK\r\n"));
            assert!(got.contains("\r\nContent-Length: 4\r\n"));
            assert!(got.ends_with("\r\n\r\nbody") && !got.contains("Alt-Svc"));
            core.expect_finish().await;
            assert_eq!(pump.await.unwrap(), End::Finished);
        });
    }
}

/// How an exchange ends whose answer is this; nothing of it may have been passed on.
fn answered(answer: &[u8], last: ClientEvent) -> End {
    let mut end = None;
    local(async {
        let core = Core::new();
        let (client, pump) = core.http(b"GET");
        core.data(answer);
        core.tell(last);
        end = Some(pump.await.unwrap());
        assert!(is_cut(&mut { client }).await);
    });
    end.unwrap()
}

#[test]
fn what_is_no_response_is_not_passed_on() {
    let (finished, reset) = (
        || ClientEvent::Finished { id: ID },
        || ClientEvent::Reset { id: ID },
    );
    let malformed = End::BadAnswer(AnswerError::Malformed);
    let garbage = b"<html>no head at all</html>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(answered(garbage, finished()), malformed);
    assert_eq!(answered(b"<html>", finished()), malformed);
    assert_eq!(answered(b"HTTP/1.1 200 OK\r\nA", finished()), malformed);
    assert_eq!(answered(&[b'x'; 40_000], finished()), malformed);
    let long = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'x'; 140_000]].concat();
    let large = End::BadAnswer(AnswerError::TooLarge);
    assert_eq!(answered(&long, finished()), large);
    let out = b"HTTP/1.1 302 F\r\nLocation: http://192.168.1.1/\r\n\r\n";
    let out = answered(out, finished());
    let elsewhere = AnswerError::Elsewhere("http://192.168.1.1/".to_owned());
    assert_eq!(out, End::BadAnswer(elsewhere));
    assert_eq!(answered(b"", finished()), End::Refused(Refusal::Empty));
    assert_eq!(answered(b"\r\n", finished()), End::Refused(Refusal::Empty));
    let none = End::Refused(Refusal::NoAnswer);
    assert_eq!(answered(b"HTTP/1.1 200 OK\r\nA", reset()), none);
}

#[test]
fn a_reset_after_the_first_bytes_is_a_cut() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.http(b"");
        let (part, _) = ANSWER.split_at(ANSWER.len() - 1);
        core.data(part);
        core.expect_consumed(part.len()).await;
        core.tell(ClientEvent::Reset { id: ID });
        assert_eq!(pump.await.unwrap(), End::Reset);
        assert!(is_cut(&mut client).await);
        core.expect_nothing().await;
    });
}

const SHORT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_reset_after_the_last_byte_is_an_end() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.http(b"");
        core.data(SHORT);
        core.expect_consumed(SHORT.len()).await;
        core.expect_finish().await;
        core.tell(ClientEvent::Reset { id: ID });
        assert_eq!(pump.await.unwrap(), End::Finished);
        assert!(read_all(&mut client).await.ends_with(b"\r\n\r\nhi"));
        core.expect_nothing().await;
    });
}

#[test]
fn a_site_that_does_not_close_keeps_nobody_waiting() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.http(b"");
        core.data(SHORT);
        let started = tokio::time::Instant::now();
        let got = String::from_utf8(read_all(&mut client).await).unwrap();
        assert!(got.ends_with("\r\n\r\nhi"));
        assert_eq!(started.elapsed(), Duration::ZERO);
        core.expect_consumed(SHORT.len()).await;
        core.expect_finish().await;
        // It gets a moment, then its stream is reset.
        assert_eq!(pump.await.unwrap(), End::Finished);
        core.expect_reset().await;
        assert!(started.elapsed() <= Duration::from_secs(11));
    });
}

#[test]
fn a_slow_client_gets_all_of_an_answer_whose_site_has_closed() {
    local(async {
        let mut core = Core::new();
        let (mut client, pump) = core.http(b"");
        let body = bytes(300_000);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        core.data(head.as_bytes());
        core.data(&body);
        core.finished();
        let mut got = Vec::new();
        let mut piece = vec![0; 10_000];
        let reader = async {
            loop {
                sleep(Duration::from_secs(60)).await;
                match client.read(&mut piece).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&piece[..n]),
                }
            }
        };
        let sink = async { while !core.cmds.is_closed() && core.cmds.recv().await.is_some() {} };
        tokio::select! {
            () = reader => {}
            () = sink => {}
        }
        assert!(got.ends_with(&body));
        assert_eq!(pump.await.unwrap(), End::Finished);
    });
}

#[test]
fn a_site_that_says_nothing_gets_a_page_after_three_minutes() {
    for part in [
        b"".as_slice(),
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA",
    ] {
        local(async {
            let core = Core::new();
            let (client, pump) = core.http(b"");
            core.tell(ClientEvent::Opened { id: ID });
            let started = tokio::time::Instant::now();
            sleep(Duration::from_secs(100)).await;
            if !part.is_empty() {
                core.data(part);
            }
            assert_eq!(pump.await.unwrap(), End::Silent);
            let waited = if part.is_empty() { 180 } else { 280 };
            let waited = Duration::from_secs(waited);
            assert!(started.elapsed().abs_diff(waited) < Duration::from_secs(1));
            assert!(is_cut(&mut { client }).await);
        });
    }
}

#[test]
fn an_exchange_in_which_nothing_moves_ends() {
    local(async {
        let core = Core::new();
        let (mut client, pump) = core.http(b"");
        core.data(b"HTTP/1.1 200 OK\r\n\r\nhi");
        let started = tokio::time::Instant::now();
        assert_eq!(pump.await.unwrap(), End::Reset);
        assert!(started.elapsed() >= Duration::from_secs(900));
        assert!(is_cut(&mut client).await);
    });
}

#[test]
fn chunks_go_up_anew_and_bad_ones_end_the_exchange() {
    local(async {
        let mut core = Core::new();
        let put = "PUT http://site.i2p/ HTTP/1.1\r\nTransfer-Encoding: chunked";
        let (mut client, pump) = core.asking(put, b"");
        core.credit(1000);
        send(&mut client, b"3;ext\r\nab").await;
        core.expect_data(b"3\r\nab").await;
        send(&mut client, b"c\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n").await;
        core.expect_data(b"c\r\n0\r\n\r\n").await;
        core.data(SHORT);
        core.finished();
        assert!(read_all(&mut client).await.ends_with(b"hi"));
        core.expect_consumed(SHORT.len()).await;
        core.expect_finish().await;
        assert_eq!(pump.await.unwrap(), End::Finished);
    });
    local(async {
        let core = Core::new();
        let put = "PUT http://site.i2p/ HTTP/1.1\r\nTransfer-Encoding: chunked";
        let (mut client, pump) = core.asking(put, b"");
        core.credit(1000);
        send(&mut client, b"zz\r\n").await;
        assert_eq!(pump.await.unwrap(), End::BadBody);
    });
}

#[test]
fn what_follows_an_upgrade_waits_for_it_and_passes_both_ways() {
    local(async {
        let mut core = Core::new();
        let socket = "GET http://site.i2p/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket";
        let (mut client, pump) = core.asking(socket, b"");
        core.credit(1000);
        send(&mut client, b"early frame").await;
        core.expect_nothing().await;
        let switch = b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\nframe";
        core.data(switch);
        core.expect_data(b"early frame").await;
        send(&mut client, b" and more").await;
        core.expect_consumed(switch.len()).await;
        core.expect_data(b" and more").await;
        // Silence is no reason to end it.
        core.expect_nothing().await;
        sleep(Duration::from_secs(4000)).await;
        client.shutdown().await.unwrap();
        core.finished();
        let got = read_all(&mut client).await;
        assert!(got.ends_with(b"\r\n\r\nframe"));
        core.expect_finish().await;
        assert_eq!(pump.await.unwrap(), End::Finished);
    });
}

#[test]
fn a_chunked_answer_that_is_cut_is_a_cut_to_an_old_client() {
    local(async {
        let core = Core::new();
        let (mut client, pump) = core.asking("GET http://site.i2p/ HTTP/1.0", b"");
        core.data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
        core.finished();
        assert_eq!(pump.await.unwrap(), End::Reset);
        assert!(is_cut(&mut client).await);
    });
}

#[test]
fn a_router_that_is_not_ready_is_a_page_at_once_and_a_wait_to_others() {
    let readiness = Readiness {
        missing: Missing::Peers,
        routers: 5,
        peers: 0,
        outbound: 0,
        inbound: 0,
    };
    local(async {
        let mut core = Core::new();
        let (_client, pump) = core.http(b"");
        core.tell(ClientEvent::NotReady { id: ID, readiness });
        let why = Refusal::NotReady(readiness);
        assert_eq!(pump.await.unwrap(), End::Refused(why));
        core.expect_reset().await;
    });
    local(async {
        let mut core = Core::new();
        let (mut client, _pump) = core.raw();
        core.tell(ClientEvent::NotReady { id: ID, readiness });
        core.expect_nothing().await;
        core.data(b"later");
        client.read_exact(&mut [0; 5]).await.unwrap();
    });
}
