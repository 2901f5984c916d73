use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

struct Place {
    dir: PathBuf,
    config: Config,
    own: (u32, u32),
}

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("ramson-box-{name}-{}", std::process::id()));
        let mut config = Config::default();
        config.machine.enabled = true;
        config.machine.data = dir.clone();
        config.paths.state_dir = dir.join("gateway");
        for sub in ["", "i2p", "gateway", "config", "gateway/console"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
            fs::set_permissions(dir.join(sub), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let uid = nix::unistd::Uid::effective().as_raw();
        let gid = nix::unistd::Gid::effective().as_raw();
        Self {
            dir,
            config,
            own: (uid, gid),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.join(name), bytes).unwrap();
    }

    fn page(&self) -> OwnedFd {
        fs::File::open(self.dir.join("gateway/console"))
            .unwrap()
            .into()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn an_identity_moves_to_another_box() {
    let (old, new) = (Place::new("old"), Place::new("new"));
    assert!(
        save(&old.config, old.own)
            .unwrap_err()
            .contains("no identity")
    );
    old.write("i2p/router.keys", b"the identity");
    old.write("i2p/other.txt", b"not of a backup");
    old.write("gateway/secrets", &[7; 38]);
    old.write("config/gateway.toml", b"[wan]\n");
    let text = save(&old.config, old.own).unwrap();
    let entries = backup::decode(text.as_bytes()).unwrap();
    let names: Vec<_> = entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(
        names,
        ["i2p/router.keys", "gateway/secrets", "config/gateway.toml"]
    );

    new.write("i2p/router.keys", b"another");
    new.write("i2p/router.info", b"of another");
    assert!(
        restore(&new.config, new.own, new.own)
            .unwrap_err()
            .contains("nothing to restore")
    );
    stage(&new.page(), &entries).unwrap();
    assert_eq!(
        fs::read(new.dir.join("i2p/router.keys")).unwrap(),
        b"another"
    );
    restore(&new.config, new.own, new.own).unwrap();
    let read = |name: &str| fs::read(new.dir.join(name)).unwrap();
    assert_eq!(read("i2p/router.keys"), b"the identity");
    assert_eq!(read("gateway/secrets"), [7; 38]);
    assert_eq!(read("config/gateway.toml"), b"[wan]\n");
    assert!(!new.dir.join("i2p/router.info").exists());
    let mode = |name: &str| fs::metadata(new.dir.join(name)).unwrap().mode() & 0o777;
    assert_eq!(
        (mode("i2p/router.keys"), mode("config/gateway.toml")),
        (0o600, 0o644)
    );
    // Used up.
    assert!(
        fs::read_dir(new.dir.join("gateway/console"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn nothing_is_read_or_taken_through_links_and_odd_names() {
    let place = Place::new("links");
    place.write("victim", b"secret");
    symlink(place.dir.join("victim"), place.dir.join("i2p/router.keys")).unwrap();
    assert!(save(&place.config, place.own).is_err());
    fs::remove_file(place.dir.join("i2p/router.keys")).unwrap();
    fs::hard_link(place.dir.join("victim"), place.dir.join("i2p/router.keys")).unwrap();
    assert!(
        save(&place.config, place.own)
            .unwrap_err()
            .contains("no plain file")
    );
    place.write("i2p/router.keys", b"mine");
    for (name, target) in [("restore.i2p.router.keys", true), ("restore.i2p.x", false)] {
        let path = place.dir.join("gateway/console").join(name);
        if target {
            symlink(place.dir.join("victim"), &path).unwrap();
        } else {
            fs::write(&path, b"x").unwrap();
        }
        assert!(restore(&place.config, place.own, place.own).is_err());
        assert!(!path.exists(), "{name}");
    }
    assert_eq!(fs::read(place.dir.join("victim")).unwrap(), b"mine");
    // Too long for what it is.
    fs::write(
        place.dir.join("gateway/console/restore.gateway.secrets"),
        [0; 39],
    )
    .unwrap();
    assert!(restore(&place.config, place.own, place.own).is_err());
}

#[test]
fn nothing_is_done_to_a_machine_of_others() {
    let mut place = Place::new("others");
    place.config.machine.enabled = false;
    place.write("i2p/router.keys", b"x");
    let config = &place.config;
    let all = [
        log(config).map(drop),
        end(config, true),
        end(config, false),
        reset(config),
        save(config, place.own).map(drop),
        restore(config, place.own, place.own),
    ];
    assert!(
        all.iter()
            .all(|r| r.as_ref().is_err_and(|e| e.contains("machine.enabled")))
    );
    assert!(!place.dir.join(RESET).exists());
}

#[test]
fn sites_and_codes_are_not_shown() {
    let line = "Nov 26 20:05:11 ramson: console: open http://192.168.77.1/setup; code: 12345678";
    assert!(redact(line).ends_with("code: …") && redact(line).contains("192.168.77.1/setup"));
    assert_eq!(
        redact("no x.i2p or http://y.b32.i2p/z here"),
        "no … or … here"
    );
}
