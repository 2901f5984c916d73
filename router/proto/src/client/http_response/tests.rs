use super::*;

fn asked() -> Asked {
    Asked {
        site: Site::new("site.i2p", "site.i2p", "b.b32.i2p"),
        head_only: false,
        version: Version::V11,
        upgrade: false,
        expects: false,
        foreign_origin: None,
    }
}

/// What comes out of an answer that comes in pieces of this size.
fn run(asked: Asked, text: &str, size: usize) -> Result<(String, Answers), AnswerError> {
    let (mut answers, mut out) = (Answers::new(asked), Vec::new());
    for piece in text.as_bytes().chunks(size) {
        answers.push(piece, &mut out)?;
    }
    Ok((String::from_utf8(out).unwrap(), answers))
}

/// The body of what comes out, for all ways to cut the answer.
fn body(asked: &Asked, text: &str) -> (String, bool) {
    let mut found = None;
    for size in 1..=text.len() {
        let (out, answers) = run(asked.clone(), text, size).unwrap();
        let (_, body) = out.split_once("\r\n\r\n").unwrap();
        let this = (body.to_owned(), answers.is_complete());
        assert_eq!(*found.get_or_insert_with(|| this.clone()), this, "{size}");
    }
    found.unwrap()
}

#[test]
fn bodies_end_where_they_say() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let old = Asked {
        version: Version::V10,
        ..asked()
    };
    let head = Asked {
        head_only: true,
        ..asked()
    };
    let chunked =
        format!("{ok}Transfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n0\r\nA: b\r\n\r\nrest");
    let length = format!("{ok}Content-Length: 2\r\n\r\nhi and more");
    let open = format!("{ok}\r\nhi");
    for (asked, text, expected, complete) in [
        (asked(), &chunked, "2\r\nhi\r\n0\r\n\r\n", true),
        (old.clone(), &chunked, "hi", true),
        (asked(), &length, "hi", true),
        (asked(), &open, "hi", false),
        (head.clone(), &length, "", true),
        (head, &chunked, "", true),
        (asked(), &"HTTP/1.1 204 No\r\n\r\nbody".to_owned(), "", true),
        (
            asked(),
            &"HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\nb".to_owned(),
            "",
            true,
        ),
    ] {
        assert_eq!(
            body(&asked, text),
            (expected.to_owned(), complete),
            "{text}"
        );
    }
    let (out, answers) = run(old, &chunked, 9).unwrap();
    assert!(out.starts_with("HTTP/1.0 200 OK\r\n") && !out.contains("chunked"));
    assert!(answers.shows_its_end());
}

#[test]
fn interim_answers_pass_only_to_who_waits_for_them() {
    let text = "HTTP/1.1 103 Early Hints\r\nLink: <https://x.com>; rel=preconnect\r\n\r\n\
        HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 204 No\r\n\r\n";
    let waiting = Asked {
        expects: true,
        ..asked()
    };
    for size in 1..text.len() {
        let (out, _) = run(asked(), text, size).unwrap();
        assert!(out.starts_with("HTTP/1.1 204 No\r\n"), "{out}");
        let (out, _) = run(waiting.clone(), text, size).unwrap();
        let start = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n";
        assert!(out.starts_with(start), "{out}");
    }
    let endless = "HTTP/1.1 102 Processing\r\n\r\n".repeat(INTERIM_MAX + 1);
    assert_eq!(
        run(asked(), &endless, 100).unwrap_err(),
        AnswerError::Malformed
    );
}

#[test]
fn after_a_switch_bytes_pass() {
    let upgrade = Asked {
        upgrade: true,
        ..asked()
    };
    let text = "HTTP/1.1 101 Web Socket\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: s\r\nServer: x\r\n\r\nHTTP/1.1 frames";
    for size in 1..text.len() {
        let (out, answers) = run(upgrade.clone(), text, size).unwrap();
        assert_eq!(
            out,
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\n\r\nHTTP/1.1 frames"
        );
        assert!(answers.is_switched() && answers.has_begun());
    }
    assert_eq!(run(asked(), text, 10).unwrap_err(), AnswerError::Malformed);
    let refused = run(upgrade, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 7).unwrap();
    assert!(refused.1.is_complete());
}

#[test]
fn chunks_that_are_none_end_the_answer() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz";
    assert_eq!(run(asked(), text, 3).unwrap_err(), AnswerError::Malformed);
}
