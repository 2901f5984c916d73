use super::*;
use crate::{FRAME_MAX, HEADER_LEN, MAGIC, VERSION};

fn open() -> Open {
    Open {
        tag: vec![0, 255, 7],
        name: "foo.i2p".into(),
        port: 8080,
        kind: Kind::Http,
    }
}

fn reasons() -> Vec<Reason> {
    use Reason::*;
    vec![
        BadName,
        UnknownName,
        NotReady,
        NoLeaseSet,
        Unusable,
        NoAnswer,
        Rejected,
        Limit,
        Closing,
        BadFrame,
        Unsupported(0),
        Unsupported(9),
    ]
}

fn frame(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[MAGIC, VERSION], len.as_slice(), body].concat()
}

#[test]
fn open_has_this_layout() {
    let expected = frame(b"\x01\x1f\x90\x03\x00\xff\x07\x00\x07foo.i2p");
    assert_eq!(open().encode().unwrap(), expected);
    let raw = Open {
        kind: Kind::Raw,
        ..open()
    };
    assert_eq!(raw.encode().unwrap()[HEADER_LEN], 0);
    assert_eq!(
        Open::decode(&raw.encode().unwrap()).unwrap().unwrap().0,
        raw
    );
}

#[test]
fn largest_open_is_frame_max() {
    let open = Open {
        tag: vec![9; TAG_MAX],
        name: "~".repeat(NAME_MAX),
        port: u16::MAX,
        kind: Kind::Raw,
    };
    let bytes = open.encode().unwrap();
    assert_eq!(bytes.len(), FRAME_MAX);
    assert_eq!(Open::decode(&bytes).unwrap(), Some((open, FRAME_MAX)));
}

#[test]
fn each_truncation_needs_more() {
    let bytes = open().encode().unwrap();
    for n in 0..bytes.len() {
        assert_eq!(Open::decode(&bytes[..n]), Ok(None), "{n}");
    }
    for reason in reasons() {
        let bytes = Answer::Refused(reason).encode().unwrap();
        for n in 0..bytes.len() {
            assert_eq!(Answer::decode(&bytes[..n]), Ok(None), "{reason:?} {n}");
        }
    }
}

#[test]
fn following_bytes_are_the_streams() {
    let mut bytes = open().encode().unwrap();
    let n = bytes.len();
    bytes.extend(b"GET / HTTP/1.1\r\n");
    assert_eq!(Open::decode(&bytes), Ok(Some((open(), n))));
    let mut bytes = Answer::Opened.encode().unwrap();
    let n = bytes.len();
    bytes.extend(&bytes.clone());
    assert_eq!(Answer::decode(&bytes), Ok(Some((Answer::Opened, n))));
}

#[test]
fn answers_come_back() {
    for answer in reasons()
        .into_iter()
        .map(Answer::Refused)
        .chain([Answer::Opened])
    {
        let bytes = answer.encode().unwrap();
        assert_eq!(Answer::decode(&bytes), Ok(Some((answer, bytes.len()))));
    }
}

#[test]
fn bad_headers_are_refused_at_the_first_bad_byte() {
    for first in (0..=255).filter(|b| *b != MAGIC) {
        assert_eq!(Open::decode(&[first]), Err(FrameError::Magic));
    }
    for version in (0..=255).filter(|b| *b != VERSION) {
        assert_eq!(
            Answer::decode(&[MAGIC, version]),
            Err(FrameError::Version(version))
        );
    }
    let over = u16::try_from(FRAME_MAX - HEADER_LEN + 1).unwrap();
    for len in [over, u16::MAX] {
        let [hi, lo] = len.to_be_bytes();
        assert_eq!(
            Open::decode(&[MAGIC, VERSION, hi, lo]),
            Err(FrameError::TooLong)
        );
    }
}

#[test]
fn bodies_end_where_their_fields_end() {
    let whole = open().encode().unwrap()[HEADER_LEN..].to_vec();
    for n in 0..whole.len() {
        let error = Open::decode(&frame(&whole[..n])).unwrap_err();
        assert!(matches!(error, FrameError::Short(_)), "{n} {error:?}");
    }
    let long = [whole.as_slice(), &[0]].concat();
    assert_eq!(Open::decode(&frame(&long)), Err(FrameError::Trailing));
    assert_eq!(
        Answer::decode(&frame(&[])),
        Err(FrameError::Short("answer"))
    );
    assert_eq!(
        Answer::decode(&frame(&[11])),
        Err(FrameError::Short("version"))
    );
    assert_eq!(Answer::decode(&frame(&[0, 0])), Err(FrameError::Trailing));
}

#[test]
fn unknown_values_are_refused() {
    for code in 12..=255 {
        assert_eq!(
            Answer::decode(&frame(&[code])),
            Err(FrameError::Value("answer"))
        );
    }
    let whole = open().encode().unwrap()[HEADER_LEN..].to_vec();
    for kind in 3..=255 {
        let mut body = whole.clone();
        body[0] = kind;
        assert_eq!(Open::decode(&frame(&body)), Err(FrameError::Value("kind")));
    }
    assert_eq!(
        Open::decode(&frame(b"\0\0\x50\0\0\x01a")),
        Err(FrameError::Value("tag"))
    );
    assert_eq!(
        Open::decode(&frame(b"\0\0\x50\x01t\0\0")),
        Err(FrameError::Value("name"))
    );
    for bad in (0..=255u8).filter(|b| !b.is_ascii_graphic()) {
        let body = [b"\0\0\x50\x01t\0\x01".as_slice(), &[bad]].concat();
        assert_eq!(
            Open::decode(&frame(&body)),
            Err(FrameError::Value("name")),
            "{bad}"
        );
    }
    let long_tag = [&[0, 0, 80, 65], [1; 65].as_slice(), &[0, 1, b'a']].concat();
    assert_eq!(
        Open::decode(&frame(&long_tag)),
        Err(FrameError::Value("tag"))
    );
}

#[test]
fn fields_out_of_bounds_are_not_written() {
    for tag in [vec![], vec![1; TAG_MAX + 1]] {
        assert_eq!(Open { tag, ..open() }.encode(), Err(EncodeError("tag")));
    }
    for name in [
        String::new(),
        "a".repeat(NAME_MAX + 1),
        "a b".into(),
        "ä".into(),
        "a\n".into(),
    ] {
        assert_eq!(Open { name, ..open() }.encode(), Err(EncodeError("name")));
    }
}

#[test]
fn one_flipped_byte_never_panics() {
    let bytes = open().encode().unwrap();
    for at in 0..bytes.len() {
        for value in 0..=255 {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            let _ = Open::decode(&bytes);
            let _ = Answer::decode(&bytes);
        }
    }
}

#[test]
fn a_decode_error_becomes_a_reason() {
    assert_eq!(
        Reason::from(FrameError::Version(7)),
        Reason::Unsupported(VERSION)
    );
    assert_eq!(Reason::from(FrameError::Magic), Reason::BadFrame);
}
