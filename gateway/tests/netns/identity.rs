//! Who a device is, over restarts and by hand.

use super::*;

/// A dead `gatewayd` is started again: addresses from before lead to their sites without a
/// question, and what it keeps shows neither names nor devices.
pub fn restart(world: &World) {
    let (old, before) = (
        world.gatewayd().unwrap(),
        world.inside("lan", || resolve("foo.i2p.", A)),
    );
    // A new name is kept within a fifth of a second.
    std::thread::sleep(Duration::from_millis(400));
    kill(Pid::from_raw(old), Signal::SIGKILL).unwrap();
    wait_for("the restart", || world.gatewayd().filter(|new| *new != old));
    wait_for("the site", || {
        let asked = b"GET /";
        let got = world.inside("lan", || fetch((before, 80).into(), asked, Duration::ZERO));
        got.ok().filter(|got| *got == site())
    });
    let after = wait_for("an answer", || {
        world.inside("lan", || dns_udp(resolver(), "foo.i2p.", A).ok())
    });
    assert_eq!(after.1, [before]);
    let got = world.inside("lan", || {
        fetch((before, 80).into(), b"GET /", Duration::ZERO)
    });
    assert!(got.unwrap() == site());
    kept_files(world);
}

/// Sealed, private, and in both places.
fn kept_files(world: &World) {
    use std::os::unix::fs::MetadataExt;
    for dir in ["kept", "state/kept"] {
        let file = world.dir.join(dir).join("names");
        let meta = std::fs::metadata(&file).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.uid()), (0o600, world::GATEWAY));
        let bytes = std::fs::read(&file).unwrap();
        let shows = |what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
        assert!(!shows(b"foo") && !shows(&[192, 168, 77, 10]) && bytes.len() > 100);
    }
}

/// Each device has an identity of its own, which it can give up; its addresses stay.
pub fn identities(world: &World, router: &FakeRouter) {
    let tag = || {
        let address = world.inside("lan", || resolve("foo.i2p.", A));
        let got = world.inside("lan", || {
            fetch((address, 80).into(), b"GET /", Duration::ZERO)
        });
        assert!(got.unwrap() == site());
        let opens = router.opens.lock().unwrap();
        (address, opens.last().unwrap().tag.clone())
    };
    let (address, first) = tag();
    let devices = world.admin("devices\n");
    let line = devices.lines().next().unwrap();
    assert!(
        line.contains("192.168.77.10") && line.contains("identity 1"),
        "{devices}"
    );
    let (id, _) = line.split_once(':').unwrap();
    let said = world.admin(&format!("new-identity {id}\n"));
    assert_eq!(said, "new identities: 1\n");
    let (same, second) = tag();
    assert!(same == address && second != first);
    assert!(
        world
            .admin("new-identity 00000000\n")
            .starts_with("error: no device 00000000")
    );
    assert_eq!(world.admin("new-identity x\n"), "error: refused\n");
    world.admin("new-identity all\n");
    assert_ne!(tag().1, second);
    assert!(world.admin("devices\n").contains("identity 3"));
}
