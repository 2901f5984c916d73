use super::*;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn header() -> Header {
    Header {
        arch: Arch::Aarch64,
        version: version("0.2.0+1790000100"),
        from: version("0.1.0+0"),
        boot: Body {
            len: 4_000_000,
            sha256: [1; 32],
        },
        root: Body {
            len: ROOT_MAX,
            sha256: [2; 32],
        },
    }
}

#[test]
fn what_is_signed_is_read_as_it_was() {
    let bytes = header().sign(&key());
    let read = Header::open(&bytes, &key().verifying_key());
    assert_eq!(read, Ok(header()));
    assert_eq!(header().file_len(), 4_000_000 + ROOT_MAX + 320);
}

#[test]
fn every_changed_bit_is_seen() {
    let bytes = header().sign(&key());
    let verifying = key().verifying_key();
    for bit in 0..LEN * 8 {
        let mut changed = bytes;
        changed[bit / 8] ^= 1 << (bit % 8);
        let read = Header::open(&changed, &verifying);
        match bit / 8 {
            0..8 => assert_eq!(read, Err(Unfit::Foreign), "{bit}"),
            8..10 => assert!(matches!(read, Err(Unfit::Format(_))), "{bit}"),
            _ => assert_eq!(read, Err(Unfit::Signature), "{bit}"),
        }
    }
    let other = SigningKey::from_bytes(&[8; 32]);
    let read = Header::open(&header().sign(&other), &verifying);
    assert_eq!(read, Err(Unfit::Signature));
}

/// Signs what an updater must not take even from whom it trusts.
fn resigned(change: impl Fn(&mut [u8])) -> Result<Header, Unfit> {
    let mut bytes = header().sign(&key());
    change(&mut bytes[..SIGNED]);
    let signature = key().sign(&bytes[..SIGNED]).to_bytes();
    bytes[SIGNED..].copy_from_slice(&signature);
    Header::open(&bytes, &key().verifying_key())
}

#[test]
fn signed_nonsense_is_refused_by_name() {
    assert_eq!(resigned(|_| {}), Ok(header()));
    assert_eq!(resigned(|b| b[11] = 3), Err(Unfit::Field("architecture")));
    let boot = Err(Unfit::Field("length of the boot image"));
    assert_eq!(resigned(|b| b[52..60].fill(0)), boot);
    assert_eq!(resigned(|b| b[52] = 0xff), boot);
    let root = Err(Unfit::Field("length of the root file system"));
    assert_eq!(resigned(|b| b[92..100].fill(0)), root);
    // One byte more than the longest.
    assert_eq!(resigned(|b| b[99] = 1), root);
    let rest = Err(Unfit::Field("bytes behind the last field"));
    for at in 132..SIGNED {
        assert_eq!(resigned(|b| b[at] = 1), rest, "{at}");
    }
}

#[test]
fn what_does_not_fit_here_is_refused() {
    let fits = |arch, here| header().fits(arch, version(here));
    assert_eq!(fits(Arch::Aarch64, "0.1.0+5"), Ok(()));
    assert_eq!(fits(Arch::Aarch64, "0.2.0+1790000100"), Ok(()));
    assert_eq!(
        fits(Arch::X86_64, "0.1.0+5"),
        Err(Unfit::Arch(Arch::Aarch64))
    );
    let newer = fits(Arch::Aarch64, "0.2.0+1790000101");
    assert!(matches!(newer, Err(Unfit::Older(..))));
    let old = fits(Arch::Aarch64, "0.0.9+1790000101");
    assert!(matches!(old, Err(Unfit::TooOld(..))));
    for arch in Arch::ALL {
        assert_eq!(Arch::of(arch.name()), Some(arch));
    }
}
