use super::*;

fn parse(side: Side, text: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
    HeadReader::new(side).push(text)
}

#[test]
fn parses_and_waits_however_it_is_cut() {
    let text = b"GET / HTTP/1.1\r\nHost: a.i2p\r\nX:  y \r\n\r\nbody";
    let (head, n) = parse(Side::Request, text).unwrap().unwrap();
    assert_eq!(n, text.len() - 4);
    assert_eq!(head.get("host"), Some("a.i2p"));
    assert_eq!(head.get("x"), Some("y"));
    for size in 1..n {
        let mut reader = HeadReader::new(Side::Request);
        let mut used = 0;
        let found = text.chunks(size).find_map(|piece| {
            let found = reader.push(piece).unwrap();
            used += found.as_ref().map_or(piece.len(), |(_, n)| *n);
            found
        });
        assert_eq!((found.unwrap().0, used), (head.clone(), n), "{size}");
    }
}

#[test]
fn empty_lines_before_a_head_are_skipped_and_bounded() {
    let text = b"\r\n\n\r\nGET / HTTP/1.1\r\n\r\n";
    let (head, n) = parse(Side::Request, text).unwrap().unwrap();
    assert_eq!((head.start.as_str(), n), ("GET / HTTP/1.1", text.len()));
    let flood = vec![b'\n'; limits::HTTP_HEAD_MAX + 1];
    assert_eq!(parse(Side::Request, &flood), Err(HeadError::TooLarge));
}

#[test]
fn a_request_is_read_by_the_letter() {
    for bad in [
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "G\r\n folded: x\r\n\r\n",
        "G\r\nA: b\r\n folded\r\n\r\n",
        "G\r\nspace : x\r\n\r\n",
        "G\r\n: no name\r\n\r\n",
        "G\r\nA: b\rHost: c\r\n\r\n",
        "G\r\nA: \0\r\n\r\n",
        "G\tH\r\n\r\n",
        "G\rH\r\n\r\n",
        "G\r\nA: \x7f\r\n\r\n",
    ] {
        let error = parse(Side::Request, bad.as_bytes());
        assert_eq!(error, Err(HeadError::Malformed), "{bad:?}");
    }
}

#[test]
fn an_answer_is_read_as_browsers_do() {
    let text =
        b"HTTP/1.1 200\tOK\r\n ignored\r\nA : 1\r\n  folded\r\n\tagain\r\nno colon\r\n lost\r\n\
        \xe9: bad name\r\nB: \xe9\rx\r\n\r\n";
    let (head, n) = parse(Side::Response, text).unwrap().unwrap();
    assert_eq!(n, text.len());
    assert_eq!(head.start, "HTTP/1.1 200 OK");
    assert_eq!(
        head.to_bytes(),
        b"HTTP/1.1 200 OK\r\nA: 1 folded again\r\nB: \xe9 x\r\n\r\n"
    );
    let nul = parse(Side::Response, b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n");
    assert_eq!(nul, Err(HeadError::Malformed));
}

#[test]
fn what_is_no_answer_is_told_at_its_first_bytes() {
    for bad in ["<", "HTTX", "IC:", "\r\n200 OK"] {
        let error = parse(Side::Response, bad.as_bytes());
        assert_eq!(error, Err(HeadError::Malformed), "{bad:?}");
    }
    for good in ["H", "htt", "ICY", "\r\nHTTP/"] {
        assert_eq!(parse(Side::Response, good.as_bytes()), Ok(None), "{good:?}");
    }
}

fn with_lines(start: &str, n: usize) -> Vec<u8> {
    format!("{start}\r\n{}\r\n", "A: b\r\n".repeat(n)).into_bytes()
}

#[test]
fn both_budgets_hold() {
    let (get, ok) = ("GET / HTTP/1.1", "HTTP/1.1 200 OK");
    let lines = limits::HTTP_HEADERS_MAX;
    assert!(parse(Side::Request, &with_lines(get, lines)).is_ok_and(|h| h.is_some()));
    let over = parse(Side::Request, &with_lines(get, lines + 1));
    assert_eq!(over, Err(HeadError::TooLarge));
    let lines = limits::HTTP_ANSWER_HEADERS_MAX;
    assert!(parse(Side::Response, &with_lines(ok, lines)).is_ok_and(|h| h.is_some()));
    let over = parse(Side::Response, &with_lines(ok, lines + 1));
    assert_eq!(over, Err(HeadError::TooLarge));
    for (side, start, max) in [
        (Side::Request, get, limits::HTTP_HEAD_MAX),
        (Side::Response, ok, limits::HTTP_ANSWER_HEAD_MAX),
    ] {
        let rest = max - start.len() - "\r\nA: \r\n\r\n".len();
        let fits = format!("{start}\r\nA: {}\r\n\r\n", "x".repeat(rest));
        assert!(parse(side, fits.as_bytes()).is_ok_and(|h| h.is_some()));
        let over = format!("{start}\r\nA: {}\r\n\r\n", "x".repeat(rest + 1));
        assert_eq!(parse(side, over.as_bytes()), Err(HeadError::TooLarge));
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_costs_what_it_costs_at_once() {
    let mut reader = HeadReader::new(Side::Request);
    let mut grown = 0;
    for _ in 0..limits::HTTP_HEAD_MAX {
        let before = reader.bytes.len();
        assert_eq!(reader.push(b"a"), Ok(None));
        grown += reader.bytes.len() - before;
    }
    assert_eq!(grown, limits::HTTP_HEAD_MAX);
    assert_eq!(reader.push(b"a"), Err(HeadError::TooLarge));
}
